"""Commands about the server and its namespaces: hello, buildInfo, collections, databases, indexes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson
from bson.int64 import Int64

from devstack.mongo.auth import MECHANISM
from devstack.mongo.bson_view import OPTIONS, decode
from devstack.mongo.cursors import reply
from devstack.mongo.errors import CommandError
from devstack.mongo.filters import compile_filter
from devstack.mongo.storage import MAX_DOCUMENT_BYTES, Index

if TYPE_CHECKING:
    from devstack.mongo.request import Backend, Request, Session

_NOT_KEPT = ("validator", "viewOn", "timeseries", "collation")


def hello(_backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """What a driver asks first: a standalone server of version 7.0, without sessions or compression."""
    mechanisms = {"saslSupportedMechs": [MECHANISM]} if "saslSupportedMechs" in request.command else {}
    return {
        "helloOk": True,
        "isWritablePrimary": True,
        "ismaster": True,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": datetime.now(UTC),
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "readOnly": False,
        **mechanisms,
    }


def acknowledge(_backend: Backend, _request: Request, _session: Session) -> dict[str, Any]:
    """`ping`, and what only needs a yes."""
    return {}


def build_info(_backend: Backend, _request: Request, _session: Session) -> dict[str, Any]:
    """The version whose protocol is spoken."""
    return {"version": "7.0.0", "versionArray": [7, 0, 0, 0], "maxBsonObjectSize": MAX_DOCUMENT_BYTES}


def list_collections(backend: Backend, request: Request, _session: Session) -> bytes:
    """The collections of a database."""
    names = list(backend.storage.databases.get(request.database, {}))
    found = [
        {"name": name, "type": "collection", "options": {}, "info": {"readOnly": False}} for name in names
    ]
    return _listing(request, found, f"{request.database}.$cmd.listCollections")


def list_indexes(backend: Backend, request: Request, _session: Session) -> bytes:
    """The indexes of a collection."""
    collection = backend.storage.find(request.database, request.collection)
    if collection is None:
        raise CommandError(26, f"ns does not exist: {request.namespace}")
    return _listing(request, [i.specification() for i in collection.indexes.values()], request.namespace)


def _listing(request: Request, found: list[dict[str, Any]], namespace: str) -> bytes:
    test = compile_filter(request.command.get("filter") or {})
    encoded = (bson.encode(entry) for entry in found)
    return reply("firstBatch", namespace, 0, [raw for raw in encoded if test(raw)])


def list_databases(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """The databases that hold collections, with their size in bytes."""
    found: list[dict[str, Any]] = []
    for name, collections in list(backend.storage.databases.items()):
        size = sum(len(raw) for c in list(collections.values()) for raw in c.snapshot())
        if collections:
            found.append({"name": name, "sizeOnDisk": Int64(size), "empty": size == 0})
    test = compile_filter(request.command.get("filter") or {})
    found = [entry for entry in found if test(bson.encode(entry))]
    return {"databases": found, "totalSize": Int64(sum(entry["sizeOnDisk"] for entry in found))}


def create(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Make a collection."""
    refused = [name for name in _NOT_KEPT if request.command.get(name)]
    if refused:
        raise CommandError(115, f"this stand-in has no {', '.join(refused)}")
    with backend.storage.lock:
        if backend.storage.find(request.database, request.collection) is not None:
            raise CommandError(48, f"Collection {request.namespace} already exists.")
        backend.storage.obtain(request.database, request.collection)
    return {}


def drop(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Remove a collection; also where there is none."""
    with backend.storage.lock:
        backend.storage.drop(request.database, request.collection)
    return {}


def drop_database(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Remove a database."""
    with backend.storage.lock:
        backend.storage.databases.pop(request.database, None)
    return {"dropped": request.database}


def create_indexes(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Add indexes; unique ones are enforced, none makes anything faster."""
    with backend.storage.lock:
        collection = backend.storage.obtain(request.database, request.collection)
        before = len(collection.indexes)
        for raw in request.documents("indexes"):
            entry = decode(raw)
            unique, sparse = bool(entry.get("unique")), bool(entry.get("sparse"))
            collection.create_index(Index(entry["name"], entry["key"], unique, sparse))
    return {"numIndexesBefore": before, "numIndexesAfter": len(collection.indexes)}


def drop_indexes(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Remove one index by name, or all (`*`) but that of `_id`."""
    name = request.command["index"]
    with backend.storage.lock:
        collection = backend.storage.obtain(request.database, request.collection)
        names = [n for n in collection.indexes if n != "_id_"] if name == "*" else [name]
        for each in names:
            if each not in collection.indexes or each == "_id_":
                raise CommandError(27, f"index not found with name [{each}]")
            del collection.indexes[each]
    return {}


def collection_statistics(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """`collStats`: how many documents and how many bytes."""
    documents = backend.storage.snapshot(request.database, request.collection)
    size = sum(map(len, documents))
    average = {"avgObjSize": size // len(documents)} if documents else {}
    return decode(
        bson.encode(
            {"ns": request.namespace, "count": len(documents), "size": Int64(size), **average},
            codec_options=OPTIONS,
        )
    )
