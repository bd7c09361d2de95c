"""A reply's documents are cut out of it whole and counted, and what is not as expected goes pymongo's way."""

from __future__ import annotations

import struct

import bson
import pymongo
import pytest
from bson import Int64, ObjectId, Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import errors as mongo
from pymongo.cursor import RawBatchCursor

from devstack.mongo_server import MongoServer
from tideline.land import mongo_replies
from tideline.land.framing import Batch
from tideline.land.mongo_replies import reply_of, take_replies

CLUSTER_TIME = {"clusterTime": Timestamp(7, 1), "signature": {"hash": b"\1" * 20, "keyId": Int64(5)}}


def reply(documents, name="firstBatch", **more):
    cursor = {"id": Int64(12), "ns": "shop.orders", name: documents}
    return {
        "cursor": cursor,
        "ok": 1.0,
        "$clusterTime": CLUSTER_TIME,
        "operationTime": Timestamp(7, 2),
        **more,
    }


def taken(payload):
    return reply_of(memoryview(payload))


def array_of(*elements):
    """A BSON array of documents under any keys."""
    body = b"".join(b"\3" + key + b"\0" + bson.encode(document) for key, document in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def with_array(array):
    """A reply whose documents are that array."""
    cursor = b"\4firstBatch\0" + array
    cursor = struct.pack("<i", len(cursor) + 5) + cursor + b"\0"
    body = b"\3cursor\0" + cursor + b"\1ok\0" + struct.pack("<d", 1.0)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 40), max_size=130), name=st.sampled_from(["firstBatch", "nextBatch"]))
def test_documents_are_cut_out_and_counted(sizes, name):
    documents = [{"_id": ObjectId(), "text": "x" * size, "list": [size]} for size in sizes]
    found = taken(bson.encode(reply(documents, name)))
    batches = found["cursor"].pop(name)
    assert batches == ([Batch(b"".join(map(bson.encode, documents)), len(documents))] if documents else [])
    expected = reply([], name)
    del expected["cursor"][name]
    assert found == expected


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 99, 100, 101, 999, 1_000, 1_001, 12_345])
def test_counts_around_the_lengths_of_an_index(count):
    (batch,) = taken(bson.encode(reply([{}] * count)))["cursor"]["firstBatch"]
    assert (batch.records, len(batch.data)) == (count, 5 * count)


@pytest.mark.parametrize(
    "keys",
    [[b""] * 3, [b"0"] * 3, [b"0", b"0"], [b"1", b"0"], [b"0", b"00"], [b"0", b"1", b"12"]],
    ids=["empty", "alike", "two alike", "turned round", "longer", "one longer"],
)
def test_keys_that_are_no_indices_are_not_counted(keys):
    (batch,) = taken(with_array(array_of(*((key, {"a": 1}) for key in keys))))["cursor"]["firstBatch"]
    assert batch == Batch(bson.encode({"a": 1}) * len(keys), None)


@pytest.mark.parametrize(
    "payload",
    [
        bson.encode({"ok": 0.0, "errmsg": "no", "code": 13}),
        bson.encode({"cursor": "none", "ok": 1.0}),
        bson.encode({"cursor": {"firstBatch": {"0": {}}, "id": Int64(0)}, "ok": 1.0}),
        with_array(array_of((b"0", {"a": 1})).replace(struct.pack("<i", 12), struct.pack("<i", 99))),
        b"",
        b"\5\0\0\0\0",
    ],
    ids=["error", "no cursor", "no array", "length beyond the reply", "nothing", "empty"],
)
def test_other_replies_are_left_to_pymongo(payload):
    assert taken(payload) is None


@settings(deadline=None)
@given(data=st.data())
def test_damaged_replies_never_fail_here(data):
    payload = bytearray(bson.encode(reply([{"a": n, "b": "text"} for n in range(12)])))
    for place in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=4)):
        payload[place] = data.draw(st.integers(0, 255))
    found = taken(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
    assert found is None or isinstance(found, dict)


@pytest.fixture(scope="module")
def collection():
    with MongoServer() as server, pymongo.MongoClient(server.uri) as client:
        things = client.shop.things
        things.insert_many([{"_id": n, "text": "x" * (n % 7)} for n in range(2_345)])
        yield things


def read(collection, batch_size=1_000):
    with collection.find_raw_batches({"_id": {"$gte": 45}}, {"text": 1}, batch_size=batch_size) as cursor:
        take_replies(cursor)
        return list(cursor)


def test_batches_of_a_server_are_those_of_pymongo(collection):
    raw = list(collection.find_raw_batches({"_id": {"$gte": 45}}, {"text": 1}, batch_size=1_000))
    assert read(collection) == [
        Batch(data, records) for data, records in zip(raw, [1_000, 1_000, 300], strict=True)
    ]


def test_what_pymongo_gives_is_taken_where_a_reply_is_not_known(collection, monkeypatch):
    known = read(collection)
    monkeypatch.setattr(mongo_replies, "reply_of", lambda payload: None)
    assert read(collection) == [Batch(batch.data, None) for batch in known]


def test_a_refused_find_is_an_error(collection):
    with collection.find_raw_batches({"$no": 1}) as cursor:
        take_replies(cursor)
        with pytest.raises(mongo.OperationFailure):
            list(cursor)


def test_pymongo_still_has_what_is_used():
    assert callable(RawBatchCursor._unpack_response)
    assert callable(bson._array_of_documents_to_buffer)
