"""The single values of a declaration: names, flags, numbers, durations, and what to write instead.

Knows patterns and their wording. Does not know which key takes which value (`tideline.catalog.model`).
"""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = r"^[a-z][a-z0-9_]{0,62}$"
COLUMN_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,299}$"
CONNECTION_ID = r"^[A-Za-z0-9_.-]{1,200}$"
DATABASE_NAME = r'^[^/\\. "$*<>:|?\x00-\x1f]{1,63}$'
COLLECTION_NAME = r"^[^$\x00-\x1f]{1,255}$"
BUCKET_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]$"
PREFIX = r"^([^/\x00-\x1f][^\x00-\x1f]*)?$"
SUFFIX = r"^(\.[^\s/]+)?$"
HTTP_PATH = r"^/([^\s?#/][^\s?#]*)?$"
PARAMETER = r"^[^\s=&?#]+$"
CSV_CHARACTER = r"^[\x01-\x09\x0b\x0c\x0e-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]$"
DURATION = r"^[0-9]{1,6} *[smhd]$"
SIZE = r"^[0-9]{1,6} *[KMGT]B$"

ADVICE = {
    NAME: "write lower-case letters, digits and _ only, beginning with a letter, at most 63 characters",
    COLUMN_NAME: "write letters, digits and _ only, beginning with a letter or _, at most 300 characters; "
    "the name that the source uses goes into `field`",
    CONNECTION_ID: "write the id of an Airflow connection (letters, digits, _ . -), as tideline_mongodb; "
    "addresses and passwords belong into that connection",
    DATABASE_NAME: 'write the database name alone: up to 63 characters, no / \\ . " $ * < > : | ? or space',
    COLLECTION_NAME: "write the collection's name alone: 1 to 255 characters, no $",
    BUCKET_NAME: "write the bucket's name alone, without s3:// and without a path: 3 to 222 letters, "
    "digits and . _ -, beginning and ending with a letter or digit",
    PREFIX: "write the beginning of the objects' keys, such as products/; keys do not begin with /",
    SUFFIX: "write the end of the objects' names with its dot, such as .csv or .csv.gz",
    HTTP_PATH: "write the path alone, such as /users; the host belongs into the connection, "
    "what follows a ? into `parameters`",
    PARAMETER: "write the name of a query parameter, such as page",
    CSV_CHARACTER: "write one ASCII character that is no letter, digit or line break, in double quotes: "
    '"," ";" "|" or "\\t" for a tab',
}
"""For each pattern, what to write instead."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
"""Sources and datasets: they become folder names, table names and Airflow task ids."""
ColumnName = Annotated[str, StringConstraints(pattern=COLUMN_NAME)]
ConnectionId = Annotated[str, StringConstraints(pattern=CONNECTION_ID)]
DatabaseName = Annotated[str, StringConstraints(pattern=DATABASE_NAME)]
CollectionName = Annotated[str, StringConstraints(pattern=COLLECTION_NAME)]
BucketName = Annotated[str, StringConstraints(pattern=BUCKET_NAME)]
Prefix = Annotated[str, StringConstraints(pattern=PREFIX)]
Suffix = Annotated[str, StringConstraints(pattern=SUFFIX)]
HttpPath = Annotated[str, StringConstraints(pattern=HTTP_PATH)]
Parameter = Annotated[str, StringConstraints(pattern=PARAMETER)]
CsvCharacter = Annotated[str, StringConstraints(pattern=CSV_CHARACTER)]


class Plain(str):
    """A text that a file gives without quotes: what it means is for the key to say.

    So a country code `no`, a version `1.10` or a date stay texts where a text is wanted, and `no` is false
    where a flag is.
    """

    __slots__ = ()


_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SIZES = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SHOWN = 80
"""Characters of a value, and words of a list, that a message shows: what fits on a line or two."""
_LONGEST = timedelta(days=366)


def _flag(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value.lower() in _FLAGS:
        return _FLAGS[value.lower()]
    raise ValueError("write true or false, without quotes")


def whole(value: object) -> object:
    """A whole number, also an unquoted text that spells one.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Plain) and _WHOLE.fullmatch(value):
        return int(value)
    raise ValueError("write a whole number, without quotes or leading zeros")


def _number(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, Plain) and _NUMBER.fullmatch(value):
        return float(value)
    raise ValueError("write a number from 0 to 1, such as 0.05, without quotes")


def _duration(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(DURATION, value):
        value = timedelta(**{_UNITS[value[-1]]: int(value[:-1])})
    if isinstance(value, timedelta) and timedelta(0) <= value <= _LONGEST:
        return value
    raise ValueError("write a duration of at most 366d as 90s, 90m, 2h or 1d")


def _size(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(SIZE, value):
        value = int(value[:-2]) * _SIZES[value[-2]]
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("write a size above 0 as 500MB or 2GB")


Flag = Annotated[bool, BeforeValidator(_flag)]
Whole = Annotated[int, BeforeValidator(whole)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_number)]
ByteSize = Annotated[
    int, BeforeValidator(_size), WithJsonSchema({"type": "string", "pattern": SIZE, "examples": ["1GB"]})
]
"""Bytes; units are decimal."""
Duration = Annotated[
    timedelta, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION})
]


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """The one of the allowed that was probably meant, if any is near."""
    by_lower = {word.lower(): word for word in allowed}
    near = get_close_matches(found.lower()[:_SHOWN], by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(found: str, allowed: Iterable[str]) -> str:
    """` (did you mean x?)` where one of the allowed is near, else nothing."""
    near = nearest(found, allowed)
    return f" (did you mean {near}?)" if near else ""


def listed(words: Iterable[str]) -> str:
    """The words with commas, cut where they are many."""
    every = [*words]
    return ", ".join(every[:_SHOWN]) + (", …" if len(every) > _SHOWN else "")


def shown(value: object) -> str:
    """A value as a message shows it: short, on one line, without the credentials of an address."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return f"a mapping ({short(', '.join(map(str, value)))})" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, str) and not isinstance(value, Plain):
        return f'"{short(value)}"'
    return short(str(value))


def short(text: str, most: int = _SHOWN) -> str:
    """A text on one line: cut, unprintable characters escaped, credentials of addresses masked."""
    masked = re.sub(r"://[^/\s]*@", "://***@", text)
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in masked[:most])
    return printable if len(masked) <= most else f"{printable}…"
