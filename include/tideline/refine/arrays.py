"""Arrow arrays straight from buffers: from numpy vectors, and from Python values by declared type.

Exists because `pa.array` imports pandas whenever pandas is installed, even for a numpy vector: 1.3 s and 55
MB for every task. Knows Arrow's memory layout. Does not convert values: what comes in is what the column
stores.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tideline.refine.fields import Field, Record

    Vector = NDArray[Any]
    Flags = NDArray[np.bool_]

_VECTORS = {
    "int64": np.int64,
    "float64": np.float64,
    "timestamp": np.int64,
    "date": np.int32,
}


def bitmap(flags: Flags) -> pa.Buffer:
    """Flags as Arrow packs them."""
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def validity(valid: Flags | None) -> pa.Buffer | None:
    """The validity bitmap; None where everything is valid."""
    return None if valid is None or valid.all() else bitmap(valid)


def fixed(kind: pa.DataType, values: Vector, valid: Flags | None) -> pa.Array:
    """An array of a type of fixed width; `values` holds its bytes, one row each."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [validity(valid), buffer])


def booleans(values: Flags, valid: Flags | None) -> pa.Array:
    """An array of bool."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [validity(valid), bitmap(values)])


def variable(kind: pa.DataType, contents: Sequence[bytes | None]) -> pa.Array:
    """An array of string or binary; string contents must be UTF-8."""
    valid, parts = _without_nulls(contents, b"")
    buffers = [validity(valid), offsets(np.fromiter(map(len, parts), np.int64, len(parts)))]
    return pa.Array.from_buffers(kind, len(parts), [*buffers, pa.py_buffer(b"".join(parts))])


def offsets(lengths: Vector) -> pa.Buffer:
    """Arrow's 32-bit offsets of values of these lengths.

    Raises:
        OverflowError: They are longer than 2 GiB together; decoders keep batches far below.
    """
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{ends[-1]} bytes or items in one Arrow array; decode fewer records at a time")
    return pa.py_buffer(ends.astype(np.int32))


def lists(counts: Vector, items: pa.Array) -> pa.Array:
    """An array of lists, none of them null; `items` holds all items in order."""
    kind = pa.list_(items.type)
    return pa.Array.from_buffers(kind, len(counts), [None, offsets(counts)], children=[items])


def struct(kind: pa.DataType, children: list[pa.Array], rows: int, valid: Flags | None) -> pa.Array:
    """An array of records."""
    return pa.Array.from_buffers(kind, rows, [validity(valid)], children=children)


def integers(kind: pa.DataType, values: Sequence[int], valid: Flags | None) -> pa.Array:
    """An array of decimal128 or decimal256 from unscaled Python integers of any size."""
    width = kind.byte_width
    content = b"".join([value.to_bytes(width, "little", signed=True) for value in values])
    return pa.Array.from_buffers(kind, len(values), [validity(valid), pa.py_buffer(content)])


def record_arrays(record: Record, rows: Sequence[Sequence[Any]]) -> list[pa.Array]:
    """The arrays of the declared fields from decoded rows, each a sequence of one value per field.

    A value is None or: UTF-8 bytes (string, json), bytes, int (int64; unscaled decimals; days; microseconds),
    float, bool, such a sequence (record); in a repeated field a list of such, which is never None.
    """
    columns = zip(*rows, strict=True) if rows else ((),) * len(record.fields)
    return [_column_array(member, column) for member, column in zip(record.fields, columns, strict=True)]


def _column_array(member: Field, values: Sequence[Any]) -> pa.Array:
    if not member.column.repeated:
        return _item_array(member, values)
    counts = np.fromiter(map(len, values), np.int64, len(values))
    return lists(counts, _item_array(member, list(chain.from_iterable(values))))


def _item_array(member: Field, values: Sequence[Any]) -> pa.Array:
    kind, name = member.item_type, member.column.type
    if name in ("string", "json", "bytes"):
        return variable(kind, values)
    if member.record is not None:
        absent: list[Any] = [[] if child.column.repeated else None for child in member.record.fields]
        valid, rows = _without_nulls(values, absent)
        return struct(kind, record_arrays(member.record, rows), len(rows), valid)
    valid, known = _without_nulls(values, 0)
    if name in ("numeric", "bignumeric"):
        return integers(kind, known, valid)
    if name == "bool":
        return booleans(np.array(known, np.bool_), valid)
    return fixed(kind, np.array(known, _VECTORS[name]), valid)


def _without_nulls(values: Sequence[Any], instead: Any) -> tuple[Flags | None, Sequence[Any]]:  # noqa: ANN401
    """Which values are there (None: all), and the values with something in the place of nulls."""
    if None not in values:
        return None, values
    valid = np.array([value is not None for value in values], np.bool_)
    return valid, [instead if value is None else value for value in values]
