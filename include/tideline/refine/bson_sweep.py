"""Where each value of many documents lies, found for all at once: one numpy step per field, not per value.

Every document has a position. A step compares the bytes at all positions with one key; documents that have
it there record type and extent of its value and move on behind it. Steps are taken in the order in which
fields were last seen, and repeated for documents that have them in another order. A document that a sweep
does not bring to its end by declared (or adopted) fields of allowed types, each once, is left to the
walker, which alone decides about refusals. So a sweep need not understand everything: it must only never
accept what the walker would not.

Knows framing. Does not know what values mean (`bson_columns`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tideline.refine.bson_keys import Key
from tideline.refine.bson_vectors import ALL, Found

if TYPE_CHECKING:
    from tideline.refine.arrays import Flags, Vector
    from tideline.refine.bson_keys import Level
    from tideline.refine.bson_vectors import Batch, Rows

_WORTH_A_PASS = 32
"""Documents below which another pass over all fields costs more than walking them."""
_LONG_ARRAY, _WORTH_A_STEP = 32, 16
"""From this many items on, a step must still serve so many arrays."""


def sweep(batch: Batch, level: Level, rows: Rows) -> dict[str, Found]:
    """Find the fields of all rows; rows that are not understood to their end are left to the walker."""
    found: dict[str, Found] = {}
    first = rows.position.copy()
    active: slice | Vector = ALL
    passes = 0
    while True:
        before = rows.position.copy()
        for key in level.order:
            _step(batch, key, rows, first, active, found)
        passes += 1
        active = np.flatnonzero(rows.position < rows.end)
        if len(active) < _WORTH_A_PASS * passes:
            break
        adopted = level.adopt(batch, rows, active)
        if not adopted and np.array_equal(before[active], rows.position[active]):
            break
    if len(active):
        batch.leave(rows, active)
    if passes > 1:
        level.settle(found, first)
    return found


def _step(
    batch: Batch, key: Key, rows: Rows, first: Vector, active: slice | Vector, found: dict[str, Found]
) -> None:
    position = rows.position[active]
    word = batch.words[position]
    hits = key.matches(batch, position, word) & (position < rows.end[active])
    if not hits.any():
        return
    where = active
    if not hits.all():
        some = np.flatnonzero(hits)
        where, position, word = (
            some if isinstance(active, slice) else active[some],
            position[some],
            word[some],
        )
    kind = word.astype(np.uint8)
    start = position + key.size
    stop, legal = batch.extent(kind, start)
    sound = key.allowed[kind] & (stop <= rows.end[where])
    if legal is not None:
        sound &= legal
    place = found.get(key.name)
    if place is None:
        place = found[key.name] = Found(np.zeros(len(rows), np.uint8), first.copy(), first.copy())
    else:
        sound &= place.kind[where] == 0
    if not sound.all():
        every = np.arange(len(rows))[where]
        batch.leave(rows, every[~sound])
        where, kind, start, stop = every[sound], kind[sound], start[sound], stop[sound]
    place.kind[where], place.start[where], place.stop[where] = kind, start, stop
    rows.position[where] = stop


def sweep_items(batch: Batch, allowed: Flags, arrays: Rows) -> tuple[Found, Vector, Vector]:
    """The items of all arrays, array by array: where they lie, which array each is of, and its index there.

    Accepts the keys that every writer gives, "0", "1", …; arrays with others are left to the walker.
    """
    steps: list[tuple[Vector, Vector, Vector, Vector]] = []
    index = 0
    waiting = np.flatnonzero(arrays.position < arrays.end)
    while len(waiting):
        if index >= _LONG_ARRAY and len(waiting) < _WORTH_A_STEP:
            batch.leave(arrays, waiting)
            break
        steps.append(_item_step(batch, Key(str(index), allowed), arrays, waiting))
        index += 1
        waiting = waiting[arrays.position[waiting] < arrays.end[waiting]]
    return _in_order(steps, len(arrays))


def _item_step(
    batch: Batch, key: Key, arrays: Rows, waiting: Vector
) -> tuple[Vector, Vector, Vector, Vector]:
    position = arrays.position[waiting]
    word = batch.words[position]
    kind = word.astype(np.uint8)
    start = position + key.size
    stop, legal = batch.extent(kind, start)
    sound = key.matches(batch, position, word) & key.allowed[kind] & (stop <= arrays.end[waiting])
    if legal is not None:
        sound &= legal
    if not sound.all():
        batch.leave(arrays, waiting[~sound])
        waiting, kind, start, stop = waiting[sound], kind[sound], start[sound], stop[sound]
    arrays.position[waiting] = stop
    return waiting, kind, start, stop


def _in_order(
    steps: list[tuple[Vector, Vector, Vector, Vector]], arrays: int
) -> tuple[Found, Vector, Vector]:
    """Items that were found index by index, put array by array."""
    if not steps:
        none = np.zeros(0, np.int64)
        return Found(none.astype(np.uint8), none, none), none, none
    array, kind, start, stop = (np.concatenate(vectors) for vectors in zip(*steps, strict=True))
    index = np.repeat(np.arange(len(steps)), [len(step[0]) for step in steps])
    counts = np.bincount(array, minlength=arrays)
    place = (np.cumsum(counts) - counts)[array] + index
    order = np.empty(len(place), np.int64)
    order[place] = np.arange(len(place))
    return Found(kind[order], start[order], stop[order]), array[order], index[order]
