"""Drift of an attempt: kinds, types that changed, columns without a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tideline.refine.contract import Decoded, Reject, decoded_schema, missing_path
from tideline.refine.csv import EMPTY_OBJECT
from tideline.refine.drift import MIN_ROWS, Drift, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset

COLUMNS = {"id": "int64", "note": "string", "size": "float64", "must": {"type": "string", "nullable": False}}


@pytest.fixture
def drift(csv_dataset: Callable[..., CsvDataset]) -> Callable[..., Drift]:
    dataset = csv_dataset(COLUMNS)
    schema = decoded_schema(dataset)

    def of(*batches: tuple[list[str | None], list[float | None]]) -> Drift:
        made = Drift(dataset)
        for notes, sizes in batches:
            rows = len(notes)
            columns = [list(range(rows)), notes, sizes, ["x"] * rows, [None] * rows, list(range(rows))]
            arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            made.add(Decoded(pa.RecordBatch.from_arrays(arrays, schema=schema), [], rows))
        return made

    return of


def test_kinds_follow_from_paths():
    assert kind_of("tier") == kind_of("(other) tier") == "new_field"
    assert kind_of(missing_path("title")) == "missing_column"
    assert kind_of("(changed type) title") == "changed_type"
    assert kind_of(EMPTY_OBJECT) == "empty_object"


def test_refusals_for_a_type_are_drift_by_path_and_others_are_not(drift):
    made = drift()
    rejects = [
        Reject(0, "type_mismatch", "items[0].size", "string, expected float64"),
        Reject(1, "type_mismatch", "items[12].size", "bool, expected float64"),
        Reject(2, "bad_number", "size", "9" * 500),
        Reject(3, "too_deep", "x", ""),
        Reject(4, "type_mismatch", "", "no place"),
    ]
    made.add(Decoded(_no_rows(), rejects, len(rejects)))
    found = made.to_json()
    assert {path: entry["count"] for path, entry in found.items()} == {
        "(changed type) items[].size": 2, "(changed type) size": 1,
    }  # fmt: skip
    assert found["(changed type) items[].size"] == {
        "count": 2, "example": "type_mismatch: string, expected float64", "kind": "changed_type",
    }  # fmt: skip
    assert len(found["(changed type) size"]["example"]) == 120


def _no_rows() -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], pa.int64())], names=["id"])


def test_a_column_is_empty_that_has_no_value_in_any_batch(drift):
    some, none = [1.0] + [None] * (MIN_ROWS - 1), [None] * MIN_ROWS
    assert drift((none, none)).empty_columns() == ["note", "size"]
    assert drift((none, none), (none, some)).empty_columns() == ["note"]
    assert drift((none, some), (["x"], [None])).empty_columns() == []


def test_few_rows_say_nothing(drift):
    short = [None] * (MIN_ROWS - 1)
    assert drift((short, short)).empty_columns() == []
    assert drift((short, short), ([None], [None])).empty_columns() == ["note", "size"]
    assert drift().empty_columns() == []
