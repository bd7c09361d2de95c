"""What a manifest says of refined rows: counts, the change column's range, partitions touched, drift.

Knows decoded batches and the catalog. Does not know where rows go.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.lake.manifest import MOST_PARTITIONS
from tideline.refine import arrays
from tideline.refine.contract import micros
from tideline.refine.drift import MIN_ROWS, Drift
from tideline.window import format_instant

if TYPE_CHECKING:
    from tideline.catalog.model import AnyDataset, Partition
    from tideline.refine.contract import Decoded

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"hour": "h", "day": "D", "month": "M", "year": "Y"}


class Tally:
    """Adds up the batches of one attempt.

    Args:
        dataset: What the rows belong to.
        extracted_at: The clock before the source was read; a change later than that is from the future.
        is_range: Whether they are some of a load's rows: the columns without a value are named however few
            these are, since only all ranges together can say which the load has none in.
    """

    def __init__(self, dataset: AnyDataset, extracted_at: datetime, *, is_range: bool = False) -> None:
        self.landed = 0
        self.refined = 0
        self.quarantined = 0
        self._cursor = _Cursor(dataset.change_column, extracted_at) if dataset.change_column else None
        self._partitions = _Partitions(dataset.partition) if dataset.partition else None
        self._drift = Drift(dataset)
        self._least_rows = 0 if is_range else MIN_ROWS

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
            "empty_columns": self._drift.empty_columns(self._least_rows),
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
    """The distinct partitions, as long as they are not too many."""

    def __init__(self, partition: Partition) -> None:
        self._column = partition.column
        self._unit = _UNITS[partition.granularity]
        self._numbers: set[int] | None = set()
        """Of hours, days, months or years since 1970."""
        self._has_null = False
        self._is_date = False

    def add(self, batch: pa.RecordBatch) -> None:
        if self._numbers is None:
            return
        values = batch.column(self._column)
        self._has_null = self._has_null or bool(values.null_count)
        self._is_date = pa.types.is_date(values.type)
        kind, unit = (np.int32, "D") if self._is_date else (np.int64, "us")
        known = values.drop_null()
        numbers = np.frombuffer(known.buffers()[1], kind, len(known), known.offset * values.type.byte_width)
        starts = numbers.astype(np.int64).view(f"M8[{unit}]").astype(f"M8[{self._unit}]")
        self._numbers.update(np.unique(starts.view(np.int64)).tolist())
        if len(self._numbers) + self._has_null > MOST_PARTITIONS:
            self._numbers = None

    def to_json(self) -> list[str | None] | None:
        if self._numbers is None:
            return None
        starts = np.array(sorted(self._numbers), np.int64).view(f"M8[{self._unit}]")
        texts = np.datetime_as_string(starts, "D" if self._is_date else "s").tolist()
        return [
            *(text if self._is_date else f"{text}Z" for text in texts),
            *([None] if self._has_null else []),
        ]


def _instant(number: int) -> str:
    return format_instant(_EPOCH + timedelta(microseconds=number))
