"""`make bench-year-builds`: seconds of an hour's `dbt build` at the beginning, middle and end of a year.

A year of the living shop is 8,760 hours; these are a sample of it. Each age is a shop with the history
that it has by then, on servers of its own. Their hours change as much, and are filled and built in turns,
so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks import machine, year_builds_page
from benchmarks.harness import alone, measure, perform
from benchmarks.living import living
from benchmarks.paths import CACHE
from devstack.shop.scope import HISTORY_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.harness import Measured
    from benchmarks.living import World

RESULT = CACHE / "year-builds.json"
AGES = (0, 182, 365)
"""Days of the year that have passed."""
HOURS = 5


def run(scale: float, hours: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of each hour's build, by the age of the shop.

    Args:
        scale: How much an hour changes, and the shop had at the beginning of the year.
        hours: How many are measured after the first, which is not: it builds all.
        say: Told what is being done.
    """
    with ExitStack() as opened:
        worlds: list[tuple[int, World]] = []
        for age in AGES:
            say(f"day {age}: filling the warehouse")
            name = f"year-builds-{age}"
            world = opened.enter_context(
                living(name, scale=scale, hours=hours + 1, history_days=HISTORY_DAYS + age)
            )
            world.fill(0)
            perform(world.build())
            worlds.append((age, world))
        found: dict[int, list[Measured]] = {age: [] for age in AGES}
        asked: dict[int, list[float]] = {age: [] for age in AGES}
        for hour in range(1, hours + 1):
            for age, world in worlds if hour % 2 else reversed(worlds):
                world.fill(hour)
                before = machine.CpuClock.read(world.servers)
                # the history itself was merged a moment ago: with the look-back each hour would be all of it
                found[age].append(measure(world.build(lookback_hours=0), world.servers))
                asked[age].append(machine.CpuClock.read(world.servers).own - before.own)
                say(f"day {age}, hour {hour}: {found[age][-1].wall_seconds:.1f} s")
        orders = {age: world.shop.scope.volumes.orders for age, world in worlds}
    return {
        "machine": machine.describe(),
        "scale": scale,
        "ages": [
            {
                "days": age,
                "history_days": HISTORY_DAYS + age,
                "orders": orders[age],
                "wall_seconds": [round(one.wall_seconds, 2) for one in runs],
                "dbt_cpu_seconds": [round(one.cpu_seconds, 2) for one in runs],
                "warehouse_cpu_seconds": [round(seconds, 2) for seconds in asked[age]],
                "foreign_cores": round(statistics.mean(one.foreign_cores for one in runs), 2),
            }
            for age, runs in found.items()
        ],
    }


def main() -> int:
    """Write `.tideline/bench/year-builds.json`, and with --page the table in docs/."""
    parser = argparse.ArgumentParser(prog="benchmarks.year_builds", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the shop (default 1)")
    parser.add_argument("--hours", type=int, default=HOURS, help=f"measured for each age (default {HOURS})")
    parser.add_argument("--page", action="store_true", help="write its part of docs/bench-year-models.md")
    options = parser.parse_args()

    with alone():
        found = run(options.scale, options.hours, lambda text: print(text, file=sys.stderr))
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(year_builds_page.table(found))
    if options.page:
        year_builds_page.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
