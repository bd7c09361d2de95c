"""What a decoder needs of a declaration: the tree of fields, and how a value says that it does not fit.

Knows the catalog. Knows no source format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tideline.refine.contract import arrow_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from tideline.catalog.model import Column, Dataset

MAX_DEPTH = 128
"""Documents and arrays nested deeper inside a record than this are refused. MongoDB itself stops at 100."""
MAX_ROW_CELLS = 1_000_000
"""Array items of one row times the columns of an item: 16 MB of empty documents could ask for gigabytes."""
MAX_ROW_TEXT = 50_000_000
"""Characters of JSON text that one row may grow to; two bytes of BSON can ask for 19 of them."""
_SHORT = 300


def shorten(text: str) -> str:
    """What fits a log line; names and values from outside may be megabytes."""
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


class ConformError(Exception):
    """A value that cannot conform: the reason (of the closed set), what was found, and where.

    The path is filled from the inside out, while the error travels through the records that hold the value.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = shorten(detail)
        self._segments: list[str] = []

    def within(self, segment: str | int) -> ConformError:
        """The same error, one level further out: a column's name, or an index of an array."""
        self._segments.append(f"[{segment}]" if isinstance(segment, int) else f".{segment}")
        return self

    @property
    def column(self) -> str:
        """`status_history[2].status`; empty for the record as a whole."""
        return shorten("".join(reversed(self._segments)).removeprefix("."))


def check_depth(depth: int) -> None:
    """Check how deep a document or array is nested in its record.

    Raises:
        ConformError: `too_deep`.
    """
    if depth > MAX_DEPTH:
        raise ConformError("too_deep", f"more than {MAX_DEPTH} levels")


@dataclass(frozen=True, slots=True)
class Field:
    """One declared column as a decoder sees it."""

    index: int
    """Its place among its siblings."""
    column: Column
    required: bool
    """A row without it is refused: a key, or declared not nullable."""
    record: Record | None
    """The fields inside, if it is a record."""

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name

    @property
    def item_type(self) -> pa.DataType:
        """The Arrow type of one item."""
        kind = arrow_type(self.column)
        return kind.value_type if self.column.repeated else kind

    @property
    def cells(self) -> int:
        """How many values one item of it takes in the columns of a batch."""
        return self.record.cells if self.record else 1

    @property
    def expected(self) -> str:
        """What it takes, for a reject's detail: `array of int64`, `numeric(12, 2)`."""
        column = self.column
        precise = column.type in ("numeric", "bignumeric")
        kind = f"{column.type}{column.decimal}" if precise else column.type
        return f"array of {kind}" if column.repeated else kind


@dataclass(frozen=True, slots=True)
class Record:
    """The declared fields of a row or of a record inside it."""

    fields: tuple[Field, ...]
    by_source: dict[str, Field] = field(repr=False)
    """Name at the source → field."""
    required: tuple[int, ...]
    repeated: tuple[int, ...]

    @property
    def cells(self) -> int:
        """How many values one of it takes, arrays counted as one."""
        return sum(1 if member.column.repeated else member.cells for member in self.fields)

    def complete(self, values: list[Any], seen: Sequence[int]) -> None:
        """Check that what is required is there, and turn missing arrays into empty ones.

        Args:
            values: One per field; None where it is missing or null. Changed in place.
            seen: Per field, whether the source has it at all.

        Raises:
            ConformError: `missing_required` or `null_required`.
        """
        for index in self.required:
            if values[index] is None:
                reason = "null_required" if seen[index] else "missing_required"
                member = self.fields[index]
                raise ConformError(reason, f"expected {member.expected}").within(member.name)
        for index in self.repeated:
            if values[index] is None:
                values[index] = []


def record_of(dataset: Dataset) -> Record:
    """The tree of a dataset's columns; its key columns are required."""
    return _record(dataset.columns, frozenset(dataset.key))


def _record(columns: Sequence[Column], keys: frozenset[str] = frozenset()) -> Record:
    fields = tuple(
        Field(
            index,
            column,
            required=not column.nullable or column.name in keys,
            record=_record(column.columns) if column.columns else None,
        )
        for index, column in enumerate(columns)
    )
    return Record(
        fields,
        by_source={member.column.field: member for member in fields},
        required=tuple(member.index for member in fields if member.required),
        repeated=tuple(member.index for member in fields if member.column.repeated),
    )
