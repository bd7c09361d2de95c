"""Which columns pyarrow's CSV parser might misread in a block: the block's bytes tell, before it sees them.

Knows what the parser takes that is no value, or is another. Does not know what is done with the columns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from tideline.refine.csv_scan import has_pair, places_of_pair
from tideline.refine.csv_values import converter
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from tideline.catalog.model import Column, CsvDialect
    from tideline.refine.csv_layout import Layout
    from tideline.refine.csv_scan import Bytes, Positions

_MOST_SCALE = 38
"""For how many digits after the point the parser has powers of ten. Beyond, it takes what lies in memory
behind them: `1e-41` became 0, and `1e-2147483647` ended the process."""
_HEAD_BYTES = 80
"""How much of a number is looked at before its exponent; a longer one is taken for a number."""
_NINE = 9
_HEXADECIMAL_EXPONENT = re.compile(rb"[eE]\+?0[xX]")


class Misread:
    """What to look for in the blocks of one object.

    Args:
        layout: Which field is which column.
        dialect: How the object is written.
    """

    def __init__(self, layout: Layout, dialect: CsvDialect) -> None:
        self._quote = dialect.quote.encode()
        self._quoted_nulls = _quoted_nulls(layout, dialect)
        self._integers = _of_types(layout, "int64")
        self._decimals = _of_types(layout, "numeric", "bignumeric")
        self._far_exponent = FarExponent(dialect)

    def columns(self, data: bytes) -> set[int]:
        """The columns that the parser must not type in these records, by their numbers in the layout."""
        found: set[int] = set()
        if self._quoted_nulls and self._quote in data:
            found |= self._quoted_nulls
        if (self._integers or self._decimals) and _has_hexadecimal(data):
            found |= self._integers
            found |= self._decimals if _HEXADECIMAL_EXPONENT.search(data) else set()
        if self._decimals and (_has_two_signs(data) or self._far_exponent.is_in(data)):
            found |= self._decimals
        return found


class FarExponent:
    """Looks for numbers with more digits after the point than the parser can tell, their exponent applied.

    Args:
        dialect: How fields are separated and quoted.
    """

    def __init__(self, dialect: CsvDialect) -> None:
        edge = rf"[^0-9A-Za-z.+-]|{re.escape(dialect.delimiter)}|{re.escape(dialect.quote)}".encode()
        self._head = re.compile(rb"(?:^|" + edge + rb")[+-]?[0-9]*$")
        self._tail = re.compile(rb"(?<=[0-9.])[eE]-0*([0-9]+)(?=$|" + edge + rb")")

    def is_in(self, data: bytes) -> bool:
        """Whether there is one; all texts that look like one count, in whatever column they are."""
        return any(self._is_at(place, data) for place in _perhaps_far(data))

    def _is_at(self, place: int, data: bytes) -> bool:
        tail = self._tail.match(data, place)
        if tail is None:
            return False
        head = data[max(0, place - _HEAD_BYTES) : place]
        whole, point, fraction = head.rpartition(b".")
        if not (point and (fraction.isdigit() or not fraction)):
            whole, fraction = head, b""
        if int(tail[1][:_HEAD_BYTES]) + len(fraction) <= _MOST_SCALE:
            return False
        return any(self._head.search(number) for number in (whole, head))


def _perhaps_far(data: bytes) -> list[int]:
    """Where exponents are that might be too far: those that certainly are near are left out, all at once."""
    places = np.concatenate([places_of_pair(letter, ord("-"), data) for letter in b"eE"])
    view = np.frombuffer(data, np.uint8)
    places = places[_digits(view, places + 2) <= _NINE]
    if not len(places):
        return []
    exponents, more = np.zeros(len(places), np.int64), np.ones(len(places), np.bool_)
    for ahead in range(2, 6):
        digits = _digits(view, places + ahead)
        more &= digits <= _NINE
        exponents = np.where(more, exponents * 10 + digits, exponents)
    exponents[more] = _MOST_SCALE + 1
    fractions, more = np.zeros(len(places), np.int64), np.ones(len(places), np.bool_)
    for back in range(1, _MOST_SCALE + 1):
        more &= _digits(view, places - back) <= _NINE
        if not more.any():
            break
        fractions += more
    far: list[int] = places[exponents + fractions > _MOST_SCALE].tolist()
    return far


def _digits(view: Bytes, places: Positions) -> Bytes:
    """The digits there, above 9 for none; beyond the ends there is what is at them."""
    return view[np.clip(places, 0, len(view) - 1)] - np.uint8(ord("0"))


def _of_types(layout: Layout, *types: str) -> set[int]:
    return {index for index, slot in enumerate(layout.slots) if slot.column.type in types}


def _quoted_nulls(layout: Layout, dialect: CsvDialect) -> set[int]:
    """The columns in which the parser would take a quoted text that means NULL as a value.

    It knows one rule for all columns; with `strings_can_be_null` that is the one for strings.
    """
    if not dialect.strings_can_be_null:
        return set()
    return {
        index
        for index, slot in enumerate(layout.slots)
        if slot.column.type != "string" and any(_is_value(slot.column, text) for text in dialect.null_values)
    }


def _is_value(column: Column, text: str) -> bool:
    try:
        converter(column)(text)
    except ConformError:
        return False
    return True


def _has_two_signs(data: bytes) -> bool:
    """`1e+-2` is a decimal for the parser."""
    return ord("+") in data and has_pair(ord("+"), ord("-"), data)


def _has_hexadecimal(data: bytes) -> bool:
    """`0x1F` is an integer for the parser, and `1e0x2` a decimal."""
    return any(has_pair(ord("0"), letter, data) for letter in b"xX")
