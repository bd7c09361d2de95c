"""One small test for each promise, in seconds: what the mutation proof runs first (`tests/mutations`).

Each plays a history that a seeded bug gets wrong; the invariants say so.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import steps
from arena import HOUR, SOURCE_BUCKET, T0, mongo_client, s3_client
from invariants import check_settled, check_unmoved, check_unsettled, look
from zygote import Order

from tideline.errors import AlreadyExistsError, ContractError, IntegrityError
from tideline.lake import manifest as manifests

pytestmark = pytest.mark.integration

MONGO, CSV, API = "mongodb", "s3_csv", "rest_api"


class Place:
    """A lane of one kind and its deployment."""

    def __init__(self, lane, deployment, kind: str, faults) -> None:
        self.lane, self.deployment, self.kind, self.faults = lane, deployment, kind, faults
        self.start = self.look()

    def change(self, *ids, **how) -> None:
        self.lane.change(self.kind, *ids, **how)

    def look(self):
        return look(self.deployment, self.lane.dataset_id(self.kind))

    def run(self, hour: int = 0, window=None):
        (done,) = steps.run(self.deployment, self.lane.request(self.kind, hour, window=window)).values()
        return done

    def upto(self, stage: str, hour: int = 0, window=None):
        """What the stages before that one hand to it."""
        (given,) = steps.plan(self.deployment, self.lane.request(self.kind, hour, window=window)).values()
        for name in steps.STAGES[1 : steps.STAGES.index(stage)]:
            given = steps.one(self.deployment, name, given, "run")
        return given

    def settled(self):
        after = self.look()
        check_settled(self.faults, self.start, after, self.lane.truth(self.kind))
        self.faults.tried()
        return after


@pytest.fixture
def place(arena, faults):
    @contextmanager
    def make(kind: str, **options):
        lane = arena.lane(**options)
        with lane.deployment() as deployment:
            yield Place(lane, deployment, kind, faults)

    return make


# --- windows and the high-water mark ------------------------------------------------------------------------


def test_rows_on_the_bounds_of_windows_are_read(place):
    """Half-open: the last microsecond before the bound in one window, the bound itself in the next."""
    with place(MONGO) as it:
        it.change(1, stamp=T0)
        it.change(2, stamp=T0 + HOUR - timedelta(milliseconds=1))
        it.run(0)
        it.change(3, stamp=T0 + HOUR)
        it.change(4, stamp=T0 + 2 * HOUR - timedelta(milliseconds=1))
        it.run(1)
        assert it.settled().mark == T0 + 2 * HOUR


def test_the_run_after_an_outage_reads_the_gap(place):
    with place(MONGO) as it:
        it.change(1)
        it.run(0)
        it.change(2, hour=1)
        it.change(3, hour=3)
        it.run(3)
        assert it.settled().mark == T0 + 4 * HOUR


def test_a_row_that_became_visible_late_is_in_the_lookback(place):
    with place(MONGO, lookback=HOUR) as it:
        it.change(1)
        it.run(0)
        it.change(2, stamp=T0 + HOUR - timedelta(minutes=10))
        it.run(1)
        it.settled()


def test_a_backfill_elsewhere_does_not_move_the_mark(place):
    """Hour 5 was backfilled; the next scheduled run still reads from the mark on."""
    with place(MONGO) as it:
        it.change(1)
        it.run(0)
        it.run(window=(5.0, 6.0))
        assert it.look().mark == T0 + HOUR
        it.change(2, hour=2)
        it.run(6)
        it.settled()


def test_a_window_that_is_not_over_is_refused(place):
    with place(MONGO) as it:
        it.change(1)
        request = it.lane.request(MONGO, 0)
        it.run(0)
        from tideline.errors import SettingsError

        with pytest.raises(SettingsError):
            steps.plan(it.deployment, replace(request, now=T0 + HOUR / 2))
        it.settled()


def test_rows_without_a_stamp_are_read_by_every_run(place):
    with place(MONGO) as it:
        it.change(1)
        it.run(0)
        it.change(2, stamp=None)
        it.run(1)
        it.change(2, stamp=None)
        it.run(2)
        it.settled()


def test_a_stamp_ahead_of_the_clock_is_read_and_blocks_nothing(place):
    with place(MONGO) as it:
        it.change(1)
        it.run(0)
        it.change(1, stamp=datetime(2099, 1, 1, tzinfo=UTC))
        it.run(1)
        now = it.settled()
        assert now.live[1]["updated_at"].year == 2099
        corrected = datetime.now(UTC)  # as MongoDB keeps it, in milliseconds
        it.change(1, stamp=corrected.replace(microsecond=corrected.microsecond // 1000 * 1000))
        loads = [{**load, "window": {"start": None, "end": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}}
                 for load in it.upto("land", 2)]  # fmt: skip
        given = loads
        for stage in ("land", "refine", "merge"):
            given = steps.one(it.deployment, stage, given, "run")
        assert it.look().live[1]["updated_at"].year < 2099


# --- versions -------------------------------------------------------------------------------------------------


def test_an_older_version_that_is_merged_last_changes_nothing(place):
    with place(MONGO) as it:
        it.change(1, 2)
        older = it.upto("merge", 0)
        it.change(1, hour=0)
        it.run(0)
        steps.merge(it.deployment, older, "late")
        it.settled()


def test_two_records_of_a_key_with_one_stamp_end_in_the_later_one(place):
    with place(CSV) as it:
        it.change(1, 2)
        body = "id,note,amount,updated_at\n" + "".join(
            f"7,record {n},{n},2026-03-01T10:30:00+00:00\n" for n in range(9)
        )
        s3_client(it.lane.servers.s3).put_object(
            Bucket=SOURCE_BUCKET, Key=f"{it.lane.name}/twice.csv", Body=body.encode()
        )
        it.run(0)
        found = it.look()
        assert [row["note"] for row in found.rows if row["id"] == 7] == ["record 8"]
        load = max(found.loads, key=lambda row: row["committed_at"])
        assert (load["refined"], load["inserted"], load["duplicates"]) == (11, 3, 8)


def test_windows_that_run_again_change_nothing(place):
    with place(MONGO) as it:
        for hour in (0, 1):
            it.change(1, 2 + hour, hour=hour)
            it.run(hour)
        before = it.settled()
        for hour in (1, 0, 0):
            it.run(hour)
        it.run(window=(0.25, 1.75))
        check_unmoved(it.faults, before, it.look())


# --- the lake -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 9 << 20], ids=["small", "in-chunks"])
def test_an_object_is_never_replaced(place, size):
    import io

    with place(MONGO) as it:
        first, second = bytes(size), b"x" * size
        it.deployment.raw.put_file("some/object", io.BytesIO(first))
        with pytest.raises(AlreadyExistsError):
            it.deployment.raw.put_file("some/object", io.BytesIO(second))
        assert it.deployment.raw.read("some/object") == first
        it.faults.tried()


@pytest.mark.parametrize("kind", [MONGO, CSV, API])
def test_the_manifest_comes_last(place, zygote, kind):
    """Killed while the parts are written: no folder of this attempt exists for any reader."""
    with place(kind) as it:
        it.change(*range(1, 9))
        loads = it.upto("land", 0)
        for point in ("land/raw.put_file[part]/before", "land/raw.put[manifest]/before"):
            assert zygote.run(Order(it.lane, "land", loads, kill=point)).signal == signal.SIGKILL
            after = it.look()
            check_unsettled(it.faults, it.start, after, it.lane.truth(kind))
            assert not [uri for uri in after.objects if uri.endswith("_manifest.json")]
            it.faults.tried()
        it.run(0)
        it.settled()


def test_damaged_raw_bytes_are_never_refined(place):
    """One byte of a landed part is another one (behind our back: the lake itself never replaces anything)."""
    with place(CSV) as it:
        it.change(1, 2)
        landed = it.upto("refine", 0)
        (part,) = manifests.read(it.deployment.raw, landed[0]["raw_manifest_uri"]).parts
        bucket, _, key = part.uri.removeprefix("s3://").partition("/")
        client = s3_client(it.lane.servers.s3)
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        client.put_object(Bucket=bucket, Key=key, Body=body.replace(b"s3_csv 1", b"s3_csv 7"))
        with pytest.raises(IntegrityError):
            steps.refine(it.deployment, landed, "run")
        it.faults.tried()


def test_an_object_under_an_old_name_is_a_new_object(place):
    with place(CSV) as it:
        client = s3_client(it.lane.servers.s3)
        for number in (1, 2):
            body = (
                f"id,note,amount,updated_at\n1,version {number},1,2026-03-01T10:0{number}:00+00:00\n".encode()
            )
            client.put_object(Bucket=SOURCE_BUCKET, Key=f"{it.lane.name}/same.csv", Body=body)
            it.run(number)
        assert [row["note"] for row in it.look().rows] == ["version 2"]
        it.faults.tried()


def test_every_page_is_read(place):
    """Seven items in pages of three; then a page more."""
    with place(API) as it:
        it.change(*range(1, 8))
        it.run(0)
        it.settled()
        it.change(*range(8, 11))
        it.run(1)
        it.settled()


# --- quarantine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MONGO, CSV, API])
def test_what_is_refused_is_in_quarantine_and_counted(place, kind):
    with place(kind) as it:
        it.change(1, 2, 3, 4)
        it.change(5, 6, bad=True)
        done = it.run(0)
        assert (done["landed"], done["refined"], done["quarantined"]) == (6, 4, 2)
        it.settled()


def test_too_much_refused_stops_after_the_evidence(place):
    with place(MONGO, threshold=0.1) as it:
        it.change(1, 2, 3)
        it.change(4, 5, bad=True)
        landed = it.upto("refine", 0)
        with pytest.raises(ContractError):
            steps.refine(it.deployment, landed, "run")
        after = it.look()
        assert after.evidence == 2
        assert not [
            uri for uri in after.objects if "/fault-processed/" in uri and uri.endswith("_manifest.json")
        ]
        it.faults.tried()


# --- the merge's steps ----------------------------------------------------------------------------------------


def test_the_ledger_comes_after_the_merge(place, zygote):
    """Killed before the MERGE: nothing says that the rows are there; the retry brings them."""
    with place(MONGO) as it:
        it.change(1, 2)
        refined = it.upto("merge", 0)
        done = zygote.run(Order(it.lane, "merge", refined, kill="merge/bigquery.query[merge]/before"))
        assert done.signal == signal.SIGKILL
        assert it.look().mark is None
        steps.merge(it.deployment, refined, "run")
        it.settled()


def test_a_retry_after_the_merge_tells_the_first_counts(place, zygote):
    with place(MONGO) as it:
        it.change(1, 2)
        refined = it.upto("merge", 0)
        done = zygote.run(Order(it.lane, "merge", refined, kill="merge/bigquery.query[merge]/after"))
        assert done.signal == signal.SIGKILL
        told = steps.merge(it.deployment, refined, "run")
        assert (told["inserted"], told["unchanged"], told["stale"]) == (2, 0, 0)
        it.settled()


def test_a_retry_finds_the_jobs_of_the_killed_try(place, zygote):
    """The reply was lost with the process: the job is found under its id and not run again."""
    with place(MONGO) as it:
        it.change(1, 2)
        refined = it.upto("merge", 0)
        order = Order(it.lane, "merge", refined, kill="merge/bigquery.query[merge]/after")
        assert zygote.run(order).signal == signal.SIGKILL
        again = zygote.run(replace(order, kill=None))
        assert "merge/bigquery.get_job[merge]/before" in again.points
        it.settled()


def test_documents_written_while_others_are_merged_are_not_lost(place):
    """The source goes on between land and merge: what came in between is the next run's."""
    with place(MONGO) as it:
        it.change(1)
        refined = it.upto("merge", 0)
        it.change(1, hour=1)
        it.change(2, hour=1)
        steps.merge(it.deployment, refined, "run")
        assert mongo_client(it.lane.servers.mongo)[it.lane.name]["things"].count_documents({}) == 2
        it.run(1)
        it.settled()
