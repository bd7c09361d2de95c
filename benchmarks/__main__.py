"""`python -m benchmarks`: run the comparisons, print one screen, keep it in `.tideline/bench/result.*`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks import command, costs, fixtures, goals, hour, report, sections
from benchmarks.harness import Task, perform
from benchmarks.paths import RESULT
from benchmarks.servers import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.sections import Bench
    from benchmarks.suite import Series

COMPARISONS: dict[str, Callable[[Bench], list[Series]]] = {
    "documents": sections.documents,
    "csv": sections.csv_stage,
    "csv_s3": sections.csv_s3,
    "csv_shapes": sections.csv_shapes,
    "csv_objects": sections.csv_objects,
}
COSTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "api": costs.api,
    "airflow": costs.airflow,
    "models": costs.models,
    "pages": costs.pages,
    "hour": hour.hour,
}
REPEAT = 3


def main() -> int:
    """The exit code of `command.run`."""
    options = _options()

    def publish(console: Console, findings: goals.Findings) -> None:
        verdicts = goals.judge(findings, options.only)
        report.write(findings, verdicts, options.repeat)
        with RESULT.with_suffix(".txt").open("w") as page:
            report.show(Console(file=page, width=command.WIDTH), findings, verdicts, options.repeat)
        report.show(console, findings, verdicts, options.repeat)

    return command.run("benchmarks", lambda console: _measure(console, options.only, options.repeat), publish)


def _measure(console: Console, only: Sequence[str], repeat: int) -> goals.Findings:
    series: dict[str, Series] = {}
    found: dict[str, Any] = {}
    with console.status("making the input (once, about a minute)") as status:
        fixtures.make_all()
        status.update("starting servers")
        with servers() as running:
            perform(Task("objects:create", {"s3_endpoint": running.s3_endpoint}))
            bench = sections.Bench(running, repeat, status.update)
            for name, comparison in COMPARISONS.items():
                if name in only:
                    series |= {entry.name: entry for entry in comparison(bench)}
            for name, cost in COSTS.items():
                if name in only:
                    found |= cost(bench)
    return goals.Findings(series, found)


def _options() -> argparse.Namespace:
    names = [*COMPARISONS, *COSTS]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--repeat", type=int, default=REPEAT, help=f"runs of each entrant (default {REPEAT})")
    parser.add_argument("--quick", dest="repeat", action="store_const", const=1, help="one run of each")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these sections alone")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
