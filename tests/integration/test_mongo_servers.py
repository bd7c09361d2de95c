"""The same checks on every MongoDB server there is: the stand-in must not differ from the real ones."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, DESCENDING, MongoClient, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from devstack.process import Program, module, start
from devstack.servers import mongodb
from tideline.land.mongo_replies import take_replies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pymongo.collection import Collection
    from pymongo.database import Database

pytestmark = pytest.mark.integration

T0 = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOCK = T0 + timedelta(days=30)
SERVERS = [
    "stand-in",
    pytest.param("mongo-java-server", marks=pytest.mark.real_servers),
    pytest.param("mongod", marks=pytest.mark.real_servers),
]
KNOWN_FAULTS = {
    ("mongo-java-server", "test_hello_announces_a_current_standalone"): "answers isMaster only",
    ("mongo-java-server", "test_a_batch_stays_below_what_a_client_accepts"): "bounds batches by count only",
    ("mongo-java-server", "test_taken_keys_are_refused"): "counts refused documents as inserted",
    ("mongo-java-server", "test_collections_come_and_go"): "ignores the filter of listCollections",
}
"""What a server other than MongoDB itself does not do; our stand-in has no place here."""

VALUES: dict[str, Any] = {
    "decimal": Decimal128("12345678901234567890.123456789"),
    "decimal with trailing zero": Decimal128("0.10"),
    "decimal NaN": Decimal128("NaN"),
    "decimal infinity": Decimal128("-Infinity"),
    "object id": ObjectId("5f00000000000000000000aa"),
    "date before 1970": datetime(1901, 2, 3, 4, 5, 6, 789000, tzinfo=UTC),
    "date with milliseconds": datetime(2026, 1, 2, 3, 4, 5, 123000, tzinfo=UTC),
    "last date of Python": datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    "date of the year 10000": DatetimeMS(253_402_300_800_000),
    "large int64": Int64(2**60 + 1),
    "small int64": Int64(7),
    "int32": 5,
    "double": 1.5,
    "whole double": 2.0,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "binary": Binary(b"\x00\x01\xff"),
    "uuid": Binary(b"0123456789abcdef", 4),
    "nested": {"a": {"b": [1, {"c": Decimal128("1.10")}, [2, Int64(3)]]}},
    "array": [1, "x", None, True, 2.0],
    "null": None,
    "bool": True,
    "regex": Regex("^a.*", "i"),
    "min key": MinKey(),
    "max key": MaxKey(),
    "timestamp": Timestamp(1_700_000_000, 3),
    "unicode": "é中\U0001f600\u0301",
    "empty document": {},
    "empty array": [],
    "empty string": "",
    "string with NUL": "a\x00b",
}


def _program(name: str, directory: Path) -> Program:
    if name == "stand-in":
        return Program(
            name, lambda port: module("devstack.mongo_server", "--port", str(port)), mongodb._answers
        )
    if name == "mongo-java-server":
        if not os.environ.get(mongodb.JARS):
            pytest.skip(f"{mongodb.JARS} names no jars")
        return mongodb.program(directory, {**os.environ})
    if not shutil.which("mongod"):
        pytest.skip("there is no mongod on PATH")
    return mongodb.program(directory, {"PATH": os.environ["PATH"]})


@pytest.fixture(scope="module", params=SERVERS)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MongoClient[dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("mongodb")
    server = start(_program(request.param, directory / "data"), directory / "logs")
    try:
        with MongoClient[dict[str, Any]](
            "127.0.0.1", server.port, tz_aware=True, serverSelectionTimeoutMS=5000
        ) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _skip_known_faults(request: pytest.FixtureRequest) -> None:
    server, test = request.node.callspec.params["client"], request.node.originalname
    if (server, test) in KNOWN_FAULTS:
        pytest.skip(f"{server} {KNOWN_FAULTS[server, test]}")


@pytest.fixture
def db(client: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    client.drop_database("checks")
    return client["checks"]


@pytest.fixture
def hours(db: Database[dict[str, Any]]) -> Collection[dict[str, Any]]:
    """Change stamps of every kind that a source may hold."""
    stamps: dict[str, Any] = {
        "before": T0 - HOUR,
        "at start": T0,
        "inside": T0 + timedelta(minutes=59, seconds=59, milliseconds=999),
        "at end": T0 + HOUR,
        "ahead of the clock": CLOCK + HOUR,
        "year 10000": DatetimeMS(253_402_300_800_000),
        "null": None,
        "text": "2026-01-01T12:30:00Z",
        "number": 1_767_270_600_000,
        "min key": MinKey(),
    }
    db.hours.insert_many([{"_id": name, "c": value} for name, value in stamps.items()])
    db.hours.insert_one({"_id": "missing"})
    return db.hours


def _raw(cursor: Any) -> list[bytes]:
    options = CodecOptions(document_class=RawBSONDocument)
    return [bytes(document.raw) for batch in cursor for document in bson.decode_all(batch, options)]


def _ids(cursor: Any) -> list[Any]:
    return sorted(document["_id"] for document in cursor)


@pytest.mark.parametrize("name", VALUES)
def test_every_type_comes_back_byte_for_byte(db: Database[dict[str, Any]], name: str) -> None:
    document = {"_id": name, "z": 1, "v": VALUES[name], "a": 2}
    db.types.insert_one(document)
    assert _raw(db.types.find_raw_batches({"_id": name})) == [bson.encode(document)]


def test_hello_announces_a_current_standalone(client: MongoClient[dict[str, Any]]) -> None:
    hello = client.admin.command("hello")
    assert hello.get("isWritablePrimary", hello.get("ismaster"))
    assert hello["maxWireVersion"] >= 21
    assert client.server_info()["version"].split(".")[0].isdigit()


def test_a_window_reads_its_hour_the_future_and_nulls(hours: Collection[dict[str, Any]]) -> None:
    window = {"$or": [{"c": {"$gte": T0, "$lt": T0 + HOUR}}, {"c": {"$gt": CLOCK}}, {"c": None}]}
    assert _ids(hours.find(window, {"_id": 1})) == [
        "ahead of the clock", "at start", "inside", "missing", "null", "year 10000",
    ]  # fmt: skip


def test_the_first_window_reads_whatever_is_not_later(hours: Collection[dict[str, Any]]) -> None:
    first = {"$or": [{"c": {"$not": {"$gte": T0 + HOUR}}}, {"c": {"$gt": CLOCK}}]}
    everything = set(_ids(hours.find({}, {"_id": 1})))
    assert set(_ids(hours.find(first, {"_id": 1}))) == everything - {"at end"}


def test_ranges_compare_within_a_type_only(db: Database[dict[str, Any]]) -> None:
    values = [1, Int64(2), 2.5, Decimal128("2.75"), "2", T0, True, [2, 9], {"n": 2}, ObjectId(), None]
    db.mixed.insert_many([{"_id": number, "v": value} for number, value in enumerate(values)])
    assert _ids(db.mixed.find({"v": {"$gte": 2, "$lt": 3}})) == [1, 2, 3, 7]
    assert _ids(db.mixed.find({"v": {"$gte": ""}})) == [4]
    assert _ids(db.mixed.find({"v": {"$lt": T0 + HOUR}})) == [5]
    assert _ids(db.mixed.find({"v": {"$in": [2, "2", None]}})) == [1, 4, 7, 10]


def test_paths_reach_into_documents_and_arrays(db: Database[dict[str, Any]]) -> None:
    db.paths.insert_many(
        [
            {"_id": 1, "a": {"b": 1}},
            {"_id": 2, "a": [{"b": 1}, {"b": 5}]},
            {"_id": 3, "a": {"b": [1, 2]}},
            {"_id": 4, "a": 1},
            {"_id": 5},
        ]
    )
    assert _ids(db.paths.find({"a.b": 1})) == [1, 2, 3]
    assert _ids(db.paths.find({"a.b": {"$gt": 1}})) == [2, 3]
    assert _ids(db.paths.find({"a.1.b": 5})) == [2]
    assert _ids(db.paths.find({"a.b": {"$exists": False}})) == [4, 5]
    assert _ids(db.paths.find({"a.b": None})) == [4, 5]


def test_operators_that_are_rare(db: Database[dict[str, Any]]) -> None:
    db.rare.insert_many([{"_id": n, "s": f"o{n}", "tags": ["x"] * n, "n": n} for n in range(4)])
    assert _ids(db.rare.find({"s": {"$regex": "^o[12]$"}})) == [1, 2]
    assert _ids(db.rare.find({"s": Regex("^O3", "i")})) == [3]
    assert _ids(db.rare.find({"tags": {"$size": 2}})) == [2]
    assert _ids(db.rare.find({"tags": {"$all": ["x"]}})) == [1, 2, 3]
    assert _ids(db.rare.find({"n": {"$type": "int"}, "s": {"$type": "string"}})) == [0, 1, 2, 3]
    assert _ids(db.rare.find({"$nor": [{"n": 1}, {"n": {"$gte": 3}}]})) == [0, 2]


def test_sort_projection_skip_and_limit(db: Database[dict[str, Any]]) -> None:
    db.page.insert_many([{"_id": n, "g": n % 2, "t": T0 + n * HOUR, "m": {"x": n}} for n in range(10)])
    found = db.page.find({}, {"t": 1}).sort([("g", ASCENDING), ("t", DESCENDING)]).skip(1).limit(5)
    assert [(document["_id"], set(document)) for document in found] == [
        (n, {"_id", "t"}) for n in (6, 4, 2, 0, 9)
    ]
    assert db.page.find_one({"_id": 3}, {"_id": 0, "m.x": 1}) == {"m": {"x": 3}}
    assert db.page.find_one({"_id": 3}, {"t": 0, "m": 0}) == {"_id": 3, "g": 1}
    assert db.page.find_one(sort=[("t", DESCENDING)]) == {"_id": 9, "g": 1, "t": T0 + 9 * HOUR, "m": {"x": 9}}


def test_batches_end_with_the_last_document(db: Database[dict[str, Any]]) -> None:
    db.batches.insert_many([{"_id": n} for n in range(25)])
    sizes = [len(bson.decode_all(batch)) for batch in db.batches.find_raw_batches(batch_size=10)]
    assert [size for size in sizes if size] == [10, 10, 5]
    assert len(list(db.batches.find(batch_size=25))) == 25
    assert len(list(db.batches.find().limit(-7))) == 7


def test_batches_are_cut_out_of_replies_and_counted(db: Database[dict[str, Any]]) -> None:
    db.replies.insert_many([{"_id": n, "text": "x" * n} for n in range(25)])
    raw = b"".join(db.replies.find_raw_batches(batch_size=10))
    with db.replies.find_raw_batches(batch_size=10) as cursor:
        take_replies(cursor)
        batches = [batch for batch in cursor if batch.data]
    assert b"".join(batch.data for batch in batches) == raw
    assert [batch.records for batch in batches] == [10, 10, 5]


def test_a_batch_stays_below_what_a_client_accepts(db: Database[dict[str, Any]]) -> None:
    filler = "x" * 3_000_000
    for number in range(8):
        db.large.insert_one({"_id": number, "filler": filler})
    batches = list(db.large.find_raw_batches(batch_size=1000))
    assert max(map(len, batches)) <= 16 << 20
    assert sum(len(bson.decode_all(batch)) for batch in batches) == 8


def test_a_killed_cursor_is_gone(db: Database[dict[str, Any]]) -> None:
    db.killed.insert_many([{"_id": n} for n in range(30)])
    reply = db.command("find", "killed", batchSize=5)
    cursor_id = reply["cursor"]["id"]
    db.command("killCursors", "killed", cursors=[cursor_id])
    with pytest.raises(OperationFailure) as error:
        db.command("getMore", Int64(cursor_id), collection="killed")
    assert error.value.code == 43


def test_writes_count_what_they_did(db: Database[dict[str, Any]]) -> None:
    replaced = db.writes.bulk_write(
        [ReplaceOne({"_id": n}, {"_id": n, "v": n}, upsert=True) for n in range(50)], ordered=False
    )
    updated = db.writes.bulk_write([UpdateOne({"_id": n}, {"$set": {"v": 0}}) for n in range(50)])
    assert (replaced.upserted_count, updated.matched_count, updated.modified_count) == (50, 50, 49)
    assert db.writes.update_many({"v": 0}, {"$inc": {"v": 2}}).modified_count == 50
    assert db.writes.delete_one({"v": 2}).deleted_count == 1
    assert db.writes.delete_many({"_id": {"$gte": 40}}).deleted_count == 10
    assert db.writes.count_documents({}) == db.writes.estimated_document_count() == 39


def test_taken_keys_are_refused(db: Database[dict[str, Any]]) -> None:
    db.taken.insert_one({"_id": 1})
    with pytest.raises(DuplicateKeyError):
        db.taken.insert_one({"_id": 1})
    with pytest.raises(BulkWriteError) as error:
        db.taken.insert_many([{"_id": 2}, {"_id": 1}, {"_id": 3}], ordered=False)
    assert error.value.details["nInserted"] == 2
    db.taken.drop()
    db.taken.create_index("k", unique=True)
    db.taken.insert_one({"k": 1})
    with pytest.raises(DuplicateKeyError):
        db.taken.insert_one({"k": 1})


def test_counting_and_grouping(db: Database[dict[str, Any]]) -> None:
    db.sums.insert_many([{"s": "ab"[n % 2], "n": n, "t": T0 + n * HOUR, "l": [n % 3]} for n in range(10)])
    assert db.sums.count_documents({"t": {"$gte": T0 + 5 * HOUR}}) == 5
    assert db.sums.count_documents({"n": -1}) == 0
    pipeline = [
        {"$match": {"n": {"$gt": 1}}},
        {"$group": {"_id": "$s", "n": {"$sum": "$n"}, "last": {"$max": "$t"}}},
        {"$sort": {"_id": 1}},
    ]
    assert list(db.sums.aggregate(pipeline)) == [
        {"_id": "a", "n": 20, "last": T0 + 8 * HOUR},
        {"_id": "b", "n": 24, "last": T0 + 9 * HOUR},
    ]
    assert sorted(db.sums.distinct("l", {"n": {"$lt": 2}})) == [0, 1]


def test_collections_come_and_go(client: MongoClient[dict[str, Any]], db: Database[dict[str, Any]]) -> None:
    db.create_collection("first")
    db.second.insert_one({"_id": 1})
    db.second.create_index([("a", ASCENDING), ("b", DESCENDING)])
    assert sorted(db.list_collection_names()) == ["first", "second"]
    assert db.list_collection_names(filter={"name": "second"}) == ["second"]
    assert "checks" in client.list_database_names()
    assert set(db.second.index_information()) == {"_id_", "a_1_b_-1"}
    db.second.drop()
    assert db.list_collection_names() == ["first"]


def test_an_unknown_command_is_refused(db: Database[dict[str, Any]]) -> None:
    with pytest.raises(OperationFailure) as error:
        db.command("noSuchCommand")
    assert error.value.code == 59
