"""Documents of a window land byte for byte; whatever goes wrong on the way says what to do."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime, timedelta

import bson
import pymongo
import pytest
import zstandard
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from pymongo import errors as mongo

from devstack.mongo_server import MongoServer
from tideline.catalog.model import MongoDataset
from tideline.errors import (
    FatalError,
    SettingsError,
    SourceRefusedError,
    SourceUnavailableError,
    StoreUnavailableError,
)
from tideline.lake import manifest as manifests
from tideline.land.mongo_errors import speaking
from tideline.land.mongodb import BATCH_DOCUMENTS, land, window_filter
from tideline.window import Window

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
START = END - timedelta(hours=1)
CLOCK = END + timedelta(minutes=5)


def things(**changes):
    declared = {
        "name": "things",
        "source": "shop_mongodb",
        "key": ["id"],
        "change_column": "updated_at",
        "columns": [
            {"name": "id", "field": "_id", "type": "string"},
            {"name": "updated_at", "field": "changedAt", "type": "timestamp"},
        ],
        "database": "shop",
        "collection": "things",
    }
    return MongoDataset.model_validate({**declared, **changes})


@pytest.fixture(scope="module")
def server():
    with MongoServer() as running:
        yield running


@pytest.fixture
def client(server):
    with pymongo.MongoClient(server.uri, serverSelectionTimeoutMS=5000) as client:
        client.drop_database("shop")
        yield client


def landed(store, manifest):
    """The documents' bytes, all parts one after another."""
    whole = b""
    for part in manifest.parts:
        with zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(store.read(store.key_of(part.uri)))
        ) as stream:
            body = stream.read()
        assert len(body) == part.origin["uncompressed_bytes"]
        whole += body
    return whole


def names(store, manifest):
    return {document["_id"] for document in bson.decode_all(landed(store, manifest))}


STAMPS = {
    "before": START - timedelta(milliseconds=1),
    "start": START,
    "inside": START + timedelta(minutes=30, milliseconds=7),
    "last": END - timedelta(milliseconds=1),
    "end": END,
    "after": END + timedelta(minutes=1),
    "clock": CLOCK,
    "future": CLOCK + timedelta(milliseconds=1),
    "year 9999": datetime(9999, 12, 31, tzinfo=UTC),
    "null": None,
    "text": "2026-01-31T11:30:00Z",
    "number": 7,
}


@pytest.fixture
def stamped(client):
    client.shop.things.insert_many([{"_id": name, "changedAt": stamp} for name, stamp in STAMPS.items()])
    client.shop.things.insert_one({"_id": "missing"})
    return client


UNSTAMPED = {"null", "missing"}
AHEAD = {"future", "year 9999"}


def test_a_window_reads_what_changed_in_it_and_what_no_window_would(stamped, store, request_for):
    manifest, _ = land(request_for(things()), stamped, store)

    assert names(store, manifest) == {"start", "inside", "last"} | UNSTAMPED | AHEAD


def test_unstamped_documents_can_be_left_to_the_first_load(stamped, store, request_for):
    manifest, _ = land(request_for(things(null_changes="first_load")), stamped, store)

    assert names(store, manifest) == {"start", "inside", "last"} | AHEAD


def test_the_first_load_reads_everything_not_stamped_at_or_after_its_end(stamped, store, request_for):
    manifest, _ = land(request_for(things(null_changes="first_load"), start=None), stamped, store)

    everything = set(STAMPS) | {"missing"}
    assert names(store, manifest) == everything - {"end", "after", "clock"}


def test_without_a_change_column_everything_is_read(stamped, store, request_for):
    manifest, _ = land(request_for(things(change_column=None)), stamped, store)

    assert names(store, manifest) == set(STAMPS) | {"missing"}
    assert manifest.records == len(STAMPS) + 1


def test_windows_side_by_side_miss_nothing_even_between_milliseconds(stamped, store, request_for):
    """BSON has milliseconds, windows have microseconds: both sides are cut in the same way."""
    middle = STAMPS["inside"] + timedelta(microseconds=400)
    left, _ = land(request_for(things(), start=START, end=middle), stamped, store)
    right, _ = land(request_for(things(), start=middle, end=END), stamped, store)

    assert names(store, left) | names(store, right) == {"start", "inside", "last"} | UNSTAMPED | AHEAD


def test_the_filter_names_the_source_field():
    assert window_filter(things(), Window(START, END), CLOCK) == {
        "$or": [
            {"changedAt": {"$gte": START, "$lt": END}},
            {"changedAt": {"$gt": CLOCK}},
            {"changedAt": None},
        ]
    }


