"""Literal predicates on the partition column: a merge reads and bills the partitions that it touches. Pure.

BigQuery prunes partitions by constants only: a join or a subquery on the column reads the whole table. The
predicate must hold for every row of the target that the load can meet, so the column has to be immutable.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tideline.warehouse.names import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tideline.catalog.model import Dataset, Partition

_MOST_STRETCHES = 400
"""Of more, those with the fewest partitions between them are joined: a statement stays below 50 kB."""

Stretch = tuple[datetime, datetime | None]
"""`[start, end)`; an end of None is beyond the calendar."""


def predicate(dataset: Dataset, partitions: Sequence[str | None] | None, alias: str) -> str | None:
    """The condition on the target's partition column; None where it is not known or may change."""
    partition = dataset.partition
    if partition is None or not partition.immutable or not partitions:
        return None
    column = f"{alias}.{quote(partition.column)}"
    kind = dataset.column(partition.column).type
    stretches = _stretches(sorted({_start(text) for text in partitions if text is not None}), partition)
    conditions = [_condition(column, stretch, kind) for stretch in stretches]
    conditions.append(f"{column} IS NULL")  # where tombstones of keys are that were never merged
    return conditions[0] if len(conditions) == 1 else f"({' OR '.join(conditions)})"


def _start(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _stretches(starts: list[datetime], partition: Partition) -> list[Stretch]:
    """The partitions, neighbours joined."""
    stretches: list[Stretch] = []
    for start in starts:
        end = _end(start, partition.granularity)
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return _bridged(stretches)


def _bridged(stretches: list[Stretch]) -> list[Stretch]:
    """As many as a statement lists at most: the widest gaps between them stay."""
    if len(stretches) <= _MOST_STRETCHES:
        return stretches
    gaps = sorted(range(1, len(stretches)), key=lambda n: _gap(stretches, n), reverse=True)
    begins = [0, *sorted(gaps[: _MOST_STRETCHES - 1])]
    ends = [*(begin - 1 for begin in begins[1:]), len(stretches) - 1]
    return [(stretches[begin][0], stretches[end][1]) for begin, end in zip(begins, ends, strict=True)]


def _gap(stretches: list[Stretch], number: int) -> timedelta:
    """Between a stretch and the one before it, whose end only the calendar's last has not."""
    return stretches[number][0] - (stretches[number - 1][1] or stretches[number][0])


def _end(start: datetime, granularity: str) -> datetime | None:
    try:
        if granularity == "hour":
            return start + timedelta(hours=1)
        if granularity == "day":
            return start + timedelta(days=1)
        if granularity == "month":
            return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        return start.replace(year=start.year + 1)
    except (OverflowError, ValueError):
        return None


def _condition(column: str, stretch: Stretch, kind: str) -> str:
    start, end = stretch
    if end is None:
        return f"{column} >= {_literal(start, kind)}"
    return f"({column} >= {_literal(start, kind)} AND {column} < {_literal(end, kind)})"


def _literal(instant: datetime, kind: str) -> str:
    if kind == "date":
        return f"DATE '{instant.date().isoformat()}'"
    return f"TIMESTAMP '{instant.replace(tzinfo=None).isoformat(sep=' ')}+00'"
