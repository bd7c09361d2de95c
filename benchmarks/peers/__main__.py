"""`make bench-peers`: Tideline beside everything else that can be installed, in one run, in turns.

Prints the table, each goal with reached or not, and what was not compared and why; writes
`.tideline/bench/peers.json`, and with --page docs/bench-peers.md with its plots. A missed goal is no failure.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks import command, machine, report
from benchmarks.goals import Findings
from benchmarks.paths import CACHE
from benchmarks.peers import goals, page, races
from benchmarks.sections import Bench
from benchmarks.servers import servers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from benchmarks.suite import Series

RESULT = CACHE / "peers.json"
RACES = {"documents": races.documents, "csv": races.csv, "s3": races.s3}
REPEAT = 5


def main() -> int:
    """The exit code of `command.run`."""
    options = _options()

    def publish(console: Console, found: Findings) -> None:
        body = _body(found, options.repeat)
        RESULT.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        report.show(console, found, goals.judge(found), options.repeat)
        for name, why in races.NOT_COMPARED.items():
            console.print(f"not compared: {name}: {why}", highlight=False)
        if options.page:
            page.write(body)

    return command.run("bench-peers", lambda console: _measure(console, options), publish)


def _measure(console: Console, options: argparse.Namespace) -> Findings:
    series: dict[str, Series] = {}
    costs: dict[str, Any] = {}
    with console.status("making the input and the peers' environments (once, minutes)") as status:
        races.prepare()
        with servers() as running:
            bench = Bench(running, options.repeat, status.update)
            races.create_buckets(bench)
            for name, race in RACES.items():
                if name in options.only:
                    series |= {entry.name: entry for entry in race(bench, options.peers)}
            if "api" in options.only:
                costs["api"] = races.api(bench, ())
    return Findings(series, costs)


def _body(found: Findings, repeat: int) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": {**report._versions(), **races.versions()},
        "repeat": repeat,
        "goals": [vars(goal) for goal in goals.judge(found)],
        "costs": dict(found.costs),
        "not_compared": races.NOT_COMPARED,
        "series": [entry.to_json() for entry in found.series.values()],
    }


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    names = [*RACES, "api"]
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=__doc__)
    parser.add_argument("--repeat", type=int, default=REPEAT, help=f"runs of each entrant (default {REPEAT})")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these races alone")
    parser.add_argument("--peers", nargs="+", default=(), help="these peers alone: dlt, dlt_arrow, pandas, …")
    parser.add_argument(
        "--page", action="store_true", help="write docs/bench-peers.md and its plots, after all races"
    )
    options = parser.parse_args(arguments)
    if set(options.only) != set(names) or options.peers:
        options.page = False  # some races would take the place of all
    return options


if __name__ == "__main__":
    sys.exit(main())
