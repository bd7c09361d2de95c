"""What a sweep found → the Arrow arrays of declared fields, records and arrays included.

Knows how columns nest. Does not know single values (`bson_scalars`), parts or rejects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tideline.refine import arrays
from tideline.refine import bson_format as bson
from tideline.refine.bson_scalars import CONVERTERS, Values
from tideline.refine.bson_sweep import sweep, sweep_items
from tideline.refine.bson_texts import texts_of
from tideline.refine.bson_values import readers_of
from tideline.refine.bson_vectors import SIZED, Batch, Found, Rows
from tideline.refine.fields import MAX_ROW_CELLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa

    from tideline.refine.arrays import Vector
    from tideline.refine.bson_keys import Level
    from tideline.refine.fields import Field

MAX_BATCH_CELLS = 2 * MAX_ROW_CELLS
"""Array items times their columns of one batch: bounds memory where small documents ask for much."""
_PRESENT = np.ones(256, np.bool_)
_PRESENT[[0, bson.NULL, bson.UNDEFINED]] = False


class BatchTooLargeError(Exception):
    """These documents take more memory than a batch may; decode fewer of them at a time."""


def types_of(member: Field) -> Iterable[int]:
    """The BSON types that a sweep may accept for a declared field, null and undefined aside."""
    return (bson.ARRAY,) if member.column.repeated else _item_types(member)


def _item_types(member: Field) -> Iterable[int]:
    if member.record is not None:
        return (bson.DOCUMENT,)
    if member.column.type == "json":
        return np.flatnonzero(SIZED & _PRESENT).tolist()
    return [kind for kind in readers_of(member.column) if SIZED[kind]]


def convert(batch: Batch, level: Level, rows: Rows) -> list[pa.Array]:
    """Sweep the rows and build the arrays of the declared fields; undeclared ones go to `batch.extras`.

    Raises:
        BatchTooLargeError: The arrays inside take more than `MAX_BATCH_CELLS`.
    """
    found = sweep(batch, level, rows)
    for name in level.adopted & found.keys():
        _keep_extras(batch, rows, name, found[name])
    lacking = Found(np.zeros(len(rows), np.uint8), rows.end, rows.end)
    columns = []
    for member in level.record.fields:
        place = found.get(member.column.field, lacking)
        values = Values(batch, rows, member, place, _PRESENT[place.kind], _path(rows, member.column.field))
        if member.required:
            values.leave(~values.present if rows.exists is None else ~values.present & rows.exists)
        columns.append((_repeated if member.column.repeated else _item)(values, level))
    return columns


def _path(rows: Rows, name: str) -> Callable[[int], str]:
    return lambda row: rows.prefix(row) + name


def _item(values: Values, level: Level) -> pa.Array:
    if values.member.record is None:
        return CONVERTERS[values.member.column.type](values)
    inside = _frames(values)
    children = convert(values.batch, level.levels[values.member.index], inside)
    return arrays.struct(values.member.item_type, children, len(inside), values.present)


def _frames(values: Values) -> Rows:
    """The insides of documents or arrays; empty where there is none."""
    place, present, path = values.place, values.present, values.path
    inside = Rows(
        values.rows.document,
        position=np.where(present, place.start + 4, place.start),
        end=np.where(present, place.stop - 1, place.start),
        depth=values.rows.depth + 1,
        prefix=lambda row: f"{path(row)}.",
        exists=present,
    )
    unterminated = present & (values.batch.octets[inside.end] != 0)
    if unterminated.any():
        values.batch.leave(inside, np.flatnonzero(unterminated))
    return inside


def _repeated(values: Values, level: Level) -> pa.Array:
    inside, path = _frames(values), values.path
    allowed = np.zeros(256, np.bool_)
    allowed[list(_item_types(values.member))] = True
    items, array, index = sweep_items(values.batch, allowed, inside)
    counts = np.bincount(array, minlength=len(inside))
    _count_cells(values, counts)
    rows = Rows(
        inside.document[array],
        position=items.start,
        end=items.start,
        depth=inside.depth,
        prefix=lambda row: f"{path(array[row])}[{index[row]}]",
    )
    item = Values(values.batch, rows, values.member, items, _PRESENT[items.kind], rows.prefix)
    return arrays.lists(counts, _item(item, level))


def _count_cells(values: Values, counts: Vector) -> None:
    batch = values.batch
    np.add.at(batch.cells, values.rows.document, counts * values.member.cells)
    if int(batch.cells.sum()) > MAX_BATCH_CELLS and len(batch.cells) > 1:
        raise BatchTooLargeError
    batch.left |= batch.cells > MAX_ROW_CELLS


def _keep_extras(batch: Batch, rows: Rows, name: str, place: Found) -> None:
    documents, starts, kinds = (vector.tolist() for vector in (rows.document, place.start, place.kind))
    for row, text in texts_of(batch, rows, place, place.kind > 0):
        path = rows.prefix(row) + name
        batch.extras.append((documents[row], starts[row], path, text, bson.TYPE_NAMES[kinds[row]]))
