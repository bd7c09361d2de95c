"""The SIGKILL matrix: every fault point of a stage, in each scenario, of each kind of source.

The points are not listed anywhere: a scout runs the stage unharmed and says which I/O steps it has, and then a
real process is killed before and after each of them, with the invariants looked at each time. In plan, land and
refine, whose killed attempts only leave what nobody sees, the pipeline is brought to its end after the last
kill; in merge, and wherever a step happens in a first run only, after each step, with a re-run.

| scenario | what dies |
|---|---|
| first_run | the first run of all: no tables, no lower bound |
| re_run | the run of an hour that was loaded before and has got a late row since |
| backfill | a run of [T0+½h, T0+1½h), over two hours that were loaded |
| two_at_once | a run while another of the same hour waits at the very step, and goes on afterwards |
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import steps
from invariants import Truth, check_settled, check_unmoved, check_unsettled, look
from zygote import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arena import Arena, Lane
    from invariants import Sight
    from tally import Tally
    from zygote import Zygote

    from tideline.pipeline import Deployment

SCENARIOS = ("first_run", "re_run", "backfill", "two_at_once")

EXPECTED = {
    "plan": {"bigquery.query[state]"},
    "land": {"raw.put_file[part]", "raw.put[manifest]"},
    "refine": {"raw.read[manifest]", "raw.open[part]", "processed.put_file[part]", "processed.put[manifest]"},
    "merge": {
        "processed.read[manifest]", "bigquery.load_table_from_file[load]", "processed.put[counts]",
        "bigquery.query[merge]", "bigquery.query[commit]",
    },
}  # fmt: skip
"""What a scout must come by at least: a harness that sees nothing would find nothing."""


READS = ("bigquery.result[", "bigquery.next")
"""Reading an answer leaves nothing anywhere: to die around it is to die after the query that it answers."""


class Play:
    """One scenario of one kind, on lanes of its own."""

    def __init__(self, arena: Arena, zygote: Zygote, faults: Tally, kind: str, scenario: str) -> None:
        self.arena, self.zygote, self.faults = arena, zygote, faults
        self.kind, self.scenario = kind, scenario

    def kill_everywhere(self, stage: str) -> int:
        """Kill the stage before and after each of its steps; how many kills that were."""
        names = self.scout(stage)
        assert names >= EXPECTED[stage], f"{EXPECTED[stage] - names} never happened"
        alone = self.scenario == "first_run" and stage in ("plan", "merge")
        for chain in [[name] for name in names] if alone else [list(names)]:
            with self.scene() as scene:
                for name in chain:
                    scene.work()
                    scene.die_twice(stage, name)
                    if stage == "merge" or name == chain[-1]:
                        scene.settle()
        return 2 * len(names)

    def scout(self, stage: str) -> Names:
        """The steps of the stage, in the order in which they first happen."""
        with self.scene() as scene:
            scene.work()
            done = self.zygote.run(Order(scene.lane, stage, scene.given_to(stage), audit=True))
        assert done.error is None, done.error
        assert done.outside == [], done.outside[0]
        return Names(
            point.partition("/")[2].removesuffix("/before")
            for point in done.points
            if point.endswith("/before") and not point.partition("/")[2].startswith(READS)
        )

    @contextmanager
    def scene(self) -> Iterator[Scene]:
        """A lane as the scenario finds it."""
        lane = self.arena.lane()
        lane.change(self.kind, 1, 2, 3, 4)
        lane.change(self.kind, 5, bad=True)
        with lane.deployment() as deployment:
            scene = Scene(self, lane, deployment)
            for hour in range({"first_run": 0, "backfill": 2}.get(self.scenario, 1)):
                lane.change(self.kind, 6, hour=hour)
                steps.run(deployment, lane.request(self.kind, hour))
            scene.rest()
            yield scene


class Names(dict[str, None]):
    """An ordered set."""

    def __init__(self, names: Any) -> None:
        super().__init__(dict.fromkeys(names))

    def __ge__(self, other: set[str]) -> bool:
        return set(self) >= other


class Scene:
    """A lane between two settled states."""

    def __init__(self, play: Play, lane: Lane, deployment: Deployment) -> None:
        self.play, self.lane, self.deployment = play, lane, deployment
        self.settled: Sight
        self.seen: Truth
        self.other: Any = None
        self._stage, self._given = "plan", None

    @property
    def truth(self) -> Truth:
        return self.lane.truth(self.play.kind)

    @property
    def request(self) -> Any:
        window = (0.5, 1.5) if self.play.scenario == "backfill" else None
        return self.lane.request(
            self.play.kind, 1 if self.play.scenario == "two_at_once" else 0, window=window
        )

    def rest(self) -> None:
        """All is well: what is there now must not get worse."""
        self.settled = look(self.deployment, self.lane.dataset_id(self.play.kind))
        self.seen = self.truth

    def work(self) -> None:
        """The source changes, so that the next run has something to do: a new row, and a newer one of an old."""
        hour = {"backfill": 1, "two_at_once": 1}.get(self.play.scenario, 0)
        new = 10 + self.lane.sources[self.play.kind].written
        self.lane.change(self.play.kind, 2, new, hour=hour)

    def given_to(self, stage: str) -> Any:
        """What the stage gets, from unharmed stages before it."""
        given: Any = self.request
        for before in steps.STAGES[: steps.STAGES.index(stage)]:
            given = steps.one(self.deployment, before, given, "run")
            if before == "plan":
                (given,) = given.values()
        return given

    def die_twice(self, stage: str, name: str) -> None:
        """The task dies before the step; it is run again, as Airflow would, and dies after it."""
        self._stage, self._given = stage, self.given_to(stage)
        order = Order(self.lane, stage, self._given)
        with self.another(stage, name):
            self._die(replace(order, kill=f"{stage}/{name}/before"))
        self._die(replace(order, kill=f"{stage}/{name}/after"))

    def _die(self, order: Order) -> None:
        done = self.play.zygote.run(order)
        assert done.signal == signal.SIGKILL, f"{order.kill}: {done}"
        self.play.faults.tried()
        after = look(self.deployment, self.lane.dataset_id(self.play.kind))
        check_unsettled(self.play.faults, self.settled, after, self.truth, self.seen)

    @contextmanager
    def another(self, stage: str, name: str) -> Iterator[None]:
        """In the scenario of two: the same task of another run, which waits at the step and then goes on.

        Where the step is one that only one of them may do at a time, its lease runs out meanwhile.
        """
        if self.play.scenario != "two_at_once":
            yield
            return
        given = self.given_to(stage)
        other = self.play.zygote.start(
            Order(
                replace(self.lane, lease_seconds=0.2),
                stage,
                given,
                run_id="other",
                hold=f"{stage}/{name}/before",
            )
        )
        other.await_hold()
        yield
        other.go()
        done = other.wait()
        assert done.error is None, done.error
        self.other = (stage, done.result)

    def settle(self) -> None:
        """The killed task is run to its end, and all after it; then everything once more."""
        kind, dataset_id = self.play.kind, self.lane.dataset_id(self.play.kind)
        self._finish(self._stage, steps.one(self.deployment, self._stage, self._given, "run"), "run")
        if self.other is not None:
            self._finish(*self.other, "other")
            self.other = None
        after = look(self.deployment, dataset_id)
        check_settled(self.play.faults, self.settled, after, self.truth)
        merged = self._finish(self._stage, steps.one(self.deployment, self._stage, self._given, "run"), "run")
        assert merged["repeated"] == (self._stage == "merge")
        again = look(self.deployment, dataset_id)
        check_unmoved(self.play.faults, after, again)
        self.settled, self.seen = again, self.lane.truth(kind)

    def _finish(self, stage: str, result: Any, run_id: str) -> Any:
        """The stages after the one that gave this."""
        if stage == "plan":
            (result,) = result.values()
        for later in steps.STAGES[steps.STAGES.index(stage) + 1 :]:
            result = steps.one(self.deployment, later, result, run_id)
        return result
