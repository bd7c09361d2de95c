from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tideline.errors import IntegrityError
from tideline.warehouse import names
from tideline.warehouse.bigquery import NDJSON, Warehouse
from tideline.warehouse.ledger import LAYOUT, Ledger, LedgerRow
from tideline.warehouse.state import DatasetState
from tideline.window import Window, high_water_mark

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def row(load_id: str = "load", window: Window | None = None, **more) -> LedgerRow:
    window = window or Window(None, NOON)
    given = LedgerRow(
        load_id=load_id, run_id="run", source="test", dataset="things", window_start=window.start,
        window_end=window.end, window_id=window.window_id, attempt_id="a", mode="scheduled",
        raw_manifest_uri=f"s3://raw/{load_id}", processed_manifest_uri=f"s3://processed/{load_id}",
        quarantine_manifest_uri=None, landed=7, refined=6, quarantined=1, inserted=1, updated=1, unchanged=1,
        revived=1, stale=1, duplicates=1, deleted=0, cursor_min=hour(-3),
        cursor_max=hour(-1) + timedelta(microseconds=1), null_changes=2, future_changes=3, raw_bytes=10**12,
        processed_bytes=5, land_seconds=0.5, refine_seconds=None, merge_seconds=1.25, drift='{"x": "é\'"}',
        catalog_fingerprint="f", code_version="1", unchanged_source=False, extracted_at=hour(0.01),
    )  # fmt: skip
    return replace(given, **more)


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


@pytest.fixture
def ledger(warehouse):
    made = Ledger(warehouse)
    made.ensure()
    return made


def test_columns_of_the_table_are_those_of_the_row():
    assert [field.name for field in LAYOUT.fields] == [field.name for field in fields(LedgerRow)]
    assert (LAYOUT.partition_column, LAYOUT.granularity, LAYOUT.clustering) == (
        "committed_at",
        "day",
        ("source", "dataset"),
    )


def test_row_comes_back_as_it_was_recorded(ledger):
    recorded = ledger.record(row())
    assert recorded.committed_at is not None
    assert replace(recorded, committed_at=None) == row()
    assert ledger.find("test", "things", "load") == recorded
    assert ledger.find("test", "things", "other") is None


def test_load_is_recorded_once(ledger, warehouse):
    first = ledger.record(row())
    again = ledger.record(row(inserted=99, merge_seconds=9.0))
    assert again == first
    assert warehouse.count(names.ops_table(names.LEDGER, warehouse.settings)) == 1


def test_two_inserts_of_a_load_leave_one_row(ledger, warehouse):
    """Tries of one load that do not find each other's job."""
    for key in ("one", "two"):
        ledger._insert(row(), key)
    assert warehouse.count(names.ops_table(names.LEDGER, warehouse.settings)) == 1


def test_row_that_was_deleted_since_is_recorded_again(ledger, warehouse):
    """The job of the first try is found by its id, and what it wrote is gone."""
    ledger.record(row())
    table = names.ops_table(names.LEDGER, warehouse.settings)
    warehouse.run(f"DELETE FROM {table.sql} WHERE TRUE", kind="test", key=table.dataset)
    assert ledger.record(row()).load_id == "load"


def test_row_that_never_appears_is_an_integrity_error(ledger, monkeypatch):
    monkeypatch.setattr(Ledger, "find", lambda *_: None)
    with pytest.raises(IntegrityError, match="does not have it"):
        ledger.record(row())


def test_nothing_is_known_of_an_empty_ledger(ledger):
    assert ledger.state() == {}


def test_state_has_the_mark_and_the_newest_read_of_each_dataset(ledger):
    ledger.record(row("a", extracted_at=hour(1)))
    ledger.record(row("b", Window(NOON, hour(1)), extracted_at=hour(3)))
    ledger.record(row("c", Window(hour(1), hour(2)), extracted_at=hour(4), unchanged_source=True))
    ledger.record(row("d", Window(hour(5), hour(6)), extracted_at=hour(2)))
    ledger.record(row("e", Window(NOON, hour(9)), dataset="others", unchanged_source=True))
    assert ledger.state() == {
        "test.things": DatasetState(hour(2), "s3://raw/b", "f"),
        "test.others": DatasetState(None, None, None),
    }


@settings(max_examples=2, deadline=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_mark_is_that_of_the_window_module(seed, bigquery_client, own_settings):
    """All cases in one query: each is a dataset of its own."""
    dice = Random(seed)
    starts = [None, *range(12)]
    cases = [
        [
            ((start := dice.choice(starts)), (start or 0) + dice.randint(1, 6))
            for _ in range(dice.randint(1, 8))
        ]
        for _ in range(200)
    ]
    check_marks(cases, bigquery_client, own_settings)


def test_mark_of_chosen_windows(bigquery_client, own_settings):
    chosen = [
        [(None, 3), (3, 4), (4, 5)],
        [(None, 3), (4, 5)],
        [(None, 3), (1, 9), (2, 4), (9, 10)],
        [(3, 4), (4, 5)],
        [(None, 3), (5, 6), (3, 4), (4, 5)],
        [(None, 1), (None, 6), (6, 7)],
        [(None, 3), (3, 4), (3, 8), (8, 9)],
        [(None, 3), (5, 6), (5, 9), (3, 4)],
    ]
    check_marks(chosen, bigquery_client, own_settings)


def check_marks(cases, client, make_settings):
    warehouse = Warehouse(client, make_settings())
    known = [
        [Window(None if start is None else hour(start), hour(end)) for start, end in windows]
        for windows in cases
    ]
    lines = [
        {
            "source": "s", "dataset": f"d{case}", "load_id": uuid4().hex, "unchanged_source": True,
            "window_start": window.to_json()["start"], "window_end": window.to_json()["end"],
        }
        for case, windows in enumerate(known) for window in windows
    ]  # fmt: skip
    table = names.ops_table(names.LEDGER, warehouse.settings)
    nullable = [replace(field, mode="NULLABLE") for field in LAYOUT.fields]
    warehouse.tables.create(table, replace(LAYOUT, fields=tuple(nullable)))
    body = BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    warehouse.load_file(table, body, nullable, key=table.dataset, truncate=True, source_format=NDJSON)
    found = Ledger(warehouse).state()
    for case, windows in enumerate(known):
        assert found[f"s.d{case}"].high_water_mark == high_water_mark(windows), cases[case]


def test_state_is_one_query(ledger, monkeypatch):
    asked = []
    original = Warehouse.rows

    def rows(self, sql, **options):
        asked.append(sql)
        return original(self, sql, **options)

    monkeypatch.setattr(Warehouse, "rows", rows)
    ledger.state()
    assert len(asked) == 1
    assert names.LEDGER in asked[0]
