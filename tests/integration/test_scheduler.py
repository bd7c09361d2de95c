"""`make up`: a real scheduler runs the hourly DAG with the models watched; one day in the life of its operator.

The tests go on from each other, in order. They take minutes, so they run where TIDELINE_TEST_SCHEDULER=1 (CI) and
say so elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import psutil
import pytest

from devstack.airflow_home import DATABASE_SECONDS
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
        with urllib.request.urlopen(request, timeout=2 * DATABASE_SECONDS) as reply:
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


@dataclass(frozen=True)
class Up:
    """A running `make up`."""

    api: Api
    state: Path
    process: subprocess.Popen[bytes]

    def shell(self, line: str) -> str:
        """What a line prints where the connections of the stand-ins are set."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        line = f"set -a; . {self.state}/up/tideline.env; set +a; {line}"
        done = subprocess.run(
            ["bash", "-euc", line], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def orders(self) -> dict[int, Any]:
        """Each key's newest stamp in the warehouse."""
        found = self.shell(f"{sys.executable} -c {shlex.quote(ORDERS)}")
        return dict(json.loads(found.splitlines()[-1]))

    def end_of(self, kind: str) -> list[dict]:
        """The runs of a kind, once there are some and all have ended."""

        def ended():
            runs = self.api.runs(kind)
            return runs if runs and all(run["state"] in TERMINAL for run in runs) else None

        return wait_for(f"end of the {kind} runs", ended)


ORDERS = """
import json
from tideline import connections
from tideline.warehouse.names import raw_table
with connections.open_deployment() as deployment:
    warehouse, dataset = deployment.open_warehouse(), deployment.catalog.dataset("shop_mongodb.orders")
    sql = f"SELECT id, updated_at FROM {raw_table(dataset, warehouse.settings).sql}"
    rows = [(row["id"], row["updated_at"].isoformat()) for row in warehouse.rows(sql, kind="test")]
assert len(rows) == len(dict(rows)) > 400, len(rows)
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory, manifest):
    state = tmp_path_factory.mktemp("up")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {"TIDELINE_UI_PORT": str(free_port()), "SCALE": "0.05", "TIDELINE_OFFLINE": "1"}
    command = [sys.executable, "-m", "devstack", "up", "--state", str(state)]
    log = state / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=output, stderr=output)
    ready = state / "up" / "airflow" / "ready.json"
    wait_for("UI", lambda: ready.exists() or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    yield Up(Api(**json.loads(ready.read_text())), state, process)
    subprocess.run([sys.executable, "-m", "devstack", "down", "--state", str(state)], check=True, cwd=ROOT)
    process.wait(120)


def test_the_scheduled_run_a_trigger_and_a_backfill_succeed(up):
    assert {run["state"] for run in up.end_of("scheduled")} == {"success"}

    up.api.call("POST", "/api/v2/dags/tideline_hourly/dagRuns", {"logical_date": None, "conf": {}})
    assert [run["state"] for run in up.end_of("manual")] == ["success"]

    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    interval = [moment.strftime("%Y-%m-%dT%H:%M") for moment in (last - timedelta(hours=1), last)]
    command = [sys.executable, "-m", "devstack", "backfill", *interval, "--state", str(up.state)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    subprocess.run(command, check=True, cwd=ROOT, env=env)
    first, second = sorted(up.end_of("backfill"), key=itemgetter("start_date"))
    assert [first["state"], second["state"]] == ["success", "success"]
    assert first["end_date"] <= second["start_date"]


def test_every_command_of_when_something_breaks_does_its_work(up):
    section = (ROOT / "README.md").read_text().split("## When something breaks")[1]
    lines = section.split("```bash\n")[1].split("```")[0].splitlines()
    source, *commands = [line.split("  #")[0].strip() for line in lines]
    assert source == "set -a; . .tideline/up/tideline.env; set +a"
    verbs = [re.match(r"\.venv/bin/tideline (\w+)", command)[1] for command in commands]
    assert verbs == ["status", "recover", "replay", "replay", "reconcile", "rewind"]
    now = datetime.now(UTC)
    days = {
        "2026-01-01": f"{now - timedelta(days=2):%F}",
        "2026-02-01": f"{now:%FT%H:%M}",
        "2026-01-31T00:00": f"{now - timedelta(days=1):%F}T00:00",
    }
    orders = up.orders()
    for command in commands:
        line = re.sub("|".join(days), lambda found: days[found[0]], command)
        up.shell(line.replace(".venv/bin/tideline", str(Path(sys.executable).parent / "tideline")))
    assert up.orders().keys() >= orders.keys()


def test_nothing_is_left_behind(up):
    ours = {child.pid for child in psutil.Process(up.process.pid).children(recursive=True)}
    ours |= {up.process.pid}
    assert len(ours) > 5
    subprocess.run([sys.executable, "-m", "devstack", "down", "--state", str(up.state)], check=True, cwd=ROOT)
    up.process.wait(120)
    left = [
        pid for pid in ours if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]
    assert left == []
