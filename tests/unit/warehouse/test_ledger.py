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
from tideline.warehouse.state import ORIGIN, Commit, DatasetState, high_water_mark
from tideline.window import Window, format_instant

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


def test_a_ledger_of_before_gets_the_column_and_its_rows_have_nothing_there(warehouse, monkeypatch):
    ledger = Ledger(warehouse)
    with monkeypatch.context() as before:
        fields = tuple(field for field in LAYOUT.fields if field.name != "partitions")
        before.setattr("tideline.warehouse.ledger.LAYOUT", replace(LAYOUT, fields=fields))
        before.setattr("tideline.warehouse.ledger._COLUMNS", tuple(field.name for field in fields))
        ledger.ensure()
        ledger.record(row())
    ledger.ensure()
    assert (
        ledger.record(row("next", partitions='{"day": ["2026-03-01", null]}')).partitions
        == '{"day": ["2026-03-01", null]}'
    )
    assert [found.partitions for found in ledger.history("test", "things")] == [
        None,
        '{"day": ["2026-03-01", null]}',
    ]


def test_dbt_finds_the_table_of_its_builds(ledger, warehouse):
    """It writes nothing but these columns, and the warehouse's clock says when."""
    table = names.ops_table(names.BUILDS, warehouse.settings)
    made = warehouse.tables.get(table)
    assert (made.time_partitioning.field, made.clustering_fields) == ("logged_at", ["model"])
    warehouse.run(
        f"INSERT INTO {table.sql} (model, event, month, logged_at) VALUES "
        "('fct_orders', 'touched', DATE '2026-03-01', CURRENT_TIMESTAMP()), "
        "('fct_orders', 'built', NULL, CURRENT_TIMESTAMP())",
        kind="test",
        key=table.dataset,
    )
    ledger.ensure()
    assert warehouse.count(table) == 2


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
def test_mark_is_that_of_the_state_module(seed, bigquery_client, own_settings):
    """All cases in one query: each is a dataset of its own."""
    dice = Random(seed)
    cases = [[any_commit(dice) for _ in range(dice.randint(1, 9))] for _ in range(300)]
    assert {commit.mode for case in cases for commit in case} == {*MODES}
    check_marks(cases, bigquery_client, own_settings)


MODES = ("scheduled", "exact", "replay", "reconcile", "rewind")


def any_commit(dice: Random) -> Commit:
    start = dice.choice([None, *range(12)])
    mode = dice.choices(MODES, (9, 3, 1, 1, 2))[0]
    end = (start or 0) + dice.randint(1, 6)
    window = Window(None if start is None else hour(start), hour(end))
    if mode == "rewind":
        window = Window(None, dice.choice([ORIGIN, hour(end)]))
    return Commit(mode, window, hour(dice.randint(0, 9)), hour(dice.randint(0, 9)), uuid4().hex)


def in_order(*windows) -> list[Commit]:
    """Scheduled windows, or `("rewind", hour)`, each read and committed after the one before it."""
    return [
        Commit("rewind", Window(None, ORIGIN if end is None else hour(end)), hour(at), hour(at), f"{at}")
        if start == "rewind"
        else Commit(
            "scheduled",
            Window(None if start is None else hour(start), hour(end)),
            hour(at),
            hour(at),
            f"{at}",
        )
        for at, (start, end) in enumerate(windows)
    ]


def test_mark_of_chosen_windows(bigquery_client, own_settings):
    chosen = [
        ([(None, 3), (3, 4), (4, 5)], 5),
        ([(None, 3), (4, 5)], 3),
        ([(None, 3), (1, 9), (2, 4), (9, 10)], 10),
        ([(3, 4), (4, 5)], None),
        ([(None, 3), (5, 6), (3, 4), (4, 5)], 6),
        ([(None, 1), (None, 6), (6, 7)], 7),
        ([(None, 3), (3, 4), (3, 8), (8, 9)], 9),
        ([(None, 3), (5, 6), (5, 9), (3, 4)], 4),
        ([(None, 9), ("rewind", 4)], 4),
        ([(None, 9), ("rewind", 4), (3, 6), (6, 7)], 7),
        ([(None, 9), ("rewind", 4), (5, 10)], 4),
        ([(None, 9), ("rewind", None)], None),
        ([(None, 9), ("rewind", None), (8, 10)], None),
        ([(None, 9), ("rewind", None), (None, 2)], 2),
        ([(None, 9), ("rewind", 4), (4, 8), ("rewind", 6)], 6),
        ([(None, 9), ("rewind", 4), ("rewind", 2), (2, 3)], 3),
        ([("rewind", 4)], 4),
    ]
    found = check_marks([in_order(*windows) for windows, _ in chosen], bigquery_client, own_settings)
    assert found == [None if mark is None else hour(mark) for _, mark in chosen]


