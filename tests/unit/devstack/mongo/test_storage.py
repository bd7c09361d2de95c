"""Collections of raw documents: identity, uniqueness, snapshots."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from devstack.mongo.errors import CommandError
from devstack.mongo.storage import Collection, Index, Storage, with_id


def raw(**fields: Any) -> bytes:
    return bson.encode(fields)


def unique(name: str = "k_1", path: str = "k", *, sparse: bool = False) -> Index:
    return Index(name, {path: 1}, unique=True, sparse=sparse)


@pytest.fixture
def collection() -> Collection:
    return Collection("db.things")


def test_documents_stay_in_insertion_order_and_as_they_came(collection: Collection) -> None:
    documents = [raw(_id=number, z=1, a=2) for number in (3, 1, 2)]
    for document in documents:
        collection.insert(document)
    assert collection.snapshot() == documents


def test_a_document_without_id_gets_one_in_front(collection: Collection) -> None:
    collection.insert(raw(a=1))
    stored = bson.decode(collection.snapshot()[0])
    assert list(stored) == ["_id", "a"]
    assert isinstance(stored["_id"], bson.ObjectId)
    assert with_id(raw(_id=None)) == raw(_id=None)


def test_a_taken_id_is_refused(collection: Collection) -> None:
    collection.insert(raw(_id=1))
    with pytest.raises(CommandError, match=r"E11000 duplicate key error collection: db\.things index: _id_"):
        collection.insert(raw(_id=1.0))


def test_a_snapshot_does_not_see_later_writes(collection: Collection) -> None:
    collection.insert(raw(_id=1, v=1))
    snapshot = collection.snapshot()
    collection.replace(1, raw(_id=1, v=2))
    collection.insert(raw(_id=2))
    assert snapshot == [raw(_id=1, v=1)]


def test_a_replacement_keeps_its_id_and_its_place(collection: Collection) -> None:
    for number in range(3):
        collection.insert(raw(_id=number))
    assert collection.replace(1, raw(_id=1, v=1))
    assert not collection.replace(1, raw(_id=1, v=1))
    assert collection.snapshot() == [raw(_id=0), raw(_id=1, v=1), raw(_id=2)]
    with pytest.raises(CommandError, match="immutable field"):
        collection.replace(1, raw(_id=9))


def test_a_document_above_16_mib_is_refused(collection: Collection) -> None:
    with pytest.raises(CommandError, match="too large") as error:
        collection.insert(raw(_id=1, filler="x" * (16 << 20)))
    assert error.value.code == 10334


def test_unique_values_are_kept_unique_through_every_write(collection: Collection) -> None:
    collection.insert(raw(_id=1, k=1))
    collection.insert(raw(_id=2, k=2))
    collection.create_index(unique())
    with pytest.raises(CommandError, match="index: k_1"):
        collection.insert(raw(_id=3, k=1))
    with pytest.raises(CommandError, match="index: k_1"):
        collection.replace(2, raw(_id=2, k=1))
    collection.replace(1, raw(_id=1, k=7))
    collection.insert(raw(_id=3, k=1))
    collection.delete(2)
    collection.insert(raw(_id=4, k=2))
    assert [bson.decode(document)["k"] for document in collection.snapshot()] == [7, 1, 2]


def test_a_refused_write_leaves_every_index_as_it_was(collection: Collection) -> None:
    collection.create_index(unique("a_1", "a"))
    collection.create_index(unique("b_1", "b"))
    collection.insert(raw(_id=1, a=1, b=1))
    with pytest.raises(CommandError, match="index: b_1"):
        collection.insert(raw(_id=2, a=2, b=1))
    collection.insert(raw(_id=3, a=2, b=2))
    assert len(collection.documents) == 2


def test_an_index_on_documents_that_clash_is_not_made(collection: Collection) -> None:
    collection.insert(raw(_id=1))
    collection.insert(raw(_id=2))
    with pytest.raises(CommandError, match="E11000"):
        collection.create_index(unique())
    assert set(collection.indexes) == {"_id_"}


def test_a_sparse_index_does_not_hold_documents_without_the_field(collection: Collection) -> None:
    collection.create_index(unique(sparse=True))
    collection.insert(raw(_id=1))
    collection.insert(raw(_id=2))
    collection.delete(1)
    assert len(collection.documents) == 1


def test_an_index_of_a_known_name_is_left_alone(collection: Collection) -> None:
    collection.create_index(unique())
    first = collection.indexes["k_1"]
    collection.create_index(unique())
    assert collection.indexes["k_1"] is first
    assert first.specification() == {"v": 2, "key": {"k": 1}, "name": "k_1", "unique": True}


@pytest.mark.parametrize(("database", "name"), [("", "c"), ("d", ""), ("d", "a$b"), ("d", "a\0b")])
def test_names_that_mongodb_refuses_are_refused(database: str, name: str) -> None:
    with pytest.raises(CommandError, match="Invalid namespace"):
        Storage().obtain(database, name)


def test_a_collection_comes_with_its_first_use_and_goes_when_dropped() -> None:
    storage = Storage()
    assert storage.find("d", "c") is None
    assert storage.snapshot("d", "c") == []
    made = storage.obtain("d", "c")
    assert storage.obtain("d", "c") is made
    storage.drop("d", "c")
    storage.drop("d", "never")
    assert storage.find("d", "c") is None
