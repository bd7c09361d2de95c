"""Loads that delete, through the whole merge: events, whole reads, the cap, and what the ledger says."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tideline.errors import ContractError
from tideline.merge.cap import Deletions, check_cap
from tideline.merge.merge import merge
from tideline.warehouse import names
from tideline.warehouse.schema import METADATA, raw_layout
from tideline.warehouse.tables import ensure_table

SUM = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates", "deleted")


@pytest.fixture
def run(lake, warehouse):
    return lambda dataset, refined, **more: (
        merge(
            dataset,
            {**refined, **more},
            run_id="r",
            raw=lake.raw,
            processed=lake.processed,
            warehouse=warehouse,
        ).row
    )


@pytest.fixture
def live(kit, warehouse):
    return lambda: [
        row["id"]
        for row in kit.rows(warehouse, "select id from @raw.things where _deleted_at is null order by id")
    ]


def counts(row):
    return {name: value for name in SUM if (value := getattr(row, name))}


def whole(kit, lake, ids, read, **options):
    """A read of everything an endpoint has."""
    rows = [[{"id": number, "note": "a"} for number in ids]] if ids else []
    given = {"extracted_at": kit.hours(read), "raw_details": {"whole": True}, **options}
    return lake.refined(kit.http(), *rows, **given)


def events(kit, lake, dataset, *found):
    """Events (id, kind, hours after T0)."""
    schema = pa.schema(
        [
            ("id", pa.int64()), ("_event", pa.string()), ("_observed_at", pa.timestamp("us", "UTC")),
            ("_raw_uri", pa.string()), ("_raw_position", pa.int64()),
        ]
    )  # fmt: skip
    rows = [{"id": key, "_event": kind, "_observed_at": kit.hours(at)} for key, kind, at in found]
    return lake.refined(
        dataset, rows, schema=schema, details={"kind": "events"}, raw_details={"kind": "events"}
    )


def test_events_are_merged_once_and_counted(kit, lake, run, live):
    dataset = kit.mongo()
    run(dataset, lake.refined(dataset, [{"id": n, "updated_at": kit.hours(-3)} for n in range(4)]))
    deleting = events(
        kit, lake, dataset, (0, "deleted", 1), (1, "superseded", 1), (2, "deleted", -1), (9, "deleted", 1)
    )
    row = run(dataset, deleting)
    assert counts(row) == {"deleted": 1, "updated": 2, "stale": 1}
    assert (row.kind, row.landed, row.refined, row.quarantined) == ("events", 4, 4, 0)
    assert row.partitions is None
    assert live() == [1, 2, 3]
    assert run(dataset, deleting) == row
    late = lake.refined(
        dataset, [{"id": n, "updated_at": kit.hours(-2)} for n in (0, 9)], extracted_at=kit.hours(0.5)
    )
    assert counts(run(dataset, late)) == {"updated": 2}
    assert live() == [1, 2, 3]


def test_whole_read_deletes_what_it_does_not_have(kit, lake, run, live):
    dataset = kit.http()
    assert counts(run(dataset, whole(kit, lake, range(20), 0))) == {"inserted": 20}
    row = run(dataset, whole(kit, lake, range(18), 1))
    assert counts(row) == {"unchanged": 18, "deleted": 2}
    assert (row.kind, row.refined) == ("rows", 18)
    assert live() == list(range(18))


def test_more_than_the_threshold_stops_before_anything_is_merged(kit, lake, run, live, warehouse):
    dataset = kit.http()
    run(dataset, whole(kit, lake, range(20), 0))
    shrunk = whole(kit, lake, [*range(17), 99], 1)
    with pytest.raises(ContractError) as stopped:
        run(dataset, shrunk)
    assert "3 of 20 live rows (15.00%)" in str(stopped.value)
    assert '{"id":17}' in str(stopped.value)
    assert "--max-delete-ratio 0.15" in str(stopped.value)
    assert live() == list(range(20))
    assert warehouse.count(names.ops_table(names.LEDGER, warehouse.settings)) == 1
    assert counts(run(dataset, shrunk, max_delete_ratio=0.15)) == {
        "unchanged": 17,
        "inserted": 1,
        "deleted": 3,
    }
    assert live() == [*range(17), 99]


def test_an_empty_whole_read_is_the_loss_of_everything(kit, lake, run, live):
    dataset = kit.http()
    run(dataset, whole(kit, lake, [1, 2], 0))
    nothing = whole(kit, lake, [], 1)
    with pytest.raises(ContractError, match="2 of 2 live rows"):
        run(dataset, nothing)
    assert counts(run(dataset, nothing, max_delete_ratio=1.0)) == {"deleted": 2}
    assert live() == []
    assert counts(run(dataset, whole(kit, lake, [], 2))) == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"quarantined": 1, "details": {"refused_keys": [["2"]]}}, [1, 2]),
        ({"quarantined": 1, "details": {"refused_keys": None}}, [1, 2, 3]),
        ({"quarantined": 1}, [1, 2, 3]),
        ({"details": {"moved_keys": 1}}, [1, 2, 3]),
        ({"raw_details": {}}, [1, 2, 3]),
        ({"raw_details": {"whole": True, "range": {"number": 0}}}, [1, 2, 3]),
        ({"unchanged": True}, [1, 2, 3]),
    ],
    ids=["refused", "refused-unreadable", "refused-unknown", "moved", "not-whole", "range", "unchanged"],
)
def test_what_is_not_known_to_be_absent_stays(options, expected, kit, lake, run, live):
    dataset = kit.http(delete_threshold=1)
    run(dataset, whole(kit, lake, [1, 2, 3], 0))
    run(dataset, whole(kit, lake, [1], 1, **options))
    assert live() == expected


def test_deletes_that_are_ignored_leave_everything(kit, lake, run, live):
    dataset = kit.http(deletes="ignore")
    run(dataset, whole(kit, lake, [1, 2, 3], 0))
    assert counts(run(dataset, whole(kit, lake, [1], 1))) == {"unchanged": 1}
    assert live() == [1, 2, 3]


def test_a_tombstone_without_content_is_met_whatever_the_partition(kit, lake, run, live):
    """It has no partition: a predicate on the load's partitions alone would insert its key again."""
    columns = kit.columns(id="int64", day="date", updated_at="timestamp")
    dataset = kit.mongo(columns=columns, partition={"column": "day", "immutable": True})
    run(dataset, events(kit, lake, dataset, (1, "deleted", 1)))
    from datetime import date

    row = {"id": 1, "day": date(2026, 3, 1), "updated_at": kit.hours(-1)}
    old = lake.refined(dataset, [row], extracted_at=kit.hours(0), partitions=["2026-03-01"])
    assert counts(run(dataset, old)) == {"updated": 1}
    assert live() == []
    back = lake.refined(dataset, [row], extracted_at=kit.hours(2), partitions=["2026-03-01"])
    assert counts(run(dataset, back)) == {"revived": 1}
    assert live() == [1]


