"""How the records of an attempt differ from their declaration: new fields, columns gone, other types.

Knows decoded batches. Does not know what differed before (`tideline.status`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tideline.lake.manifest import MOST_DRIFT_PATHS, OTHER_PATHS
from tideline.refine.contract import MISSING_COLUMN
from tideline.refine.csv import EMPTY_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tideline.catalog.model import AnyDataset
    from tideline.refine.contract import Decoded, Reject

CHANGED_TYPE = "(changed type) "
"""How the path of a declared column begins whose values are of another type; no undeclared field is meant."""
MIN_ROWS = 20
"""A column without a value in fewer rows than these says nothing about the source."""
_EXAMPLE = 120
_TYPE_REASONS = frozenset(
    ("type_mismatch", "not_integral", "bad_number", "bad_bool", "bad_date", "bad_timestamp")
)
"""The reasons for refusal that a change of type at the source gives; all others are about the value."""
_INDEX = re.compile(r"\[\d+\]")


class Drift:
    """Adds up the differences of one attempt.

    Args:
        dataset: What the records belong to.
    """

    def __init__(self, dataset: AnyDataset) -> None:
        self._found: dict[str, tuple[int, str]] = {}
        self._rows = 0
        self._empty = {column.name for column in dataset.columns if column.nullable and not column.repeated}

    def add(self, decoded: Decoded) -> None:
        """Take one batch."""
        for path, (count, example) in (*decoded.drift.items(), *_changed_types(decoded.rejects)):
            self._count(path, count, example)
        self._rows += decoded.batch.num_rows
        if decoded.batch.num_rows:
            # a column that had a value once is not looked at again
            self._empty -= {
                name for name in self._empty if decoded.batch.column(name).null_count < decoded.batch.num_rows
            }

    def _count(self, path: str, count: int, example: str) -> None:
        if path not in self._found and len(self._found) >= MOST_DRIFT_PATHS:
            path, example = OTHER_PATHS, f"more than {MOST_DRIFT_PATHS} paths"
        before, first = self._found.get(path, (0, example))
        self._found[path] = (before + count, first or example)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Path → how many records, an example, and the kind of difference."""
        return {
            path: {"count": count, "example": example, "kind": kind_of(path)}
            for path, (count, example) in sorted(self._found.items())
        }

    def empty_columns(self, least_rows: int = MIN_ROWS) -> list[str]:
        """The nullable columns without a value in any row, where there are rows enough to say so."""
        return sorted(self._empty) if self._rows >= least_rows else []


def kind_of(path: str) -> str:
    """`new_field`, `missing_column`, `changed_type` or `empty_object`: what a drift path means."""
    if path == EMPTY_OBJECT:
        return "empty_object"
    kinds = {MISSING_COLUMN: "missing_column", CHANGED_TYPE: "changed_type"}
    return next((kind for prefix, kind in kinds.items() if path.startswith(prefix)), "new_field")


def _changed_types(rejects: Iterable[Reject]) -> Iterable[tuple[str, tuple[int, str]]]:
    for reject in rejects:
        if reject.reason in _TYPE_REASONS and reject.column:
            path = CHANGED_TYPE + _INDEX.sub("[]", reject.column)
            yield path, (1, f"{reject.reason}: {reject.detail}"[:_EXAMPLE])
