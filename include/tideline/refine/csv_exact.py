"""One CSV record's bytes → its values, or why they cannot conform: slow, and the definition of what is right.

A record is a sequence of fields between delimiters. A field that begins with the quote character ends at the
next quote character that is not doubled, and a delimiter or the record's end must follow; in any other field
a quote character is an error. Spaces around a quoted field are therefore an error too. Knows dialects and
layouts. Does not know where records begin and end (`tideline.refine.csv_frame`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tideline.refine.csv_values import BLANKS, converter
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from tideline.catalog.model import CsvDialect
    from tideline.refine.csv_layout import Layout

_SHOWN = 40


class Cell(NamedTuple):
    """One field of a record."""

    text: str
    quoted: bool


class ExactReader:
    """Reads records of one object, one by one.

    Args:
        layout: Which field is which column.
        dialect: How the object is written.
    """

    def __init__(self, layout: Layout, dialect: CsvDialect) -> None:
        self._layout = layout
        self._dialect = dialect
        self._converters = [converter(slot.column) for slot in layout.slots]
        self._nulls = frozenset(dialect.null_values)

    def row(self, raw: bytes) -> tuple[list[Any], bytes | None]:
        """The values of the declared columns as `tideline.refine.arrays` takes them, and the `_extra` text.

        Raises:
            ConformError: The record, or the value whose column is named, does not conform.
        """
        cells = split_record(raw, self._dialect)
        if len(cells) != self._layout.width:
            raise ConformError("field_count", f"{len(cells)} fields, expected {self._layout.width}")
        values = [self._value(index, cells[slot.position]) for index, slot in enumerate(self._layout.slots)]
        for member in self._layout.missing:
            values.insert(member.index, None)
        return values, self._extra(cells)

    def _value(self, index: int, cell: Cell) -> object:
        slot = self._layout.slots[index]
        if self._is_null(cell, is_string=slot.column.type == "string"):
            if slot.member.required:
                raise ConformError("null_required", f"found {cell.text!r}").within(slot.column.name)
            return None
        try:
            return self._converters[index](cell.text)
        except ConformError as error:
            raise error.within(slot.column.name) from None

    def _is_null(self, cell: Cell, *, is_string: bool) -> bool:
        if is_string:
            return self._dialect.strings_can_be_null and not cell.quoted and cell.text in self._nulls
        return cell.text in self._nulls or not cell.text.strip(BLANKS)

    def _extra(self, cells: list[Cell]) -> bytes | None:
        if not self._layout.extras:
            return None
        found = {
            extra.name: None if self._is_null(cell, is_string=True) else cell.text
            for extra, cell in ((extra, cells[extra.position]) for extra in self._layout.extras)
        }
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def split_record(raw: bytes, dialect: CsvDialect) -> list[Cell]:
    """The fields of a record without its line end.

    Raises:
        ConformError: `bad_utf8`, `stray_quote` or `unterminated_quote`.
    """
    try:
        text = raw.decode(dialect.encoding)
    except UnicodeDecodeError as error:
        detail = f"byte {raw[error.start]:#04x} at {error.start} of the record is not {dialect.encoding}"
        raise ConformError("bad_utf8", detail) from None
    if "\0" in text:
        detail = (
            f"a NUL at {text.index(chr(0))} of the record: the file is damaged, or not {dialect.encoding}"
        )
        raise ConformError("bad_utf8", detail)
    if dialect.quote not in text:
        return [Cell(field, quoted=False) for field in text.split(dialect.delimiter)]
    cells: list[Cell] = []
    position = -1
    while position < len(text):
        cell, position = _next_cell(text, position + 1, dialect)
        cells.append(cell)
    return cells


def _next_cell(text: str, start: int, dialect: CsvDialect) -> tuple[Cell, int]:
    """The field that begins at `start`, and where the delimiter or the end is that follows it."""
    if text.startswith(dialect.quote, start):
        end = _closing_quote(text, start, dialect.quote)
        if end + 1 < len(text) and text[end + 1] != dialect.delimiter:
            raise ConformError("stray_quote", f"before {text[end + 1 : end + 1 + _SHOWN]!r}")
        return Cell(text[start + 1 : end].replace(dialect.quote * 2, dialect.quote), quoted=True), end + 1
    end = text.find(dialect.delimiter, start)
    end = len(text) if end < 0 else end
    if dialect.quote in text[start:end]:
        raise ConformError("stray_quote", f"in {text[start : min(end, start + _SHOWN)]!r}")
    return Cell(text[start:end], quoted=False), end


def _closing_quote(text: str, start: int, quote: str) -> int:
    position = text.find(quote, start + 1)
    while position >= 0 and text.startswith(quote, position + 1):
        position = text.find(quote, position + 2)
    if position < 0:
        raise ConformError("unterminated_quote", f"opened before {text[start + 1 : start + 1 + _SHOWN]!r}")
    return position
