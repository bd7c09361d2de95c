"""Stretches of clean CSV → typed Arrow columns, with pyarrow's parser wherever it is as strict as we are.

Where it is looser, its result is checked (values out of range), columns are read as texts
(`tideline.refine.csv_misread`), or its input must not come here (stray quotes, NUL: see
`tideline.refine.csv_decode`). Where it is stricter, or a value is bad, the column is read as texts for some
blocks. Rows in doubt are marked, for `tideline.refine.csv_exact` to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from tideline.refine.contract import arrow_type
from tideline.refine.csv_bounds import Bounds
from tideline.refine.csv_habits import Habits
from tideline.refine.csv_misread import Misread
from tideline.refine.csv_texts import has_zone, spellings, texts, typed
from tideline.refine.csv_values import FALSE, TRUE

if TYPE_CHECKING:
    from tideline.catalog.model import Column, CsvDialect
    from tideline.refine.csv_layout import Layout, Slot

    _Slots = frozenset[int]

_FAILED_COLUMN = re.compile(r"In CSV column #(\d+)")
_DECIMAL128_DIGITS = 38
_MOST_OPTIONS = 8
"""How many sets of options are kept: making them takes a twentieth of the time that a block takes."""
_PARSED = {"string", "int64", "float64", "bool", "date", "timestamp"}
_READ_AS_ANOTHER = {"timestamp", "numeric", "bignumeric"}
"""Types of which the parser gets another one, whose values are stored alike."""
_MOST_BESIDE_FLAGS = 200
"""Fields of a record up to which the parser reads flags: it keeps their 70 spellings for each, 40 KB."""
_TRUE_SPELLINGS, _FALSE_SPELLINGS = spellings(TRUE), spellings(FALSE)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The records of a stretch that have the right number of fields, as columns."""

    columns: list[pa.Array]
    """Declared columns in catalog order, of their declared types."""
    extras: list[pa.Array]
    """Undeclared fields in file order, as strings."""
    doubtful: pa.Array | None
    """Which rows the columns may be wrong in; None for none."""
    skipped: list[int]
    """Records with a wrong number of fields, counted from 0; they are not among the rows."""
    rows: int


