"""Any BSON value as the text of relaxed Extended JSON, compact and not escaped to ASCII.

The text is what `bson.json_util.dumps(value, json_options=RELAXED_JSON_OPTIONS, ensure_ascii=False,
separators=(",", ":"))` prints, read straight from the bytes: duplicate keys inside are kept, and the types
that pymongo turns into others when it decodes (undefined, symbol, dbPointer) are written as the
specification says:
https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from json.encoder import encode_basestring as quote
from math import isfinite
from typing import TYPE_CHECKING

from tideline.refine import bson_format as bson
from tideline.refine.bson_values import LAST_MILLISECOND
from tideline.refine.fields import MAX_ROW_TEXT, ConformError, check_depth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Writer = Callable[[bytes, int, int, int], tuple[str, int]]

__all__ = ["decimal128_text", "quote", "value_text"]

_LEAST_PLAIN = -6
"""Smaller powers of ten are written with an exponent."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""Without a zone, which would be printed."""


def value_text(kind: int, data: bytes, start: int, end: int, depth: int) -> tuple[str, int]:
    """The JSON text of the value of BSON type `kind` at `start`, and where the value ends.

    Args:
        kind: The type byte.
        data: The document.
        start: Where the value begins.
        end: Where what holds the value ends.
        depth: How deep a document would be nested if it stood here; 1 directly inside a record.

    Raises:
        ConformError: The bytes are not such a value, or it nests deeper than `MAX_DEPTH`.
    """
    return _WRITERS[kind](data, start, end, depth)


def decimal128_text(negative: bool, coefficient: int | None, exponent: int) -> str:
    """The text that `str(Decimal128)` gives: plain between 1E-6 and its digits, scientific elsewhere."""
    if coefficient is None:
        return "NaN" if exponent == 0 else "-Infinity" if negative else "Infinity"
    digits = str(coefficient)
    adjusted = exponent + len(digits) - 1
    if exponent <= 0 and adjusted >= _LEAST_PLAIN:
        digits = digits.rjust(1 - exponent, "0")
        point = len(digits) + exponent
        body = f"{digits[:point]}.{digits[point:]}" if exponent else digits
    else:
        body = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
        body += f"E{adjusted:+d}"
    return f"-{body}" if negative else body


def _document(data: bytes, start: int, end: int, depth: int) -> tuple[str, int]:
    check_depth(depth)
    position, inner, after = bson.read_frame(data, start, end)
    if inner - position > _LONG_BYTES:
        return "{" + _gathered(_members(data, position, inner, depth)) + "}", after
    return "{" + ",".join(_members(data, position, inner, depth)) + "}", after


def _members(data: bytes, position: int, inner: int, depth: int) -> Iterator[str]:
    while position < inner:
        write = _WRITERS[data[position]]
        key, position = bson.read_key(data, position + 1, inner)
        head = _short_key(key) if len(key) <= _SHORT_KEY else _key(key)
        text, position = write(data, position, inner, depth + 1)
        yield head + text


def _key(raw: bytes) -> str:
    return quote(bson.text_of(raw)) + ":"


_SHORT_KEY = 64
_short_key = lru_cache(maxsize=4096)(_key)


def _array(data: bytes, start: int, end: int, depth: int) -> tuple[str, int]:
    check_depth(depth)
    position, inner, after = bson.read_frame(data, start, end)
    if inner - position > _LONG_BYTES:
        return "[" + _gathered(_items(data, position, inner, depth)) + "]", after
    return "[" + ",".join(_items(data, position, inner, depth)) + "]", after


def _items(data: bytes, position: int, inner: int, depth: int) -> Iterator[str]:
    while position < inner:
        write = _WRITERS[data[position]]
        _, position = bson.read_key(data, position + 1, inner)
        text, position = write(data, position, inner, depth + 1)
        yield text


_LONG_BYTES = 1 << 20


def _gathered(texts: Iterator[str]) -> str:
    """What is long is joined piece by piece, and no further than a row may grow.

    Two bytes of BSON can ask for 19 of text; and millions of short texts take five times their length.
    """
    pieces, size = [], 0
    while piece := ",".join(islice(texts, _PIECE)):
        size += len(piece) + 1
        if size > MAX_ROW_TEXT:
            raise ConformError("too_large", f"more than {MAX_ROW_TEXT} characters of JSON text")
        pieces.append(piece)
    return ",".join(pieces)


