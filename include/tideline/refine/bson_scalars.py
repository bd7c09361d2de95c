"""Scalar values that a sweep found → Arrow arrays, a whole column at a time.

Accepts what `bson_values` accepts, or less: a document with a value that is not plainly convertible is left
to the walker. Strings are not touched in Python: Arrow copies them out of the documents' bytes and checks
their UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tideline.refine import arrays
from tideline.refine import bson_format as bson
from tideline.refine.bson_texts import texts_of
from tideline.refine.bson_values import (
    DAY_MILLISECONDS,
    EXACT_INTEGER,
    FIRST_MILLISECOND,
    LAST_MILLISECOND,
    readers_of,
)
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.refine.arrays import Flags, Vector
    from tideline.refine.bson_vectors import Batch, Found, Rows
    from tideline.refine.fields import Field

_HEXADECIMAL = np.frombuffer(bytes(range(256)).hex().encode(), "<u2")


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one field in all rows, none of them converted yet."""

    batch: Batch
    rows: Rows
    member: Field
    place: Found
    present: Flags
    """Which are neither missing nor null."""
    path: Callable[[int], str]
    """Source path of the value in row i."""

    def leave(self, which: Flags) -> None:
        """Leave the documents of these rows to the walker."""
        if which.any():
            self.batch.leave(self.rows, np.flatnonzero(which))


def _json(values: Values) -> pa.Array:
    contents: list[bytes | None] = [None] * len(values.present)
    for row, text in texts_of(values.batch, values.rows, values.place, values.present):
        contents[row] = text.encode()
    return arrays.variable(values.member.item_type, contents)


def _int64(values: Values) -> pa.Array:
    kind, start = values.place.kind, values.place.start
    number = values.batch.words[start].view(np.int64)
    if (kind == bson.INT32).any():
        number = np.where(kind == bson.INT32, values.batch.ints[start], number)
    double = kind == bson.DOUBLE
    if double.any():
        real = np.where(double, values.batch.words[start].view(np.float64), 0.0)
        with np.errstate(invalid="ignore"):  # a signaling NaN would warn
            whole = (np.abs(real) <= EXACT_INTEGER) & (real == np.floor(real))
        values.leave(double & ~whole)
        number = np.where(double, np.where(whole, real, 0.0).astype(np.int64), number)
    return arrays.fixed(values.member.item_type, number, values.present)


def _float64(values: Values) -> pa.Array:
    kind, start = values.place.kind, values.place.start
    number = values.batch.words[start].view(np.float64)
    if (kind == bson.INT32).any():
        number = np.where(kind == bson.INT32, values.batch.ints[start], number)
    long = kind == bson.INT64
    if long.any():
        integer = values.batch.words[start].view(np.int64)
        values.leave(long & ((integer > EXACT_INTEGER) | (integer < -EXACT_INTEGER)))
        number = np.where(long, integer, number)
    return arrays.fixed(values.member.item_type, number.astype(np.float64), values.present)


def _bool(values: Values) -> pa.Array:
    octet = values.batch.octets[values.place.start]
    values.leave(values.present & (octet > 1))
    return arrays.booleans(octet == 1, values.present)


def _milliseconds(values: Values) -> Vector:
    number = values.batch.words[values.place.start].view(np.int64)
    in_range = (number >= FIRST_MILLISECOND) & (number <= LAST_MILLISECOND)
    values.leave(values.present & ~in_range)
    return np.where(in_range, number, 0)


def _timestamp(values: Values) -> pa.Array:
    return arrays.fixed(values.member.item_type, _milliseconds(values) * 1000, values.present)


def _date(values: Values) -> pa.Array:
    days, rest = np.divmod(_milliseconds(values), DAY_MILLISECONDS)
    values.leave(values.present & (rest != 0))
    return arrays.fixed(values.member.item_type, days.astype(np.int32), values.present)


def _bytes(values: Values) -> pa.Array:
    place, present = values.place, values.present
    values.leave(present & (values.batch.octets[place.start + 4] != 0))
    start = np.where(present, place.start + 5, place.start)
    return _slices(values, start, np.where(present, place.stop, place.start), present)


def _string(values: Values) -> pa.Array:
    identity = values.place.kind == bson.OBJECT_ID
    if not identity.any():
        return _text(values, values.present)
    digits = _object_id(values, identity)
    if identity.all():
        return digits
    text = _text(values, values.present & ~identity)
    chosen = np.arange(len(identity)) + np.where(identity, len(identity), 0)
    return pa.concat_arrays([text, digits]).take(arrays.fixed(pa.int64(), chosen, None))


def _object_id(values: Values, which: Flags) -> pa.Array:
    octets = values.batch.octets[values.place.start[which][:, None] + np.arange(12)]
    digits = pa.py_buffer(_HEXADECIMAL[octets])
    buffers = [arrays.validity(which), arrays.offsets(24 * which), digits]
    return pa.Array.from_buffers(pa.string(), len(which), buffers)


