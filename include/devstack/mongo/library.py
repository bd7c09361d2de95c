"""What mongomock does for the server: rare filter operators, update operators, projections, pipelines.

Owns the crossing between raw documents and mongomock's dictionaries. The server keeps raw bytes, so mongomock
only ever holds the documents of one command; what it hands back is encoded anew.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import bson
import mongomock
from bson.int64 import Int64
from mongomock.aggregate import process_pipeline
from mongomock.filtering import filter_applies

from devstack.mongo.bson_view import OPTIONS, Value, decode
from devstack.mongo.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@contextmanager
def _translated() -> Iterator[None]:
    """Refusals of mongomock as the errors that a server sends."""
    try:
        yield
    except mongomock.DuplicateKeyError as error:
        raise CommandError(11000, str(error)) from error
    except mongomock.OperationFailure as error:
        raise CommandError(error.code or 2, str(error)) from error
    except NotImplementedError as error:
        raise CommandError(115, f"this stand-in cannot: {error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise CommandError(2, f"{type(error).__name__}: {error}") from error


def matcher(query: dict[str, Any]) -> Callable[[bytes], bool]:
    """A test of mongomock's for raw documents; a malformed query is refused at once."""

    def test(raw: bytes) -> bool:
        return applies(decode(raw))

    def applies(document: dict[str, Any]) -> bool:
        with _translated():
            return bool(filter_applies(query, document))

    if "$expr" not in query:
        applies({})
    return test


def _collection(documents: Iterable[dict[str, Any]]) -> Value:
    client: Value = mongomock.MongoClient(tz_aware=True)
    for document in documents:
        client.stand_in.documents.insert_one(document)
    return client.stand_in.documents


def update(
    raw: bytes | None, query: dict[str, Any], change: Value, array_filters: list[dict[str, Any]] | None
) -> bytes:
    """A document after update operators; for `raw=None` the one that an upsert of `query` makes."""
    before = None if raw is None else decode(raw)
    with _translated():
        collection = _collection([] if before is None else [before])
        wanted = query if before is None else {"_id": before["_id"]}
        collection.update_one(wanted, change, upsert=before is None, array_filters=array_filters)
        after = collection.find_one()
    return bson.encode(after if before is None else _keep_width(before, after), codec_options=OPTIONS)


def _keep_width(before: Value, after: Value) -> Value:
    """An int64 stays one: Python's arithmetic forgets the width, MongoDB's does not."""
    if isinstance(before, Int64) and type(after) is int:
        return Int64(after)
    if isinstance(before, dict) and isinstance(after, dict):
        return {name: _keep_width(before.get(name), value) for name, value in after.items()}
    if isinstance(before, list) and isinstance(after, list):
        return [_keep_width(*pair) for pair in zip(before, after, strict=False)] + after[len(before) :]
    return after


def projector(projection: dict[str, Any]) -> Callable[[bytes], bytes]:
    """A function from raw documents to what a projection leaves of them."""

    def project(raw: bytes) -> bytes:
        with _translated():
            found = next(iter(_collection([decode(raw)]).find({}, projection)))
        return bson.encode(found, codec_options=OPTIONS)

    return project


def aggregate(documents: Iterable[bytes], pipeline: list[dict[str, Any]]) -> list[bytes]:
    """The result of a pipeline over the documents, all of which are held in memory meanwhile."""
    with _translated():
        found = list(process_pipeline([decode(raw) for raw in documents], None, pipeline, None))
    return [bson.encode(document, codec_options=OPTIONS) for document in found]
