"""State that is lost or old: the ledger, the orchestrator's database, a merge that a restored table has not.

The high-water mark is in the ledger alone, and the ledger can be made again from the manifests.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import steps
from arena import HOUR, KINDS, T0, s3_client
from invariants import check_settled, check_unmoved, look

from tideline import pipeline
from tideline.errors import IntegrityError
from tideline.lake.store import open_store
from tideline.replay import shadow as shadows
from tideline.replay.recover import recover
from tideline.replay.request import ReplayRequest
from tideline.replay.rewind import rewind
from tideline.replay.span import Span
from tideline.replay.steps import compare_shadow, merge_refined, plan_replay, refine_batch, swap_shadow
from tideline.status.report import report
from tideline.warehouse import names
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import TableName, raw_table

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HOURS = 3
log = logging.getLogger(__name__)


class World:
    """A lane of one kind with three hours of history."""

    def __init__(self, lane, deployment, kind: str, faults) -> None:
        self.lane, self.deployment, self.kind, self.faults = lane, deployment, kind, faults
        lane.change(kind, 1, 2, 3, 4)
        lane.change(kind, 5, bad=True)
        for hour in range(HOURS):
            lane.change(kind, 2, 10 + hour, hour=hour)
            steps.run(deployment, lane.request(kind, hour))
        self.healthy = self.look()
        check_settled(faults, self.healthy, self.healthy, lane.truth(kind))

    def look(self):
        return look(self.deployment, self.lane.dataset_id(self.kind))

    def execute(self, sql: str) -> None:
        """`@ledger`, `@objects` and `@table` are the tables."""
        warehouse = self.deployment.open_warehouse()
        dataset = self.deployment.catalog.dataset(self.lane.dataset_id(self.kind))
        for name, table in {
            "@ledger": names.ops_table(names.LEDGER, warehouse.settings),
            "@objects": names.ops_table(names.LANDED_OBJECTS, warehouse.settings),
            "@table": raw_table(dataset, warehouse.settings),
        }.items():
            sql = sql.replace(name, table.sql)
        warehouse.run(sql, kind="fault", key=f"{self.lane.name} {sql} {datetime.now(UTC)}")

    def run(self, hour: int) -> None:
        steps.run(self.deployment, self.lane.request(self.kind, hour))

    def recover(self, skipped: int = 0) -> None:
        dataset = self.deployment.catalog.dataset(self.lane.dataset_id(self.kind))
        outcome = recover(self.deployment, [dataset], Span(), "recover")
        assert len(outcome.skipped) == skipped, outcome.skipped

    def replay(self, step=log.debug, **asked) -> tuple:
        """The plan and what was merged; of a shadow, what was compared."""
        request = ReplayRequest(datasets=(self.lane.dataset_id(self.kind),), **asked)
        plan, run_id = plan_replay(self.deployment, request, datetime.now(UTC)), "replay"
        refined = [refine_batch(self.deployment, batch, run_id) for batch in plan["batches"]]
        merged = merge_refined(self.deployment, plan, refined, run_id, step)
        return plan, compare_shadow(self.deployment, plan, merged, run_id) if plan["shadow"] else merged

    def settle(self, since, hour: int, *, whole_ledger: bool = True) -> None:
        """A scheduled run finds everything; a second one changes nothing."""
        self.run(hour)
        settled = self.look()
        check_settled(self.faults, since, settled, self.lane.truth(self.kind), whole_ledger=whole_ledger)
        self.run(hour)
        check_unmoved(self.faults, settled, self.look())
        self.faults.tried()


@pytest.fixture(params=KINDS)
def world(arena, faults, request):
    lane = arena.lane()
    with lane.deployment() as deployment:
        yield World(lane, deployment, request.param, faults)


LOSSES = {
    "deleted": "DELETE FROM @ledger WHERE TRUE",
    "old copy": "DELETE FROM @ledger WHERE window_end > TIMESTAMP '2026-03-01 11:00:00+00'",
    "one row": "DELETE FROM @ledger WHERE window_end = TIMESTAMP '2026-03-01 12:00:00+00'",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_ledger_costs_work_and_no_row(world, loss):
    """Nobody does anything about it: the next run reads from where the ledger ends."""
    world.execute(LOSSES[loss])
    after = world.look()
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.settle(after, HOURS, whole_ledger=False)
    assert world.look().mark >= world.healthy.mark


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_ledger_is_made_again_from_the_manifests(world, loss):
    world.execute(LOSSES[loss])
    if world.kind == "s3_csv":
        world.execute("DELETE FROM @objects WHERE TRUE")
    after = world.look()
    world.recover()
    found = world.look()
    assert found.mark == world.healthy.mark
    told = {(load["window_id"], load["mode"], load["refined"], load["inserted"]) for load in found.loads}
    assert told == {
        (load["window_id"], load["mode"], load["refined"], load["inserted"]) for load in world.healthy.loads
    }
    check_unmoved(world.faults, after, found)
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.settle(found, HOURS)


@pytest.mark.parametrize("stage", ["land", "refine"])
def test_manifests_without_a_ledger_row(world, stage):
    """Landed, or landed and refined, and the run died with its pod: the next hour reads it again."""
    world.lane.change(world.kind, 2, 20, hour=HOURS)
    (given,) = steps.plan(world.deployment, world.lane.request(world.kind, HOURS)).values()
    landed = steps.land(world.deployment, given, "dead")
    if stage == "refine":
        steps.refine(world.deployment, landed, "dead")
    world.lane.change(world.kind, 3, 21, hour=HOURS + 1)
    world.settle(world.healthy, HOURS + 1)


def test_manifests_without_a_ledger_row_are_recovered(world):
    world.lane.change(world.kind, 2, 20, hour=HOURS)
    (given,) = steps.plan(world.deployment, world.lane.request(world.kind, HOURS)).values()
    steps.refine(world.deployment, steps.land(world.deployment, given, "dead"), "dead")
    world.recover()
    after = world.look()
    check_settled(world.faults, world.healthy, after, world.lane.truth(world.kind))
    assert after.mark > world.healthy.mark
    world.settle(after, HOURS)


@pytest.mark.parametrize(
    "loss",
    ["DELETE FROM @table WHERE id IN (2, 11, 12)", "DELETE FROM @table WHERE TRUE", "DROP TABLE @table"],
    ids=["some rows", "all rows", "the table"],
)
def test_a_ledger_row_whose_merge_was_lost(world, loss):
    """The table was restored from an old copy, or dropped; the source is not asked again: raw has it all."""
    world.execute(loss)
    after = world.look()
    world.replay()
    found = world.look()
    check_settled(world.faults, after, found, world.lane.truth(world.kind))
    world.settle(found, HOURS)


def test_a_table_and_its_ledger_are_restored_from_an_old_copy(world):
    """Both in place, so that nothing of the table's metadata tells: jobs that merged it since say nothing."""
    world.execute(LOSSES["old copy"])
    world.execute("DELETE FROM @table WHERE id IN (11, 12)")
    after = world.look()
    world.recover()
    found = world.look()
    check_settled(world.faults, after, found, world.lane.truth(world.kind))
    world.settle(found, HOURS)


