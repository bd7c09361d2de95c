"""What each JSON value becomes in each column type. Knows single values; knows no rows.

Numbers come as they are written (`json_text.Integer`, `json_text.Real`): nothing is lost on the way to a
decimal. What each pair of types becomes is the table `tests/cases/decoding.json`.
"""

from __future__ import annotations

from base64 import b64decode
from math import isfinite
from typing import TYPE_CHECKING

from tideline.refine.decimals import unscaled_text
from tideline.refine.fields import ConformError, shorten
from tideline.refine.instants import DAY_MICROSECONDS, microseconds
from tideline.refine.json_text import Constant, Duplicated, Integer, Real

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import Column

    Reader = Callable[[object], object]
    """A value that is not null → what the column stores."""

_INT64 = range(-(2**63), 2**63)
_EXACT_INTEGER, _EXACT_DIGITS = 2**53, 16
_LONGEST_INT64 = 20


def type_name(value: object) -> str:
    """What JSON calls it."""
    if isinstance(value, Integer | Real | Constant):
        return "number"
    return _TYPE_NAMES.get(type(value), "value")


_TYPE_NAMES: dict[type, str] = {
    dict: "object",
    Duplicated: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    type(None): "null",
}


def mismatch(value: object, expected: str) -> ConformError:
    """The refusal of a value of another type."""
    if isinstance(value, Constant):
        return ConformError("bad_json", f"{value} is not JSON")
    found = type_name(value)
    text = f" {shorten(value)}" if isinstance(value, Integer | Real) else ""
    return ConformError("type_mismatch", f"{found}{text}, expected {expected}")


def utf8(text: str) -> bytes:
    """Its UTF-8.

    Raises:
        ConformError: `bad_utf8`: it holds half of a surrogate pair, or bytes that were not UTF-8 in the body.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ConformError("bad_utf8", f"U+{ord(text[error.start]):04X} at character {error.start}") from None


def reader_of(column: Column) -> Reader:
    """What reads one value of a scalar column that is not json."""
    if column.type in ("numeric", "bignumeric"):
        return _decimal_reader(*column.decimal)
    return _whole_number if column.integral_doubles else _READERS[column.type]


def _text(value: object, expected: str) -> str:
    if type(value) is not str:
        raise mismatch(value, expected)
    return value


def _string(value: object) -> bytes:
    return utf8(_text(value, "string"))


def _int64(value: object) -> int:
    if not isinstance(value, Integer):
        raise mismatch(value, "int64")
    if len(value) > _LONGEST_INT64 or int(value) not in _INT64:
        raise ConformError("out_of_range", f"{shorten(value)} is outside int64")
    return int(value)


def _whole_number(value: object) -> int:
    if not isinstance(value, Real):
        return _int64(value)
    try:
        number = unscaled_text(value, _EXACT_DIGITS, 0)
    except ConformError:
        number = _EXACT_INTEGER + 1
    if abs(number) > _EXACT_INTEGER:
        raise ConformError("not_integral", str(value))
    return number


def _float64(value: object) -> float:
    if not isinstance(value, Integer | Real):
        raise mismatch(value, "float64")
    number = float(value)
    if not isfinite(number):
        raise ConformError("out_of_range", f"{shorten(value)} is outside float64")
    return number


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise mismatch(value, "bool")
    return value


def _bytes(value: object) -> bytes:
    try:
        return b64decode(_text(value, "bytes as base64 text"), validate=True)
    except ValueError as error:
        raise ConformError("bad_base64", str(error)) from None


def _timestamp(value: object) -> int:
    return microseconds(_text(value, "timestamp as text"), "bad_timestamp")


def _date(value: object) -> int:
    text = _text(value, "date as text")
    days, rest = divmod(microseconds(text, "bad_date"), DAY_MICROSECONDS)
    if rest:
        raise ConformError("bad_date", f"{shorten(text)} is not midnight UTC")
    return days


def _decimal_reader(precision: int, scale: int) -> Reader:
    def read(value: object) -> int:
        if not isinstance(value, str) or isinstance(value, Constant):
            raise mismatch(value, f"numeric({precision}, {scale})")
        return unscaled_text(value, precision, scale)

    return read


_READERS: dict[str, Reader] = {
    "string": _string,
    "int64": _int64,
    "float64": _float64,
    "bool": _bool,
    "date": _date,
    "timestamp": _timestamp,
    "bytes": _bytes,
}
