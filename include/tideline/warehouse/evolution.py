"""Which changes of a table's schema are legal, and how they are made. Pure.

BigQuery allows: add a NULLABLE or REPEATED field, also inside records; relax REQUIRED to NULLABLE; widen a
type. Fields are never dropped, moved or renamed: one that left the catalog stays and is written NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tideline.errors import SchemaEvolutionError
from tideline.warehouse.names import quote
from tideline.warehouse.schema import NULLABLE, REPEATED, REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field, Layout

_INT64_DIGITS = 19
_WIDER = {
    "INT64": ("NUMERIC", "BIGNUMERIC", "FLOAT64"),
    "NUMERIC": ("BIGNUMERIC", "FLOAT64"),
}
"""What `ALTER COLUMN … SET DATA TYPE` accepts (its documentation); decimals also grow in digits."""
_CAST = (
    {"INT64", "NUMERIC", "BIGNUMERIC", "FLOAT64", "STRING"},
    {"BOOL", "INT64", "STRING"},
    {"DATE", "TIMESTAMP", "STRING"},
    {"BYTES", "STRING"},
)
"""Types that BigQuery casts to each other, both ways (its conversion rules); JSON is cast to none. Of any
others even a SAFE_CAST is an error."""


@dataclass(frozen=True, slots=True)
class Evolution:
    """The way from a table's schema to the one that the catalog wants."""

    fields: tuple[Field, ...]
    """The schema that results: what was there first and in its order, then what is new."""
    widened: tuple[Field, ...]
    """Top-level fields whose types a statement has to widen before the schema is written, without what is new
    inside them: no statement adds a field to a record."""
    changes: tuple[str, ...]
    """What changes, in words."""

    def statements(self, table: TableName) -> tuple[str, ...]:
        """The statements that widen types; everything else is one call of the API."""
        return tuple(
            f"ALTER TABLE {table.sql} ALTER COLUMN {quote(field.name)} SET DATA TYPE {field.type_sql}"
            for field in self.widened
        )


def evolve(current: Sequence[Field], wanted: Layout, table: TableName) -> Evolution:
    """How the table gets to the wanted fields.

    Raises:
        SchemaEvolutionError: BigQuery does not allow it; says the statement that a person would run.
    """
    notes: list[str] = []
    by_name = {field.name.lower(): field for field in wanted.fields}
    kept = tuple(_kept(field, by_name.get(field.name.lower()), wanted, table, notes) for field in current)
    known = {field.name.lower() for field in current}
    added = tuple(
        _added(field, field.name, notes) for field in wanted.fields if field.name.lower() not in known
    )
    retyped = (_known(old, new) for old, new in zip(current, kept, strict=True) if _has_widened(old, new))
    return Evolution((*kept, *added), tuple(retyped), tuple(notes))


def _kept(field: Field, wanted: Field | None, layout: Layout, table: TableName, notes: list[str]) -> Field:
    try:
        return _merged(field, wanted, field.name, notes)
    except _IllegalError as error:
        change = f"`{field.name}`: {error}"
        raise SchemaEvolutionError(
            f"BigQuery does not change {change}",
            place=f"table {table}",
            remedy=f"undo the change in the catalog, or run: {_room(field, wanted, layout, table)}; "
            "then replay the dataset from raw",
        ) from error


class _IllegalError(Exception):
    """A change that BigQuery does not allow, in words."""


def _merged(field: Field, wanted: Field | None, path: str, notes: list[str]) -> Field:
    """The field with what is new in the wanted one; None wanted: it left the catalog."""
    if wanted is None:
        return _relaxed(field, NULLABLE, path, notes)
    if (field.mode == REPEATED) != (wanted.mode == REPEATED):
        raise _IllegalError(f"{field.type_sql} to {wanted.type_sql}")
    merged = _relaxed(_retyped(field, wanted, path, notes), wanted.mode, path, notes)
    if wanted.description and wanted.description != merged.description:
        notes.append(f"describe {path}")
        merged = replace(merged, description=wanted.description)
    return replace(merged, fields=tuple(_children(field, wanted, path, notes)))