def _text(values: Values, which: Flags) -> pa.Array:
    place = values.place
    start = np.where(which, place.start + 4, place.start)
    stop = np.where(which, place.stop - 1, place.start)
    values.leave(which & (values.batch.octets[stop] != 0))
    raw = _slices(values, start, stop, which)
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return _valid_text(values, raw)


def _valid_text(values: Values, raw: pa.Array) -> pa.Array:
    """The texts that are UTF-8; the documents of the others are left to the walker."""
    contents = raw.to_pylist()
    for row, content in enumerate(contents):
        try:
            (content or b"").decode()
        except UnicodeDecodeError:
            contents[row] = None
            values.batch.leave(values.rows, np.array([row]))
    return arrays.variable(pa.string(), contents)


def _slices(values: Values, start: Vector, stop: Vector, valid: Flags) -> pa.Array:
    """The bytes from start to stop of each row, as an array of binary.

    The documents' bytes are taken as one binary array of values and what lies between them; Arrow copies
    every second item. Needs the rows in the order of their bytes, which they are.
    """
    rows = len(start)
    bounds = np.empty(2 * rows + 1, np.int32)
    bounds[0:-1:2], bounds[1::2], bounds[-1] = start, stop, stop[-1] if rows else 0
    between = [None, pa.py_buffer(bounds), pa.py_buffer(values.batch.data)]
    whole = pa.Array.from_buffers(pa.binary(), 2 * rows, between)
    chosen = whole.take(arrays.fixed(pa.int32(), np.arange(0, 2 * rows, 2, dtype=np.int32), None))
    return pa.Array.from_buffers(pa.binary(), rows, [arrays.validity(valid), *chosen.buffers()[1:]])


def _decimal(values: Values) -> pa.Array:
    number, plain = _plain_decimals(values)
    kind = values.member.item_type
    words = np.empty((len(number), kind.byte_width // 8), "<i8")
    words[:, 0], words[:, 1:] = number, (number >> 63)[:, None]
    readers = readers_of(values.member.column)
    for row in np.flatnonzero(values.present & ~plain).tolist():
        reader, start = readers[int(values.place.kind[row])], int(values.place.start[row])
        try:
            unscaled, _ = reader(values.batch.data, start, start + 16)
        except ConformError:
            values.batch.leave(values.rows, np.array([row]))
            unscaled = 0
        words[row] = np.frombuffer(unscaled.to_bytes(kind.byte_width, "little", signed=True), "<i8")
    return arrays.fixed(kind, words, values.present)


def _plain_decimals(values: Values) -> tuple[Vector, Flags]:
    """Unscaled values, and which of them are sure: coefficient and result within 64 bits, exact, in range.

    NaN, infinities and forms that are not canonical read as exponents beyond 6000, and so are never sure.
    """
    precision, scale = values.member.column.decimal
    low = values.batch.words[values.place.start]
    high = values.batch.words[values.place.start + 8]
    decimal = values.place.kind == bson.DECIMAL128
    if not decimal.all():
        integer = low.view(np.int64)
        integer = np.where(values.place.kind == bson.INT32, values.batch.ints[values.place.start], integer)
        low = np.where(decimal, low, np.abs(integer).view(np.uint64))
        high = np.where(decimal, high, _ONE | np.where(integer < 0, _SIGN, _NOTHING))
    shift = (high >> np.uint64(49) & np.uint64(0x3FFF)).astype(np.int64) + (scale - 6176)
    power = _POWERS[np.clip(np.abs(shift), 0, _LAST_POWER)]
    quotient, rest = np.divmod(low, np.where(shift < 0, power, np.uint64(1)))
    power = np.where(shift < 0, np.uint64(1), power)
    limit = np.uint64(min(10**precision - 1, np.iinfo(np.int64).max))
    plain = (high & _HIGH_COEFFICIENT == 0) & (np.abs(shift) <= _LAST_POWER)
    plain &= (rest == 0) & (quotient <= limit // power)
    number = (quotient * power).view(np.int64)
    return np.where(high & _SIGN, -number, number), plain


_LAST_POWER = 18
_POWERS = 10 ** np.arange(_LAST_POWER + 1, dtype=np.uint64)
_NOTHING, _ONE = np.uint64(0), np.uint64(6176 << 49)
_SIGN, _HIGH_COEFFICIENT = np.uint64(1 << 63), np.uint64((1 << 49) - 1)

CONVERTERS: dict[str, Callable[[Values], pa.Array]] = {
    "string": _string,
    "int64": _int64,
    "float64": _float64,
    "numeric": _decimal,
    "bignumeric": _decimal,
    "bool": _bool,
    "date": _date,
    "timestamp": _timestamp,
    "bytes": _bytes,
    "json": _json,
}
