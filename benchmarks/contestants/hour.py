"""A whole hour under a real scheduler with LocalExecutor: triggered once, timed by Airflow's own clock."""

from __future__ import annotations

import json
import sqlite3
import time
import urllib.request
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contestants.airflow import scheduled

if TYPE_CHECKING:
    from devstack.airflow_home import Standalone

LIMIT_SECONDS = 780.0
TIMES = "select queued_at, end_date from dag_run where run_id = ?"
TASKS = "select task_id, state, end_date from task_instance where run_id = ?"


def manifest(*, project: str) -> dict[str, Any]:
    """`dbt parse` of the project. Not measured."""
    from dbt.cli.main import dbtRunner

    done = dbtRunner().invoke(["--quiet", "parse", "--project-dir", project, "--profiles-dir", project])
    if not done.success:
        raise ValueError(str(done.exception))
    return {}


def run(*, home: str, folder: str, dag_id: str, mode: str, conf: dict[str, Any]) -> dict[str, Any]:
    """Seconds from the trigger to the end of the run, and to the last table that was loaded.

    Args:
        home: Airflow's.
        folder: Of `benchmarks/dags`: where the DAG file lies.
        dag_id: The DAG in it.
        mode: How the models are run, `TIDELINE_DBT_MODE`.
        conf: Of the run.
    """
    place = Path(home)
    with scheduled(place, folder, mode) as running:
        return _timed(place / "airflow.db", _trigger(running, dag_id, conf))


def _trigger(running: Standalone, dag_id: str, conf: dict[str, Any]) -> str:
    """Once the DAG is there."""
    login = {"username": running.user, "password": running.password}
    token = _post(f"{running.url}/auth/token", login, {})["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{running.url}/api/v2/dags/{dag_id}/dagRuns"
    ends = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            return str(_post(path, {"logical_date": None, "conf": conf}, headers)["dag_run_id"])
        except urllib.error.HTTPError as error:
            if error.code != 404 or time.monotonic() > ends:  # it is not parsed yet
                raise ValueError(error.read().decode()) from error
        time.sleep(0.5)


def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    headers = {**headers, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as reply:  # our own loopback URL
        found: dict[str, Any] = json.load(reply)
    return found


def _timed(database: Path, run_id: str) -> dict[str, Any]:
    ends = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < ends:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            queued, ended = map(_instant, connection.execute(TIMES, (run_id,)).fetchone())
            tasks = connection.execute(TASKS, (run_id,)).fetchall()
        if queued and ended:
            break
        time.sleep(0.5)
    else:
        raise TimeoutError(f"the hour did not end within {LIMIT_SECONDS:.0f} s")
    failed = [f"{name}: {state}" for name, state, _ in tasks if state != "success"]
    if failed:
        raise ValueError(f"not every task succeeded: {', '.join(failed)}")
    (loaded,) = [_instant(end) for name, _, end in tasks if name == "settle"]
    assert loaded
    return {
        "seconds": (ended - queued).total_seconds(),
        "loaded_seconds": (loaded - queued).total_seconds(),
        "tasks": len(tasks),
    }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
