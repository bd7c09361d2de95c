"""Documents that nest too deep or ask for too much, and what a batch may hold."""

import io
import subprocess
import sys
from struct import pack

import bson
import pytest

from tideline.catalog.model import MongoDataset
from tideline.lake.manifest import Part
from tideline.refine.bson import BsonDecoder, decode_bson
from tideline.refine.bson_columns import BatchTooLargeError

COLUMNS = [{"name": "id", "type": "int64", "field": "_id"}, {"name": "name", "type": "string"}]


def dataset(columns=COLUMNS, key=("id",), **declared):
    return MongoDataset(
        name="orders", source="shop", database="shop", collection="o", key=key, columns=columns, **declared
    )


def document(number, **members):
    return bson.encode({"_id": number, "name": f"n{number}", **members})


def decode(raw, declared):
    return list(decode_bson(declared, Part("part-00000.bson", 0, ""), io.BytesIO(raw)))


def column(batches, name):
    return [value for decoded in batches for value in decoded.batch.column(name).to_pylist()]


def elements(*members):
    body = b"".join(bytes([kind]) + key.encode() + b"\0" + payload for kind, key, payload in members)
    return pack("<i", len(body) + 5) + body + b"\0"


INT = pack("<i", 1)


@pytest.mark.parametrize(
    ("depth", "fits"), [(1, True), (100, True), (128, True), (129, False), (100_000, False)]
)
@pytest.mark.parametrize("kind", [3, 4], ids=["documents", "arrays"])
@pytest.mark.parametrize("declared", ["json", None])
def test_depth(way, depth, fits, kind, declared):
    columns = [COLUMNS[0], *([{"name": "x", "type": declared}] if declared else [])]
    raw = elements((16, "_id", INT), (kind, "x", nested_frames(depth, kind)))
    decoded = BsonDecoder(dataset(columns), **way).decode(raw)
    found = [(reject.column, reject.reason) for reject in decoded.rejects]
    assert found == ([] if fits else [("x", "too_deep")])


def nested_frames(depth, kind):
    """`depth` frames inside one another."""
    sizes = range(8 * depth - 3, 5, -8)
    heads = b"".join(pack("<i", size) + bytes([kind]) + b"0\0" for size in sizes)
    return heads + b"\x05\0\0\0\0" + bytes(depth - 1)


def test_depth_counts_declared_records_and_arrays(way):
    columns = [
        COLUMNS[0],
        {"name": "r", "type": "record", "repeated": True, "columns": [{"name": "x", "type": "json"}]},
    ]
    for depth, expected in ((126, []), (127, [("r[0].x", "too_deep")])):
        item = elements((3, "x", nested_frames(depth, 3)))
        raw = elements((16, "_id", INT), (4, "r", elements((3, "0", item))))
        decoded = BsonDecoder(dataset(columns), **way).decode(raw)
        assert [(reject.column, reject.reason) for reject in decoded.rejects] == expected


WIDE = [COLUMNS[0], {"name": "r", "type": "record", "repeated": True}]
WIDE[1]["columns"] = [{"name": f"c{number}", "type": "int64"} for number in range(100)]


def test_arrays_that_ask_for_too_much_are_refused(way):
    items = elements(*((3, "", b"\x05\0\0\0\0") for _ in range(10_001)))
    raw = elements((16, "_id", INT), (4, "r", items)) + document(2)
    decoded = BsonDecoder(dataset(WIDE), **way).decode(raw)
    assert [(reject.column, reject.reason) for reject in decoded.rejects] == [("r", "too_large")]
    assert decoded.batch.column("id").to_pylist() == [2]


def test_arrays_of_short_documents_may_ask_for_too_much_as_well(monkeypatch, way):
    for user in ("rows", "bson_columns", "bson_native"):
        monkeypatch.setattr(f"tideline.refine.{user}.MAX_ROW_CELLS", 200)
    raw = b""
    for number, count in enumerate((2, 3, 1)):
        items = elements(*((3, str(index), b"\x05\0\0\0\0") for index in range(count)))
        raw += elements((16, "_id", pack("<i", number)), (4, "r", items))
    decoded = BsonDecoder(dataset(WIDE), **way).decode(raw)
    assert [(reject.column, reject.reason) for reject in decoded.rejects] == [("r", "too_large")]
    assert decoded.batch.column("id").to_pylist() == [0, 2]


