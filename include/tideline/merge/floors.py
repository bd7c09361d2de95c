"""Floors and tombstones as SQL: up to when reads of a key count no more, and what that means for a row. Pure.

`s` is the row of a load, `t` that of the target. Knows no columns and versions (`tideline.merge.sql`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import Dataset
    from tideline.merge.absences import Absences
    from tideline.warehouse.names import TableName

OLDEST = "TIMESTAMP '0001-01-01 00:00:00+00'"
"""The version of a row without a change stamp: older than any."""

TICK = "INTERVAL 1 MICROSECOND"
"""A floor one below a read lets that read stand and none before it."""

REVIVES = "IFNULL(_s._extracted_at > _t._deleted_at, FALSE)"
REVIVES_WHOLE = "IFNULL(_s._extracted_at >= _t._deleted_at, FALSE)"
_OVERCOMES = (
    "_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at "
    "AND _t._extracted_at <= _t._superseded_at"
)
_OVERCOMES_WHOLE = "_t._deleted_at IS NULL AND _s._extracted_at > _t._extracted_at"
SUPERSEDED = (
    "_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at "
    "AND _t._extracted_at > _t._superseded_at"
)
"""The other way round: it is stale. NULL is no."""
LATE = "IFNULL(_s._extracted_at < _s._superseded_at, FALSE)"
"""The row was read before the newest whole read in the table."""


def overcomes(absences: Absences | None) -> str:
    """Whether the row wins, whatever the stamps say; NULL is no.

    It was read above the floor, and the target was not. The floor of a whole read is just before it: in such
    a load every row overcomes what was read before.
    """
    return _OVERCOMES_WHOLE if absences else _OVERCOMES


def raised(floor: str) -> str:
    """The target's floor, or this one if it is higher."""
    return f"GREATEST(IFNULL(_t._superseded_at, {OLDEST}), {floor})"


def revives(dataset: Dataset) -> str:
    """Whether the row brings a tombstone back.

    A whole read never says of a key that it has that it is not there. A table that lost rows may have such a
    tombstone all the same: an older read came first, and was late for that one.
    """
    return f"({REVIVES_WHOLE} AND NOT {LATE})" if dataset.shows_absence else REVIVES


def whole_at(dataset: Dataset, target: TableName) -> Iterator[str]:
    """When the newest whole read in the table was made; NULL where none was.

    It is called as a metadata column that no load has, and so no column that is declared.
    The floors of the rows that it had are just before it, and those of the rows that it had not are it.
    """
    if dataset.shows_absence:
        at = f"IF(_deleted_at IS NULL, TIMESTAMP_ADD(_superseded_at, {TICK}), _superseded_at)"
        yield f"(SELECT MAX({at}) FROM {target.sql}) AS _superseded_at"  # noqa: S608 - the name is quoted


def moved_on(dataset: Dataset, absences: Absences | None) -> Iterator[str]:
    """How tombstone and floor of a key move on where each read is whole; otherwise only events move them."""
    if not dataset.shows_absence:
        return
    came_back_before = f"IF({REVIVES}, _s._superseded_at, _t._deleted_at)"
    yield f"_deleted_at = IF({revives(dataset)}, NULL, {came_back_before})"
    if absences:
        yield f"_superseded_at = {raised(_just_before('_s._extracted_at'))}"


def born(dataset: Dataset, absences: Absences | None) -> tuple[str, str]:
    """Tombstone and floor of a key that the table does not have."""
    if not dataset.shows_absence:
        return "NULL", "NULL"
    floor = _just_before("_s._extracted_at") if absences else "NULL"
    return f"IF({LATE}, _s._superseded_at, NULL)", f"IF({LATE}, _s._superseded_at, {floor})"


def vanished(dataset: Dataset, absences: Absences | None) -> str:
    """The clause that turns rows which a whole read does not have into tombstones."""
    if absences is None:
        return ""
    return f"""
WHEN NOT MATCHED BY SOURCE AND {absences.condition(dataset)} THEN UPDATE SET
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = {absences.at},
  _superseded_at = {raised(absences.at)}"""


def _just_before(instant: str) -> str:
    return f"TIMESTAMP_SUB({instant}, {TICK})"
