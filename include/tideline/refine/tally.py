"""What a manifest says of refined rows: counts, the change column's range, partitions touched, drift.

Knows decoded batches and the catalog. Does not know where rows go.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.refine import arrays
from tideline.refine.contract import DAY_MICROSECONDS, micros
from tideline.refine.drift import Drift
from tideline.window import format_instant

if TYPE_CHECKING:
    from tideline.catalog.model import AnyDataset, Partition
    from tideline.refine.contract import Decoded

MAX_PARTITIONS = 1000
"""More distinct partitions are not listed: a predicate of that length prunes nothing."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WIDTHS = {"hour": 3_600_000_000}


class Tally:
    """Adds up the batches of one attempt.

    Args:
        dataset: What the rows belong to.
        extracted_at: The clock before the source was read; a change later than that is from the future.
    """

    def __init__(self, dataset: AnyDataset, extracted_at: datetime) -> None:
        self.landed = 0
        self.refined = 0
        self.quarantined = 0
        self._cursor = _Cursor(dataset.change_column, extracted_at) if dataset.change_column else None
        self._partitions = _Partitions(dataset.partition) if dataset.partition else None
        self._drift = Drift(dataset)

    def add(self, decoded: Decoded) -> None:
        """Count one batch."""
        self.landed += decoded.records
        self.refined += decoded.batch.num_rows
        self.quarantined += len(decoded.rejects)
        self._drift.add(decoded)
        if decoded.batch.num_rows:
            for part in (self._cursor, self._partitions):
                if part is not None:
                    part.add(decoded.batch)

    def details(self) -> dict[str, Any]:
        """The part of a processed manifest's details that the rows decide."""
        return {
            "landed": self.landed,
            "refined": self.refined,
            "quarantined": self.quarantined,
            "cursor": self._cursor.to_json() if self._cursor else None,
            "partitions": self._partitions.to_json() if self._partitions else None,
            "drift": self._drift.to_json(),
            "empty_columns": self._drift.empty_columns(),
        }


class _Cursor:
    """Range of the change column; how often it is NULL or later than the clock."""

    def __init__(self, column: str, extracted_at: datetime) -> None:
        self._column = column
        self._clock = arrays.fixed(pa.int64(), np.array([micros(extracted_at)]), None)[0]
        self._ends: list[int] = []
        self._null = 0
        self._future = 0

    def add(self, batch: pa.RecordBatch) -> None:
        values = batch.column(self._column).view(pa.int64())  # as_py of a timestamp imports pandas
        self._null += values.null_count
        self._future += pc.sum(pc.greater(values, self._clock)).as_py() or 0
        found = pc.min_max(values).as_py()
        if found["min"] is not None:
            ends = [*self._ends, found["min"], found["max"]]
            self._ends = [min(ends), max(ends)]

    def to_json(self) -> dict[str, Any]:
        low, high = (_instant(end) for end in self._ends) if self._ends else (None, None)
        return {"column": self._column, "min": low, "max": high, "null": self._null, "future": self._future}


class _Partitions:
    """The distinct partitions, as long as they are few."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._starts: set[str | None] | None = set()

    def add(self, batch: pa.RecordBatch) -> None:
        if self._starts is None:
            return
        values = batch.column(self._partition.column)
        if values.null_count:
            self._starts.add(None)
        is_date = pa.types.is_date(values.type)
        known = values.drop_null()
        numbers = np.frombuffer(
            known.buffers()[1],
            np.int32 if is_date else np.int64,
            len(known),
            known.offset * values.type.byte_width,
        )
        width = 1 if is_date else _WIDTHS.get(self._partition.granularity, DAY_MICROSECONDS)
        for number in np.unique(numbers // width).tolist():
            self._starts.add(self._start(number * width, is_date=is_date))
        if len(self._starts) > MAX_PARTITIONS:
            self._starts = None

    def _start(self, number: int, *, is_date: bool) -> str:
        """The partition that holds a day, or an instant that begins a day or an hour."""
        instant = _EPOCH + (timedelta(days=number) if is_date else timedelta(microseconds=number))
        if self._partition.granularity == "month":
            instant = instant.replace(day=1)
        if self._partition.granularity == "year":
            instant = instant.replace(month=1, day=1)
        return instant.date().isoformat() if is_date else format_instant(instant)

    def to_json(self) -> list[str | None] | None:
        if self._starts is None:
            return None
        return [
            *sorted(start for start in self._starts if start is not None),
            *([None] if None in self._starts else []),
        ]


def _instant(number: int) -> str:
    return format_instant(_EPOCH + timedelta(microseconds=number))
