"""What a CSV text becomes in each column type: the one definition of accepted values.

| column | accepted; spaces and tabs around it do not count | refused as |
|---|---|---|
| int64 | `[+-]?digits` within 64 bits; `5.0` if `integral_doubles` | out_of_range, not_integral, bad_number |
| float64 | `[+-]?` digits, point, exponent; too small becomes 0 | not_finite, out_of_range, bad_number |
| numeric, bignumeric | the same, exactly; surplus zeros do not count | decimal_scale, decimal_overflow, … |
| bool | true/false, t/f, yes/no, y/n, 1/0 in any case | bad_bool |
| date | `YYYY-MM-DD` | bad_date, out_of_range |
| timestamp | see below | bad_timestamp, out_of_range, inexact |
| json | a JSON text, kept as it is | bad_json, too_deep |
| bytes | base64 with padding | bad_base64 |
| string | anything, kept as it is | |

A timestamp is a date, alone or with `T` or a space and `hh[:mm[:ss[.fraction]]]`, then `Z`, `UTC` or
`±hh[[:]mm]`; without an offset it is UTC, and a fraction has at most six digits that are not trailing zeros.

In all columns but string, a text of the dialect's `null_values`, or with nothing but spaces and tabs, quoted
or not, is NULL. In string columns only an unquoted one of `null_values`, with `strings_can_be_null`.
Knows texts and what Arrow stores. Does not know records, quotes or files.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from tideline.refine.contract import DAY_MICROSECONDS
from tideline.refine.decimals import unscaled_text
from tideline.refine.fields import MAX_DEPTH, ConformError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import Column

BLANKS = " \t"
TRUE = ("true", "t", "yes", "y", "1")
FALSE = ("false", "f", "no", "n", "0")

_EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY = date.min.toordinal() - _EPOCH
LAST_DAY = date.max.toordinal() - _EPOCH
FIRST_INSTANT = FIRST_DAY * DAY_MICROSECONDS
LAST_INSTANT = (LAST_DAY + 1) * DAY_MICROSECONDS - 1

_INTEGER = re.compile(r"([+-]?)([0-9]+)(\.0*)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_DATE = re.compile(r"([+-]?[0-9]{4,})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(
    r"(?P<date>[+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2})"
    r"(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?)?"
    r" ?(?P<zone>Z|UTC|(?P<sign>[+-])(?P<zone_hour>[0-9]{2})(?::?(?P<zone_minute>[0-9]{2}))?)?)?"
)
_INT64_DIGITS = 19
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def converter(column: Column) -> Callable[[str], Any]:
    """The function that makes of a text what `tideline.refine.arrays` takes for that column.

    It raises `ConformError` with the reason where the text does not conform.
    """
    if column.type in ("numeric", "bignumeric"):
        precision, scale = column.decimal
        return partial(_decimal, precision=precision, scale=scale)
    if column.type == "int64":
        return partial(_int64, allow_point=column.integral_doubles)
    return _PLAIN[column.type]


def _string(text: str) -> bytes:
    return text.encode()


def _int64(text: str, *, allow_point: bool) -> int:
    match = _INTEGER.fullmatch(text.strip(BLANKS))
    if match is None or (match[3] and not allow_point):
        number = _NUMBER.fullmatch(text.strip(BLANKS))
        raise ConformError("not_integral" if number else "bad_number", _shown(text))
    digits = match[2].lstrip("0") or "0"
    value = int(digits) if len(digits) <= _INT64_DIGITS else 1 << 64
    value = -value if match[1] == "-" else value
    if not -(1 << 63) <= value < 1 << 63:
        raise ConformError("out_of_range", _shown(text))
    return value


def _float64(text: str) -> float:
    _check_number(text)
    value = float(text)
    if math.isinf(value):
        raise ConformError("out_of_range", _shown(text))
    return value


def _decimal(text: str, *, precision: int, scale: int) -> int:
    _check_number(text)
    return unscaled_text(text.strip(BLANKS), precision, scale)


def _check_number(text: str) -> None:
    if _NUMBER.fullmatch(text.strip(BLANKS)) is None:
        special = _NOT_FINITE.fullmatch(text.strip(BLANKS))
        raise ConformError("not_finite" if special else "bad_number", _shown(text))


def _bool(text: str) -> bool:
    word = text.strip(BLANKS).lower()
    if word not in TRUE and word not in FALSE:
        raise ConformError("bad_bool", _shown(text))
    return word in TRUE


def _date(text: str) -> int:
    match = _DATE.fullmatch(text.strip(BLANKS))
    if match is None:
        raise ConformError("bad_date", _shown(text))
    return _days(match, "bad_date")


def _days(match: re.Match[str], reason: str) -> int:
    if len(match[1]) != 4 or match[1] == "0000":  # noqa: PLR2004 - a year from 0001 to 9999 has four digits
        raise ConformError("out_of_range", _shown(match[0]))
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH
    except ValueError as error:
        raise ConformError(reason, f"{_shown(match[0])}: {error}") from None


def _timestamp(text: str) -> int:
    match = _TIMESTAMP.fullmatch(text.strip(BLANKS))
    day = _DATE.fullmatch(match["date"]) if match else None
    if match is None or day is None:
        raise ConformError("bad_timestamp", _shown(text))
    hour, minute, second, away, away_minute = (
        int(match[name] or 0) for name in ("hour", "minute", "second", "zone_hour", "zone_minute")
    )
    if hour > 23 or minute > 59 or second > 59 or away > 23 or away_minute > 59:  # noqa: PLR2004 - a clock
        raise ConformError("bad_timestamp", _shown(text))
    offset = (away * 60 + away_minute) * (-60 if match["sign"] == "-" else 60)
    seconds = (hour * 60 + minute) * 60 + second - offset
    instant = _days(day, "bad_timestamp") * DAY_MICROSECONDS + seconds * 1_000_000 + _fraction(match, text)
    if not FIRST_INSTANT <= instant <= LAST_INSTANT:
        raise ConformError("out_of_range", _shown(text))
    return instant


def _fraction(match: re.Match[str], text: str) -> int:
    digits = (match["fraction"] or "").rstrip("0")
    if len(digits) > 6:  # noqa: PLR2004 - microseconds
        raise ConformError("inexact", f"{_shown(text)} is finer than a microsecond")
    return int(digits.ljust(6, "0"))


def _json(text: str) -> bytes:
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        if _LONE_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ConformError("too_deep", _shown(text)) from None
    except ValueError as error:
        raise ConformError("bad_json", f"{_shown(text)}: {error}"[:200]) from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise ConformError("too_deep", _shown(text))
    return text.encode()


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [item for outer in level if isinstance(outer, list | dict) for item in _items(outer)]:
        depth += 1
    return depth


def _items(outer: list[Any] | dict[str, Any]) -> list[Any]:
    return outer if isinstance(outer, list) else list(outer.values())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is beyond a double")
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text.strip(BLANKS), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConformError("bad_base64", f"{_shown(text)}: {error}") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 - short enough for a log line


_PLAIN: dict[str, Callable[[str], Any]] = {
    "string": _string,
    "json": _json,
    "float64": _float64,
    "bool": _bool,
    "date": _date,
    "timestamp": _timestamp,
    "bytes": _bytes,
}
