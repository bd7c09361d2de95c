"""Columns: a name in the warehouse, a field at the source, a type. Knows BigQuery's limits on them.

Does not know what a dataset does with a column (`tideline.catalog.model`), nor Arrow or warehouse types.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from tideline.catalog.scalars import ColumnName, Flag, Whole  # noqa: TC001  (pydantic reads them)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

METADATA_COLUMNS = (
    "_extracted_at",
    "_window_id",
    "_raw_uri",
    "_raw_position",
    "_row_hash",
    "_merged_at",
    "_deleted_at",
    "_superseded_at",
    "_extra",
)
"""The columns that Tideline adds to every raw table; complete, and the same on all of them."""

BESIDE_KEYS = (
    "_event",
    "_observed_at",
    "_changed_at",
    "_source",
    "_verdict",
    "_is_live",
    "_is_at_source",
)
"""What stands beside the columns of a key where rows are told by it alone: in evidence, and while source and
table are compared. Other columns may be called so."""

RESERVED_PREFIXES = (
    "_table_",
    "_file_",
    "_partition",
    "_row_timestamp",
    "__root__",
    "_colidentifier",
    "_change_sequence_number",
    "_change_type",
)
"""Column name prefixes that BigQuery refuses, in any case (its documentation on column names)."""

ALIASES = re.compile(r"_[lst]|_(item|offset)\d+", re.IGNORECASE)
"""What a merge calls its tables, a list's items and their places. Of a column and a table with one name
BigQuery takes the one here and the other there."""

TypeKind = Literal[
    "string",
    "int64",
    "float64",
    "numeric",
    "bignumeric",
    "bool",
    "date",
    "timestamp",
    "bytes",
    "json",
    "record",
]
TYPE = r"^(?P<kind>[a-z0-9]+)(?:\s*\(\s*(?P<precision>[0-9]{1,4})\s*(?:,\s*(?P<scale>[0-9]{1,4})\s*)?\))?$"
_TYPE = re.compile(TYPE)
_LIMITS = {"numeric": (29, 9, 38), "bignumeric": (38, 38, 76)}
"""Of BigQuery's decimals: digits before the point, digits after it, digits in all."""

KeyPath = tuple[str | int, ...]
Finding = tuple[KeyPath, str]
"""Where in a declaration, and what is wrong there."""


