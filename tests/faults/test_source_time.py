"""Sources whose time is not ours: clocks that are off, stamps that are equal, rows that appear late, DST days."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import bson
import pytest
from arena import T0, mongo_client, s3_client
from invariants import Truth, check_settled, check_unmoved, look
from proxy import pass_on, then
from steps import run
from survival import attempt

from tideline import pipeline
from tideline import plan as planning
from tideline.land import mongodb
from tideline.land.request import LandRequest
from tideline.plan import RunRequest
from tideline.warehouse.state import DatasetState
from tideline.window import HOUR

KIND = "mongodb"
DATASET = "mongodb.things"


def document(number, stamp, note="n"):
    return {
        "_id": number, "id": number, "note": f"{note} {number}", "amount": bson.Decimal128("1.00"),
        "updated_at": stamp,
    }  # fmt: skip


def row(number, stamp, note="n"):
    return {"id": number, "note": f"{note} {number}", "updated_at": stamp}


def things(lane):
    return mongo_client(lane.servers.mongo)[lane.name]["things"]


# --- the source's clock ------------------------------------------------------------------------------------

OFF = {
    "-10 min": timedelta(minutes=-10),
    "-1 min": timedelta(minutes=-1),
    "-1 ms": timedelta(milliseconds=-1),
    "right": timedelta(0),
    "+1 ms": timedelta(milliseconds=1),
    "+10 min": timedelta(minutes=10),
    "+1 day": timedelta(days=1),
    "+1 year": timedelta(days=365),
    "+10 years": timedelta(days=3653),
}


@pytest.mark.parametrize("name", OFF)
def test_a_source_whose_clock_is_off_loses_no_update(faults, arena, name):
    """Each change is stamped by the source's own clock, and written in the middle of our hour.

    A clock that is behind puts changes at the hour's beginning into the window before, which has been read: that
    is what `lookback` is for. Stamps ahead of the reading clock are read by every run.
    """
    off, first = OFF[name], last_hours(3)
    lane = arena.lane(lookback=timedelta(minutes=15))
    truth = {}
    with lane.deployment() as deployment:
        before = look(deployment, DATASET)
        for hour in range(first, first + 3):
            now = T0 + hour * HOUR + timedelta(minutes=1)
            for number in (1, hour):
                stamp = now + off
                things(lane).replace_one(
                    {"_id": number}, document(number, stamp, f"hour {hour}"), upsert=True
                )
                truth[number] = row(number, stamp, f"hour {hour}")
            run(deployment, lane.request(KIND, hour))
            after = look(deployment, DATASET)
            check_settled(faults, before, after, Truth(truth))
            assert after.mark == T0 + (hour + 1) * HOUR
            before = after
        run(deployment, lane.request(KIND, first + 2))
        check_unmoved(faults, before, look(deployment, DATASET))
    faults.tried()


def last_hours(count):
    """The first of the last full hours, in hours of T0: a stamp is from the future by the real clock alone."""
    return (datetime.now(UTC) - T0) // HOUR - count


def test_a_stamp_from_the_future_does_not_block_what_comes_after_it(faults, arena, monkeypatch):
    lane, first = arena.lane(), last_hours(2)

    def land_at(end):
        monkeypatch.setattr(pipeline, "LandRequest", partial(LandRequest, now=lambda: end))

    ends = [T0 + (first + number) * HOUR for number in (1, 2)]
    with lane.deployment() as deployment:
        things(lane).insert_one(document(1, datetime(2096, 1, 1, tzinfo=UTC), "from the future"))
        land_at(ends[0])
        run(deployment, lane.request(KIND, first))
        before = look(deployment, DATASET)
        assert before.loads[0]["future_changes"] == 1
        stamp = ends[0] + timedelta(seconds=1)
        things(lane).replace_one({"_id": 1}, document(1, stamp, "later, with a right stamp"), upsert=True)
        land_at(ends[1])
        run(deployment, lane.request(KIND, first + 1))
        after = look(deployment, DATASET)
    assert [found["note"] for found in after.rows] == ["later, with a right stamp 1"]
    assert after.mark == ends[1]
    faults.tried()


# --- equal stamps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [100, 333, 1000])
def test_a_thousand_rows_of_one_stamp_over_page_boundaries(faults, arena, monkeypatch, batch):
    monkeypatch.setattr(mongodb, "BATCH_DOCUMENTS", batch)
    lane = arena.lane(part_bytes=20_000)
    stamp = T0 + timedelta(minutes=30)
    things(lane).insert_many([document(number, stamp) for number in range(1000)])
    with lane.deployment() as deployment:
        before = look(deployment, DATASET)
        run(deployment, lane.request(KIND))
        after = look(deployment, DATASET)
        check_settled(faults, before, after, Truth({n: row(n, stamp) for n in range(1000)}))
    faults.tried()


@pytest.mark.parametrize("boundary", ["start", "end", "both"])
def test_rows_stamped_at_the_boundary_of_two_windows(faults, arena, boundary):
    """Half-open windows: each is read by one of the two and by one only."""
    lane = arena.lane()
    at = {"start": [T0], "end": [T0 + HOUR], "both": [T0 + HOUR - timedelta(milliseconds=1), T0 + HOUR]}[
        boundary
    ]
    stamps = {number: at[number % len(at)] for number in range(90)}
    things(lane).insert_many([document(number, stamp) for number, stamp in stamps.items()])
    with lane.deployment() as deployment:
        before = look(deployment, DATASET)
        first = run(deployment, lane.request(KIND, window=(0, 1)))[DATASET]
        second = run(deployment, lane.request(KIND, window=(1, 2)))[DATASET]
        after = look(deployment, DATASET)
        check_settled(faults, before, after, Truth({n: row(n, stamp) for n, stamp in stamps.items()}))
    assert first["inserted"] + second["inserted"] == 90
    assert first["landed"] == sum(stamp < T0 + HOUR for stamp in stamps.values())
    faults.tried()


# --- a writer that works while we read ---------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("change", ["update", "insert", "delete", "move out of the window"])
def test_a_writer_that_works_during_the_scan_converges_with_the_next_run(
    faults, proxies, arena, monkeypatch, batch, change
):
    """The writer acts when the n-th batch is asked for: exactly there, in every run of this test."""
    monkeypatch.setattr(mongodb, "BATCH_DOCUMENTS", 3)
    lane = arena.lane(lookback=HOUR)
    stamp, later = T0 + timedelta(minutes=30), T0 + HOUR + timedelta(minutes=5)
    truth = {number: row(number, stamp) for number in range(24)}
    things(lane).insert_many([document(number, stamp) for number in range(24)])

    def write():
        if change == "insert":
            things(lane).insert_one(document(100, later, "new"))
            truth[100] = row(100, later, "new")
        elif change == "delete":
            things(lane).delete_one({"_id": 23})
            truth.pop(23)
        else:
            number = 23 if change == "update" else 0
            at = later if change != "update" else stamp + timedelta(minutes=1)
            things(lane).replace_one({"_id": number}, document(number, at, "changed"))
            truth[number] = row(number, at, "changed")

    with proxies.before("mongo", lane) as line:
        for _ in range(batch - 1):
            line.proxy.fail("^getMore things", pass_on)
        line.proxy.fail("^getMore things", then(write))
        first = attempt(line, lane.request(KIND, 0))
        assert len(line.proxy.failed) == batch
        if first is not None:
            assert attempt(line, lane.request(KIND, 0)) is None
        assert attempt(line, lane.request(KIND, 1)) is None
        after = look(line.deployment, DATASET)
    live = {key: found["note"] for key, found in after.live.items()}
    expected = {key: found["note"] for key, found in truth.items()}
    if change == "delete":  # a cursor cannot see it: reconcile does
        live.pop(23, None)
    lost = [key for key in expected if key not in live]
    older = [key for key in expected if key in live and live[key] != expected[key]]
    faults.violated(lost=len(lost), regressed=len(older))
    assert live == expected
    assert after.mark == T0 + 2 * HOUR
    faults.tried()


# --- commits that become visible late ----------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 20, 59])
def test_a_commit_that_becomes_visible_within_the_lookback_is_read(faults, arena, minutes):
    lane = arena.lane(lookback=timedelta(hours=1))
    stamp = T0 + HOUR - timedelta(minutes=minutes)
    with lane.deployment() as deployment:
        things(lane).insert_one(document(1, T0 + timedelta(seconds=1)))
        run(deployment, lane.request(KIND, 0))
        before = look(deployment, DATASET)
        things(lane).insert_one(document(2, stamp, "late"))  # stamped in the hour that has been read
        run(deployment, lane.request(KIND, 1))
        after = look(deployment, DATASET)
        truth = {1: row(1, T0 + timedelta(seconds=1)), 2: row(2, stamp, "late")}
        check_settled(faults, before, after, Truth(truth))
    faults.tried()


def test_a_commit_that_becomes_visible_later_than_the_lookback_is_read_by_a_backfill(faults, arena):
    """What no cursor can see: a scheduled run passes it by, naming its hour (or reconcile) finds it."""
    lane = arena.lane()
    stamp = T0 + timedelta(minutes=30)
    with lane.deployment() as deployment:
        things(lane).insert_one(document(1, T0 + timedelta(seconds=1)))
        run(deployment, lane.request(KIND, 0))
        things(lane).insert_one(document(2, stamp, "late"))
        run(deployment, lane.request(KIND, 1))
        before = look(deployment, DATASET)
        assert set(before.live) == {1}
        run(deployment, lane.request(KIND, window=(0, 1)))
        after = look(deployment, DATASET)
        truth = {1: row(1, T0 + timedelta(seconds=1)), 2: row(2, stamp, "late")}
        check_settled(faults, before, after, Truth(truth))
        assert after.mark == T0 + 2 * HOUR
    faults.tried()


@pytest.mark.parametrize("kind", ["s3_csv"])
def test_an_object_under_an_old_name_is_read_whenever_it_appears(faults, arena, kind):
    lane = arena.lane()
    lane.change(kind, 1, 2)
    with lane.deployment() as deployment:
        run(deployment, lane.request(kind, 0))
        before = look(deployment, lane.dataset_id(kind))
        body = b"id,note,amount,updated_at\n3,old,1,2001-01-01T00:00:00Z\n"
        s3_client(lane.servers.s3).put_object(
            Bucket="fault-drops", Key=f"{lane.name}/000000-2001.csv", Body=body
        )
        run(deployment, lane.request(kind, 1))
        after = look(deployment, lane.dataset_id(kind))
        truth = dict(lane.truth(kind).rows) | {3: {"id": 3, "note": "old"}}
        check_settled(faults, before, after, Truth(truth))
    faults.tried()


def put_version(lane, name, note):
    """Write an object whose one row carries the stamp that all have; when it was written, by the bucket's clock."""
    client, key = s3_client(lane.servers.s3), f"{lane.name}/{name}.csv"
    body = f"id,note,amount,updated_at\n1,{note},1,2001-01-01T00:00:00Z\n".encode()
    client.put_object(Bucket="fault-drops", Key=key, Body=body)
    return client.head_object(Bucket="fault-drops", Key=key)["LastModified"]


