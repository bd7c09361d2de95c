"""Commands that read: find, getMore, killCursors, count, distinct, aggregate.

Owns selection (filter, sort, skip, limit, projection) over snapshots of raw documents.
"""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson

from devstack.mongo import library
from devstack.mongo.bson_view import (
    ARRAY,
    NULL,
    NULL_RANK,
    OPTIONS,
    Key,
    Value,
    array_slots,
    identity,
    key_at,
    path_slots,
    slots,
    value_at,
)
from devstack.mongo.errors import CommandError
from devstack.mongo.filters import compile_filter, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from devstack.mongo.request import Backend, Request, Session
    from devstack.mongo.storage import Collection

FIRST_BATCH = 101
"""Documents in a first batch that names no size, as MongoDB has it."""

_REFUSED_STAGES = {"$lookup", "$graphLookup", "$unionWith", "$out", "$merge", "$changeStream"}
"""What would need another collection or an oplog; mongomock would answer as if that were empty."""


def find(backend: Backend, request: Request, _session: Session) -> bytes:
    """Documents that match, as they were stored."""
    command = request.command
    if command.get("tailable"):
        raise CommandError(2, "tailable cursor requested on non capped collection")
    if command.get("collation"):
        raise CommandError(115, "this stand-in has no collations")
    collection = backend.storage.find(request.database, request.collection)
    found = select(collection, command.get("filter") or {}, command.get("sort"))
    limit = abs(command.get("limit", 0))
    skip = command.get("skip", 0)
    found = islice(found, skip, skip + limit if limit else None)
    if command.get("projection"):
        found = map(_projector(command["projection"]), found)
    is_single = bool(command.get("singleBatch")) or command.get("limit", 0) < 0
    size = command.get("batchSize", FIRST_BATCH)
    return backend.cursors.first(request.namespace, found, size, single=is_single)


def select(
    collection: Collection | None, query: dict[str, Any], sort: dict[str, Any] | None = None
) -> Iterator[bytes]:
    """The documents of a collection that match, in order: a snapshot taken now, tested as it is read."""
    test = compile_filter(query)
    if collection is None:
        return iter(())
    found: Iterable[bytes] = _candidates(collection, query)
    if query:
        found = filter(test, found)
    return iter(_sorted(found, sort) if sort else found)


def _candidates(collection: Collection, query: dict[str, Any]) -> list[bytes]:
    wanted = query.get("_id")
    if "_id" not in query or wanted is None or isinstance(wanted, list):
        return collection.snapshot()
    if is_plain(wanted):
        values = [wanted]
    elif isinstance(wanted, dict) and isinstance(wanted.get("$in"), list):
        values = wanted["$in"]
    else:
        return collection.snapshot()
    if not all(is_plain(value) and value is not None and not isinstance(value, list) for value in values):
        return collection.snapshot()
    keys = dict.fromkeys(identity(bson.encode({"_id": value})) for value in values)
    found = (collection.documents.get(key) for key in keys)
    return [raw for raw in found if raw is not None]


def _sorted(found: Iterable[bytes], sort: dict[str, Any]) -> list[bytes]:
    result = list(found)
    for path, direction in reversed(sort.items()):
        if direction not in (1, -1):
            raise CommandError(2, f"Illegal key in $sort specification: {path}: {direction}")
        result.sort(key=_sort_key(path, direction == -1), reverse=direction == -1)
    return result


def _sort_key(path: str, descending: bool) -> Callable[[bytes], Key]:
    steps = path.encode().split(b".")
    choose = max if descending else min

    def key(raw: bytes) -> Key:
        keys = []
        for slot in path_slots(raw, steps):
            items = [] if slot is None else array_slots(raw, slot)
            if slot is None:
                keys.append(NULL)
            elif items:
                keys.extend(key_at(raw, item) for item in items)
            else:
                keys.append(key_at(raw, slot) if slot.kind != ARRAY else (NULL_RANK - 1, 0))
        return choose(keys, default=NULL)

    return key


def _projector(projection: dict[str, Any]) -> Callable[[bytes], bytes]:
    """Plain lists of top-level fields are cut out of the bytes; anything else goes through mongomock."""
    flags = {
        name: bool(wanted) for name, wanted in projection.items() if isinstance(wanted, bool | int | float)
    }
    fields = {wanted for name, wanted in flags.items() if name != "_id"}
    if len(flags) < len(projection) or len(fields) > 1 or any("." in name for name in projection):
        return library.projector(projection)
    include = fields.pop() if fields else flags["_id"]
    named = {name.encode() for name, wanted in flags.items() if wanted == include}
    if include and flags.get("_id", True):
        named.add(b"_id")
    if not include and flags.get("_id", True):
        named.discard(b"_id")
    return lambda raw: _cut(raw, named, include)


