"""`make up`: a real scheduler runs the hourly DAG with the models watched; a trigger and a backfill work.

Nothing is left behind. Takes minutes, so it runs where TIDELINE_TEST_SCHEDULER=1 (CI) and says so elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from devstack.process import free_port

ROOT = Path(__file__).parents[2]
BOUND_SECONDS = 1500
TERMINAL = ("success", "failed")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(4200),
    pytest.mark.skipif(
        os.environ.get("TIDELINE_TEST_SCHEDULER") != "1",
        reason="set TIDELINE_TEST_SCHEDULER=1 to start Airflow",
    ),
]


class Api:
    """The Airflow REST API of one running `make up`."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._token = ""
        self._token = self.call("POST", "/auth/token", {"username": user, "password": password})[
            "access_token"
        ]

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def runs(self, kind: str) -> list[dict]:
        listed = self.call("GET", "/api/v2/dags/tideline_hourly/dagRuns?limit=100")["dag_runs"]
        return [run for run in listed if run["run_type"] == kind]


def wait_for(what, condition):
    deadline = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(2)
    raise AssertionError(f"no {what} within {BOUND_SECONDS} s")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, manifest):
    state = tmp_path_factory.mktemp("up")
    port = free_port()
    env = {**os.environ, "TIDELINE_UI_PORT": str(port), "SCALE": "0.05", "TIDELINE_OFFLINE": "1"}
    for name in [name for name in env if name.startswith("AIRFLOW")]:
        del env[name]
    command = [sys.executable, "-m", "devstack", "up", "--state", str(state)]
    log = state / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=output, stderr=output)
    ready = state / "up" / "airflow" / "ready.json"
    wait_for("UI", lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    yield Api(**json.loads(ready.read_text())), state, process
    subprocess.run([sys.executable, "-m", "devstack", "down", "--state", str(state)], check=True, cwd=ROOT)
    process.wait(120)


def finished(api, kind):
    runs = api.runs(kind)
    return runs if runs and all(run["state"] in TERMINAL for run in runs) else None


def test_the_scheduled_run_a_trigger_and_a_backfill_succeed_and_nothing_is_left(airflow):
    api, state, process = airflow
    scheduled = wait_for("scheduled run", lambda: finished(api, "scheduled"))
    assert [run["state"] for run in scheduled] == ["success"]

    api.call("POST", "/api/v2/dags/tideline_hourly/dagRuns", {"logical_date": None, "conf": {}})
    manual = wait_for("manual run", lambda: finished(api, "manual"))
    assert [run["state"] for run in manual] == ["success"]

    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    interval = [moment.strftime("%Y-%m-%dT%H:%M") for moment in (last - timedelta(hours=1), last)]
    command = [sys.executable, "-m", "devstack", "backfill", *interval, "--state", str(state)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    subprocess.run(command, check=True, cwd=ROOT, env=env)
    backfilled = wait_for("backfill", lambda: finished(api, "backfill"))
    assert {run["state"] for run in backfilled} == {"success"}

    ours = {child.pid for child in psutil.Process(process.pid).children(recursive=True)} | {process.pid}
    assert len(ours) > 5
    subprocess.run([sys.executable, "-m", "devstack", "down", "--state", str(state)], check=True, cwd=ROOT)
    process.wait(120)
    left = [
        pid for pid in ours if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]
    assert left == []