class ArrowReader:
    """Reads stretches of one object, in any number of threads, and remembers what the parser can do.

    Args:
        layout: Which field is which column.
        dialect: How the object is written.
    """

    def __init__(self, layout: Layout, dialect: CsvDialect) -> None:
        self._layout = layout
        self._dialect = dialect
        self._nulls = texts(dict.fromkeys(dialect.null_values))
        self._by_position = {slot.position: index for index, slot in enumerate(layout.slots)}
        self._misread = Misread(layout, dialect)
        self._bounds = [Bounds.of(slot.column) for slot in layout.slots]
        self._habits = Habits(i for i, slot in enumerate(layout.slots) if slot.column.type == "timestamp")
        flags = {i for i, slot in enumerate(layout.slots) if slot.column.type == "bool"}
        self._unparsed = {i for i, slot in enumerate(layout.slots) if not _is_parsed(slot.column)}
        self._unparsed |= flags if layout.width > _MOST_BESIDE_FLAGS else set()
        self._flags = flags - self._unparsed
        self._names = [str(position) for position in range(layout.width)]
        self._kept: dict[tuple[_Slots, _Slots, bool], csv.ConvertOptions] = {}

    def read(self, data: bytes, *, is_decodable: bool = False) -> Parsed:
        """Read whole records, in the object's own encoding.

        Args:
            data: The records.
            is_decodable: They are known to be in that encoding. Only then records with a wrong number of
                fields can be skipped: the parser shows them as texts.

        Raises:
            pyarrow.ArrowInvalid: There is such a record, or one that is not in the encoding.
        """
        if not data:
            return self._nothing()
        skipped: list[int] = []
        as_text = self._unparsed | self._habits.texts() | self._misread.columns(data)
        batch = self._parse(_ended(self._as_utf8(data)), as_text, skipped if is_decodable else None)
        self._habits.count_block()
        count = len(self._layout.slots)
        columns, doubts = [], []
        for index, (slot, values) in enumerate(zip(self._layout.slots, batch[:count], strict=True)):
            column, doubt = self._finish(index, slot, values, as_text=index in as_text)
            columns.append(column)
            doubts += doubt
        return Parsed(columns, batch[count:], _either(doubts), skipped, len(columns[0]))

    def _nothing(self) -> Parsed:
        columns = [pa.nulls(0, arrow_type(slot.column)) for slot in self._layout.slots]
        return Parsed(columns, [pa.nulls(0, pa.string()) for _ in self._layout.extras], None, [], 0)

    def _as_utf8(self, data: bytes) -> bytes:
        if self._dialect.encoding == "utf-8" or data.isascii():
            return data
        try:
            return data.decode(self._dialect.encoding).encode()
        except UnicodeDecodeError as error:
            raise pa.ArrowInvalid(str(error)) from None

    def _parse(self, data: bytes, as_text: set[int], skipped: list[int] | None) -> list[pa.Array]:
        """Declared columns, then extras; `as_text` grows by the columns that the parser refuses."""
        is_ascii = data.isascii()
        while True:
            try:
                table = csv.read_csv(
                    pa.py_buffer(data),
                    read_options=self._read_options(len(data)),
                    parse_options=self._parse_options(skipped),
                    convert_options=self._options(as_text, check_utf8=not is_ascii),
                )
            except pa.ArrowInvalid as error:
                index = self._refused_column(error)
                if index is None or index in as_text:
                    raise
                as_text |= self._habits.fail(index)
            else:
                return [_whole(column) for column in table.columns]

    def _refused_column(self, error: pa.ArrowInvalid) -> int | None:
        match = _FAILED_COLUMN.search(str(error))
        index = self._by_position.get(int(match[1])) if match else None
        return None if index is None or self._layout.slots[index].column.type == "string" else index

    def _read_options(self, size: int) -> csv.ReadOptions:
        return csv.ReadOptions(use_threads=False, block_size=max(size, 1), column_names=self._names)

    def _parse_options(self, skipped: list[int] | None) -> csv.ParseOptions:
        uneven: list[int] = [] if skipped is None else skipped
        uneven.clear()

        def skip(row: csv.InvalidRow) -> str:
            uneven.append(row.number - 1)
            return "skip"

        return csv.ParseOptions(
            delimiter=self._dialect.delimiter,
            quote_char=self._dialect.quote,
            newlines_in_values=True,
            invalid_row_handler=None if skipped is None else skip,
        )

    def _options(self, as_text: set[int], *, check_utf8: bool) -> csv.ConvertOptions:
        """What the parser is to make of each field; kept, since the next block needs the same."""
        key = (frozenset(as_text), self._habits.zoned, check_utf8)
        options = self._kept.get(key)
        if options is None:
            options = self._made_options(*key)
            self._kept = {**self._kept, key: options} if len(self._kept) < _MOST_OPTIONS else {key: options}
        return options

    def _made_options(self, as_text: _Slots, zoned: _Slots, check_utf8: bool) -> csv.ConvertOptions:
        nullable = self._dialect.strings_can_be_null
        has_flags = bool(self._flags - as_text)
        types = {
            str(slot.position): pa.string() if index in as_text else _parsed_type(slot.column, index in zoned)
            for index, slot in enumerate(self._layout.slots)
        }
        extra_types = {str(extra.position): pa.string() for extra in self._layout.extras}
        return csv.ConvertOptions(
            check_utf8=check_utf8,
            column_types={**types, **extra_types},
            include_columns=[*types, *extra_types],
            null_values=list(self._dialect.null_values) + ([] if nullable else [""]),
            true_values=_TRUE_SPELLINGS if has_flags else [],
            false_values=_FALSE_SPELLINGS if has_flags else [],
            strings_can_be_null=nullable,
            quoted_strings_can_be_null=not nullable,
        )

    def _finish(
        self, index: int, slot: Slot, values: pa.Array, *, as_text: bool
    ) -> tuple[pa.Array, list[pa.Array]]:
        """The column in its declared type, and which of its rows are in doubt."""
        doubts = []
        if as_text:
            if self._habits.is_unseen(index):
                self._look_at_zone(index, values)
            values, doubt = typed(slot.column, values, self._nulls)
            doubts.append(doubt)
        elif slot.column.type in _READ_AS_ANOTHER:
            values = values.view(arrow_type(slot.column))
        doubts += self._bounds[index].beyond(values)
        if slot.member.required and values.null_count:
            doubts.append(pc.is_null(values))
        return values, doubts

    def _look_at_zone(self, index: int, values: pa.Array) -> None:
        """Tell by the first of them whether the column's timestamps have offsets."""
        first = next(
            (text for text in values.to_pylist() if text and text not in self._dialect.null_values), None
        )
        if first is not None:
            self._habits.look(index, has_zone=has_zone(first))


def _ended(data: bytes) -> bytes:
    """Without a line end the parser takes an empty last field for a quoted one, if the field before it is."""
    return data if data.endswith((b"\n", b"\r")) else data + b"\n"


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """The parser makes one chunk of one block; `combine_chunks` would copy it."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_parsed(column: Column) -> bool:
    """Whether pyarrow's CSV parser knows the type; `5.0` as an integer it does not."""
    if column.type in ("numeric", "bignumeric"):
        return bool(pa.types.is_decimal128(arrow_type(column))) and _parsed_digits(column) > 0
    return column.type in _PARSED and not column.integral_doubles


def _parsed_type(column: Column, has_zone: bool) -> pa.DataType:
    if column.type in ("numeric", "bignumeric"):
        return pa.decimal128(_parsed_digits(column), column.decimal[1])
    naive = column.type == "timestamp" and not has_zone
    return pa.timestamp("us") if naive else arrow_type(column)


def _parsed_digits(column: Column) -> int:
    """How many digits of a decimal the parser may take; it refuses more, and the column is read as texts.

    It holds a text's own digits against the type before it appends zeros up to the scale, and does not see
    that 128 bits overflow then: more than 38 digits may come out as any other number.
    """
    precision, scale = column.decimal
    return min(precision, _DECIMAL128_DIGITS - scale)


def _either(doubts: list[pa.Array]) -> pa.Array | None:
    """Rows that are in doubt for any reason; None if there are none."""
    result = None
    for doubt in doubts:
        result = doubt if result is None else pc.or_(result, doubt)
    return result if result is not None and result.true_count else None