def test_text_that_grows_too_much_is_refused(monkeypatch, way):
    for user in ("rows", "bson_native"):
        monkeypatch.setattr(f"tideline.refine.{user}.MAX_ROW_TEXT", 1000)
    monkeypatch.setattr("tideline.refine.bson_decoder.SWEPT_BYTES", 100)
    columns = [COLUMNS[0], {"name": "x", "type": "json"}]
    decoder = BsonDecoder(dataset(columns), **way)
    decoded = decoder.decode(document(1, x="\1" * 200) + document(2, y="\1" * 200) + document(3, y="ok"))
    found = [(reject.column, reject.reason) for reject in decoded.rejects]
    assert found == [("x", "too_large"), ("y", "too_large")]


@pytest.mark.parametrize("indices", ["right", "wrong"])
def test_a_batch_that_asks_for_too_much_is_split(monkeypatch, indices):
    """Right indices can be swept; wrong ones are for the walker, which must notice as well."""
    monkeypatch.setattr("tideline.refine.bson_columns.MAX_BATCH_CELLS", 1_000)
    monkeypatch.setattr("tideline.refine.bson_decoder.MAX_BATCH_CELLS", 1_000)
    names = "0123" if indices == "right" else "abcd"
    items = elements(*((3, name, b"\x05\0\0\0\0") for name in names))
    raw = b"".join(elements((16, "_id", pack("<i", number)), (4, "r", items)) for number in range(50))
    batches = decode(raw, dataset(WIDE))
    assert column(batches, "id") == list(range(50))
    assert len(batches) > 20
    assert all(decoded.batch.num_rows <= 2 for decoded in batches)
    alone = elements((16, "_id", INT), (4, "r", elements(*((3, str(n), b"\x05\0\0\0\0") for n in range(11)))))
    assert BsonDecoder(dataset(WIDE), sweep_from=1).decode(alone).batch.num_rows == 1
    with pytest.raises(BatchTooLargeError):
        BsonDecoder(dataset(WIDE)).decode(raw)


def test_long_arrays_and_long_documents_are_walked():
    numbers = list(range(3_000))
    columns = [COLUMNS[0], {"name": "x", "type": "int64", "repeated": True}, {"name": "s", "type": "string"}]
    raw = b"".join(bson.encode({"_id": number, "x": numbers[: number * 300]}) for number in range(11))
    raw += bson.encode({"_id": 11, "s": "x" * (1 << 20)})
    decoded = BsonDecoder(dataset(columns), sweep_from=1).decode(raw)
    assert [len(items) for items in decoded.batch.column("x").to_pylist()] == [*range(0, 3001, 300), 0]
    assert len(decoded.batch.column("s").to_pylist()[11]) == 1 << 20


def test_batches_of_wide_tables_are_shorter(monkeypatch):
    monkeypatch.setattr("tideline.refine.bson_decoder.MAX_BATCH_CELLS", 100)
    batches = decode(b"".join(document(number) for number in range(100)), dataset())
    assert {decoded.batch.num_rows for decoded in batches} == {51, 49}
    assert column(batches, "id") == list(range(100))


WITHOUT_PANDAS = """
import io, sys
from tideline.catalog.model import MongoDataset
from tideline.lake.manifest import Part
from tideline.refine.bson import decode_bson

columns = [{"name": "id", "type": "string"}, {"name": "at", "type": "timestamp", "repeated": True}]
names = {"name": "t", "source": "s", "database": "d", "collection": "c"}
dataset = MongoDataset(**names, key=("id",), columns=columns)
raw = bytes.fromhex("16000000" "02" "696400" "02000000" "6100" "10" "7800" "01000000" "00") * 99
batches = list(decode_bson(dataset, Part("x.bson", 0, ""), io.BytesIO(raw)))
assert [decoded.batch.num_rows for decoded in batches] == [99]
assert "pandas" not in sys.modules
"""


def test_the_data_path_does_not_import_pandas():
    """`pa.array` would: 1.3 s and 55 MB for every task."""
    subprocess.run([sys.executable, "-c", WITHOUT_PANDAS], check=True)
