"""Commands that write: insert, update, delete. Each holds the storage's lock: they never interleave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson

from devstack.mongo import library
from devstack.mongo.bson_view import (
    DOCUMENT,
    MIN_DOCUMENT_BYTES,
    OPTIONS,
    Value,
    decode,
    find_slot,
    identity,
    slots,
)
from devstack.mongo.errors import CommandError
from devstack.mongo.filters import is_plain
from devstack.mongo.reads import select
from devstack.mongo.storage import Collection, prefixed, with_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstack.mongo.request import Backend, Request, Session


def insert(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Store documents as they came."""
    documents = request.documents("documents")
    with backend.storage.lock:
        collection = backend.storage.obtain(request.database, request.collection)
        errors = _each(documents, lambda _, raw: collection.insert(raw), ordered=_is_ordered(request))
    done = len(documents) - len(errors)
    if errors and _is_ordered(request):
        done = errors[0]["index"]
    return {"n": done, **_write_errors(errors)}


def update(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Replace documents, or apply update operators to them."""
    result: dict[str, Any] = {"n": 0, "nModified": 0}
    upserted: list[dict[str, Any]] = []

    def apply(index: int, statement: bytes) -> None:
        matched, modified, new = _Update(collection, statement).run()
        result["n"] += matched
        result["nModified"] += modified
        if new is not None:
            upserted.append({"index": index, "_id": new})

    with backend.storage.lock:
        collection = backend.storage.obtain(request.database, request.collection)
        errors = _each(request.documents("updates"), apply, ordered=_is_ordered(request))
    return {**result, **({"upserted": upserted} if upserted else {}), **_write_errors(errors)}


def delete(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Remove documents that match: one (`limit: 1`) or all (`limit: 0`)."""
    removed = 0

    def apply(_: int, raw: bytes) -> None:
        nonlocal removed
        statement = decode(raw)
        found = select(collection, statement["q"])
        for document in [next(found, None)] if statement.get("limit") else list(found):
            if document is not None:
                collection.delete(identity(document))
                removed += 1

    with backend.storage.lock:
        collection = backend.storage.obtain(request.database, request.collection)
        errors = _each(request.documents("deletes"), apply, ordered=_is_ordered(request))
    return {"n": removed, **_write_errors(errors)}


def _is_ordered(request: Request) -> bool:
    return bool(request.command.get("ordered", True))


def _each(items: list[bytes], apply: Callable[[int, bytes], None], *, ordered: bool) -> list[dict[str, Any]]:
    """Apply to each; what failed, as `writeErrors`. Ordered writes stop at the first failure."""
    errors = []
    for index, item in enumerate(items):
        try:
            apply(index, item)
        except CommandError as error:
            errors.append(error.write_error(index))
            if ordered:
                break
    return errors


def _write_errors(errors: list[dict[str, Any]]) -> dict[str, Any]:
    return {"writeErrors": errors} if errors else {}


class _Update:
    """One statement of an update command."""

    def __init__(self, collection: Collection, statement: bytes) -> None:
        self._collection = collection
        self._statement = decode(statement)
        self._query = self._statement["q"]
        slot = find_slot(statement, b"u")
        if slot is None:
            raise CommandError(40414, "BSON field 'update.updates.u' is missing")
        self._raw_change = statement[slot.start : slot.end]
        names = [name for name, _ in slots(self._raw_change, 0, len(self._raw_change))]
        self._is_replacement = slot.kind == DOCUMENT and not any(name.startswith(b"$") for name in names)

    def run(self) -> tuple[int, int, Any]:
        """(matched, modified, `_id` of an upserted document)."""
        found = select(self._collection, self._query)
        is_multi = bool(self._statement.get("multi"))
        if is_multi and self._is_replacement:
            raise CommandError(9, "multi update is not supported for replacement-style update")
        matched = list(found) if is_multi else [raw for raw in [next(found, None)] if raw is not None]
        if not matched and self._statement.get("upsert"):
            return 1, 0, self._upsert()
        changed = [self._collection.replace(identity(raw), self._changed(raw)) for raw in matched]
        return len(matched), sum(changed), None

    def _changed(self, raw: bytes) -> bytes:
        if self._is_replacement:
            return self._replacement(bson.encode({"_id": decode(raw)["_id"]}, codec_options=OPTIONS))
        return self._operated(raw)

    def _upsert(self) -> Value:
        if self._is_replacement:
            wanted = self._query.get("_id")
            given = {} if wanted is None or not is_plain(wanted) else {"_id": wanted}
            raw = with_id(self._replacement(bson.encode(given, codec_options=OPTIONS)))
        else:
            raw = self._operated(None)
        self._collection.insert(raw)
        return decode(raw)["_id"]

    def _operated(self, raw: bytes | None) -> bytes:
        return library.update(raw, self._query, self._statement["u"], self._statement.get("arrayFilters"))

    def _replacement(self, identified: bytes) -> bytes:
        """The new document with the old one's `_id` in front where it names none itself."""
        if find_slot(self._raw_change, b"_id") is not None or len(identified) == MIN_DOCUMENT_BYTES:
            return self._raw_change
        return prefixed(self._raw_change, identified[4:-1])