def test_every_type_lands_byte_for_byte_in_field_order(client, store, request_for):
    document = {
        "_id": ObjectId(),
        "z": Decimal128("12345678901234567890.123456789"),
        "a": Decimal128("NaN"),
        "old": datetime(1, 1, 1, tzinfo=UTC),
        "int32": 7,
        "int64": Int64(7),
        "big": Int64(2**63 - 1),
        "nan": float("nan"),
        "binary": Binary(b"\x00\xff", 128),
        "nested": {"y": [1, {"x": Decimal128("1.10")}, [None]]},
        "regex": Regex("^a", "i"),
        "min": MinKey(),
        "max": MaxKey(),
        "stamp": Timestamp(1, 2),
        "code": Code("x"),
        "text": "é\u4e2d\U0001f600 a\x00b",
        "": {},
        "$odd.name": [],
    }
    raw = bson.encode(document)
    client.shop.things.insert_one(bson.raw_bson.RawBSONDocument(raw))

    manifest, _ = land(request_for(things()), client, store)

    assert landed(store, manifest) == raw


def test_parts_roll_by_uncompressed_size(client, store, request_for):
    documents = [{"_id": str(n), "filler": "x" * 100} for n in range(250)]
    client.shop.things.insert_many(documents)
    size = len(bson.encode(documents[0]))

    manifest, uri = land(request_for(things(), part_bytes=10 * size), client, store)

    assert manifests.read(store, uri) == manifest
    assert manifest.records == 250
    assert sum(part.records for part in manifest.parts) == 250
    assert 25 <= len(manifest.parts) <= 28
    assert all(part.origin["uncompressed_bytes"] <= 10 * size for part in manifest.parts)
    assert manifest.parts[1].uri.endswith("/part-00001.bson.zst")
    assert names(store, manifest) == {str(n) for n in range(250)}


def test_the_manifest_says_what_was_asked_and_when(client, store, request_for):
    client.shop.create_collection("things")

    manifest, _ = land(request_for(things()), client, store)

    assert manifest.extracted_at == CLOCK
    assert (manifest.stage, manifest.run_id, manifest.catalog_fingerprint) == (
        "raw",
        "run-1",
        "fingerprint-1",
    )
    asked = manifest.details["request"]
    assert (asked["database"], asked["collection"]) == ("shop", "things")
    assert asked["filter"]["$or"][0]["changedAt"]["$gte"] == {"$date": "2026-01-31T11:00:00Z"}


def test_an_empty_collection_commits_an_empty_window(client, store, request_for):
    client.shop.create_collection("things")

    manifest, uri = land(request_for(things()), client, store)

    assert (manifest.parts, manifest.records, manifest.bytes) == ((), 0, 0)
    assert list(store.list("")) == [store.key_of(uri)]


def test_a_window_without_changes_commits_an_empty_window(client, store, request_for):
    client.shop.things.insert_one({"_id": "old", "changedAt": START - timedelta(days=1)})

    manifest, _ = land(request_for(things()), client, store)

    assert (manifest.parts, manifest.records) == ((), 0)


def test_two_attempts_never_touch_each_other(stamped, store, request_for):
    first, first_uri = land(request_for(things()), stamped, store)
    second, second_uri = land(request_for(things()), stamped, store)

    assert first_uri != second_uri
    assert landed(store, first) == landed(store, second)


def test_a_missing_collection_is_refused_and_the_others_are_named(
    stamped, store, request_for, assert_nothing_committed
):
    with pytest.raises(
        SourceRefusedError, match=r"no collection 'thingz'; the database has things"
    ) as refused:
        land(request_for(things(collection="thingz")), stamped, store)

    assert refused.value.source == "shop_mongodb"
    assert "catalog" in refused.value.remedy
    assert_nothing_committed()


def test_a_missing_database_is_refused(client, store, request_for):
    with pytest.raises(SourceRefusedError, match="none that we may read"):
        land(request_for(things(database="nowhere")), client, store)


@pytest.mark.parametrize("credentials", [("reader", "wrong"), None], ids=["wrong password", "none given"])
def test_a_user_that_may_not_read_is_refused(store, request_for, credentials, assert_nothing_committed):
    user, password = credentials or (None, None)
    with (
        MongoServer(credentials=("reader", "right")) as server,
        pymongo.MongoClient(server.uri, username=user, password=password) as client,
        pytest.raises(SourceRefusedError, match="Remedy: give the connection a user"),
    ):
        land(request_for(things()), client, store)

    assert_nothing_committed()


def test_a_server_that_is_not_there_is_unavailable(store, request_for, assert_nothing_committed):
    with (
        pymongo.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=50) as client,
        pytest.raises(SourceUnavailableError, match=r"127\.0\.0\.1:1") as raised,
    ):
        land(request_for(things()), client, store)

    assert raised.value.place == "shop.things"
    assert_nothing_committed()


DOCUMENTS = [bson.encode({"_id": str(n), "filler": "x" * n}) for n in range(30)]


