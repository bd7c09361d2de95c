"""Ranges of `_id` take every document exactly once, whatever types it has; and counts never fail a right load."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import bson
import pymongo
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from pymongo import errors as mongo

from devstack.mongo_server import MongoServer
from tideline.catalog.model import MongoDataset
from tideline.errors import SourceChangedError, SourceUnavailableError
from tideline.lake.ranges import MOST, cut
from tideline.land import mongo_counts
from tideline.land.mongo_ranges import bounds, within
from tideline.land.mongodb import land, window_filter
from tideline.window import Window

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
START = END - timedelta(hours=1)
CLOCK = END + timedelta(minutes=5)


def things(**changes):
    declared = {
        "name": "things", "source": "shop_mongodb", "key": ["id"], "change_column": "updated_at",
        "columns": [
            {"name": "id", "field": "_id", "type": "string"},
            {"name": "updated_at", "field": "changedAt", "type": "timestamp"},
        ],
        "database": "shop", "collection": "things", "split": {"records": 10},
    }  # fmt: skip
    return MongoDataset.model_validate({**declared, **changes})


def whole(**changes):
    """A dataset that is read whole each time."""
    return things(change_column=None, **changes)


@pytest.fixture(scope="module")
def server():
    with MongoServer() as running:
        yield running


@pytest.fixture
def client(server):
    with pymongo.MongoClient(server.uri, serverSelectionTimeoutMS=5000) as client:
        client.drop_database("shop")
        yield client


@pytest.fixture
def collection(client):
    return client.shop.things


IDS = {
    "int": list(range(100)),
    "int64": [Int64(n * 2**40) for n in range(100)],
    "mixed numbers": [n if n % 3 else n + 0.5 if n % 2 else Decimal128(f"{n}.25") for n in range(100)],
    "text": [f"{n * 7919 % 1000:04d}" for n in range(100)],
    "unicode": [chr(0x4E00 + n) for n in range(100)],
    "object ids": [ObjectId(f"{n:024x}") for n in range(100)],
    "dates": [END + timedelta(days=n) for n in range(100)],
    "uuids": [Binary.from_uuid(UUID(int=n)) for n in range(100)],
    "documents": [{"a": n, "b": "x"} for n in range(100)],
    "timestamps": [Timestamp(n, 1) for n in range(100)],
    "everything": [
        *range(50), *(f"t{n}" for n in range(30)), *(ObjectId(f"{n:024x}") for n in range(20)), True, False,
        float("nan"), float("inf"), MinKey(), MaxKey(), None, {"a": 1}, b"x", END,
    ],
}  # fmt: skip


def ranges_of(client, dataset, window=None):
    window = window or Window(None, END)
    criteria = window_filter(dataset, window, CLOCK)
    found = bounds(client, dataset, criteria, is_bounded=bool(criteria) and window.start is not None)
    return cut(json.loads(json.dumps(found)), CLOCK, dataset.dataset_id)


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_each_document_is_in_one_range(client, collection, ids):
    collection.insert_many([{"_id": value} for value in ids])

    parts = ranges_of(client, whole())

    assert 2 <= len(parts) <= 11
    raw = bson.raw_bson.RawBSONDocument
    found = client.get_database("shop", bson.CodecOptions(document_class=raw)).things
    each = [[d.raw for d in found.find(within(part, {}))] for part in parts]
    assert sorted(raw for one in each for raw in one) == sorted(d.raw for d in found.find())
    assert max(map(len, each)) < len(ids)


def test_ranges_are_about_as_big_as_wanted(client, collection):
    collection.insert_many([{"_id": n} for n in range(1000)])
    parts = ranges_of(client, whole(split={"records": 250}))

    assert len(parts) == 4
    assert all(100 < collection.count_documents(within(part, {})) < 400 for part in parts)


def test_no_range_is_beyond_what_a_scheduler_maps(client, collection):
    collection.insert_many([{"_id": n} for n in range(MOST * 2)])
    assert 2 <= len(ranges_of(client, whole(split={"records": 1}))) <= MOST


@pytest.mark.parametrize("documents", [0, 1, 10])
def test_a_small_collection_is_not_cut(client, collection, documents):
    if documents:
        collection.insert_many([{"_id": n} for n in range(documents)])
    assert ranges_of(client, whole()) == ()


def test_nothing_is_cut_unless_declared(client, collection):
    collection.insert_many([{"_id": n} for n in range(100)])
    assert ranges_of(client, whole(split=None)) == ()


def test_a_single_value_cannot_be_a_bound_twice(client, collection):
    collection.insert_many([{"_id": None}, *({"_id": MinKey()}, {"_id": MaxKey()})])
    assert ranges_of(client, whole(split={"records": 1})) == ()


def test_a_view_that_leaves_out_its_ids_is_not_cut():
    view = SimpleNamespace(estimated_document_count=lambda **_: 100, aggregate=lambda *_, **__: [{}] * 100)
    client = SimpleNamespace(get_database=lambda _: SimpleNamespace(get_collection=lambda *_: view))
    assert bounds(client, whole(), {}, is_bounded=False) == []


def test_a_bounded_window_is_cut_only_by_an_index(client, collection):
    collection.insert_many([{"_id": n, "changedAt": START} for n in range(100)])
    window = Window(START, END)
    assert ranges_of(client, things(), window) == ()

    collection.create_index("changedAt")
    parts = ranges_of(client, things(), window)
    assert len(parts) > 5

    collection.update_many({"_id": {"$gte": 5}}, {"$set": {"changedAt": START - timedelta(days=1)}})
    assert ranges_of(client, things(), window) == ()


def test_a_range_is_landed_with_the_windows_filter(client, collection, store, request_for):
    stamps = [START - timedelta(days=1), START, END, CLOCK + timedelta(days=1), None, "text"]
    collection.insert_many([{"_id": n, "changedAt": stamps[n % 6]} for n in range(120)])
    dataset = things()
    parts = ranges_of(client, dataset)

    landed = [land(request_for(dataset, start=None, part=part), client, store)[0] for part in parts]
    unsplit, _ = land(request_for(dataset, start=None), client, store)

    assert sum(manifest.records for manifest in landed) == unsplit.records == 100
    assert [manifest.details["range"] for manifest in landed] == [part.to_json() for part in parts]
    assert {manifest.extracted_at for manifest in landed} == {CLOCK}
    assert landed[1].details["request"]["filter"]["_id"].keys() == {"$gte", "$not"}
    uris = [part.uri for manifest in landed for part in manifest.parts]
    assert uris == sorted(uris)


def test_a_server_that_is_not_there_is_our_error():
    with (
        pytest.raises(SourceUnavailableError),
        pymongo.MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=50) as nobody,
    ):
        ranges_of(nobody, whole())


# counts


def counting(client, store, request_for, dataset=None, **options):
    return land(request_for(dataset or things(), **options), client, store)[0].details["source"]


@pytest.fixture
def indexed(collection):
    collection.insert_many([{"_id": str(n), "changedAt": START + timedelta(seconds=n)} for n in range(20)])
    collection.insert_one({"_id": "future", "changedAt": CLOCK + timedelta(days=1)})
    collection.create_index("changedAt")
    return collection


def test_a_bounded_window_is_counted_by_its_index(client, indexed, store, request_for):
    assert counting(client, store, request_for) == {"kind": "exact", "count": 21}


@pytest.mark.parametrize(
    ("changes", "options", "kind"),
    [
        ({"source_count": "never"}, {}, "none"),
        ({}, {"start": None}, "none"),
        ({"source_count": "always"}, {"start": None}, "exact"),
        ({"change_column": None}, {}, "none"),
        ({"change_column": None, "source_count": "always"}, {}, "exact"),
    ],
    ids=["never", "unbounded", "unbounded, always", "whole", "whole, always"],
)
def test_what_would_scan_the_collection_is_counted_only_if_wanted(
    client, indexed, store, request_for, changes, options, kind
):
    found = counting(client, store, request_for, things(**changes), **options)
    assert found == {"kind": kind, "count": 21 if kind == "exact" else None}


def test_a_range_of_a_whole_read_is_counted_by_the_index_of_id(client, indexed, store, request_for):
    (first, *_) = ranges_of(client, whole())
    found = counting(client, store, request_for, whole(), part=first)
    assert found["kind"] == "exact"
    assert 0 < found["count"] < 21


@pytest.mark.parametrize(
    "index",
    [
        {"keys": [("other", 1), ("changedAt", 1)]},
        {"keys": [("changedAt", 1)], "sparse": True},
        {"keys": [("changedAt", 1)], "partialFilterExpression": {"a": 1}},
        {"keys": [("changedAt", 1)], "hidden": True},
    ],
    ids=["second in it", "sparse", "partial", "hidden"],
)
def test_only_a_whole_index_that_begins_with_the_column_counts(index):
    class Listed:
        full_name = "shop.things"

        def list_indexes(self):
            return [
                {"key": {"_id": 1}},
                {"key": dict(index["keys"]), **{k: v for k, v in index.items() if k != "keys"}},
            ]

    assert not mongo_counts.has_index(Listed(), "changedAt")


def test_indexes_that_may_not_be_listed_are_none(caplog):
    class Refusing:
        full_name = "shop.things"

        def list_indexes(self):
            raise mongo.OperationFailure("not authorized", 13)

    with caplog.at_level("INFO"):
        assert not mongo_counts.has_index(Refusing(), "changedAt")
    assert "not authorized" in caplog.text


def during(monkeypatch, change):
    """Let `change` happen when the scan ends and before the second count."""
    count, calls = mongo_counts._count, []

    def counted(*arguments):
        if calls:
            change()
        calls.append(1)
        return count(*arguments)

    monkeypatch.setattr(mongo_counts, "_count", counted)


CHANGES = {
    "updated": lambda c: c.update_one({"_id": "3"}, {"$set": {"changedAt": CLOCK + timedelta(seconds=1)}}),
    "deleted": lambda c: c.delete_one({"_id": "3"}),
    "inserted": lambda c: c.insert_one({"_id": "new", "changedAt": START}),
    "one deleted, another became the future's": lambda c: (
        c.delete_one({"_id": "3"}), c.insert_one({"_id": "new", "changedAt": CLOCK + timedelta(1)})
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_collection_that_changes_meanwhile_is_not_judged(
    client, indexed, store, request_for, monkeypatch, change
):
    during(monkeypatch, lambda: change(indexed))
    found = counting(client, store, request_for)
    assert (found["kind"], found["count"], found["before"]) == ("moving", None, 21)


def test_a_scan_that_gives_another_number_than_both_counts_is_retried(
    client, indexed, store, request_for, monkeypatch, assert_nothing_committed
):
    find = pymongo.collection.Collection.find_raw_batches
    monkeypatch.setattr(
        pymongo.collection.Collection, "find_raw_batches",
        lambda self, criteria, *more, **options: find(self, {**criteria, "_id": {"$ne": "7"}}, *more, **options),
    )  # fmt: skip

    with pytest.raises(
        SourceChangedError, match=r"counts 21 documents, before and after the scan, and 20 came"
    ) as raised:
        counting(client, store, request_for)

    assert (raised.value.source, raised.value.dataset) == ("shop_mongodb", "things")
    assert_nothing_committed()


@pytest.mark.parametrize("failing", [1, 2], ids=["before", "after"])
def test_a_count_that_fails_fails_no_load(client, indexed, store, request_for, monkeypatch, caplog, failing):
    count, calls = pymongo.collection.Collection.count_documents, []

    def counted(self, *arguments, **options):
        calls.append(1)
        if len(calls) > (failing - 1) * 2:
            raise mongo.ExecutionTimeout("operation exceeded time limit", 50)
        return count(self, *arguments, **options)

    monkeypatch.setattr(pymongo.collection.Collection, "count_documents", counted)
    found = counting(client, store, request_for)
    assert (found["kind"], found["count"]) == ("none", None)
    assert "fails no load" in caplog.text