def _relaxed(field: Field, wanted_mode: str, path: str, notes: list[str]) -> Field:
    if (field.mode, wanted_mode) != (REQUIRED, NULLABLE):
        return field
    notes.append(f"relax {path}")
    return replace(field, mode=NULLABLE)


def _retyped(field: Field, wanted: Field, path: str, notes: list[str]) -> Field:
    if (field.type, field.precision, field.scale) == (wanted.type, wanted.precision, wanted.scale):
        return field
    if not _is_wider(field, wanted):
        raise _IllegalError(f"{path} {field.item_sql} to {wanted.item_sql}")
    notes.append(f"widen {path} from {field.item_sql} to {wanted.item_sql}")
    return replace(field, type=wanted.type, precision=wanted.precision, scale=wanted.scale)


def _is_wider(field: Field, wanted: Field) -> bool:
    if field.type != wanted.type and wanted.type not in _WIDER.get(field.type, ()):
        return False
    if wanted.type == "FLOAT64":
        return True
    whole, places = _decimal_room(field)
    precision, scale = wanted.digits
    return scale >= places and precision - scale >= whole


def _decimal_room(field: Field) -> tuple[int, int]:
    """Digits before and after the point."""
    if field.type == "INT64":
        return _INT64_DIGITS, 0
    precision, scale = field.digits
    return precision - scale, scale


def _children(field: Field, wanted: Field, path: str, notes: list[str]) -> Iterator[Field]:
    by_name = {child.name.lower(): child for child in wanted.fields}
    for child in field.fields:
        yield _merged(child, by_name.pop(child.name.lower(), None), f"{path}.{child.name}", notes)
    for child in by_name.values():
        yield _added(child, f"{path}.{child.name}", notes)


def _added(field: Field, path: str, notes: list[str]) -> Field:
    notes.append(f"add {path} {field.type_sql}")
    return replace(field, mode=NULLABLE) if field.mode == REQUIRED else field


def _has_widened(old: Field, new: Field) -> bool:
    """Whether a field that was there, or one inside it, has another type."""
    if (old.type, old.precision, old.scale) != (new.type, new.precision, new.scale):
        return True
    return any(_has_widened(a, b) for a, b in zip(old.fields, new.fields, strict=False))


def _known(old: Field, new: Field) -> Field:
    """The new field without the members that the old one has not; those come last."""
    return replace(new, fields=tuple(_known(a, b) for a, b in zip(old.fields, new.fields, strict=False)))


def put_aside(table: TableName) -> str:
    """The statement after which a table is made anew under its name."""
    return f"ALTER TABLE {table.sql} RENAME TO {quote(f'{table.table}__old')}"


def _room(field: Field, wanted: Field | None, layout: Layout, table: TableName) -> str:
    """The statement that makes room for the change.

    A row whose key does not fit the new type would be one without a key, which no load and no deletion meets.
    """
    name = field.name.lower()
    if name in {key.lower() for key in layout.key}:
        return put_aside(table)
    return _rebuild(field, wanted, layout, table)


def _rebuild(field: Field, wanted: Field | None, layout: Layout, table: TableName) -> str:
    """The statement that makes room for the change; what does not fit becomes NULL until it is replayed."""
    column = quote(field.name)
    if wanted is None or not _can_be_cast(field, wanted):
        columns = f"* EXCEPT ({column})"
    else:
        cast = f"SAFE_CAST({column} AS {wanted.bare_sql})"  # which rounds, and cuts times off
        exact = f"SAFE_CAST({cast} AS {field.bare_sql}) = {column}"
        columns = f"* REPLACE (IF({exact}, {cast}, NULL) AS {column})"
    clauses = f" {layout.clauses}" if layout.clauses else ""
    return f"CREATE OR REPLACE TABLE {table.sql}{clauses} AS SELECT {columns} FROM {table.sql}"  # noqa: S608


def _can_be_cast(field: Field, wanted: Field) -> bool:
    """Whether one scalar becomes another and back: BigQuery has no cast to a decimal of so many digits."""
    return (
        any({field.type, wanted.type} <= types for types in _CAST)
        and REPEATED not in (field.mode, wanted.mode)
        and wanted.precision is None
    )
