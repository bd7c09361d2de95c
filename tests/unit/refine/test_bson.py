import io
from struct import pack

import bson
import pytest
import zstandard

from tideline.catalog.model import MongoDataset
from tideline.errors import IntegrityError, StoreUnavailableError
from tideline.lake.manifest import Part
from tideline.refine import bson as module
from tideline.refine.bson import BsonDecoder, decode_bson

COLUMNS = [
    {"name": "id", "type": "int64", "field": "_id"},
    {"name": "name", "type": "string"},
    {"name": "amount", "type": "numeric(12, 2)"},
    {"name": "shipping", "type": "record", "columns": [{"name": "carrier", "type": "string"}]},
    {
        "name": "history",
        "type": "record",
        "repeated": True,
        "columns": [
            {"name": "status", "type": "int64"},
            {"name": "note", "type": "string", "nullable": False},
        ],
    },
]
PLAIN = Part("s3://raw/shop/orders/part-00000.bson", 0, "")
PACKED = Part("s3://raw/shop/orders/part-00000.bson.zst", 0, "")


def dataset(columns=COLUMNS, key=("id",), **declared):
    return MongoDataset(
        name="orders", source="shop", database="shop", collection="o", key=key, columns=columns, **declared
    )


def document(number, **members):
    return bson.encode({"_id": number, "name": f"n{number}", **members})


def decode(raw, part=PLAIN, declared=None):
    return list(decode_bson(declared or dataset(), part, io.BytesIO(raw)))


def column(batches, name):
    return [value for decoded in batches for value in decoded.batch.column(name).to_pylist()]


def rejects(batches):
    return [reject for decoded in batches for reject in decoded.rejects]


@pytest.mark.parametrize("part", [PLAIN, PACKED], ids=["plain", "zstd"])
@pytest.mark.parametrize("block", [1, 7, 100, 1 << 20])
def test_rows_and_positions_do_not_depend_on_how_the_part_is_read(monkeypatch, part, block):
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    documents = [document(number, amount=number) for number in range(100)]
    raw = b"".join(documents)
    batches = decode(zstandard.compress(raw) if part is PACKED else raw, part)
    assert column(batches, "id") == list(range(100))
    positions = column(batches, "_raw_position")
    assert positions == [sum(map(len, documents[:number])) for number in range(100)]
    assert sum(decoded.records for decoded in batches) == 100


def test_an_empty_part_has_no_batches():
    assert decode(b"") == []
    assert decode(zstandard.compress(b""), PACKED) == []


def test_concatenated_zstd_frames_are_one_part():
    packed = zstandard.compress(document(1)) + zstandard.compress(document(2))
    assert column(decode(packed, PACKED), "id") == [1, 2]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: b"no" + raw, lambda raw: raw + b"rubbish"]
)
def test_a_damaged_compressed_part_is_an_integrity_error(damage):
    packed = damage(zstandard.compress(b"".join(document(number) for number in range(50))))
    with pytest.raises(IntegrityError, match=r"shop.orders: .*part-00000.bson.zst.*land the window again"):
        decode(packed, PACKED)


@pytest.mark.parametrize("failure", [StoreUnavailableError("gone"), ConnectionResetError("gone")])
def test_a_failing_store_is_not_taken_for_a_damaged_part(failure):
    class Stream(io.BytesIO):
        def read(self, size=-1):
            raise failure

    for part in (PLAIN, PACKED):
        with pytest.raises(type(failure), match="gone"):
            list(decode_bson(dataset(), part, Stream()))


@pytest.mark.parametrize("length", [-1, 0, 4, 2**31 - 1, -(2**31)])
def test_a_wrong_length_ends_the_part_and_what_is_before_it_stands(length):
    bad = pack("<i", length) + document(2)[4:] + document(3)
    (reject,) = rejects(batches := decode(document(1) + bad))
    assert column(batches, "id") == [1]
    assert (reject.position, reject.reason, reject.raw) == (len(document(1)), "bad_frame", bad)
    assert f"{length}, then {len(bad) - 4} bytes" in reject.detail
    assert sum(decoded.records for decoded in batches) == 2


def test_a_long_remainder_is_read_to_its_end_and_kept_in_part(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_BYTES", 64 << 10)
    bad = pack("<i", -5) + bytes(3 << 20)
    (reject,) = rejects(decode(zstandard.compress(document(1) + bad), PACKED))
    assert reject.raw == bad[: (1 << 20) + 1]
    assert f"then {3 << 20} bytes" in reject.detail


def test_every_cut_of_a_part():
    first, second = document(1), document(2, amount=3, shipping={"carrier": "x"})
    for cut in range(1, len(second)):
        (reject,) = rejects(batches := decode(first + second[:cut]))
        assert column(batches, "id") == [1]
        assert (reject.position, reject.reason, reject.raw) == (len(first), "truncated", second[:cut])


def test_decode_takes_bytes_at_an_offset_and_refuses_what_is_left(way):
    decoder = BsonDecoder(dataset(), **way)
    decoded = decoder.decode(document(1) + document(2) + b"\x09\0", base_offset=1000)
    assert decoded.batch.column("_raw_position").to_pylist() == [1000, 1000 + len(document(1))]
    assert [(reject.position, reject.reason) for reject in decoded.rejects] == [
        (1000 + 2 * len(document(1)), "truncated")
    ]
    assert decoded.records == 3
