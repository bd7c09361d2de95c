"""A deployment proved on a real cluster: installed, run, upgraded and hurt; its warehouse held against the truth.

    python helm/e2e.py                whatever KUBECONFIG points to, kind or any other
    python helm/e2e.py --keep         leave the namespace afterwards

Needs helm, kubectl, and the images `localhost/tideline:<tag>` and `localhost/tideline-demo:<tag>` in the cluster's
nodes. Prints a table of what was done, how long it took, and the memory of each component.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELM_DIR = Path(__file__).resolve().parent
DAG = "tideline_hourly"
PORT = 18080
STRANGER = "stranger"
SHOP = "/tmp/tideline"  # noqa: S108  inside the pod
"""Where the demo's pod keeps the shop."""


class FailedError(Exception):
    """A step did not end as it must."""


class Cluster:
    """One namespace of whatever cluster KUBECONFIG names."""

    def __init__(self, namespace: str, chart: Path, tag: str, values: list[str]) -> None:
        self.namespace, self.chart, self.tag, self.values = namespace, chart, tag, values
        self.rows: list[tuple[str, str, float]] = []
        self._token = ""
        self.until = datetime.min.replace(tzinfo=UTC)
        """The end of the window that the last run reads to."""

    def kubectl(
        self, *arguments: str, check: bool = True, given: str | None = None, seconds: float = 900
    ) -> str:
        command = ["kubectl", "-n", self.namespace, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, input=given, timeout=seconds, check=False
        )
        if check and done.returncode:
            raise FailedError(f"kubectl {' '.join(arguments[:4])}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def helm(self, *arguments: str) -> str:
        done = subprocess.run(
            ["helm", *arguments, "-n", self.namespace], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise FailedError(
                f"helm {' '.join(arguments[:3])}: {(done.stdout + done.stderr).strip()[-3000:]}"
            )
        return done.stdout

    def apply_release(self, *more: str) -> str:
        arguments = [
            "upgrade",
            "--install",
            "tideline",
            str(self.chart),
            "-f",
            str(HELM_DIR / "values-kind.yaml"),
        ]
        for image in ("airflow.images.airflow", "demo.image", "postgres.image"):
            arguments += ["--set-string", f"{image}.tag={self.tag}"]
        for value in self.values:
            arguments += ["--set", value]
        return self.helm(*arguments, "--wait", "--timeout", "15m", *more)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Airflow's API through a forwarded port; asks again while a pod behind it is replaced."""
        deadline = time.monotonic() + 300
        while True:
            try:
                if not self._token and path != "/auth/token":
                    self._token = self.call("POST", "/auth/token", self._login())["access_token"]
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

    def _login(self) -> dict[str, str]:
        secret = json.loads(self.kubectl("get", "secret", "tideline-admin", "-o", "json"))["data"]
        return {key: base64.b64decode(secret[key]).decode() for key in ("username", "password")}

    @contextmanager
    def forwarded(self) -> Iterator[None]:
        """The API server on a local port; started again whenever its pod goes."""
        stop = threading.Event()
        current: list[subprocess.Popen[bytes]] = []

        def forward() -> None:
            command = ["kubectl", "-n", self.namespace, "port-forward", "--address", "127.0.0.1"]
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

    def demo(self, *command: str, check: bool = True) -> str:
        pod = self.kubectl("get", "pod", "-l", "app.kubernetes.io/component=demo", "-o", "name").split()[0]
        return self.kubectl("exec", pod, "--", *command, check=check)

    def shop_end(self) -> datetime:
        """The end of the last hour that has happened in the shop."""
        clock = json.loads(self.demo("cat", f"{SHOP}/demo/shop.json"))
        return datetime.fromisoformat(clock["anchor"]) + timedelta(hours=clock["hour"] + 1)

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
        while not (found := self.kubectl("get", "pods", *wanted).split()):
            if time.monotonic() > deadline or self.state(run) not in ("queued", "running"):
                raise FailedError(f"no task of {run} got a pod of its own: {self._unfinished(run)}")
            time.sleep(1)
        return found[0].removeprefix("pod/")

    def verify(self) -> str:
        """The warehouse against what is true of the shop, asked inside the demo's pod.

        The shop goes on while runs do. An hour that happened in it since the run's end is waited for and run as well.
        """
        end = self.shop_end()
        if end > self.until:
            time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 5))
            self.finish(self.trigger(hours=3))
        settings = json.loads(self.kubectl("get", "secret", "tideline-connections", "-o", "json"))["data"]
        exports = {
            k: base64.b64decode(v).decode().replace("tideline-demo", "127.0.0.1") for k, v in settings.items()
        }
        exports |= {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050", "AIRFLOW_HOME": f"{SHOP}/airflow"}
        command = ["env", *(f"{k}={v}" for k, v in exports.items())]
        out = self.demo(*command, "python", "-m", "devstack", "verify", "--state", SHOP, check=False)
        lines = [line for line in out.splitlines() if line.startswith("{")]
        if not lines:
            raise FailedError(f"verify said nothing: {out[-1000:]}")
        found = json.loads(lines[-1])
        if not found["equal"]:
            raise FailedError(f"the warehouse is not the shop: {found}")
        return f"{sum(d['rows'] for d in found['datasets'].values())} rows equal in {len(found['datasets'])} tables"

    def step(self, name: str, body: Callable[[], Any]) -> Any:
        started = time.monotonic()
        print(f"… {name}", flush=True)
        result = body()
        seconds = time.monotonic() - started
        self.rows.append((name, str(result or "done").splitlines()[0][:100], seconds))
        print(f"  {self.rows[-1][1]} ({seconds:.0f} s)", flush=True)
        return result


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", default="tideline-e2e")
    parser.add_argument("--chart", type=Path, default=HELM_DIR / "tideline")
    parser.add_argument("--tag", default=os.environ.get("TIDELINE_TAG", "dev"))
    parser.add_argument("--set", action="append", default=[], dest="values")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    cluster = Cluster(options.namespace, options.chart, options.tag, options.values)
    try:
        prove(cluster)
    except (FailedError, subprocess.TimeoutExpired) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        print(cluster.kubectl("get", "pods", "-o", "wide", check=False), file=sys.stderr)
        print(
            cluster.kubectl("get", "events", "--sort-by=.lastTimestamp", check=False)[-4000:], file=sys.stderr
        )
        return 1
    finally:
        table(cluster)
        if not options.keep:
            cluster.kubectl("delete", "namespace", options.namespace, "--wait=true", check=False)
    return 0


def prove(cluster: Cluster) -> None:
    """Every step, in the order in which an operator would meet it."""
    step, upgrade = cluster.step, cluster.apply_release
    step("namespace that enforces restricted pods", lambda: namespace(cluster))
    step("helm install", lambda: upgrade() and "deployed")
    with cluster.forwarded():
        run = step("the schedule makes its first run", cluster.scheduled)
        cluster.until_running(run, ".")
        step("helm upgrade while it runs", lambda: upgrade(*annotation("one")) and "deployed")
        step(
            "helm upgrade again, to pods for tasks", lambda: upgrade(*PODS, *annotation("two")) and "deployed"
        )
        step("the hour that was upgraded twice", lambda: cluster.finish(run))
        step("warehouse against truth", cluster.verify)
        step("memory", lambda: memory(cluster))
        run = step("a run through the API, in pods", lambda: cluster.trigger(hours=3))
        step("a task's pod", lambda: cluster.until_worker(run))
        killed = ("component=scheduler", "component=api-server", f"dag_id={DAG}")
        step("kill scheduler, API server and tasks' pods at once", lambda: kill(cluster, *killed))
        step("the run that lost them", lambda: cluster.finish(run))
        step("warehouse against truth again", cluster.verify)
        step("a task's log after its pod is gone", lambda: task_log(cluster, run))
        step("a stranger does not reach the API server", lambda: stranger(cluster))
    step("helm test: one more run", lambda: cluster.helm("test", "tideline", "--timeout", "25m") and "passed")
    step("helm uninstall", lambda: cluster.helm("uninstall", "tideline", "--wait") and left(cluster))


PODS = (
    "--set",
    r"airflow.executor=LocalExecutor\,KubernetesExecutor",
    "--set",
    "airflow.allowPodLaunching=true",
)
"""Heavy tasks in pods of their own, the others beside the scheduler, as on GKE."""


def annotation(step: str) -> tuple[str, str]:
    """Values that replace every pod of Airflow."""
    return "--set", f"airflow.airflowPodAnnotations.step={step}"


def left(cluster: Cluster) -> str:
    """What an uninstall leaves: keys and data that must not go with it, nothing that runs."""
    deadline = time.monotonic() + 90
    runs = ("get", "pods", "--field-selector=status.phase!=Succeeded", "-o", "name")
    while pods := cluster.kubectl(*runs).split():
        if time.monotonic() > deadline:
            raise FailedError(f"still there: {pods}")
        time.sleep(2)
    kept = cluster.kubectl("get", "secret,pvc", "-l", "app.kubernetes.io/name=tideline", "-o", "name").split()
    return f"nothing runs; kept: {', '.join(name.partition('/')[2] for name in kept)}"


def namespace(cluster: Cluster) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": cluster.namespace, "labels": labels},
    }
    cluster.kubectl("apply", "-f", "-", given=json.dumps(manifest))
    return cluster.namespace


