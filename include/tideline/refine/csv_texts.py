"""A column of texts → typed, vector by vector: for columns that the CSV parser cannot type by itself.

Takes a text only where it is certain that `tideline.refine.csv_values` would, and as the same value; all
others are for that module to decide, one by one. A pattern here may be narrower than the definition, never
wider.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.refine import arrays
from tideline.refine.contract import arrow_type
from tideline.refine.csv_values import BLANKS, FALSE, TRUE, converter
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tideline.catalog.model import Column

_DAY = (
    r"[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_CLOCK = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6}0*)?)?)?"
_ZONE = r" ?(?:Z|UTC|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?)"
_ZONED = rf"^{_DAY}[T ]{_CLOCK}{_ZONE}$"
_HAS_ZONE = re.compile(rf"[T ]{_CLOCK}{_ZONE}[ \t]*$")
_PLAIN = {
    "int64": r"^-?[0-9]{1,18}$",
    "timestamp": rf"^{_DAY}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,6}})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$",
}
"""The spellings of a type that Arrow casts as they are, where these are not all that are certain."""
_FEW = 8
"""Where at most one in so many values needs more than a cast, only these get more."""
_FLOAT = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?$"


def texts(values: Iterable[str]) -> pa.Array:
    """An array of strings, without the pandas import that `pa.array` brings."""
    return arrays.variable(pa.string(), [value.encode() for value in values])


def spellings(words: Iterable[str]) -> list[str]:
    """The words in every mixture of upper and lower case."""
    return sorted(
        {"".join(mixed) for word in words for mixed in product(*zip(word, word.upper(), strict=True))}
    )


_TRUE_WORDS = texts(TRUE)
_EMPTY = texts([""])
_FALSE = arrays.booleans(np.zeros(1, np.bool_), None)[0]
_NO_TEXT = _EMPTY[0]
_AT_MIDNIGHT, _IN_UTC = texts(["T00:00Z"])[0], texts(["Z"])[0]


def has_zone(text: str) -> bool:
    """Whether a timestamp's text ends with an offset."""
    return _HAS_ZONE.search(text) is not None


def typed(column: Column, values: pa.Array, nulls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The column's values, NULL where not certain, and which rows are not certain.

    Args:
        column: What they are declared as; any type but string.
        values: The fields' texts.
        nulls: The texts that mean NULL.
    """
    if column.type in ("json", "bytes"):
        return _carefully(column, values, nulls)
    pattern = _PLAIN.get(column.type) or _pattern(column)
    plain = pc.fill_null(pc.match_substring_regex(values, pattern=pattern), _FALSE)
    others = pc.invert(plain)
    if (
        others.true_count * _FEW > len(values)
        or pc.any(pc.match_substring_regex(nulls, pattern=pattern)).as_py()
    ):
        return _carefully(column, values, nulls)
    known = (
        values
        if plain.true_count == len(values)
        else pc.if_else(plain, values, pa.nulls(len(values), pa.string()))
    )
    result = known.cast(arrow_type(column)) if column.type in _PLAIN else _cast(column, known)
    if not others.true_count:
        return result, others
    rest, doubt = _carefully(column, values.filter(others), nulls)
    return pc.replace_with_mask(result, others, rest), pc.replace_with_mask(others, others, doubt)


def _carefully(column: Column, values: pa.Array, nulls: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The same for values of any spelling: blanks around them, texts that mean NULL, offsets of all kinds."""
    trimmed = pc.utf8_trim(values, characters=BLANKS)
    absent = pc.or_(pc.is_in(values, value_set=nulls), pc.is_in(trimmed, value_set=_EMPTY))
    absent = pc.or_(absent, pc.is_null(values))
    present = pc.if_else(absent, pa.nulls(len(values), pa.string()), trimmed)
    if column.type in ("json", "bytes"):
        return _one_by_one(column, pc.if_else(absent, pa.nulls(len(values), pa.string()), values))
    certain = pc.match_substring_regex(present, pattern=_pattern(column))
    sure = pc.if_else(certain, present, pa.nulls(len(values), pa.string()))
    result = _cast(column, sure)
    return result, pc.and_not(pc.is_valid(present), pc.is_valid(result))


def _pattern(column: Column) -> str:
    if column.type in ("numeric", "bignumeric"):
        precision, scale = column.decimal
        whole = precision - scale
        fraction = rf"(?:\.[0-9]{{0,{scale}}}0{{0,9}})?" if scale else r"(?:\.0{0,9})?"
        return rf"^[+-]?[0-9]{{1,{whole}}}{fraction}$" if whole else rf"^[+-]?0?\.[0-9]{{1,{scale}}}0{{0,9}}$"
    if column.type == "int64" and column.integral_doubles:
        return r"^[+-]?[0-9]{1,18}(?:\.0*)?$"
    return _PATTERNS[column.type]


_PATTERNS = {
    "int64": r"^[+-]?[0-9]{1,18}$",
    "float64": _FLOAT,
    "bool": rf"^(?i:{'|'.join((*TRUE, *FALSE))})$",
    "date": rf"^{_DAY}$",
    "timestamp": rf"^{_DAY}(?:[T ]{_CLOCK}(?:{_ZONE})?)?$",
}


def _cast(column: Column, sure: pa.Array) -> pa.Array:
    if column.type == "bool":
        words = pc.is_in(pc.ascii_lower(sure), value_set=_TRUE_WORDS)
        return pc.if_else(pc.is_valid(sure), words, pa.nulls(len(sure), pa.bool_()))
    if column.type == "int64":
        sure = pc.replace_substring_regex(sure, pattern=r"^\+|\.0*$", replacement="")
    if column.type == "timestamp":
        sure = _spelled(sure)
    return sure.cast(arrow_type(column))


def _spelled(sure: pa.Array) -> pa.Array:
    """Timestamps as Arrow takes them: no more than six digits of a second, and an offset without a space."""
    has_zone = pc.match_substring_regex(sure, pattern=_ZONED)
    is_day = pc.match_substring_regex(sure, pattern=rf"^{_DAY}$")
    ending = pc.if_else(has_zone, _NO_TEXT, pc.if_else(is_day, _AT_MIDNIGHT, _IN_UTC))
    short = _replaced(sure, ".", r"(\.[0-9]{6})0+", r"\1")
    utc = _replaced(short, "UTC", r" ?UTC$", "Z")
    close = _replaced(utc, " ", r" (Z|[+-][0-9:]+)$", r"\1")
    return pc.binary_join_element_wise(close, ending, _NO_TEXT)


def _replaced(values: pa.Array, needle: str, pattern: str, replacement: str) -> pa.Array:
    """Replace where the pattern matches; it cannot without the needle, which is looked for much faster."""
    if not pc.any(pc.match_substring(values, pattern=needle)).as_py():
        return values
    return pc.replace_substring_regex(values, pattern=pattern, replacement=replacement)


def _one_by_one(column: Column, present: pa.Array) -> tuple[pa.Array, pa.Array]:
    """For types that only Python reads."""
    convert = converter(column)
    contents: list[bytes | None] = []
    uncertain = np.zeros(len(present), np.bool_)
    for row, value in enumerate(present.to_pylist()):
        try:
            contents.append(None if value is None else convert(value))
        except ConformError:
            contents.append(None)
            uncertain[row] = True
    return arrays.variable(arrow_type(column), contents), arrays.booleans(uncertain, None)