def test_an_object_that_is_read_again_is_no_newer_than_those_written_after_it(faults, arena):
    """Two versions of a row with equal stamps; the window of the first is named once both are merged."""
    lane = arena.lane()
    with lane.deployment() as deployment:
        dataset_id = lane.dataset_id("s3_csv")
        first = put_version(lane, "b", "old")
        run(deployment, lane.request("s3_csv", 0))
        while put_version(lane, "a", "new") == first:
            pass  # the bucket counts whole seconds
        run(deployment, lane.request("s3_csv", 1))
        before = look(deployment, dataset_id)
        assert [found["note"] for found in before.live.values()] == ["new"]
        again = replace(
            lane.request("s3_csv", 1), kind="backfill", interval=(first, first + timedelta(seconds=1))
        )
        (load,) = run(deployment, again).values()
        assert load["landed"] == 1
        check_unmoved(faults, before, look(deployment, dataset_id))
    faults.tried()


# --- days on which clocks are changed ----------------------------------------------------------------------

ZONES = {
    "Europe/Berlin": (datetime(2026, 3, 29), datetime(2026, 10, 25)),  # noqa: DTZ001 - local days
    "America/New_York": (datetime(2026, 3, 8), datetime(2026, 11, 1)),  # noqa: DTZ001
    "Australia/Lord_Howe": (datetime(2026, 10, 4), datetime(2026, 4, 5)),  # noqa: DTZ001 - by half an hour
}
DAYS = [(zone, day) for zone, days in ZONES.items() for day in days]


