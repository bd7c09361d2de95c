"""Commands through a driver: what one server promises beyond what all have in common."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Decimal128, Int64
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, MongoClient, UpdateOne, WriteConcern
from pymongo.errors import BulkWriteError, OperationFailure

from devstack.mongo_server import MongoServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo.database import Database

T = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def client() -> Iterator[MongoClient[dict[str, Any]]]:
    with (
        MongoServer() as server,
        MongoClient[dict[str, Any]](server.uri, tz_aware=True, serverSelectionTimeoutMS=5000) as client,
    ):
        yield client


@pytest.fixture
def db(client: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    client.drop_database("d")
    return client["d"]


def code_of(call: Callable[[], Any]) -> int | None:
    with pytest.raises(OperationFailure) as error:
        call()
    return error.value.code


def test_raw_documents_are_stored_as_they_are_even_when_no_decoder_accepts_them(
    db: Database[dict[str, Any]],
) -> None:
    good = bson.encode({"_id": 1, "s": "abcd"})
    spoiled = [
        good.replace(b"abcd", b"ab\xff\xfe"),
        bson.encode({"_id": 2, "a": 1, "b": 2}).replace(b"b", b"a"),
    ]
    raw = db.get_collection("raw", CodecOptions(document_class=RawBSONDocument))
    raw.insert_many([RawBSONDocument(document) for document in spoiled])
    assert b"".join(db.raw.find_raw_batches()) == b"".join(spoiled)


def test_open_cursors_do_not_see_what_writers_do_meanwhile(db: Database[dict[str, Any]]) -> None:
    db.c.insert_many([{"_id": n, "v": 0} for n in range(10)])
    cursor = db.c.find({"v": 0}, batch_size=2)
    seen = [next(cursor)["_id"]]
    db.c.update_many({}, {"$set": {"v": 1}})
    db.c.delete_one({"_id": 9})
    db.c.insert_one({"_id": 10, "v": 0})
    assert seen + [document["_id"] for document in cursor] == list(range(10))


def test_writers_and_readers_at_once_lose_nothing(db: Database[dict[str, Any]]) -> None:
    def write(part: int) -> None:
        for number in range(40):
            db.busy.insert_many([{"_id": part * 1000 + number * 10 + n} for n in range(10)])

    writers = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        ids = [document["_id"] for document in db.busy.find(batch_size=50)]
        assert len(ids) == len(set(ids))
    assert db.busy.count_documents({}) == 1600


def test_integers_keep_their_width_through_update_operators(db: Database[dict[str, Any]]) -> None:
    db.c.insert_one(
        {"_id": 1, "n": Int64(7), "i": 5, "l": [Int64(1), 2], "m": {"x": Int64(3)}, "d": Decimal128("1.0")}
    )
    db.c.update_one({"_id": 1}, {"$inc": {"n": 1, "m.x": 1}, "$push": {"l": 9}, "$set": {"t": T}})
    after = db.c.find_one()
    assert after == {"_id": 1, "n": 8, "i": 5, "l": [1, 2, 9], "m": {"x": 4}, "d": Decimal128("1.0"), "t": T}
    assert [type(value) for value in (after["n"], after["m"]["x"], after["l"][0])] == [Int64] * 3
    assert type(after["i"]) is int


def test_updates_with_pipelines(db: Database[dict[str, Any]]) -> None:
    db.c.insert_one({"_id": 1, "l": [1]})
    db.c.update_one({}, [{"$set": {"copy": "$_id"}}])
    assert db.c.find_one() == {"_id": 1, "l": [1], "copy": 1}


def test_update_operators_that_the_library_lacks_are_refused(db: Database[dict[str, Any]]) -> None:
    db.c.insert_one({"_id": 1, "l": [1]})
    assert code_of(lambda: db.c.update_one({}, {"$set": {"l.$[x]": 5}}, array_filters=[{"x": 1}])) == 115
    assert code_of(lambda: db.c.update_one({}, {"$inc": {"l": 1}})) == 2


def test_upserts_take_their_id_from_the_query_the_document_or_chance(db: Database[dict[str, Any]]) -> None:
    assert db.c.replace_one({"_id": 1}, {"v": 1}, upsert=True).upserted_id == 1
    assert db.c.replace_one({"v": 9}, {"_id": 2, "v": 2}, upsert=True).upserted_id == 2
    assert isinstance(db.c.replace_one({"v": 9}, {"v": 3}, upsert=True).upserted_id, bson.ObjectId)
    assert db.c.update_one({"_id": 4, "w": 1}, {"$set": {"v": 4}}, upsert=True).upserted_id == 4
    assert isinstance(
        db.c.replace_one({"_id": {"$gt": 99}}, {"v": 5}, upsert=True).upserted_id, bson.ObjectId
    )
    assert db.c.find_one({"_id": 4}) == {"_id": 4, "w": 1, "v": 4}
    assert [document["v"] for document in db.c.find()] == [1, 2, 3, 4, 5]


def test_a_replacement_without_id_keeps_the_old_one_in_front(db: Database[dict[str, Any]]) -> None:
    db.c.insert_one({"_id": Int64(5), "v": 1})
    result = db.c.replace_one({"v": 1}, {"b": 1, "a": 2})
    assert (result.matched_count, result.modified_count) == (1, 1)
    assert b"".join(db.c.find_raw_batches()) == bson.encode({"_id": Int64(5), "b": 1, "a": 2})
    assert db.c.replace_one({"_id": 5}, {"_id": Int64(5), "b": 1, "a": 2}).modified_count == 0
    assert db.c.update_one({"_id": 6}, {"$set": {"v": 1}}).matched_count == 0


def test_ordered_writes_stop_at_the_first_failure_and_unordered_ones_go_on(
    db: Database[dict[str, Any]],
) -> None:
    with pytest.raises(BulkWriteError) as error:
        db.c.insert_many([{"_id": 1}, {"_id": 1}, {"_id": 2}])
    assert (error.value.details["nInserted"], db.c.count_documents({})) == (1, 1)
    with pytest.raises(BulkWriteError) as error:
        db.c.bulk_write(
            [InsertOne({"_id": 1}), InsertOne({"_id": 3}), UpdateOne({}, {"$bad": 1})], ordered=False
        )
    assert [entry["index"] for entry in error.value.details["writeErrors"]] == [0, 2]
    assert db.c.count_documents({}) == 2


def test_a_key_cannot_be_changed(db: Database[dict[str, Any]]) -> None:
    db.c.insert_one({"_id": 1})
    reply = db.command("update", "c", updates=[{"q": {}, "u": {"_id": 2}}])
    assert [(error["code"], error["index"]) for error in reply["writeErrors"]] == [(66, 0)]
    reply = db.command("update", "c", updates=[{"q": {}, "u": {"a": 1}, "multi": True}, {"q": {}, "u": {}}])
    assert [(error["code"], error["index"]) for error in reply["writeErrors"]] == [(9, 0)]
    assert db.c.find_one() == {"_id": 1}


def test_documents_in_the_body_count_as_well_as_those_in_a_sequence(db: Database[dict[str, Any]]) -> None:
    assert db.command("insert", "c", documents=[{"_id": 1}, {"_id": 2}])["n"] == 2
    assert db.command("delete", "c", deletes=[{"q": {"_id": 7}, "limit": 1}, {"q": {}, "limit": 0}])["n"] == 2
    assert code_of(lambda: db.command("insert", "c")) == 40414
    assert db.command("update", "c", updates=[{"q": {}}])["writeErrors"][0]["code"] == 40414


def test_unacknowledged_writes_get_no_reply(db: Database[dict[str, Any]]) -> None:
    quiet = db.get_collection("c", write_concern=WriteConcern(w=0))
    quiet.insert_one({"_id": 1})
    quiet.insert_one({"_id": 2})
    assert db.c.count_documents({"_id": {"$in": [1, 2]}}) == 2


def test_ids_are_looked_up_and_not_searched_for(db: Database[dict[str, Any]]) -> None:
    db.c.insert_many([{"_id": key, "v": 1} for key in (1, "1", T, None)])
    assert db.c.find_one({"_id": 1.0, "v": 1}) == {"_id": 1, "v": 1}
    assert db.c.find_one({"_id": 1, "v": 2}) is None
    assert [d["_id"] for d in db.c.find({"_id": {"$in": [T, "1", "none", "1"]}})] == [T, "1"]
    assert db.c.find_one({"_id": None}) == {"_id": None, "v": 1}
    assert db.c.count_documents({"_id": {"$in": [None, 1]}}) == 2
    assert db.c.count_documents({"_id": {"$gt": 0}}) == 1
    assert db.c.count_documents({"_id": [1]}) == 0
    assert db.c.count_documents({"_id": 77}) == 0


def test_sorting_by_arrays_and_missing_fields(db: Database[dict[str, Any]]) -> None:
    values = {1: [3, 9], 2: 5, 3: [], 5: None}
    db.c.insert_many([{"_id": key, "v": value} for key, value in values.items()])
    db.c.insert_one({"_id": 4})
    assert [d["_id"] for d in db.c.find().sort([("v", 1), ("_id", 1)])] == [3, 4, 5, 1, 2]
    assert [d["_id"] for d in db.c.find().sort([("v", -1), ("_id", 1)])] == [1, 2, 4, 5, 3]
    assert code_of(lambda: db.command("find", "c", sort={"v": 2})) == 2


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({"a": 1}, {"_id": 1, "a": 1}),
        ({"a": 1, "_id": 0}, {"a": 1}),
        ({"_id": 1}, {"_id": 1}),
        ({"_id": 0}, {"b": {"c": 2, "d": 3}, "a": 1}),
        ({"b": 0}, {"_id": 1, "a": 1}),
        ({"a": 0, "_id": 1}, {"_id": 1, "b": {"c": 2, "d": 3}}),
        ({"b.c": 1}, {"_id": 1, "b": {"c": 2}}),
    ],
)
def test_projections(
    db: Database[dict[str, Any]], projection: dict[str, Any], expected: dict[str, Any]
) -> None:
    db.c.insert_one({"_id": 1, "b": {"c": 2, "d": 3}, "a": 1})
    found = db.c.find_one({}, projection)
    assert found == expected
    assert list(found) == list(expected)


def test_pipelines_begin_on_raw_documents(db: Database[dict[str, Any]]) -> None:
    db.c.insert_many([{"_id": n, "g": n % 3, "t": T} for n in range(12)])
    stages: list[dict[str, Any]] = [
        {"$match": {"_id": {"$gt": 2}}},
        {"$sort": {"_id": -1}},
        {"$skip": 1},
        {"$limit": 4},
    ]
    assert [d["_id"] for d in db.c.aggregate(stages)] == [10, 9, 8, 7]
    assert list(db.c.aggregate([*stages, {"$group": {"_id": None, "n": {"$sum": 1}}}])) == [
        {"_id": None, "n": 4}
    ]
    assert list(db.c.aggregate([{"$match": {"_id": -1}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}])) == []
    assert list(db.c.aggregate([{"$group": {"_id": "$g", "n": {"$sum": 1}}}, {"$match": {"_id": 1}}])) == [
        {"_id": 1, "n": 4}
    ]
    assert list(db.c.aggregate([{"$match": {"t": T}}, {"$count": "n"}])) == [{"n": 12}]
    assert len(list(db.c.aggregate([], batchSize=5))) == 12


@pytest.mark.parametrize(
    "stage", [{"$lookup": {}}, {"$facet": {"a": [{"$unionWith": "x"}]}}, {"$changeStream": {}}]
)
def test_stages_that_need_what_is_not_there_are_refused(
    db: Database[dict[str, Any]], stage: dict[str, Any]
) -> None:
    assert code_of(lambda: db.c.aggregate([stage])) == 115


def test_counting_with_skip_and_limit(db: Database[dict[str, Any]]) -> None:
    db.c.insert_many([{"_id": n} for n in range(10)])
    assert db.command("count", "c", query={"_id": {"$gte": 2}}, skip=3, limit=4)["n"] == 4
    assert db.command("count", "c", skip=30)["n"] == 0
    assert db.command("count", "none")["n"] == 0


def test_distinct_values_come_out_of_arrays(db: Database[dict[str, Any]]) -> None:
    db.c.insert_many([{"v": [1, 2]}, {"v": 2.0}, {}, {"v": {"x": T}}])
    assert db.c.distinct("v") == [1, 2, {"x": T}]


def test_what_is_not_kept_is_refused_rather_than_ignored(db: Database[dict[str, Any]]) -> None:
    assert code_of(lambda: db.command("create", "c", validator={"a": 1})) == 115
    assert code_of(lambda: db.command("find", "c", collation={"locale": "de"})) == 115
    assert code_of(lambda: db.command("find", "c", tailable=True)) == 2
    assert code_of(lambda: db.command("find", 5)) == 73
    assert code_of(lambda: db.command("insert", "a$b", documents=[{}])) == 73


def test_namespaces(client: MongoClient[dict[str, Any]], db: Database[dict[str, Any]]) -> None:
    db.create_collection("made")
    assert code_of(lambda: db.command("create", "made")) == 48
    db.c.insert_one({"_id": 1})
    listed = {entry["name"]: entry for entry in client.list_databases(filter={"name": "d"})}
    assert listed["d"]["sizeOnDisk"] == len(bson.encode({"_id": 1}))
    db.c.create_index("a")
    assert (
        db.command("createIndexes", "c", indexes=[{"key": {"b": 1}, "name": "b_1"}])["numIndexesAfter"] == 3
    )
    db.c.drop_index("a_1")
    db.c.drop_indexes()
    assert set(db.c.index_information()) == {"_id_"}
    assert code_of(lambda: db.c.drop_index("none_1")) == 27
    assert code_of(lambda: db.command("listIndexes", "none")) == 26
    statistics = db.command("collStats", "c")
    assert (statistics["count"], statistics["avgObjSize"]) == (1, 14)
    assert db.command("collStats", "none")["count"] == 0
    client.drop_database("d")
    assert "d" not in client.list_database_names()


def test_a_fault_of_ours_is_an_error_and_not_the_end_of_the_connection(
    db: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from devstack.mongo import wire

    def broken(*_: object) -> dict[str, Any]:
        raise ZeroDivisionError("ours")

    monkeypatch.setitem(wire._PROTECTED, "broken", broken)
    with caplog.at_level("CRITICAL", logger="devstack.mongo.wire"):
        assert code_of(lambda: db.command("broken")) == 1
    assert db.command("ping")["ok"] == 1