def test_a_table_of_before_gets_the_column(kit, lake, run, live, warehouse):
    from dataclasses import replace

    dataset, layout = kit.mongo(), raw_layout(kit.mongo())
    before = tuple(field for field in layout.fields if field.name != "_superseded_at")
    ensure_table(warehouse, names.raw_table(dataset, warehouse.settings), replace(layout, fields=before))
    run(dataset, lake.refined(dataset, [{"id": 1, "updated_at": kit.hours(-3)}]))
    run(dataset, events(kit, lake, dataset, (1, "deleted", 1)))
    assert live() == []
    assert "_superseded_at" in {field.name for field in METADATA}


@pytest.mark.parametrize(
    ("count", "live_rows", "allowed", "stops"),
    [(0, 0, 0.0, False), (0, 5, 0.0, False), (1, 5, 0.0, True), (3, 30, None, False), (4, 30, None, True),
     (29, 100, 0.29, False), (30, 100, 0.29, True), (5, 5, 1.0, False)],
)  # fmt: skip
def test_the_cap_is_the_share_of_live_rows(count, live_rows, allowed, stops, kit):
    found = Deletions(count, live_rows, ("1",))
    if not stops:
        check_cap(kit.mongo(), found, allowed)
        return
    with pytest.raises(ContractError, match=f"{count} of {live_rows} live rows"):
        check_cap(kit.mongo(), found, allowed)