def test_a_table_and_its_ledger_from_an_old_copy_are_made_good_by_the_next_run(world):
    """Nobody recovers. What is no longer in a load of the ledger is read again, CSV objects too."""
    world.execute(LOSSES["old copy"])
    world.execute("DELETE FROM @table WHERE id IN (11, 12)")
    after = world.look()
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.settle(after, HOURS, whole_ledger=False)


def test_a_table_and_its_ledger_that_are_gone_are_begun_anew(world):
    """By somebody who drops what he knows of, which is not the list of CSV objects: it would be empty, and all green."""
    world.execute("DROP TABLE @table")
    world.execute(LOSSES["deleted"])
    world.run(HOURS)
    found = world.look()
    check_settled(world.faults, found, found, world.lane.truth(world.kind), whole_ledger=False)
    world.faults.tried()


def test_a_table_that_is_gone_is_not_begun_anew_with_an_hour(world):
    """Until a person has it made again from raw; what is read whole does so by itself."""
    world.execute("DROP TABLE @table")
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    if world.kind == "rest_api":
        world.run(HOURS)
    else:
        with pytest.raises(IntegrityError, match="the table is gone, and the ledger has 3 loads") as error:
            world.run(HOURS)
        assert f"tideline replay --dataset {world.lane.dataset_id(world.kind)}`" in error.value.remedy
        pipeline.settle(world.deployment, None, [])
        assert not world.look().rows
        world.recover(skipped=1)
        world.replay()
    world.settle(world.look(), HOURS)