def _cut(raw: bytes, named: set[bytes], include: bool) -> bytes:
    body = b"".join(
        raw[slot.start - len(name) - 2 : slot.end]
        for name, slot in slots(raw, 0, len(raw))
        if (name in named) == include
    )
    return (len(body) + 5).to_bytes(4, "little") + body + b"\0"


def get_more(backend: Backend, request: Request, _session: Session) -> bytes:
    """The next batch of an open cursor."""
    return backend.cursors.more(request.command["getMore"], request.command.get("batchSize") or None)


def kill_cursors(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """Close cursors."""
    killed, unknown = backend.cursors.kill(request.command["cursors"])
    return {"cursorsKilled": killed, "cursorsNotFound": unknown, "cursorsAlive": [], "cursorsUnknown": []}


def count(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """How many documents match."""
    command = request.command
    collection = backend.storage.find(request.database, request.collection)
    query = command.get("query") or {}
    if not query:
        total = 0 if collection is None else len(collection.documents)
    else:
        total = sum(1 for _ in select(collection, query))
    total = max(0, total - command.get("skip", 0))
    limit = abs(command.get("limit", 0))
    return {"n": min(total, limit) if limit else total}


def distinct(backend: Backend, request: Request, _session: Session) -> dict[str, Any]:
    """The different values of a field among matching documents."""
    steps = str(request.command["key"]).encode().split(b".")
    collection = backend.storage.find(request.database, request.collection)
    values: dict[Key, Any] = {}
    for raw in select(collection, request.command.get("query") or {}):
        for slot in path_slots(raw, steps):
            if slot is not None:
                for item in array_slots(raw, slot) if slot.kind == ARRAY else [slot]:
                    values.setdefault(key_at(raw, item), value_at(raw, item))
    return {"values": list(values.values())}


def aggregate(backend: Backend, request: Request, _session: Session) -> bytes:
    """A pipeline: what selects and counts is done on raw documents, the rest by mongomock."""
    command = request.command
    pipeline = list(command["pipeline"])
    if _mentions(pipeline, _REFUSED_STAGES):
        raise CommandError(115, f"this stand-in has no {', '.join(sorted(_REFUSED_STAGES))}")
    query: dict[str, Any] = {}
    if pipeline and "$match" in pipeline[0]:
        query = pipeline.pop(0)["$match"]
    found = select(backend.storage.find(request.database, request.collection), query)
    while pipeline and _selects(pipeline[0]):
        found = _selecting_stage(found, *next(iter(pipeline.pop(0).items())))
    if pipeline:
        counted = _counted(found, pipeline)
        found = iter(library.aggregate(found, pipeline) if counted is None else counted)
    return backend.cursors.first(
        request.namespace, found, (command.get("cursor") or {}).get("batchSize", FIRST_BATCH)
    )


def _selects(stage: dict[str, Any]) -> bool:
    """Whether a stage is done on raw documents; of projections only a list of top-level fields."""
    name = next(iter(stage), "")
    if name == "$project":
        return all(wanted in (0, 1) for wanted in stage[name].values())
    return name in ("$sort", "$skip", "$limit", "$sample")


def _selecting_stage(found: Iterator[bytes], name: str, argument: Value) -> Iterator[bytes]:
    if name == "$sort":
        return iter(_sorted(found, argument))
    if name == "$project":
        return map(_projector(argument), found)
    if name == "$sample":
        every = list(found)
        return iter(random.sample(every, min(argument["size"], len(every))))
    return islice(found, argument, None) if name == "$skip" else islice(found, argument)


def _counted(found: Iterator[bytes], pipeline: list[dict[str, Any]]) -> list[bytes] | None:
    """`[{$group: {_id: 1, n: {$sum: 1}}}]`, what drivers send to count; None for any other pipeline."""
    group = pipeline[0].get("$group")
    if len(pipeline) > 1 or not isinstance(group, dict) or list(group.values())[1:] != [{"$sum": 1}]:
        return None
    if group.get("_id") not in (1, None):
        return None
    total = sum(1 for _ in found)
    name = list(group)[1]
    return [bson.encode({"_id": group["_id"], name: total}, codec_options=OPTIONS)] if total else []


def _mentions(value: Value, names: set[str]) -> bool:
    if isinstance(value, dict):
        return not names.isdisjoint(value) or any(_mentions(item, names) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, names) for item in value)
