"""What each BSON type becomes in each scalar column type.

The table `tests/cases/decoding.json` says the same by example. Knows single values. Does not know rows or
records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.refine import bson_format as bson
from tideline.refine.decimals import unscaled
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from tideline.catalog.model import Column
    from tideline.refine.bson_format import Reader

FIRST_MILLISECOND = -62_135_596_800_000
LAST_MILLISECOND = 253_402_300_799_999
"""0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what BigQuery and Python can hold."""
DAY_MILLISECONDS = 86_400_000
EXACT_INTEGER = 2**53
"""Up to here, every integer is a double of its own."""


def _whole_double(data: bytes, start: int, end: int) -> tuple[int, int]:
    number, after = bson.read_double(data, start, end)
    if not (abs(number) <= EXACT_INTEGER and number == int(number)):
        raise ConformError("not_integral", repr(number))
    return int(number), after


def _float_of_int32(data: bytes, start: int, end: int) -> tuple[float, int]:
    number, after = bson.read_int32(data, start, end)
    return float(number), after


def _float_of_int64(data: bytes, start: int, end: int) -> tuple[float, int]:
    number, after = bson.read_int64(data, start, end)
    if int(float(number)) != number:
        raise ConformError("inexact", f"{number} is not a double")
    return float(number), after


def _microseconds(data: bytes, start: int, end: int) -> tuple[int, int]:
    milliseconds, after = bson.read_int64(data, start, end)
    if not FIRST_MILLISECOND <= milliseconds <= LAST_MILLISECOND:
        raise ConformError("out_of_range", f"{milliseconds} ms is outside the years 1 to 9999")
    return milliseconds * 1000, after


def _days(data: bytes, start: int, end: int) -> tuple[int, int]:
    microseconds, after = _microseconds(data, start, end)
    days, rest = divmod(microseconds, DAY_MILLISECONDS * 1000)
    if rest:
        raise ConformError("bad_date", f"{rest // 1000} ms after midnight UTC")
    return days, after


def _bytes(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    subtype, content, after = bson.read_binary(data, start, end)
    if subtype not in (0, bson.OLD_BINARY):
        raise ConformError("binary_subtype", f"subtype {subtype}")
    return content, after


_READERS: dict[str, dict[int, Reader]] = {
    "string": {bson.STRING: bson.read_text, bson.OBJECT_ID: bson.read_object_id},
    "int64": {bson.INT32: bson.read_int32, bson.INT64: bson.read_int64},
    "float64": {bson.DOUBLE: bson.read_double, bson.INT32: _float_of_int32, bson.INT64: _float_of_int64},
    "bool": {bson.BOOL: bson.read_bool},
    "date": {bson.DATE: _days},
    "timestamp": {bson.DATE: _microseconds},
    "bytes": {bson.BINARY: _bytes},
}


def readers_of(column: Column) -> dict[int, Reader]:
    """BSON type → reader, for a scalar column that is not json. Null and undefined are the caller's."""
    if column.type in ("numeric", "bignumeric"):
        return _decimal_readers(*column.decimal)
    readers = _READERS[column.type]
    return {**readers, bson.DOUBLE: _whole_double} if column.integral_doubles else readers


def _decimal_readers(precision: int, scale: int) -> dict[int, Reader]:
    def of_decimal128(data: bytes, start: int, end: int) -> tuple[int, int]:
        (negative, coefficient, exponent), after = bson.read_decimal128(data, start, end)
        if coefficient is None:
            raise ConformError("not_finite", "an infinity" if exponent else "NaN")
        return unscaled(negative, coefficient, exponent, precision, scale), after

    def of_integer(reader: Reader) -> Reader:
        def read(data: bytes, start: int, end: int) -> tuple[int, int]:
            number, after = reader(data, start, end)
            return unscaled(number < 0, abs(number), 0, precision, scale), after

        return read

    return {
        bson.DECIMAL128: of_decimal128,
        bson.INT32: of_integer(bson.read_int32),
        bson.INT64: of_integer(bson.read_int64),
    }
