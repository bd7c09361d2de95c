from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Any

import bson
import pymongo
import pytest

from benchmarks.replay import DATABASE, Collection, Replay, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = [{"_id": number, "text": "x" * number} for number in range(250)]


@pytest.fixture
def content() -> bytes:
    return b"".join(map(bson.encode, DOCUMENTS))


@pytest.fixture
def client(tmp_path: Path, content: bytes) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    path = tmp_path / "documents.bson"
    path.write_bytes(content)
    with Server(0, Replay({"documents": Collection("documents", path)})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with pymongo.MongoClient[dict[str, Any]](*server.server_address) as client:
            yield client
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("batch_size", [0, 1, 7, 101, 1_000])
def test_every_byte_of_the_file_is_served_once(
    client: pymongo.MongoClient[dict[str, Any]], content: bytes, batch_size: int
):
    batches = list(client[DATABASE].documents.find_raw_batches({"a": {"$gt": 1}}, batch_size=batch_size))
    assert b"".join(batches) == content
    assert len(batches) > 1 or batch_size == 1_000


def test_documents_two_cursors_at_once_and_one_left_unread(client: pymongo.MongoClient[dict[str, Any]]):
    documents = client[DATABASE].documents
    with documents.find(batch_size=10) as unread:
        assert next(unread) == DOCUMENTS[0]
        assert list(documents.find(batch_size=60)) == DOCUMENTS
        assert next(unread) == DOCUMENTS[1]
    assert list(documents.find()) == DOCUMENTS


def test_what_a_client_asks_beside_documents(client: pymongo.MongoClient[dict[str, Any]]):
    database = client[DATABASE]
    assert database.list_collection_names(filter={"name": "documents"}) == ["documents"]
    assert database.list_collection_names(filter={"name": "other"}) == []
    assert database.documents.count_documents({}) == database.documents.estimated_document_count() == 250
    assert list(database.documents.aggregate([{"$match": {}}])) == DOCUMENTS
    assert list(database.other.find()) == []
    with pytest.raises(pymongo.errors.OperationFailure, match="no command"):
        database.documents.insert_one({})


def test_no_batch_is_larger_than_a_reply_may_be(tmp_path: Path):
    big = bson.encode({"x": b"x" * (6 << 20)})
    path = tmp_path / "big.bson"
    path.write_bytes(big * 5)
    collection = Collection("big", path)
    assert collection.last_of(0, 5) == 2
    assert struct.unpack_from("<i", collection.array(0, 1), 3)[0] == len(big)
