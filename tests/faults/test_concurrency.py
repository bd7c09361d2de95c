"""Two to eight processes at once on the same table: the same window, adjacent ones, a backfill over the live hour.

Airflow lets one task of a DAG write a table at a time; here everybody may start at once, as tasks of several
DAGs do, and the lease on the table sees to it. What fails with an error that says "retry" is started again, as
Airflow would.
"""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import steps
from arena import KINDS
from invariants import check_settled, check_unmoved, check_unsettled, look
from zygote import Order

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

TRIES = 4
RETRIABLE = (
    "SourceUnavailableError",
    "StoreUnavailableError",
    "WarehouseUnavailableError",
    "SourceChangedError",
)


def finish(zygote, orders: list[Order]) -> None:
    """All at once; those that may be retried again until all are through."""
    for _ in range(TRIES):
        children = [(order, zygote.start(order)) for order in orders]
        ended = [(order, child.wait(120)) for order, child in children]
        failed = [(order, done) for order, done in ended if done.error is not None or done.signal is not None]
        for _, done in failed:
            assert any(name in (done.error or "") for name in RETRIABLE), done.error or done.signal
        orders = [order for order, _ in failed]
        if not orders:
            return
    raise AssertionError(f"{len(orders)} of the processes never came through: {failed[0][1].error}")


@pytest.fixture
def world(arena, faults):
    """A lane of a kind with its first hours loaded, and what to say at the end."""

    class World:
        def __init__(self, kind: str, hours: int = 1) -> None:
            self.kind, self.lane = kind, arena.lane()
            self.id = self.lane.dataset_id(kind)
            self.lane.change(kind, 1, 2, 3, 4)
            self.lane.change(kind, 5, bad=True)
            with self.lane.deployment() as deployment:
                for hour in range(hours):
                    steps.run(deployment, self.lane.request(kind, hour))
                self.before = look(deployment, self.id)
            self.seen = self.lane.truth(kind)

        def order(self, hour: int, run: str, window=None) -> Order:
            return Order(self.lane, "run", self.lane.request(self.kind, hour, window=window), run_id=run)

        def settle(self, hour: int) -> None:
            """One more scheduled run, which must find everything as it should be."""
            with self.lane.deployment() as deployment:
                after = look(deployment, self.id)
                check_unsettled(faults, self.before, after, self.lane.truth(self.kind), self.seen)
                steps.run(deployment, self.lane.request(self.kind, hour))
                settled = look(deployment, self.id)
                check_settled(faults, self.before, settled, self.lane.truth(self.kind))
                steps.run(deployment, self.lane.request(self.kind, hour))
                check_unmoved(faults, settled, look(deployment, self.id))

    return World


