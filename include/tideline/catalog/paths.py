"""Where a field of a source's record is declared. Knows columns and drift's paths, not files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tideline.catalog.column import Column


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads.

    Attributes:
        records: The record columns on the way, outermost first.
        field: What is left of the path: the field's name in the innermost of them.
        column: The column that is declared for it, if any.
    """

    records: tuple[Column, ...]
    field: str
    column: Column | None


def resolve(columns: tuple[Column, ...], path: str) -> Place:
    """Follow a drift path such as `shipping.insured` or `items[].by` as far as records are declared."""
    records: tuple[Column, ...] = ()
    while True:
        here = records[-1].columns if records else columns
        declared = {column.field: column for column in here}
        if path in declared:
            return Place(records, path, declared[path])
        steps = {
            f"{column.field}{'[]' if column.repeated else ''}.": column for column in here if column.columns
        }
        step = max((step for step in steps if path.startswith(step)), key=len, default=None)
        if step is None:
            return Place(records, path, None)
        records, path = (*records, steps[step]), path[len(step) :]