@pytest.fixture
def dst_lane(arena):
    return arena.lane()


def request(now, kind, interval=None):
    return RunRequest(
        run_id="r", kind=kind, interval=interval, datasets=(DATASET,), window=None, catch_up=False, now=now
    )


@pytest.mark.parametrize(("zone", "day"), DAYS, ids=lambda value: str(value)[:19])
def test_hours_of_a_day_on_which_clocks_change_leave_no_gap_and_no_overlap(faults, dst_lane, zone, day):
    """Every minute of the local day, 23 to 25 hours of it, lies in exactly one window."""
    tz = ZoneInfo(zone)
    start = day.replace(tzinfo=tz).astimezone(UTC).replace(minute=0)
    end = (day + timedelta(days=1)).replace(tzinfo=tz).astimezone(UTC)
    mark, hour, covered = None, start, []
    while hour < end:
        state = {DATASET: DatasetState(high_water_mark=mark)} if mark else {}
        interval = (hour.astimezone(tz), (hour + HOUR).astimezone(tz))
        (load,) = planning.plan(dst_lane.catalog(), request(hour + HOUR, "scheduled", interval), state)
        covered.append(load.window)
        mark, hour = load.window.end, hour + HOUR
    assert all(one.end == other.start for one, other in pairwise(covered))
    assert covered[0].start is None
    assert covered[-1].end >= end
    assert all(window.end.minute == 0 for window in covered)
    faults.tried()


