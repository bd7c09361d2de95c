"""`make large-shop`: hours of a big living shop through plan, land, refine and merge, held against its truth.

Nothing is compared with others here: it shows that memory and correctness do not depend on how much there is.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.harness import alone
from benchmarks.living import living
from devstack.demo import difference
from devstack.run import as_deployment
from devstack.shop.world import DATASETS

if TYPE_CHECKING:
    from collections.abc import Callable


def run(scale: float, hours: int, say: Callable[[str], None]) -> int:
    """Fill a warehouse hour by hour; how many datasets of it differ from the truth in the end.

    Args:
        scale: 1 is about 10,000 orders.
        hours: The first brings the whole history.
        say: Told what was found.
    """
    started = time.monotonic()
    with living("large-shop", scale=scale, hours=hours) as world:
        orders = world.shop.scope.volumes.orders
        say(f"a shop of {orders:,} orders, open in {time.monotonic() - started:.0f} s")
        for hour in range(hours):
            filled = world.fill(hour)
            megabytes = filled.peak_bytes / 1e6
            rows = filled.output["rows"]
            say(f"hour {hour + 1}: {rows:,} rows in {filled.wall_seconds:.0f} s, at most {megabytes:.0f} MB")
        wrong = 0
        with as_deployment(world.environment):
            for dataset_id in DATASETS:
                found = difference(dataset_id, dict(world.shop.rows(dataset_id, hours - 1)))
                say(f"{dataset_id}: {found['rows']:,} rows, {found['different']} differ from the shop's")
                wrong += bool(found["different"])
    return wrong


def main() -> int:
    """1 where a dataset differs."""
    parser = argparse.ArgumentParser(prog="benchmarks.large_shop", description=__doc__)
    parser.add_argument("--scale", type=float, default=100.0, help="of the shop (default 100)")
    parser.add_argument("--hours", type=int, default=2, help="the first with the whole history (default 2)")
    options = parser.parse_args()
    with alone():
        return min(1, run(options.scale, options.hours, lambda text: print(text, flush=True)))


if __name__ == "__main__":
    sys.exit(main())
