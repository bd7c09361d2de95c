"""Entrants that run the same input in turns, and what came of it. Knows runs, not what they mean."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.harness import RunError, Task, measure, perform
from benchmarks.paths import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.fixtures import Fixture
    from benchmarks.harness import Measured


@dataclass(frozen=True)
class Entrant:
    """One row of the report: what runs, on what, and where its output is to be read."""

    name: str
    label: str
    fixture: Fixture
    task: Task
    s3_endpoint: str | None = None
    """Set where the output lies on the S3 server; else in the folder that the task is given."""
    missing: str | None = None
    """Why it cannot run at all."""
    is_product: bool = False


@dataclass
class Series:
    """The runs of one entrant."""

    name: str
    label: str
    rows: int
    is_product: bool
    runs: list[Measured] = field(default_factory=list)
    failure: str | None = None

    def median(self, quantity: str) -> float:
        """The median over the runs of `wall_seconds`, `cpu_seconds`, `peak_bytes` or `foreign_cores`."""
        return float(statistics.median(getattr(run, quantity) for run in self.runs))

    def extremes(self, quantity: str) -> tuple[float, float]:
        """The least and the most."""
        values = [float(getattr(run, quantity)) for run in self.runs]
        return min(values), max(values)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `result.json`."""
        return asdict(self)


def compare(
    entrants: Sequence[Entrant], repeat: int, servers: Iterable[int], say: Callable[[str], None]
) -> list[Series]:
    """Run the entrants in turns, `repeat` times each; an entrant that fails once is not run again.

    Every output is compared with the truth of its fixture before its time counts.
    """
    pids = tuple(servers)
    series = [Series(e.name, e.label, e.fixture.rows, e.is_product, failure=e.missing) for e in entrants]
    for number in range(repeat):
        for entrant, found in zip(entrants, series, strict=True):
            if found.failure is not None:
                continue
            say(f"{entrant.label} ({number + 1} of {repeat})")
            try:
                found.runs.append(_run_and_check(entrant, pids))
            except RunError as error:
                found.failure = str(error)
    return series


def _run_and_check(entrant: Entrant, servers: tuple[int, ...]) -> Measured:
    folder = OUTPUT / entrant.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        measured = measure(_in_folder(entrant, str(folder)), servers)
        _check(entrant, measured.output)
        return measured
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if entrant.s3_endpoint:
            perform(Task("objects:clear", {"s3_endpoint": entrant.s3_endpoint}))


def _check(entrant: Entrant, output: dict[str, Any]) -> None:
    """Compare what a run left with its fixture; where that is no Parquet, the rows that it counted."""
    if "parts" not in output:
        if output["rows"] != entrant.fixture.rows:
            raise RunError(f"it counted {output['rows']} rows, the input holds {entrant.fixture.rows}")
        return
    truth = asdict(entrant.fixture.truth)
    arguments = {"parts": output["parts"], "truth": truth, "s3_endpoint": entrant.s3_endpoint}
    perform(Task("check:parquet", arguments))


def _in_folder(entrant: Entrant, folder: str) -> Task:
    if entrant.s3_endpoint:
        return entrant.task
    task = entrant.task
    environment = {key: value.replace("{folder}", folder) for key, value in task.environment.items()}
    return Task(task.function, {**task.arguments, "folder": folder}, task.python, environment)