def kill(cluster: Cluster, *selectors: str) -> str:
    gone = []
    for selector in selectors:
        gone += cluster.kubectl("delete", "pod", "-l", selector, "--grace-period=0", "--force").split("\n")
    return f"{sum('deleted' in line for line in gone)} pods"


def task_log(cluster: Cluster, run: str) -> str:
    """The log of a task that had a pod of its own: it is read from the bucket."""
    pods = cluster.kubectl("get", "pods", "-l", f"dag_id={DAG}", "-o", "name").split()
    if pods:
        raise FailedError(f"pods of tasks that are over: {pods}")
    task = next(t for t in cluster.tasks(run) if t["task_id"].endswith(".land") and t["state"] == "success")
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
    text = json.dumps(cluster.call("GET", f"{path}?full_content=true"))
    if task["task_id"].removesuffix(".land") not in text or "tideline." not in text:
        raise FailedError(f"the log does not hold what the task said: {text[:1500]}")
    return f"{task['task_id']}, try {task['try_number']}: {len(text)} characters"


def stranger(cluster: Cluster) -> str:
    """A pod that the policy does not name asks the API server's port and gets no answer; `helm test` does."""
    probe = (
        "import urllib.request,sys\n"
        f"try: urllib.request.urlopen('http://airflow-api-server.{cluster.namespace}:8080/api/v2/version', timeout=8); sys.exit(7)\n"
        "except OSError: sys.exit(0)"
    )
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 50000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "probe",
        "image": f"localhost/tideline:{cluster.tag}",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", probe],
        "securityContext": security,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": STRANGER, "labels": {"app": STRANGER}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.kubectl("apply", "-f", "-", given=json.dumps(pod))
    deadline = time.monotonic() + 120
    while (phase := cluster.kubectl("get", "pod", STRANGER, "-o", "jsonpath={.status.phase}")) not in (
        "Succeeded",
        "Failed",
    ):
        if time.monotonic() > deadline:
            raise FailedError(f"the probe is {phase}")
        time.sleep(2)
    cluster.kubectl("delete", "pod", STRANGER)
    if phase != "Succeeded":
        raise FailedError("a pod outside the policy reached the API server")
    return "timed out, as it must"