@pytest.mark.parametrize("processes", [2, 4, 8])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_window_by_many(world, zygote, faults, kind, processes):
    place = world(kind)
    place.lane.change(kind, 2, 7, 8, hour=1)
    finish(zygote, [place.order(1, f"run-{n}") for n in range(processes)])
    faults.tried(processes)
    place.settle(1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_window_of_all_by_many(arena, zygote, faults, kind):
    """No table exists: all of them make all of them."""
    lane = arena.lane()
    lane.change(kind, 1, 2, 3, 4)
    lane.change(kind, 5, bad=True)
    with lane.deployment() as deployment:
        before = look(deployment, lane.dataset_id(kind))
        finish(zygote, [Order(lane, "run", lane.request(kind, 0), run_id=f"run-{n}") for n in range(4)])
        faults.tried(4)
        check_settled(faults, before, look(deployment, lane.dataset_id(kind)), lane.truth(kind))


@pytest.mark.parametrize("processes", [3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_adjacent_windows_at_once(world, zygote, faults, kind, processes):
    """Hours 1, 2, … at once, each of which has a version of row 2; the last one wins in whatever order."""
    place = world(kind)
    for hour in range(1, processes + 1):
        place.lane.change(kind, 2, 10 + hour, hour=hour)
    windows = [(float(hour), hour + 1.0) for hour in range(1, processes + 1)]
    finish(zygote, [place.order(0, f"backfill-{n}", window) for n, window in enumerate(windows)])
    faults.tried(processes)
    place.settle(processes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backfill_over_the_live_hour(world, zygote, faults, kind):
    place = world(kind, hours=2)
    place.lane.change(kind, 2, 7, hour=2)
    live = place.order(2, "live")
    over = [
        place.order(0, f"over-{n}", window) for n, window in enumerate([(1.5, 2.5), (2.0, 3.0), (0.0, 3.0)])
    ]
    finish(zygote, [live, *over])
    faults.tried(4)
    place.settle(2)


LEASE = "merge/bigquery.get_table[lease]/after"


@pytest.mark.parametrize("mode", ["scheduled", "exact", "replay", "reconcile"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_load_at_a_time_is_merged_whatever_dag_it_is_of(world, zygote, faults, kind, mode):
    """A load stands just before its MERGE, and one of the same rows comes: it waits, and so counts what is true."""
    place = world(kind)
    place.lane.change(kind, 2, 7, 8, hour=1)
    with place.lane.deployment() as deployment:
        (loads,) = steps.plan(deployment, place.lane.request(kind, 1)).values()
        first, second = (
            steps.refine(deployment, steps.land(deployment, loads, run), run) for run in ("hourly", "other")
        )
    standing = zygote.start(Order(place.lane, "merge", first, hold="merge/bigquery.query[merge]/before"))
    standing.await_hold()
    waiting = zygote.start(
        Order(place.lane, "merge", [{**each, "mode": mode} for each in second], run_id="other")
    )
    waiting.await_point(LEASE, times=3)
    standing.go()
    done = [child.wait() for child in (standing, waiting)]
    assert [each.error for each in done] == [None, None]
    faults.tried(2)
    counts = [[each.result[name] for name in ("inserted", "updated")] for each in done]
    assert counts == [[2, 1], [0, 0]]
    place.settle(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_load_waits_for_a_killed_one_only_until_its_lease_runs_out(world, zygote, faults, kind):
    place = world(kind)
    place.lane.change(kind, 2, 7, 8, hour=1)
    with place.lane.deployment() as deployment:
        (loads,) = steps.plan(deployment, place.lane.request(kind, 1)).values()
        first, second = (
            steps.refine(deployment, steps.land(deployment, loads, run), run) for run in ("hourly", "other")
        )
    lane = replace(place.lane, lease_seconds=1.0)
    killed = zygote.run(Order(lane, "merge", first, kill="merge/bigquery.query[merge]/after"))
    assert killed.signal == signal.SIGKILL
    done = zygote.run(Order(lane, "merge", second, run_id="other"))
    assert done.error is None, done.error
    assert [done.result[name] for name in ("inserted", "updated")] == [0, 0]
    retried = zygote.run(Order(lane, "merge", first))
    assert [retried.result[name] for name in ("inserted", "updated")] == [2, 1]
    faults.tried(2)
    place.settle(1)


STANDS = (
    "merge/bigquery.query[ledger]/after",
    "merge/bigquery.create_table[tideline_load]/after",
    "merge/bigquery.load_table_from_file[load]/before",
    "merge/bigquery.load_table_from_file[load]/after",
    "merge/bigquery.query[counts]/after",
    "merge/processed.put[counts]/after",
    "merge/bigquery.query[merge]/before",
    "merge/bigquery.query[merge]/after",
    "merge/bigquery.query[commit]/before",
    "merge/bigquery.query[commit]/after",
)


@pytest.mark.parametrize("stand", STANDS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_task_instance_twice(world, zygote, faults, kind, stand):
    """A worker that was given up for dead stands somewhere; the same task runs elsewhere to its end, and then
    the dead one goes on. Same input, same load id: one load, one ledger row, the counts of the first."""
    place = world(kind)
    place.lane.change(kind, 2, 7, hour=1)
    with place.lane.deployment() as deployment:
        (loads,) = steps.plan(deployment, place.lane.request(kind, 1)).values()
        refined = steps.refine(deployment, steps.land(deployment, loads, "run"), "run")
    zombie = zygote.start(Order(place.lane, "merge", refined, hold=stand))
    zombie.await_hold()
    done = zygote.run(Order(place.lane, "merge", refined))
    assert done.error is None, done.error
    zombie.go()
    again = zombie.wait()
    assert again.error is None, again.error
    faults.tried()
    told = {name: done.result[name] for name in ("load_id", "inserted", "updated", "unchanged", "stale")}
    assert told == {name: again.result[name] for name in told}
    assert (told["inserted"], told["updated"]) == (1, 1)
    place.settle(1)


@pytest.mark.parametrize("stage", ["land", "refine"])
@pytest.mark.parametrize("kind", KINDS)
def test_land_and_refine_started_twice(world, zygote, faults, kind, stage):
    """Two attempts of one task instance, the first of which stands before its commit: two folders, one load."""
    stand = {"land": "land/raw.put[manifest]/before", "refine": "refine/processed.put[manifest]/before"}[
        stage
    ]
    place = world(kind)
    place.lane.change(kind, 2, 7, hour=1)
    with place.lane.deployment() as deployment:
        (given,) = steps.plan(deployment, place.lane.request(kind, 1)).values()
        if stage == "refine":
            given = steps.land(deployment, given, "run")
        zombie = zygote.start(Order(place.lane, stage, given, hold=stand))
        zombie.await_hold()
        result = zygote.run(Order(place.lane, stage, given)).result
        zombie.go()
        assert zombie.wait().error is None
        faults.tried()
        if stage == "land":
            result = steps.refine(deployment, result, "run")
        steps.merge(deployment, result, "run")
    place.settle(1)
