"""How a key is judged, on the emulator: one key a case, all in one comparison."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from json import dumps
from uuid import uuid4

import bson
import pyarrow as pa
import pytest

from tideline.catalog.model import MongoDataset
from tideline.reconcile import compare
from tideline.reconcile.compare import VERDICT, VERDICTS, Comparison, compared, upload
from tideline.reconcile.mongo_keys import SOURCE, STAMP
from tideline.warehouse.bigquery import NDJSON, Warehouse
from tideline.warehouse.names import TableName, load_table, raw_table
from tideline.warehouse.schema import raw_layout
from tideline.warehouse.tables import ensure_table

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MARK, BEGAN = 12.0, 20.0
"""Hours after T0: up to where hourly runs have read, and when the scan began."""

BEFORE = (5.0, 8.0, None)
"""What the table has of most keys: stamp, when it was read, when it was deleted."""

CASES = {
    # case: (stamp at the source or "gone", what the table has or None, verdict)
    "as it was": (5.0, BEFORE, None),
    "gone": ("gone", BEFORE, "absent"),
    "gone, and known": ("gone", (5.0, 8.0, 9.0), None),
    "gone, seen since the scan began": ("gone", (5.0, 21.0, None), None),
    "never seen": (5.0, None, "missing"),
    "never seen, without a stamp": (None, None, "missing"),
    "never seen, from the future": (99.0, None, "missing"),
    "never seen, changed at the mark": (12.0, None, "pending"),
    "never seen, changed when the scan began": (20.0, None, "pending"),
    "came back": (5.0, (5.0, 8.0, 9.0), "missing"),
    "came back after the mark": (13.0, (5.0, 8.0, 9.0), "pending"),
    "deleted since the scan began": (5.0, (5.0, 8.0, 21.0), None),
    "key alone": (5.0, (None, None, 9.0), "missing"),
    "changed unseen": (6.0, BEFORE, "older"),
    "changed after the mark": (13.0, BEFORE, "pending"),
    "changed and seen since": (6.0, (5.0, 21.0, None), None),
    "changed to the future": (99.0, BEFORE, "older"),
    "restored": (4.0, BEFORE, "backwards"),
    "restored to after the mark": (13.0, (14.0, 15.0, None), "backwards"),
    "lost its stamp": (None, BEFORE, "backwards"),
    "got a stamp": (5.0, (None, 8.0, None), "older"),
    "no stamp on either side": (None, (None, 8.0, None), None),
    "stamp put right": (5.0, (99.0, 8.0, None), "backwards"),
    "both from the future": (99.0, (99.0, 8.0, None), None),
}


def hours(number):
    return None if number is None else T0 + timedelta(hours=number)


def things(**fields):
    columns = [("id", "string"), ("updated_at", "timestamp")]
    return MongoDataset.model_validate(
        {
            "name": f"t{uuid4().hex[:8]}", "source": "test", "database": "d", "collection": "c", "key": ["id"],
            "change_column": "updated_at", "columns": [{"name": n, "type": t} for n, t in columns], **fields,
        }
    )  # fmt: skip


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


def keys(rows):
    """A batch of (key, stamp) as a scan gives them."""
    return pa.table(
        {
            "id": pa.array([key for key, _ in rows], pa.string()),
            STAMP: pa.array([hours(stamp) for _, stamp in rows], pa.timestamp("us", "UTC")),
            SOURCE: pa.array([bson.encode({"_id": key}) for key, _ in rows], pa.binary()),
        }
    )


def make(warehouse, dataset, *, mark=MARK):
    """Fill both sides of the cases."""
    target = raw_table(dataset, warehouse.settings)
    fields = ensure_table(warehouse, target, raw_layout(dataset)).fields
    rows = [
        {"id": case, "updated_at": has[0], "_extracted_at": has[1], "_deleted_at": has[2]}
        for case, (_, has, _) in CASES.items()
        if has
    ]
    lines = [
        {
            name: value if name == "id" or value is None else hours(value).isoformat()
            for name, value in row.items()
        }
        for row in rows
    ]
    body = BytesIO("".join(dumps(line) + "\n" for line in lines).encode())
    warehouse.load_file(target, body, fields, key=uuid4().hex, truncate=True, source_format=NDJSON)
    table = load_table(dataset, uuid4().hex, warehouse.settings)
    there = [(case, stamp) for case, (stamp, _, _) in CASES.items() if stamp != "gone"]
    assert upload(warehouse, dataset, table, [keys(there[:5]), keys(there[5:])], key=uuid4().hex) == len(
        there
    )
    return Comparison(dataset, target, table, hours(BEGAN), hours(mark))


def verdicts(comparison, warehouse):
    return {row["id"]: row[VERDICT] for row in comparison.found(warehouse, VERDICTS)}


def test_every_case_is_judged(warehouse):
    comparison = make(warehouse, things())
    expected = {case: verdict for case, (_, _, verdict) in CASES.items() if verdict}
    assert verdicts(comparison, warehouse) == expected
    summary = comparison.summary(warehouse)
    counts = {verdict: list(expected.values()).count(verdict) for verdict in VERDICTS}
    assert {name: summary[name] for name in VERDICTS} == counts
    assert summary["live"] == sum(1 for _, has, _ in CASES.values() if has and has[2] is None)
    assert summary["at_source"] == sum(1 for stamp, _, _ in CASES.values() if stamp != "gone")


def test_before_the_first_load_everything_is_left_to_it(warehouse):
    found = verdicts(make(warehouse, things(), mark=None), warehouse)
    assert set(found.values()) == {"absent", "pending", "backwards"}


def test_rows_without_a_stamp_are_read_where_no_window_reads_them(warehouse):
    found = verdicts(make(warehouse, things(null_changes="first_load")), warehouse)
    assert found["no stamp on either side"] == "unstamped"


def test_without_a_change_column_keys_alone_are_compared(warehouse):
    found = verdicts(make(warehouse, things(change_column=None)), warehouse)
    assert set(found.values()) == {"absent", "missing"}
    assert found["gone"] == "absent"
    assert "changed unseen" not in found


def test_what_was_found_says_how_to_ask_for_it(warehouse):
    comparison = make(warehouse, things())
    (row,) = (row for row in comparison.found(warehouse, ["older"]) if row["id"] == "changed unseen")
    assert bson.decode(row[SOURCE]) == {"_id": "changed unseen"}


def test_keys_that_are_many_are_loaded_in_several_jobs(warehouse, monkeypatch):
    monkeypatch.setattr(compare, "ROWS_A_JOB", 4)
    dataset = things()
    table = load_table(dataset, "many", warehouse.settings)
    batches = [keys([(f"{n}", 1.0), (f"{n}b", 2.0)]) for n in range(6)]
    assert upload(warehouse, dataset, table, batches, key="many") == 12
    assert warehouse.count(table) == 12


def test_the_load_table_is_dropped_afterwards(warehouse):
    dataset = things()
    with compared(warehouse, dataset, [], hours(BEGAN)) as (comparison, counts):
        table: TableName = comparison.keys
        assert warehouse.tables.get(table) is not None
    assert warehouse.tables.get(table) is None
    assert counts == dict.fromkeys([*VERDICTS, "at_source", "live"], 0)
