"""Airflow through its API: runs are triggered, watched and waited for. What they did to the data is not its business."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from proof.cluster import Cluster, FailedError

if TYPE_CHECKING:
    from collections.abc import Iterator

DAG = "tideline_hourly"
PORT = 18080


class Airflow:
    """The hourly DAG of one namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._token = ""
        self.until = datetime.min.replace(tzinfo=UTC)
        """The end of the window that the last run reads to."""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Airflow's API through a forwarded port; asks again while a pod behind it is replaced."""
        deadline = time.monotonic() + 300
        while True:
            try:
                if not self._token and path != "/auth/token":
                    login = self.cluster.secret("tideline-admin")
                    self._token = self.call("POST", "/auth/token", login)["access_token"]
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
                data = None if body is None else json.dumps(body).encode()
                request = urllib.request.Request(
                    f"http://127.0.0.1:{PORT}{path}", data, headers, method=method
                )
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.load(answer)
            except (OSError, json.JSONDecodeError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == 401:
                    self._token = ""
                elif isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    raise FailedError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
                if time.monotonic() > deadline:
                    raise FailedError(f"{method} {path}: {error}") from error
                time.sleep(2)

    @contextmanager
    def forwarded(self) -> Iterator[None]:
        """The API server on a local port; started again whenever its pod goes."""
        stop = threading.Event()
        current: list[subprocess.Popen[bytes]] = []

        def forward() -> None:
            command = ["kubectl", "-n", self.cluster.namespace, "port-forward", "--address", "127.0.0.1"]
            command += ["svc/airflow-api-server", f"{PORT}:8080"]
            while not stop.is_set():
                with subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ) as process:
                    current[:] = [process]
                    process.wait()
                stop.wait(1)

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            for process in current:
                process.terminate()
            thread.join(10)

    def trigger(self, hours: int = 0) -> str:
        """A run from the high-water mark on; with `hours`, one that reads that many past hours again."""
        self.call("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        self.until = end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        conf: dict[str, object] = {"catch_up": True}
        if hours:
            start = end - timedelta(hours=hours)
            conf = {"window_start": start.isoformat(), "window_end": end.isoformat()}
        body = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"/api/v2/dags/{DAG}/dagRuns", body)["dag_run_id"])

    def state(self, run: str) -> str:
        return str(self.call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}")["state"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        path = f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances?limit=100&offset="
        found: list[dict[str, Any]] = []
        while page := self.call("GET", f"{path}{len(found)}")["task_instances"]:
            found += page
        return found

    def finish(self, run: str, minutes: float = 25) -> str:
        deadline = time.monotonic() + 60 * minutes
        while (state := self.state(run)) in ("queued", "running"):
            if time.monotonic() > deadline:
                raise FailedError(f"{run} is {state} after {minutes:g} minutes: {self._unfinished(run)}")
            time.sleep(5)
        if state != "success":
            raise FailedError(f"{run} is {state}: {self._unfinished(run)}")
        tries = max(task["try_number"] for task in self.tasks(run))
        return f"success, {len(self.tasks(run))} tasks, at most {tries} tries"

    def _unfinished(self, run: str) -> str:
        return ", ".join(f"{t['task_id']}={t['state']}" for t in self.tasks(run) if t["state"] != "success")[
            :1500
        ]

    def until_running(self, run: str, part: str) -> None:
        deadline = time.monotonic() + 600
        while not any(t["state"] == "running" and part in t["task_id"] for t in self.tasks(run)):
            if time.monotonic() > deadline or self.state(run) not in ("queued", "running"):
                raise FailedError(f"no task with {part!r} was seen running in {run}")
            time.sleep(1)

    def scheduled(self) -> str:
        """The run that the schedule made by itself when the DAG was first seen."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            try:
                runs = self.call("GET", f"/api/v2/dags/{DAG}/dagRuns")["dag_runs"]
            except FailedError:
                runs = []  # the DAG has not been seen yet
            if runs:
                self.until = datetime.fromisoformat(runs[0]["data_interval_end"])
                return str(runs[0]["dag_run_id"])
            time.sleep(2)
        raise FailedError(f"no run of {DAG} after five minutes")

    def until_worker(self, run: str) -> str:
        """The name of a pod in which a task of the run is running."""
        deadline = time.monotonic() + 300
        wanted = ("-l", f"dag_id={DAG}", "--field-selector=status.phase=Running", "-o", "name")
        while not (found := self.cluster.kubectl("get", "pods", *wanted).split()):
            if time.monotonic() > deadline or self.state(run) not in ("queued", "running"):
                raise FailedError(f"no task of {run} got a pod of its own: {self._unfinished(run)}")
            time.sleep(1)
        return found[0].removeprefix("pod/")
