"""Keys of a collection as the warehouse has them: scanned, and asked for again."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import reduce
from types import SimpleNamespace

import bson
import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from bson.raw_bson import RawBSONDocument

from tideline.catalog.model import MongoDataset
from tideline.land.framing import Batch
from tideline.reconcile import mongo_keys
from tideline.reconcile.mongo_keys import SOURCE, STAMP, KeyReader, id_of, split_documents

STAMPED = datetime(2026, 3, 1, 12, 30, 0, 5000, tzinfo=UTC)


def dataset(key=("id",), change_column="updated_at", **columns):
    given = {"id": {"type": "string", "field": "_id"}, "note": {"type": "string"}, **columns}
    if change_column:
        given["updated_at"] = {"type": "timestamp"}
    return MongoDataset.model_validate(
        {
            "name": "things", "source": "test", "database": "d", "collection": "things", "key": list(key),
            "change_column": change_column,
            "columns": [{"name": name, **column} for name, column in given.items()],
        }
    )  # fmt: skip


@pytest.fixture
def source(monkeypatch):
    """What scans are given, and what they asked for."""
    made = SimpleNamespace(documents=[], asked=[])

    def scan(client, dataset, criteria, projection=None):
        made.asked.append((criteria, projection))
        if made.documents:
            yield Batch(b"".join(bson.encode(each) for each in made.documents))

    monkeypatch.setattr(mongo_keys, "scan_documents", scan)
    return made


def scanned(reader):
    return [row for table in reader.scan() for row in table.to_pylist()]


def test_keys_and_stamps_are_those_of_the_rows(source):
    one, two = ObjectId(), "text"
    source.documents = [{"_id": one, "updated_at": STAMPED}, {"_id": two}]
    rows = scanned(KeyReader(None, dataset()))
    assert [(row["id"], row[STAMP]) for row in rows] == [(str(one), STAMPED), (two, None)]
    assert [id_of(row[SOURCE]) for row in rows] == [{"_id": one}, {"_id": two}]
    assert source.asked == [({}, {"_id": 1, "updated_at": 1})]


def test_a_stamp_that_is_none_leaves_the_key(source):
    source.documents = [{"_id": "a", "updated_at": "yesterday"}, {"_id": "b", "updated_at": STAMPED}]
    reader = KeyReader(None, dataset())
    assert {(row["id"], row[STAMP]) for row in scanned(reader)} == {("a", None), ("b", STAMPED)}
    assert reader.unreadable == 0


NO_UTF8 = bson.encode({"x": "ab"}).replace(b"ab", b"\xff\xfe")[4:-1]
TWICE = 2 * bson.encode({"updated_at": STAMPED})[4:-1]
DEEP = b"\x04updated_at\0" + bson.encode({"0": reduce(lambda inner, _: [inner], range(150), [])})


def raw(document, more):
    """The document with these elements after its own."""
    body = bson.encode(document)[4:-1] + more
    return RawBSONDocument(struct.pack("<i", len(body) + 5) + body + b"\0")


@pytest.mark.parametrize(
    "more", [NO_UTF8.replace(b"x", b"updated_at"), TWICE, DEEP], ids=["utf8", "twice", "deep"]
)
@pytest.mark.parametrize("key", ["id", "o.id"])
def test_what_cannot_be_read_beside_a_key_does_not_make_its_row_vanish(source, more, key):
    """The hourly load refuses such a document; the row of its last sound version stays."""
    declared = dataset(
        key=(["id", "dotted"] if "." in key else ["id"]), dotted={"type": "int64", "field": "o.id"}
    )
    source.documents = [raw({"_id": "a", "o.id": 5}, more), {"_id": "b", "o.id": 6}]
    reader = KeyReader(None, declared)
    rows = scanned(reader)
    assert {row["id"]: id_of(row[SOURCE]) for row in rows} == {"a": {"_id": "a"}, "b": {"_id": "b"}}
    assert reader.unreadable == 0
    wanted = [tuple(row[name] for name in declared.key) for row in rows]
    assert reader.present(wanted) == set(wanted)


def test_what_is_found_under_a_key_and_cannot_be_read_is_not_gone(source):
    """JavaScript writes 5 as 5.0, which MongoDB takes for the same and an int64 column refuses."""
    source.documents = [{"_id": "a", "n": 5.0}]
    reader = KeyReader(None, dataset(key=["n"], n={"type": "int64"}))
    assert scanned(reader) == []
    assert reader.present([(5,), (6,)]) == {(5,), (6,)}
    source.documents = []
    assert reader.present([(5,), (6,)]) == set()


def test_a_key_that_is_no_utf8_is_none(source):
    source.documents = [raw({"n": 1}, NO_UTF8.replace(b"x", b"_id"))]
    reader = KeyReader(None, dataset())
    assert scanned(reader) == []
    assert reader.unreadable == 1


def test_documents_without_a_key_are_counted(source):
    source.documents = [{"_id": 7}, {"_id": "a"}]
    reader = KeyReader(None, dataset())
    assert [row["id"] for row in scanned(reader)] == ["a"]
    assert reader.unreadable == 1


def test_a_field_that_reads_like_a_path_is_not_projected(source):
    chosen = dataset(key=("number",), number={"type": "int64", "field": "order.no"})
    source.documents = [{"_id": "a", "order.no": 5, "wide": "x" * 1000}]
    (row,) = scanned(KeyReader(None, chosen))
    assert source.asked == [({}, None)]
    assert (row["number"], bson.decode(row[SOURCE])) == (5, {"_id": "a"})
    assert KeyReader(None, chosen).present([(5,), (6,)]) == {(5,)}
    assert source.asked[-1] == ({}, None)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("string", "5f43a1b2c3d4e5f601234567", ObjectId("5f43a1b2c3d4e5f601234567")),
        ("string", "5f43a1b2c3d4e5f601234567", "5f43a1b2c3d4e5f601234567"),
        ("int64", 2**53 + 1, 2**53 + 1),
        ("numeric(12, 2)", Decimal("1.50"), Decimal128("1.5")),
        ("bool", True, True),
        ("date", date(2026, 3, 1), datetime(2026, 3, 1, tzinfo=UTC)),
        ("timestamp", STAMPED, STAMPED),
    ],
    ids=["object-id", "text", "int", "decimal", "bool", "date", "instant"],
)
def test_keys_are_found_as_the_source_spells_them(source, kind, value, stored):
    name, _, digits = kind.partition("(")
    column = {"type": name}
    if digits:
        column |= {"precision": 12, "scale": 2}
    chosen = dataset(key=("k",), k=column)
    source.documents = [{"_id": 1, "k": stored}]
    assert KeyReader(None, chosen).present([(value,)]) == {(value,)}
    ((criteria, _),) = source.asked
    asked = [each.to_decimal() if isinstance(each, Decimal128) else each for each in criteria["k"]["$in"]]
    assert (stored.to_decimal() if isinstance(stored, Decimal128) else stored) in asked


def test_composite_keys_are_asked_for_in_every_spelling(source):
    chosen = dataset(key=("region", "id"), region={"type": "string"})
    ident = "5f43a1b2c3d4e5f601234567"
    source.documents = [{"_id": ObjectId(ident), "region": "north"}]
    assert KeyReader(None, chosen).present([("north", ident), ("south", ident)]) == {("north", ident)}
    ((criteria, projection),) = source.asked
    assert len(criteria["$or"]) == 4
    assert projection == {"_id": 1, "region": 1, "updated_at": 1}


def test_many_keys_are_asked_for_in_portions(source, monkeypatch):
    monkeypatch.setattr(mongo_keys, "AT_ONCE", 2)
    reader = KeyReader(None, dataset())
    reader.present([(str(n),) for n in range(5)])
    list(reader.documents([((str(n),), bson.encode({"_id": n})) for n in (1, 2, 3)]))
    assert [len(next(iter(criteria.values()))["$in"]) for criteria, _ in source.asked] == [2, 2, 1, 2, 1]


@pytest.mark.parametrize("field", ["number", "order.no"], ids=["projected", "whole documents"])
def test_documents_of_a_view_that_leaves_out_their_id_are_asked_for_by_key(source, field):
    chosen = dataset(key=("number",), number={"type": "int64", "field": field})
    source.documents = [{field: 5}, {field: 6}, {"_id": None, field: 7}]
    reader = KeyReader(None, chosen)
    found = [((row["number"],), row[SOURCE]) for row in scanned(reader)]
    assert [id_of(body) for _, body in found] == [{}, {}, {"_id": None}]
    list(reader.documents(found))
    by_key = {field: {"$in": [5, 6]}} if field == "number" else {}  # a path cannot be asked for
    assert [criteria for criteria, _ in source.asked[1:]] == [{"_id": {"$in": [None]}}, by_key]


def test_without_a_change_column_there_is_no_stamp(source):
    source.documents = [{"_id": "a"}]
    (row,) = scanned(KeyReader(None, dataset(change_column=None)))
    assert row[STAMP] is None


def test_documents_are_split_at_their_lengths():
    documents = [bson.encode({"_id": n, "x": "y" * n}) for n in range(3)]
    assert list(split_documents(b"".join(documents))) == documents
