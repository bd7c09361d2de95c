"""A whole deployment on embedded servers with a living shop, and its warehouse held against the truth."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from devstack.shop.shop import Shop
from devstack.stack import Stack
from tideline import connections, pipeline
from tideline.plan import RunRequest
from tideline.warehouse.names import raw_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstack.shop.targets import Targets
    from tideline.pipeline import Deployment, Summary

ANCHOR = datetime(2026, 3, 14, 9, tzinfo=UTC)
SCALE = 0.05
REAL_SERVERS = ("TIDELINE_MINIO", "TIDELINE_FAKE_GCS", "TIDELINE_MONGO_JAVA")


@dataclass
class World:
    """Servers, shop and deployment of one test module."""

    stack: Stack
    targets: Targets
    shop: Shop
    deployment: Deployment
    runs: int = field(default=0)
    expected: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    """Hour → what is true then, and what is in `_extra`; the shop reckons it from its beginning each time."""

    def end_of(self, hour: int) -> datetime:
        return self.shop.scope.anchor + timedelta(hours=hour + 1)

    def request(
        self, hour: int, kind: str = "scheduled", datasets: tuple[str, ...] | None = None
    ) -> RunRequest:
        self.runs += 1
        end = self.end_of(hour)
        return RunRequest(
            run_id=f"test-{self.runs}",
            kind=kind,  # type: ignore[arg-type]
            interval=(end - timedelta(hours=1), end),
            datasets=datasets,
            window=None,
            catch_up=False,
            now=datetime.now(UTC),
        )

    def run(self, request: RunRequest) -> dict[str, Summary]:
        """plan ▶ land ▶ refine ▶ merge of every dataset, as the DAG does it."""
        done = {}
        for dataset_id, load in pipeline.plan_run(self.deployment, request).items():
            landed = pipeline.land_dataset(self.deployment, load, request.run_id)
            refined = pipeline.refine_dataset(self.deployment, landed, request.run_id)
            done[dataset_id] = pipeline.merge_dataset(self.deployment, refined, request.run_id)
        return done

    def warehouse(self, dataset_id: str) -> dict[Any, tuple[dict[str, Any], Any]]:
        """Key → (row, `_extra`) of what the table holds; fails on a duplicate key."""
        dataset = self.deployment.catalog.dataset(dataset_id)
        columns = [column.name for column in dataset.columns]
        warehouse = self.deployment.open_warehouse()
        table = raw_table(dataset, warehouse.settings)
        names = ", ".join(f"`{name}`" for name in columns)
        rows = list(
            warehouse.rows(f"SELECT {names}, _extra FROM {table.sql} WHERE _deleted_at IS NULL", kind="test")
        )
        found = {}
        for row in rows:
            values = {name: row[name] for name in columns}
            key = tuple(values[name] for name in dataset.key)
            extra = row["_extra"]
            found[key[0] if len(key) == 1 else key] = (
                values,
                json.loads(extra) if isinstance(extra, str) else extra,
            )
        assert len(found) == len(rows), f"{dataset_id} holds duplicate keys"
        return found

    def compare(self, hour: int, datasets: tuple[str, ...] | None = None) -> int:
        """Hold every raw table (or these) against the generator's truth, row by row; how many were compared."""
        if hour not in self.expected:
            self.expected[hour] = self.shop.truth(hour), self.shop.expected_extra(hour)
        truth, extras = self.expected[hour]
        compared = 0
        for dataset_id, expected in truth.items():
            if datasets is not None and dataset_id not in datasets:
                continue
            found = self.warehouse(dataset_id)
            assert found.keys() == expected.keys(), dataset_id
            for key, row in expected.items():
                values, extra = found[key]
                assert values == row, f"{dataset_id} {key}"
                assert (extra or None) == extras[dataset_id].get(key), f"{dataset_id} {key}"
                compared += 1
        return compared


def embedded(**servers: str) -> dict[str, str]:
    """This environment with the embedded servers, but for the real ones that are named."""
    environ = {name: value for name, value in os.environ.items() if name not in REAL_SERVERS}
    return {**environ, **servers}


def make_world(state: Path, environ: dict[str, str]) -> Iterator[World]:
    """Everything started, the shop opened; all is stopped and the environment as before afterwards."""
    before = dict(os.environ)
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(state, offline=True, environ=environ))
        targets = opened.enter_context(stack.targets())
        os.environ.update(stack.environment)
        os.environ["TIDELINE_DEADLINE_SECONDS"] = "60"
        try:
            deployment = opened.enter_context(connections.open_deployment())
            shop = Shop(11, SCALE, ANCHOR)
            shop.open(targets)
            yield World(stack, targets, shop, deployment)
        finally:
            os.environ.clear()
            os.environ.update(before)
