"""Every way to decode agrees on valid and on damaged documents; pymongo is a third opinion on the valid ones."""

import datetime as dt
from collections import Counter
from decimal import Decimal
from struct import pack

import bson
import pytest
from bson import Binary, Decimal128, ObjectId
from documents import COLUMNS, WHOLE, Shop, dataset

from tideline.refine.bson import BsonDecoder


def assert_same(found, walked):
    found.batch.validate(full=True)
    walked.batch.validate(full=True)
    assert found.records == found.batch.num_rows + len(found.rejects)
    assert found.rejects == walked.rejects
    assert list(found.drift.items()) == list(walked.drift.items())
    if found.batch != walked.batch:  # NaN differs from itself
        for left, right in zip(found.batch.columns, walked.batch.columns, strict=True):
            assert repr(left.to_pylist()) == repr(right.to_pylist())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("unknown", ["evolve", "refuse"])
def test_all_ways_agree_on_damaged_documents(seed, unknown, way):
    shop = Shop(f"{seed}{unknown}")
    donors = [shop.document(clean=shop.random.random() < 0.5) for _ in range(400)]
    decoder = BsonDecoder(dataset(unknown_columns=unknown), **way)
    walking = BsonDecoder(dataset(unknown_columns=unknown), sweep_from=10**9)
    reasons, rows = Counter(), 0
    for share, size in ((0, 300), (0.05, 300), (1, 1200), (0.3, 150), (1, 1)):
        documents = shop.random.choices(donors, k=size)
        damaged = [shop.damage(raw, donors) if shop.random.random() < share else raw for raw in documents]
        raw = b"".join(damaged)
        found = decoder.decode(raw, base_offset=7)
        assert_same(found, walking.decode(raw, base_offset=7))
        reasons.update(reject.reason for reject in found.rejects)
        rows += found.batch.num_rows
    assert rows > 100
    assert {"type_mismatch", "bad_utf8", "truncated", "bad_terminator"} <= reasons.keys()


def test_every_cut_of_a_document_is_refused_alike(way):
    cuts = []
    for cut in range(5, len(WHOLE)):
        cuts += [pack("<i", cut) + WHOLE[4:cut], pack("<i", cut + 1) + WHOLE[4:cut] + b"\0"]
    raw = b"".join(cuts)
    found = BsonDecoder(dataset(), **way).decode(raw)
    assert_same(found, BsonDecoder(dataset(), sweep_from=10**9).decode(raw))
    whole_elements = sum(raw.endswith(b"\0") for raw in cuts)
    assert len(found.rejects) > len(cuts) - whole_elements
    assert found.batch.num_rows < 25  # cut between two elements and closed again, it is a smaller document


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF])
def test_every_byte_overwritten_is_decoded_alike(value, way):
    documents = [WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :] for place in range(4, len(WHOLE))]
    raw = b"".join(documents)
    found = BsonDecoder(dataset(), **way).decode(raw)
    assert_same(found, BsonDecoder(dataset(), sweep_from=10**9).decode(raw))
    assert found.rejects


def expected_row(document):
    """What pymongo says of the scalar columns."""
    decimals = {"money", "price", "big"}
    row = {}
    for column in COLUMNS[:12]:
        value = document.get(column.get("field", column["name"]))
        if isinstance(value, Decimal128):
            value = value.to_decimal()
        elif isinstance(value, ObjectId):
            value = str(value)
        elif column["name"] in decimals and value is not None:
            value = Decimal(value)
        elif column["name"] == "day" and value is not None:
            value = value.date()
        elif column["name"] == "at" and value is not None:
            value = value.replace(tzinfo=dt.UTC)
        elif isinstance(value, Binary):
            value = bytes(value)
        row[column["name"]] = value
    return row


def test_valid_documents_hold_what_pymongo_reads(way):
    shop = Shop("oracle")
    documents = [shop.document(clean=True) for _ in range(2_000)]
    decoded = BsonDecoder(dataset(), **way).decode(b"".join(documents))
    read = dict(zip(positions(documents), map(bson.decode, documents), strict=True))
    refused = {reject.position for reject in decoded.rejects}
    assert len(refused) < 100  # null_item: a random `anys` may hold one
    for row in decoded.batch.to_pylist():
        document = read[row["_raw_position"]]
        assert {name: row[name] for name in expected_row(document)} == expected_row(document)
        assert row["tags"] == document.get("tags", [])
        assert [item["sku"] for item in row["items"]] == [item["sku"] for item in document.get("items", [])]
        assert row["dotted"] == document.get("a.b")


def positions(documents):
    place = 0
    for raw in documents:
        yield place
        place += len(raw)
