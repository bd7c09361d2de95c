"""The BSON format: types, frames and single values, read strictly.

Every length, terminator and UTF-8 sequence is checked, nothing is guessed. A reader takes the document, the
value's start and the end of what holds it, and gives the value and where it ends; it raises `ConformError` if
there is no such value. Knows https://bsonspec.org/spec.html. Does not know columns.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any

from tideline.refine.fields import ConformError

Reader = Callable[[bytes, int, int], tuple[Any, int]]
"""(document, start, end of what holds the value) → (value, end of the value)."""

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL, DATE, NULL = range(1, 11)
REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = range(11, 20)
MAX_KEY, MIN_KEY = 127, 255

TYPE_NAMES = {
    DOUBLE: "double",
    STRING: "string",
    DOCUMENT: "document",
    ARRAY: "array",
    BINARY: "binary",
    UNDEFINED: "undefined",
    OBJECT_ID: "objectId",
    BOOL: "bool",
    DATE: "date",
    NULL: "null",
    REGEX: "regex",
    DB_POINTER: "dbPointer",
    CODE: "javascript",
    SYMBOL: "symbol",
    CODE_WITH_SCOPE: "javascriptWithScope",
    INT32: "int32",
    TIMESTAMP: "timestamp",
    INT64: "int64",
    DECIMAL128: "decimal128",
    MAX_KEY: "maxKey",
    MIN_KEY: "minKey",
}
"""All types of the specification; any other code is `bad_type`."""

SMALLEST_DOCUMENT = 5
MAX_DOCUMENT_BYTES = 48 << 20
"""Thrice what MongoDB stores; a larger length is damage, not a document."""
OLD_BINARY = 2
_LENGTH_BYTES = 4
_TOO_LONG, _INFINITE = 0b11000, 0b11110
"""Combination fields of decimal128 from which on it is not canonical, or not finite."""

int32_at = Struct("<i").unpack_from
int64_at = Struct("<q").unpack_from
double_at = Struct("<d").unpack_from
words_at = Struct("<QQ").unpack_from
counts_at = Struct("<II").unpack_from


def short(start: int, end: int, size: int) -> ConformError:
    """`truncated`: a value of `size` bytes does not fit between `start` and `end`."""
    return ConformError("truncated", f"{size} bytes expected, {max(end - start, 0)} there")


def text_of(raw: bytes) -> str:
    """Strict UTF-8.

    Raises:
        ConformError: `bad_utf8`.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _bad_utf8(error) from None


def _bad_utf8(error: UnicodeDecodeError) -> ConformError:
    return ConformError("bad_utf8", f"{error.reason} at byte {error.start}")


def read_frame(data: bytes, start: int, end: int) -> tuple[int, int, int]:
    """A document or array at `start` → first byte of its elements, their end, and the end of the frame."""
    if start + 4 > end:
        raise short(start, end, 4)
    length = int32_at(data, start)[0]
    after = start + length
    if length < SMALLEST_DOCUMENT:
        raise ConformError("bad_length", f"a document of {length} bytes")
    if after > end:
        raise short(start, end, length)
    if data[after - 1]:
        raise ConformError("bad_terminator", "a document does not end in a zero byte")
    return start + 4, after - 1, after


def read_key(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The zero-terminated bytes at `start`, and what follows them."""
    stop = data.find(0, start, end)
    if stop < 0:
        raise ConformError("truncated", "a name does not end")
    return data[start:stop], stop + 1


def read_name(data: bytes, start: int, end: int) -> tuple[str, int]:
    """The same as text."""
    raw, after = read_key(data, start, end)
    return text_of(raw), after


def read_string(data: bytes, start: int, end: int) -> tuple[str, int]:
    """A length, UTF-8, and a zero byte; zero bytes inside are legal."""
    first = start + 4
    if first > end:
        raise short(start, end, 4)
    length = int32_at(data, start)[0]
    after = first + length
    if length < 1:
        raise ConformError("bad_length", f"a string of {length} bytes")
    if after > end:
        raise short(first, end, length)
    if data[after - 1]:
        raise ConformError("bad_terminator", "a string does not end in a zero byte")
    try:
        return data[first : after - 1].decode(), after
    except UnicodeDecodeError as error:
        raise _bad_utf8(error) from None


def read_text(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The same, as the UTF-8 that it is."""
    text, after = read_string(data, start, end)
    return text.encode(), after


def read_binary(data: bytes, start: int, end: int) -> tuple[int, bytes, int]:
    """(subtype, content, end). The old subtype 2 has a second length inside, which must agree."""
    first = start + 5
    if first > end:
        raise short(start, end, 5)
    length = int32_at(data, start)[0]
    subtype, after = data[start + 4], first + length
    if length < 0:
        raise ConformError("bad_length", f"{length} bytes of binary")
    if after > end:
        raise short(first, end, length)
    if subtype == OLD_BINARY:
        if length < _LENGTH_BYTES or int32_at(data, first)[0] != length - _LENGTH_BYTES:
            raise ConformError("bad_length", "binary of subtype 2: its two lengths disagree")
        first += _LENGTH_BYTES
    return subtype, data[first:after], after


def read_object_id(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """24 hexadecimal digits."""
    after = start + 12
    if after > end:
        raise short(start, end, 12)
    return data[start:after].hex().encode(), after


def read_bool(data: bytes, start: int, end: int) -> tuple[bool, int]:
    """One byte, 0 or 1."""
    if start >= end:
        raise short(start, end, 1)
    if data[start] > 1:
        raise ConformError("bad_bool", f"byte {data[start]}")
    return data[start] == 1, start + 1


def read_int32(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Four bytes, signed."""
    if start + 4 > end:
        raise short(start, end, 4)
    return int32_at(data, start)[0], start + 4


def read_int64(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Eight bytes, signed; also the milliseconds of a date."""
    if start + 8 > end:
        raise short(start, end, 8)
    return int64_at(data, start)[0], start + 8


def read_double(data: bytes, start: int, end: int) -> tuple[float, int]:
    """Eight bytes, IEEE 754; NaN and infinities included."""
    if start + 8 > end:
        raise short(start, end, 8)
    return double_at(data, start)[0], start + 8


def read_timestamp(data: bytes, start: int, end: int) -> tuple[tuple[int, int], int]:
    """(seconds, increment) of MongoDB's internal timestamp."""
    if start + 8 > end:
        raise short(start, end, 8)
    increment, seconds = counts_at(data, start)
    return (seconds, increment), start + 8


def read_decimal128(data: bytes, start: int, end: int) -> tuple[tuple[bool, int | None, int], int]:
    """(negative, coefficient, exponent); NaN has no coefficient and exponent 0, an infinity none and 1.

    IEEE 754-2008 in its binary integer encoding; there, more than 34 digits of coefficient mean zero.
    """
    after = start + 16
    if after > end:
        raise short(start, end, 16)
    low, high = words_at(data, start)
    negative, combination = bool(high >> 63), high >> 58 & 0b11111
    if combination >= _INFINITE:
        return (negative, None, 1 if combination == _INFINITE else 0), after
    if combination >= _TOO_LONG:
        return (negative, 0, (high >> 47 & 0x3FFF) - 6176), after
    coefficient = (high & (1 << 49) - 1) << 64 | low
    exponent = (high >> 49 & 0x3FFF) - 6176
    return (negative, coefficient if coefficient < 10**34 else 0, exponent), after