def test_batches_are_asked_for_in_the_largest_size_at_majority(wire, wire_client, store, request_for):
    wire.steps = [DOCUMENTS[:10], DOCUMENTS[10:20], DOCUMENTS[20:]]

    manifest, _ = land(request_for(things()), wire_client, store)

    assert landed(store, manifest) == b"".join(DOCUMENTS)
    asked = wire.sent("find")[0]
    assert asked["batchSize"] == BATCH_DOCUMENTS
    assert asked["readConcern"] == {"level": "majority"}
    assert wire.sent("listCollections")[0]["authorizedCollections"] is True
    assert all(command["batchSize"] == BATCH_DOCUMENTS for command in wire.sent("getMore"))


def test_bytes_that_are_no_sound_document_land_as_they_are(wire, wire_client, store, request_for):
    """A sound length around unsound contents: pymongo would fail to decode it, landing does not decode."""
    unsound = struct.pack("<i", 12) + b"\x99what?!\x00"
    wire.steps = [[DOCUMENTS[0], unsound], [DOCUMENTS[1]]]

    manifest, _ = land(request_for(things()), wire_client, store)

    assert landed(store, manifest) == DOCUMENTS[0] + unsound + DOCUMENTS[1]
    assert manifest.records == 3


@pytest.mark.parametrize("before", [[], [DOCUMENTS[:10]], [DOCUMENTS[:10], DOCUMENTS[10:20]]], ids=len)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("hang up", SourceUnavailableError),
        (b"\x05\x00\x00\x00\x00", SourceUnavailableError),
        (b"garbage that is no BSON", SourceUnavailableError),
        ({"code": 43, "codeName": "CursorNotFound"}, SourceUnavailableError),
        ({"code": 10107, "codeName": "NotWritablePrimary"}, SourceUnavailableError),
        ({"code": 189, "codeName": "PrimarySteppedDown"}, SourceUnavailableError),
        ({"code": 50, "codeName": "MaxTimeMSExpired"}, SourceUnavailableError),
        ({"code": 16500, "codeName": "TooManyRequests"}, SourceUnavailableError),
        ({"code": 999, "errorLabels": ["RetryableError"]}, SourceUnavailableError),
        ({"code": 13, "codeName": "Unauthorized"}, SourceRefusedError),
        ({"code": 2, "codeName": "BadValue"}, SourceRefusedError),
    ],
    ids=lambda value: value.get("codeName", "labelled") if isinstance(value, dict) else str(value)[:20],
)
def test_a_scan_that_breaks_commits_nothing(
    wire, wire_client, store, request_for, before, fault, expected, assert_nothing_committed
):
    wire.steps = [*before, fault, DOCUMENTS[20:]]

    with pytest.raises(expected) as raised:
        land(request_for(things(), part_bytes=200), wire_client, store)

    assert (raised.value.source, raised.value.dataset) == ("shop_mongodb", "things")
    assert raised.value.remedy
    assert_nothing_committed()


def test_a_server_that_says_nothing_more_is_given_up(
    wire, wire_client, store, request_for, assert_nothing_committed
):
    wire.steps = [DOCUMENTS[:10], "silence", DOCUMENTS[20:]]

    with pytest.raises(SourceUnavailableError, match=r"gave nothing for 0\.2 s") as raised:
        land(request_for(things(), deadline_seconds=0.2), wire_client, store)

    assert (raised.value.source, raised.value.dataset) == (things().source, things().name)
    wire.quiet.set()
    assert_nothing_committed()


def test_a_lake_that_fails_ends_the_scan(wire, wire_client, store, request_for, assert_nothing_committed):
    class Full(type(store)):
        def put_file(self, key, body, **options):
            raise StoreUnavailableError("the lake is full")

    store.__class__ = Full
    wire.steps = [DOCUMENTS[:10], DOCUMENTS[10:20], DOCUMENTS[20:]]

    with pytest.raises(StoreUnavailableError):
        land(request_for(things()), wire_client, store)

    assert wire.sent("killCursors")
    assert_nothing_committed()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (mongo.ConfigurationError("x"), SettingsError),
        (mongo.InvalidURI("x"), SettingsError),
        (mongo.InvalidName("x"), SourceRefusedError),
        (mongo.AutoReconnect("x"), SourceUnavailableError),
        (mongo.NetworkTimeout("x"), SourceUnavailableError),
        (mongo.WaitQueueTimeoutError("x"), SourceUnavailableError),
        (bson.errors.InvalidBSON("x"), SourceUnavailableError),
        (mongo.OperationFailure("x", 18), SourceRefusedError),
        (mongo.OperationFailure("x", None), SourceUnavailableError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else repr(value),
)
def test_what_mongos_exceptions_mean(error, expected):
    with pytest.raises(expected, match="x") as raised, speaking(things()):
        raise error

    assert isinstance(raised.value, FatalError) == (expected is not SourceUnavailableError)