@pytest.mark.parametrize(("zone", "day"), DAYS, ids=lambda value: str(value)[:19])
def test_a_manual_run_without_a_date_reads_the_last_full_hour_of_utc(faults, dst_lane, zone, day):
    """At every quarter of an hour of the local day; Airflow 3 gives such a run no logical date."""
    tz = ZoneInfo(zone)
    moment = day.replace(tzinfo=tz)
    for quarter in range(25 * 4):
        now = (moment.astimezone(UTC) + quarter * timedelta(minutes=15)).astimezone(tz)
        (load,) = planning.plan(dst_lane.catalog(), request(now, "manual"), {})
        assert load.window.end - load.window.start == HOUR
        assert timedelta(0) <= now - load.window.end < HOUR
        assert load.window.end.tzinfo is UTC
        assert load.window.end.minute == 0
    faults.tried()


@pytest.mark.parametrize(("zone", "day"), DAYS, ids=lambda value: str(value)[:19])
def test_rows_stamped_in_the_hour_that_comes_twice_arrive_once_each(faults, arena, zone, day):
    """Written with the zone's own wall clock and offset, as a source in that zone does."""
    lane = arena.lane()
    tz = ZoneInfo(zone)
    first = day.replace(tzinfo=tz).astimezone(UTC)
    stamps = [first + timedelta(minutes=10 * n) for n in range(25 * 6)]
    lines = [b"id,note,amount,updated_at"]
    lines += [f"{n},x,1,{stamp.astimezone(tz).isoformat()}".encode() for n, stamp in enumerate(stamps)]
    s3_client(lane.servers.s3).put_object(
        Bucket="fault-drops", Key=f"{lane.name}/a.csv", Body=b"\n".join(lines) + b"\n"
    )
    from survival import harvest

    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request("s3_csv"))
    assert {found["id"]: found["updated_at"] for found in crop.rows} == dict(enumerate(stamps))
    faults.tried()