def test_a_table_that_is_gone_stays_so_until_a_replay_has_ended(world):
    """Killed halfway, it would leave a table with a part of the rows, into which the next hour merges: all green."""
    world.execute("DROP TABLE @table")
    with pytest.raises(Killed):
        world.replay(step=killed)
    assert not world.look().rows
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    if world.kind != "rest_api":
        with pytest.raises(IntegrityError, match="the table is gone"):
            world.run(HOURS)
    world.replay()
    found = world.look()
    world.settle(found, HOURS)


def test_a_table_that_is_gone_is_not_begun_anew_with_a_range(world):
    world.execute("DROP TABLE @table")
    with pytest.raises(IntegrityError, match="the table is gone"):
        world.replay(span=Span(T0 + 2 * HOUR, None))
    assert not world.look().rows
    world.replay()
    world.settle(world.look(), HOURS)


def test_a_table_that_is_gone_is_read_anew_after_a_rewind(world):
    world.execute("DROP TABLE @table")
    said = {"reason": "dropped", "actor": "me", "run_id": "rewind", "now": datetime.now(UTC)}
    rewind(world.deployment, world.lane.dataset_id(world.kind), "origin", **said)
    world.run(HOURS)
    found = world.look()
    check_settled(world.faults, found, found, world.lane.truth(world.kind))
    world.faults.tried()


class Killed(BaseException):
    """What no code of ours catches."""


def killed(*_, **__):
    raise Killed


def test_a_swap_that_was_killed_after_its_copy_is_made_good_by_the_same_command(world, monkeypatch):
    """An hour was merged into the table that was replaced, and is not in the range; the next hour comes first."""
    asked = {"span": Span(T0 + HOUR, T0 + 2 * HOUR), "into": "shadow", "swap": True}
    plan, compared = world.replay(**asked)
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.run(HOURS)
    with monkeypatch.context() as patched:
        patched.setattr(shadows, "settle", killed)
        with pytest.raises(Killed):
            swap_shadow(world.deployment, plan, compared, "replay")
    world.lane.change(world.kind, 4, 21, hour=HOURS + 1)
    world.run(HOURS + 1)
    after = world.look()
    swap_shadow(world.deployment, *world.replay(**asked), "replay")
    found = world.look()
    check_settled(world.faults, after, found, world.lane.truth(world.kind))
    world.settle(found, HOURS + 1)


def test_the_table_before_a_swap_is_brought_back_as_the_page_says(world):
    """An hour was merged since, into the table that is given up: the ledger has it, so nothing reads it again."""
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    statement, then = page.partition("**Back.**")[2].split("```")[1:3]
    assert re.search(
        r"CREATE OR REPLACE TABLE (\S+) COPY \1__before_\w+\nOPTIONS \(expiration_timestamp = NULL\);",
        statement,
    )
    assert "Then `tideline replay --dataset shop_mongodb.orders`" in then
    before = swap_shadow(world.deployment, *world.replay(into="shadow", swap=True), "replay")["before"]
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.run(HOURS)
    warehouse = world.deployment.open_warehouse()  # the emulator knows no COPY, but a copy job
    live = raw_table(world.deployment.catalog.dataset(world.lane.dataset_id(world.kind)), warehouse.settings)
    warehouse.copy(TableName(*before.split(".")), live, key=f"back {before}", replace=True)
    after = world.look()
    world.replay()
    found = world.look()
    check_settled(world.faults, after, found, world.lane.truth(world.kind))
    world.settle(found, HOURS)


