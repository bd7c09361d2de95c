"""Counts, cursor range, partitions and drift of an attempt."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tideline.catalog.model import Partition
from tideline.lake.manifest import MOST_DRIFT_PATHS, MOST_PARTITIONS, OTHER_PATHS
from tideline.refine.contract import Decoded, Reject, decoded_schema
from tideline.refine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset

CLOCK = datetime(2026, 1, 31, 14, tzinfo=UTC)
COLUMNS = {"id": "int64", "at": "timestamp", "day": "date"}


def batch(dataset: CsvDataset, at: list[Any], day: list[Any] | None = None) -> Decoded:
    days = day or [None] * len(at)
    columns = [range(len(at)), at, days, [None] * len(at), range(len(at))]
    schema = decoded_schema(dataset)
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)]
    return Decoded(pa.RecordBatch.from_arrays(arrays, schema=schema), [], len(at))


def tally(dataset: CsvDataset, *decoded: Decoded) -> dict[str, Any]:
    found = Tally(dataset, CLOCK)
    for each in decoded:
        found.add(each)
    return found.details()


def test_counts_rows_and_rejects(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset(COLUMNS)
    good = batch(dataset, [None] * 3)
    bad = Decoded(good.batch.slice(0, 1), [Reject(1, "bad_date")] * 2, 3)
    found = tally(dataset, good, bad)
    assert (found["landed"], found["refined"], found["quarantined"]) == (6, 4, 2)
    assert (found["cursor"], found["partitions"], found["drift"]) == (None, None, {})


def test_cursor(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset(COLUMNS, change_column="at")
    early, late = datetime(1, 1, 1, tzinfo=UTC), CLOCK + timedelta(microseconds=1)
    found = tally(
        dataset, batch(dataset, [CLOCK, None, late]), batch(dataset, [early, None]), batch(dataset, [None])
    )
    assert found["cursor"] == {
        "column": "at", "min": "0001-01-01T00:00:00Z", "max": "2026-01-31T14:00:00.000001Z",
        "null": 3, "future": 1,
    }  # fmt: skip


@pytest.mark.parametrize("rows", [[], [None, None]])
def test_cursor_of_nothing(csv_dataset: Callable[..., CsvDataset], rows: list[Any]) -> None:
    dataset = csv_dataset(COLUMNS, change_column="at")
    cursor = tally(dataset, batch(dataset, rows))["cursor"]
    assert (cursor["min"], cursor["max"], cursor["null"], cursor["future"]) == (None, None, len(rows), 0)


INSTANTS = [
    datetime(2026, 1, 31, 14, 59, 59, 999999, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC),
    datetime(2026, 2, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 30, tzinfo=UTC), datetime(1, 1, 1,
    tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
]  # fmt: skip


@pytest.mark.parametrize(
    ("granularity", "kept"),
    [("hour", ("hour",)), ("day", ()), ("month", ("day",)), ("year", ("day", "month"))],
)
def test_partitions_of_instants(
    csv_dataset: Callable[..., CsvDataset], granularity: Any, kept: tuple[str, ...]
) -> None:
    dataset = csv_dataset(COLUMNS, partition=Partition(column="at", granularity=granularity))
    smallest = {"minute": 0, "second": 0, "microsecond": 0}
    replaced = smallest if kept == ("hour",) else {**smallest, "hour": 0, **dict.fromkeys(kept, 1)}
    expected = sorted(
        {instant.replace(**replaced).isoformat().replace("+00:00", "Z") for instant in INSTANTS}
    )
    assert tally(dataset, *(batch(dataset, [instant]) for instant in INSTANTS))["partitions"] == expected
    assert tally(dataset, batch(dataset, [*INSTANTS, None]))["partitions"] == [*expected, None]


@pytest.mark.parametrize(
    ("granularity", "expected"),
    [
        ("day", ["0001-01-01", "1969-12-31", "2026-01-30", "2026-01-31"]),
        ("month", ["0001-01-01", "1969-12-01", "2026-01-01"]),
        ("year", ["0001-01-01", "1969-01-01", "2026-01-01"]),
    ],
)
def test_partitions_of_dates(
    csv_dataset: Callable[..., CsvDataset], granularity: Any, expected: list[str]
) -> None:
    dataset = csv_dataset(COLUMNS, partition=Partition(column="day", granularity=granularity))
    days = [date(2026, 1, 31), date(2026, 1, 30), date(1969, 12, 31), date(1, 1, 1)]
    assert tally(dataset, batch(dataset, [None] * 4, days))["partitions"] == expected


def test_too_many_partitions_are_not_listed(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset(COLUMNS, partition=Partition(column="day"))
    days = [date(2000, 1, 1) + timedelta(days=i) for i in range(MOST_PARTITIONS + 1)]
    assert (
        len(tally(dataset, batch(dataset, [None] * MOST_PARTITIONS, days[1:]))["partitions"])
        == MOST_PARTITIONS
    )
    many = [batch(dataset, [None] * len(days), days), batch(dataset, [None], [date(2026, 1, 1)])]
    assert tally(dataset, *many)["partitions"] is None


def test_partitions_of_no_rows(csv_dataset: Callable[..., CsvDataset]) -> None:
    assert tally(csv_dataset(COLUMNS, partition=Partition(column="day")))["partitions"] == []


def test_sliced_batches_count_their_own_rows(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset(COLUMNS, partition=Partition(column="day"), change_column="at")
    whole = batch(dataset, [CLOCK, CLOCK, CLOCK + timedelta(hours=1)], [date(2026, 1, i) for i in (1, 2, 3)])
    found = tally(dataset, Decoded(whole.batch.slice(2), [], 1))
    assert (found["partitions"], found["cursor"]["future"]) == (["2026-01-03"], 1)


def test_drift_adds_up_and_keeps_the_first_example(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset()
    none = decoded_schema(dataset).empty_table().to_batches() or [
        pa.RecordBatch.from_arrays(
            [pa.array([], kind) for kind in decoded_schema(dataset).types], schema=decoded_schema(dataset)
        )
    ]
    found = Tally(dataset, CLOCK)
    found.add(Decoded(none[0], [], 0, {"b": (2, ""), "a": (1, "x")}))
    found.add(Decoded(none[0], [], 0, {"b": (3, "first"), "a": (1, "y")}))
    assert list(found.details()["drift"].items()) == [
        ("a", {"count": 2, "example": "x", "kind": "new_field"}),
        ("b", {"count": 5, "example": "first", "kind": "new_field"}),
    ]  # fmt: skip
    for number in range(MOST_DRIFT_PATHS):
        found.add(Decoded(none[0], [], 0, {f"p{number}": (1, "")}))
    drift = found.details()["drift"]
    assert len(drift) == MOST_DRIFT_PATHS + 1
    assert drift[OTHER_PATHS]["count"] == 2
