"""Servers with a living shop, and how its warehouse is filled and built."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Task, run
from benchmarks.paths import CACHE
from devstack import airflow_home
from devstack.shop.scope import HISTORY_DAYS
from devstack.shop.shop import Shop
from devstack.stack import Stack
from tideline.window import hour_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.harness import Measured
    from devstack.shop.targets import Targets

SEED = 7


@dataclass(frozen=True)
class World:
    """A shop on the embedded servers, with everything of it in one folder."""

    state: Path
    shop: Shop
    targets: Targets
    environment: dict[str, str]
    warehouse: str
    """Where the warehouse listens."""
    servers: tuple[int, ...]
    """Their process ids."""

    def build(self, **arguments: Any) -> Task:
        """`dbt build`, for `models:build` with these arguments beside the target."""
        told = {"target": str(self.state / "target"), **arguments}
        return Task("models:build", told, environment=self.environment)

    def fill(self, hour: int) -> Measured:
        """Let the shop live an hour, and merge everything up to its end; the run of the latter."""
        self.shop.advance(hour, self.targets)
        end = self.shop.scope.anchor + timedelta(hours=hour + 1)
        return run(
            Task("models:fill", {"end": end.isoformat()}, environment=self.environment, timeout_seconds=3600)
        )


@contextmanager
def living(name: str, *, scale: float, hours: int, history_days: int = HISTORY_DAYS) -> Iterator[World]:
    """A shop before its hour 0, on servers of its own; that many of its hours lie before the clock."""
    state = CACHE / name
    shutil.rmtree(state, ignore_errors=True)
    with Stack(state, offline=True) as stack, stack.targets() as targets:
        shop = Shop(SEED, scale, hour_of(datetime.now(UTC)) - timedelta(hours=hours), history_days)
        shop.open(targets)
        environment = airflow_home.environment(state / "airflow", stack.environment, "local")
        yield World(state, shop, targets, environment, str(stack.warehouse_url), stack.pids)