@pytest.mark.parametrize("stage", ["raw", "processed"])
def test_a_manifest_that_was_cut_keeps_no_other_from_being_recovered(world, stage):
    """Raw: it is named, and what its remedy says helps. Processed: it is made again from raw."""
    if world.kind != "mongodb":
        pytest.skip("manifests are the same for all kinds")
    world.execute("DELETE FROM @ledger WHERE TRUE")
    store = getattr(world.deployment, stage)
    prefix = f"{world.lane.dataset_id(world.kind).replace('.', '/')}/"
    key = [key for key in store.list(prefix) if key.endswith("/_manifest.json")][1]
    bucket, _, root = store.root.removeprefix("s3://").partition("/")
    there = {"Bucket": bucket, "Key": f"{root}/{key}"}
    s3_client(world.lane.servers.s3).put_object(**there, Body=store.read(key)[:200])
    damaged = int(stage == "raw")
    world.recover(skipped=damaged)
    loads = list(Ledger(world.deployment.open_warehouse()).history(*prefix.rstrip("/").split("/")))
    assert len(loads) == HOURS - damaged
    if damaged:
        s3_client(world.lane.servers.s3).delete_object(**there)
        world.recover()
        world.run(HOURS)
        assert world.look().mark == world.healthy.mark + timedelta(hours=1)


def test_hours_go_on_when_what_is_old_is_not_kept_any_more(world):
    """All that was landed is deleted by age; an API that did not change since has nothing to compare with."""
    s3 = s3_client(world.lane.servers.s3)
    for stage in ("raw", "processed"):
        for key in getattr(world.deployment, stage).list(""):
            s3.delete_object(Bucket=f"fault-{stage}", Key=f"{world.lane.name}/{key}")
    world.run(HOURS)
    world.lane.change(world.kind, 3, 20, hour=HOURS + 1)
    world.settle(world.look(), HOURS + 1)


def test_a_lake_that_was_moved_is_read_where_it_lies(world):
    """Copied with its keys, as the page says: manifests and ledger go on naming where things lay."""
    s3, stores = s3_client(world.lane.servers.s3), {}
    for stage in ("raw", "processed", "quarantine"):
        old = getattr(world.deployment, stage)
        stores[stage] = open_store(f"s3://fault-{stage}/moved/{world.lane.name}", s3_client=s3)
        for key in old.list(""):
            stores[stage].put(key, old.read(key))
            s3.delete_object(Bucket=f"fault-{stage}", Key=f"{world.lane.name}/{key}")
    world.deployment = replace(world.deployment, **stores)
    moved = world.look()
    assert {load["load_id"] for load in moved.loads} == {load["load_id"] for load in world.healthy.loads}
    reported = report(world.deployment, T0 + (HOURS + 1) * HOUR, datasets=[moved.dataset_id])
    assert [one.waiting for one in reported.datasets] == [()]
    world.recover()
    assert world.look() == moved
    world.execute("DROP TABLE @table")
    world.replay()
    assert {row["id"]: row["note"] for row in world.look().rows} == {
        row["id"]: row["note"] for row in moved.rows
    }
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.run(HOURS)
    truth = world.lane.truth(world.kind).rows
    assert {key: row["note"] for key, row in world.look().live.items()} == {
        key: row["note"] for key, row in truth.items()
    }


def test_the_orchestrators_database_is_wiped(world):
    """Airflow knows no run any more: all hours run again, in its order, under other names; nothing moves."""
    for hour in range(HOURS):
        again = replace(world.lane.request(world.kind, hour), run_id=f"again-{hour}")
        steps.run(world.deployment, again)
    check_unmoved(world.faults, world.healthy, world.look())
    world.lane.change(world.kind, 3, 20, hour=HOURS)
    world.settle(world.healthy, HOURS)