_PIECE = 4096


def _double(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    number, after = bson.read_double(data, start, end)
    if isfinite(number):
        return repr(number), after
    name = "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"  # noqa: PLR0124
    return f'{{"$numberDouble":"{name}"}}', after


def _string(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    text, after = bson.read_string(data, start, end)
    return quote(text), after


def _binary(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    subtype, content, after = bson.read_binary(data, start, end)
    return f'{{"$binary":{{"base64":"{b64encode(content).decode()}","subType":"{subtype:02x}"}}}}', after


def _object_id(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    digits, after = bson.read_object_id(data, start, end)
    return f'{{"$oid":"{digits.decode()}"}}', after


def _bool(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    flag, after = bson.read_bool(data, start, end)
    return ("true" if flag else "false"), after


def _date(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    milliseconds, after = bson.read_int64(data, start, end)
    if not 0 <= milliseconds <= LAST_MILLISECOND:
        return f'{{"$date":{{"$numberLong":"{milliseconds}"}}}}', after
    instant = _EPOCH + timedelta(milliseconds=milliseconds)
    text = instant.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    return f'{{"$date":"{text}Z"}}', after


def _regex(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    pattern, position = bson.read_name(data, start, end)
    options, after = bson.read_name(data, position, end)
    return f'{{"$regularExpression":{{"pattern":{quote(pattern)},"options":{quote(options)}}}}}', after


def _db_pointer(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    namespace, position = _string(data, start, end, 0)
    identity, after = _object_id(data, position, end, 0)
    return f'{{"$dbPointer":{{"$ref":{namespace},"$id":{identity}}}}}', after


def _code(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    text, after = _string(data, start, end, 0)
    return f'{{"$code":{text}}}', after


def _symbol(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    text, after = _string(data, start, end, 0)
    return f'{{"$symbol":{text}}}', after


def _code_with_scope(data: bytes, start: int, end: int, depth: int) -> tuple[str, int]:
    length, position = bson.read_int32(data, start, end)
    after = start + length
    if length < _SMALLEST_CODE_WITH_SCOPE:
        raise ConformError("bad_length", f"code with scope of {length} bytes")
    if after > end:
        raise bson.short(start, end, length)
    code, position = _string(data, position, after, 0)
    scope, position = _document(data, position, after, depth)
    if position != after:
        raise ConformError("bad_length", "code with scope: its lengths disagree")
    return f'{{"$code":{code},"$scope":{scope}}}', after


_SMALLEST_CODE_WITH_SCOPE = 14


def _integer(read: bson.Reader) -> Writer:
    def write(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
        number, after = read(data, start, end)
        return str(number), after

    return write


def _timestamp(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    (seconds, increment), after = bson.read_timestamp(data, start, end)
    return f'{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}', after


def _decimal128(data: bytes, start: int, end: int, _: int) -> tuple[str, int]:
    parts, after = bson.read_decimal128(data, start, end)
    return f'{{"$numberDecimal":"{decimal128_text(*parts)}"}}', after


def _constant(text: str) -> Writer:
    return lambda _data, start, _end, _depth: (text, start)


class _Writers(dict[int, "Writer"]):
    """Writers by type byte; a byte that is no type is refused."""

    def __missing__(self, kind: int) -> Writer:
        raise ConformError("bad_type", f"type byte {kind}")


_WRITERS = _Writers(
    {
        bson.DOUBLE: _double,
        bson.STRING: _string,
        bson.DOCUMENT: _document,
        bson.ARRAY: _array,
        bson.BINARY: _binary,
        bson.UNDEFINED: _constant('{"$undefined":true}'),
        bson.OBJECT_ID: _object_id,
        bson.BOOL: _bool,
        bson.DATE: _date,
        bson.NULL: _constant("null"),
        bson.REGEX: _regex,
        bson.DB_POINTER: _db_pointer,
        bson.CODE: _code,
        bson.SYMBOL: _symbol,
        bson.CODE_WITH_SCOPE: _code_with_scope,
        bson.INT32: _integer(bson.read_int32),
        bson.TIMESTAMP: _timestamp,
        bson.INT64: _integer(bson.read_int64),
        bson.DECIMAL128: _decimal128,
        bson.MAX_KEY: _constant('{"$maxKey":1}'),
        bson.MIN_KEY: _constant('{"$minKey":1}'),
    }
)