class MisdeclaredError(ValueError):
    """Keys of a declaration that do not go together.

    Args:
        findings: For each fault its place, relative to the declaration, and what to do.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {text}" for path, text in findings))


def refuse(findings: Iterable[Finding]) -> None:
    """Raise all findings together, if there are any."""
    if found := tuple(findings):
        raise MisdeclaredError(found)


class Declaration(BaseModel):
    """A frozen piece of the catalog; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Declaration):
    """One column: its name in the warehouse, its field at the source, its type.

    In YAML either the type alone (`amount: numeric(12, 2)`) or a mapping of these keys.
    """

    name: ColumnName
    field: Annotated[str, StringConstraints(min_length=1)] = Field(
        "", description="The field's name at the source; the column's name where it is not given."
    )
    type: TypeKind = Field(
        description="string, int64, float64, numeric(p, s), bignumeric(p, s), bool, date, timestamp, bytes, "
        "json or record.",
        examples=["string"],
    )
    precision: Whole | None = Field(None, description="Digits in all, of numeric and bignumeric.")
    scale: Whole | None = Field(None, description="Digits after the point, of numeric and bignumeric.")
    nullable: Flag = Field(
        True,
        description="Whether a row may lack it; a row that may not is quarantined. Keys never may.",
    )
    repeated: Flag = Field(False, description="An array of the type; a missing one is empty.")
    columns: tuple[Column, ...] = Field((), description="The columns of a record.")
    integral_doubles: Flag = Field(
        False, description="int64 only: accept a double that holds a whole number."
    )
    description: Annotated[str, StringConstraints(max_length=1024)] = Field(
        "", description="What an analyst reads in the warehouse."
    )

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, data: object) -> object:
        """`type: numeric(12, 2)` → type, precision, scale."""
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return data
        match = _TYPE.match(data["type"].strip().lower())
        if match is None or match["kind"] not in get_args(TypeKind):
            return data
        if match["precision"] is None:
            return {**data, "type": match["kind"]}
        return {
            **data,
            "type": match["kind"],
            "precision": int(match["precision"]),
            "scale": int(match["scale"] or 0),
        }

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        for prefix in RESERVED_PREFIXES:
            if name.lower().startswith(prefix):
                text = f"BigQuery reserves names that begin with {prefix}, in any case"
                raise ValueError(f"{text}: choose another name and add `field: {name}`")
        if ALIASES.fullmatch(name):
            text = "the statements that merge call a table so"
            raise ValueError(f"{text}: choose another name and add `field: {name}`")
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.field:
            object.__setattr__(self, "field", self.name)
        refuse(self._findings())
        if self.type in _LIMITS:
            _, scale, total = _LIMITS[self.type]
            object.__setattr__(self, "scale", scale if self.precision is None else self.scale or 0)
            object.__setattr__(self, "precision", self.precision or total)
        return self

    def _findings(self) -> Iterator[Finding]:
        yield from self._decimal_findings()
        yield from duplicates(self.columns)
        if self.type == "record" and not self.columns:
            yield ("columns",), "missing; a record needs `columns: {name: type, …}`, or declare it json"
        if self.type != "record" and self.columns:
            yield ("type",), f"found {self.type} with `columns`; write record, or remove the columns"
        if self.integral_doubles and self.type != "int64":
            yield ("integral_doubles",), f"belongs to int64, and this is {self.type}; remove it"
        if self.repeated and not self.nullable:
            yield ("nullable",), "an array is never NULL, a missing one is empty; remove `nullable`"

    def _decimal_findings(self) -> Iterator[Finding]:
        if self.precision is None and self.scale is None:
            return
        found = f"{self.type}({self.precision}{f', {self.scale}' if self.scale else ''})"
        if self.type not in _LIMITS:
            yield ("type",), f"found {found}; {self.type} takes no digits: write {self.type}"
            return
        whole, most, total = _LIMITS[self.type]
        digits, places = self.precision or 0, self.scale or 0
        if not (0 <= places <= most and max(1, places) <= digits <= min(total, places + whole)):
            yield (
                ("type",),
                f"found {found}; needs s from 0 to {most} and p from max(1, s) to s + {whole}",
            )

    @property
    def decimal(self) -> tuple[int, int]:
        """(precision, scale) of a numeric or bignumeric column.

        Raises:
            TypeError: It is neither.
        """
        if self.precision is None or self.scale is None:
            raise TypeError(f"{self.name} is {self.type}, not a decimal")
        return self.precision, self.scale

    def required(self) -> Column:
        """The same column, NOT NULL."""
        return self.model_copy(update={"nullable": False})

    @property
    def depth(self) -> int:
        """How many levels of records it has; 0 for a plain column."""
        return 1 + max(column.depth for column in self.columns) if self.columns else 0

    @property
    def size(self) -> int:
        """How many columns it is, its nested ones included."""
        return 1 + sum(column.size for column in self.columns)


def duplicates(columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Columns that BigQuery cannot tell apart (it ignores case), and columns that read the same field."""
    names: dict[str, list[str]] = defaultdict(list)
    fields: dict[str, list[str]] = defaultdict(list)
    for index, column in enumerate(columns):
        names[column.name.lower()].append(column.name)
        fields[column.field].append(column.name)
        if len(clash := names[column.name.lower()]) > 1:
            yield ("columns", index), f"{clash[0]} is declared already, and BigQuery ignores case; rename one"
        if len(clash := fields[column.field]) > 1:
            yield (
                ("columns", index),
                f"reads the field {column.field!r} as {clash[0]} does; remove one or correct its `field`",
            )
