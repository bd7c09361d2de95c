"""What Airflow makes of us: parsing the DAG file, a task without data, a link of a chain."""

from __future__ import annotations

import importlib
import sqlite3
import statistics
import time
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.paths import ROOT
from benchmarks.servers import DROPS
from devstack import airflow_home
from devstack.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DAGS = ROOT / "benchmarks" / "dags"
CHAIN_SECONDS = 300.0
CHAIN_LINKS = 10
CHAIN_TIMES = (
    "select start_date, end_date from task_instance where dag_id = 'bench_chain' and state = 'success' "
    "order by start_date"
)
WARM_PARSES = 5


def manifest(*, log: str) -> dict[str, Any]:
    """Build the dbt manifest that the DAG file reads, if it is not current. Not measured."""
    airflow_home.build_manifest(Path(log))
    return {}


def parse(*, path: str) -> dict[str, Any]:
    """Seconds for the DAG file in a process that holds what Airflow's parsing process holds, then again."""
    from airflow.dag_processing import processor  # noqa: F401  what a parsing process has imported
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.file import iter_airflow_imports

    for module in iter_airflow_imports(path):
        importlib.import_module(module)
    bag = DagBag(path, collect_dags=False)
    seconds = []
    for _ in range(1 + WARM_PARSES):
        started = time.monotonic()
        dags = bag.process_file(path, only_if_updated=False)
        seconds.append(time.monotonic() - started)
        if not dags or bag.import_errors:
            raise ValueError(f"no DAG in {path}: {bag.import_errors}")
    return {"cold_seconds": seconds[0], "warm_seconds": min(seconds[1:]), "tasks": len(dags[0].tasks)}


def task(*, step: str, dataset_id: str) -> dict[str, Any]:
    """Seconds for a step's imports and connections, in a process that holds what a task runner does."""
    import airflow.sdk.execution_time.task_runner  # noqa: F401

    started = time.monotonic()
    from tideline import connections, pipeline  # noqa: F401

    with connections.open_deployment() as deployment:
        dataset = deployment.catalog.dataset(dataset_id)
        if step == "land":
            importlib.import_module(f"tideline.land.{dataset.kind}")
            _touch(dataset.kind, deployment.open_source(deployment.catalog.source_of(dataset)))
            deployment.raw.exists("nothing")
        elif step == "refine":
            importlib.import_module("tideline.refine.refine")
            for store in (deployment.raw, deployment.processed, deployment.quarantine):
                store.exists("nothing")
        else:
            importlib.import_module("tideline.merge.merge")
            deployment.open_warehouse()
            deployment.processed.exists("nothing")
        return {"seconds": time.monotonic() - started}


def _touch(kind: str, client: Any) -> None:
    """One round trip to the source."""
    if kind == "mongodb":
        client.admin.command("ping")
    elif kind == "s3_csv":
        client.head_bucket(Bucket=DROPS)


@contextmanager
def scheduled(home: Path, dags: str, mode: str = "local") -> Iterator[airflow_home.Standalone]:
    """An Airflow with a scheduler over one folder of `benchmarks/dags`, until the block is left.

    Args:
        home: Airflow's.
        dags: The folder.
        mode: How models are run, `TIDELINE_DBT_MODE`.
    """
    env = {
        **airflow_home.environment(home, {}, mode),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS / dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    env.pop("PYTHONPYCACHEPREFIX", None)  # Airflow's byte code is compiled already where it usually lies
    airflow_home.migrate(env, home / "migrate.log")
    running = airflow_home.start_standalone(env, home, free_port())
    try:
        yield running
    finally:
        running.stop()


def chain(*, home: str) -> dict[str, Any]:
    """Seconds from one task of a chain to the next under a real scheduler with LocalExecutor."""
    folder = Path(home)
    with scheduled(folder, "chain"):
        times = _wait_for_chain(folder / "airflow.db")
    begun, ended = [start for start, _ in times], [end for _, end in times]
    links = [(after - before).total_seconds() for before, after in pairwise(begun)]
    return {
        "link_seconds": statistics.median(links),
        "task_seconds": statistics.median((end - start).total_seconds() for start, end in times),
        "chain_seconds": (max(ended) - min(begun)).total_seconds(),
    }


def _wait_for_chain(database: Path) -> list[tuple[datetime, datetime]]:
    deadline = time.monotonic() + CHAIN_SECONDS
    while time.monotonic() < deadline:
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute(CHAIN_TIMES).fetchall()
        if len(rows) == CHAIN_LINKS:
            return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in rows]
        time.sleep(0.5)
    raise TimeoutError(f"the chain did not end within {CHAIN_SECONDS:.0f} s")
