"""Which columns pyarrow's CSV parser might misread in a block: the block's bytes tell, before it sees them.

Knows what the parser takes that is no value, or is another. Does not know what is done with the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.refine.csv_scan import has_pair
from tideline.refine.csv_values import converter
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from tideline.catalog.model import Column, CsvDialect
    from tideline.refine.csv_layout import Layout


class Misread:
    """What to look for in the blocks of one object.

    Args:
        layout: Which field is which column.
        dialect: How the object is written.
    """

    def __init__(self, layout: Layout, dialect: CsvDialect) -> None:
        self._quote = dialect.quote.encode()
        self._quoted_nulls = _quoted_nulls(layout, dialect)
        self._integers = {index for index, slot in enumerate(layout.slots) if slot.column.type == "int64"}

    def columns(self, data: bytes) -> set[int]:
        """The columns that the parser must not type in these records, by their numbers in the layout."""
        found: set[int] = set()
        if self._quoted_nulls and self._quote in data:
            found |= self._quoted_nulls
        if self._integers and _has_hexadecimal(data):
            found |= self._integers
        return found


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


def _has_hexadecimal(data: bytes) -> bool:
    return any(has_pair(ord("0"), letter, data) for letter in b"xX")