MEMORY = """
import pathlib
root = pathlib.Path("/sys/fs/cgroup")
one = (root / "memory.current").exists()
base = root if one else root / "memory"
read = lambda name: int((base / name).read_text()) if (base / name).exists() else 0
used = read("memory.current" if one else "memory.usage_in_bytes")
peak = read("memory.peak" if one else "memory.max_usage_in_bytes")
stat = dict(line.split() for line in (base / "memory.stat").read_text().splitlines())
print(used - int(stat["inactive_file" if one else "total_inactive_file"]) >> 20, peak >> 20)
"""


def memory(cluster: Cluster) -> str:
    """Megabytes that each pod's first container holds now and held at most, as its cgroup says."""
    total = 0
    for name in cluster.kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "name").split():
        said = cluster.kubectl("exec", name, "--", "python3", "-c", MEMORY, check=False).split()
        if len(said) == 2:
            total += int(said[0])
            pod = name.removeprefix("pod/").rsplit("-", 2)[0]
            cluster.rows.append((f"  memory of {pod}", f"{said[0]} MiB, at most {said[1]}", 0.0))
    return f"{total} MiB in all"


def table(cluster: Cluster) -> None:
    print(f"\n{'step':50} {'seconds':>8}  result")
    for name, result, seconds in cluster.rows:
        print(f"{name:50} {seconds:8.0f}  {result}")


if __name__ == "__main__":
    sys.exit(main())
