"""Databases, collections and indexes: raw documents by identity, in insertion order.

Owns uniqueness and what a reader sees: documents are immutable bytes, so a list of them is a snapshot that no
writer can change. Knows no commands. Writers hold `Storage.lock`; readers need no lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from bson.objectid import ObjectId

from devstack.mongo.bson_view import NULL, Identity, Key, find_slot, identity, key_at, path_slots
from devstack.mongo.errors import CommandError

MAX_DOCUMENT_BYTES = 16 << 20


@dataclass
class Index:
    """One index; only a unique one has any effect."""

    name: str
    keys: dict[str, Any]
    unique: bool = False
    sparse: bool = False
    entries: dict[tuple[Key, ...], Identity] = field(default_factory=dict)
    """Indexed values → identity of the document that has them (unique indexes only)."""

    def entry(self, raw: bytes) -> tuple[Key, ...] | None:
        """What the index holds for a document; None where a sparse index holds nothing."""
        found = [path_slots(raw, path.encode().split(b".")) for path in self.keys]
        if self.sparse and all(slots in ([], [None]) for slots in found):
            return None
        return tuple(key_at(raw, slots[0]) if slots and slots[0] else NULL for slots in found)

    def specification(self) -> dict[str, Any]:
        """As `listIndexes` shows it."""
        unique = {"unique": True} if self.unique and self.name != "_id_" else {}
        return {"v": 2, "key": self.keys, "name": self.name, **unique}


@dataclass
class Collection:
    """Documents of one collection."""

    namespace: str
    documents: dict[Identity, bytes] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=lambda: {"_id_": Index("_id_", {"_id": 1})})

    def snapshot(self) -> list[bytes]:
        """All documents as they are now."""
        return list(self.documents.values())

    def insert(self, raw: bytes) -> None:
        """Add a document; one without `_id` gets an ObjectId, in front.

        Raises:
            CommandError: Its `_id` or unique values are taken, or it is too large.
        """
        raw = with_id(raw)
        key = identity(raw)
        if key in self.documents:
            raise _duplicate(self.namespace, "_id_", {"_id": 1})
        self._put(key, raw)

    def replace(self, key: Identity, raw: bytes) -> bool:
        """Put a document in the place of the one with that identity; whether anything changed."""
        if identity(raw) != key:
            raise CommandError(66, "Performing an update on the path '_id' would modify the immutable field")
        old = self.documents[key]
        if old == raw:
            return False
        self._put(key, raw, old)
        return True

    def delete(self, key: Identity) -> None:
        """Remove the document of that identity."""
        old = self.documents.pop(key)
        for index in self._unique():
            index.entries.pop(index.entry(old), None)  # type: ignore[arg-type]

    def create_index(self, index: Index) -> None:
        """Add an index; a unique one is checked against what is there."""
        if index.name in self.indexes:
            return
        if index.unique:
            for key, raw in self.documents.items():
                self._claim(index, key, raw)
        self.indexes[index.name] = index

    def _put(self, key: Identity, raw: bytes, old: bytes | None = None) -> None:
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise CommandError(10334, f"object to insert is too large: {len(raw)} bytes")
        for index in self._unique():
            self._check(index, key, index.entry(raw))
        for index in self._unique():
            if old is not None:
                index.entries.pop(index.entry(old), None)  # type: ignore[arg-type]
            self._claim(index, key, raw)
        self.documents[key] = raw

    def _unique(self) -> list[Index]:
        return [index for index in self.indexes.values() if index.unique]

    def _check(self, index: Index, key: Identity, entry: tuple[Key, ...] | None) -> None:
        if entry is not None and index.entries.get(entry, key) != key:
            raise _duplicate(self.namespace, index.name, index.keys)

    def _claim(self, index: Index, key: Identity, raw: bytes) -> None:
        entry = index.entry(raw)
        self._check(index, key, entry)
        if entry is not None:
            index.entries[entry] = key


def _duplicate(namespace: str, index: str, keys: dict[str, Any]) -> CommandError:
    return CommandError(
        11000, f"E11000 duplicate key error collection: {namespace} index: {index}", keyPattern=keys
    )


def with_id(raw: bytes) -> bytes:
    """The document with an `_id`, a new ObjectId in front where it has none."""
    if raw[5:9] == b"_id\0" or find_slot(raw, b"_id") is not None:
        return raw
    return prefixed(raw, b"\x07_id\0" + ObjectId().binary)


def prefixed(raw: bytes, element: bytes) -> bytes:
    """The document with one encoded element in front."""
    return (len(raw) + len(element)).to_bytes(4, "little") + element + raw[4:]


class Storage:
    """All databases of a server."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.databases: dict[str, dict[str, Collection]] = {}

    def find(self, database: str, name: str) -> Collection | None:
        """The collection, or None where it does not exist."""
        return self.databases.get(database, {}).get(name)

    def snapshot(self, database: str, name: str) -> list[bytes]:
        """All documents of a collection as they are now; none where it does not exist."""
        collection = self.find(database, name)
        return [] if collection is None else collection.snapshot()

    def obtain(self, database: str, name: str) -> Collection:
        """The collection, made where it does not exist. The caller holds the lock."""
        if not name or "$" in name or "\0" in name or not database:
            raise CommandError(73, f"Invalid namespace specified '{database}.{name}'")
        collections = self.databases.setdefault(database, {})
        if name not in collections:
            collections[name] = Collection(f"{database}.{name}")
        return collections[name]

    def drop(self, database: str, name: str) -> None:
        """Remove a collection if it is there. The caller holds the lock."""
        self.databases.get(database, {}).pop(name, None)