def test_what_was_read_before_a_rewind_does_not_count_when_it_is_committed_after_it(
    bigquery_client, own_settings
):
    first, rewind = in_order((None, 9), ("rewind", 4))
    late = Commit("scheduled", Window(hour(4), hour(9)), hour(0.5), hour(2), "late")
    early = replace(late, extracted_at=hour(2), committed_at=rewind.committed_at)
    cases = [[first, rewind, late], [first, rewind, early]]
    assert check_marks(cases, bigquery_client, own_settings) == [hour(4), hour(4)]


def check_marks(cases, client, make_settings):
    warehouse = Warehouse(client, make_settings())
    lines = [
        {
            "source": "s", "dataset": f"d{case}", "load_id": commit.load_id, "unchanged_source": True,
            "window_start": commit.window.to_json()["start"], "window_end": commit.window.to_json()["end"],
            "mode": commit.mode, "extracted_at": format_instant(commit.extracted_at),
            "committed_at": format_instant(commit.committed_at),
        }
        for case, commits in enumerate(cases) for commit in commits
    ]  # fmt: skip
    table = names.ops_table(names.LEDGER, warehouse.settings)
    nullable = [
        field if field.mode == "REPEATED" else replace(field, mode="NULLABLE") for field in LAYOUT.fields
    ]
    warehouse.tables.create(table, replace(LAYOUT, fields=tuple(nullable)))
    body = BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    warehouse.load_file(table, body, nullable, key=table.dataset, truncate=True, source_format=NDJSON)
    state = Ledger(warehouse).state()
    found = [state[f"s.d{case}"].high_water_mark for case in range(len(cases))]
    for commits, mark in zip(cases, found, strict=True):
        assert mark == high_water_mark(commits), commits
    return found


def rewind_row(load_id: str, to: datetime, **more) -> LedgerRow:
    """A rewind as `tideline rewind` records it."""
    return row(
        load_id, Window(None, to), mode="rewind", raw_manifest_uri=None, processed_manifest_uri=None,
        reason="the source was repaired", actor="somebody", **more,
    )  # fmt: skip


def test_a_rewind_is_a_row_and_forgets_the_read_that_conditional_requests_compare_with(ledger):
    ledger.record(row("a", Window(None, hour(2)), extracted_at=hour(-2)))
    recorded = ledger.record(rewind_row("b", ORIGIN, extracted_at=hour(-1)))
    assert (recorded.window_start, recorded.window_end) == (None, ORIGIN)
    assert (recorded.reason, recorded.actor, recorded.raw_manifest_uri) == (
        "the source was repaired",
        "somebody",
        None,
    )
    assert ledger.state() == {"test.things": DatasetState(None, None, None)}
    ledger.record(row("c", Window(None, hour(1)), extracted_at=hour(3)))
    assert ledger.state() == {"test.things": DatasetState(hour(1), "s3://raw/c", "f")}


def test_history_is_every_row_of_the_dataset_in_the_order_of_commits(ledger):
    ledger.record(row("b", raw_manifest_uris=("s3://raw/1", "s3://raw/2"), ranges=2, source_count=7))
    ledger.record(row("a"))
    ledger.record(row("c", dataset="others"))
    b, a = ledger.history("test", "things")
    assert [b.load_id, a.load_id] == ["b", "a"]
    assert (b.raw_manifest_uris, a.raw_manifest_uris) == (("s3://raw/1", "s3://raw/2"), ())
    assert (a.dataset_id, b.ranges, b.source_count) == ("test.things", 2, 7)


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
