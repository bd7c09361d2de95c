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
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HELM_DIR = Path(__file__).resolve().parent
DAG = "tideline_hourly"
PORT = 18080
STRANGER = "stranger"


class FailedError(Exception):
    """A step did not end as it must."""


class Cluster:
    """One namespace of whatever cluster KUBECONFIG names."""

    def __init__(self, namespace: str, chart: Path, tag: str, values: list[str]) -> None:
        self.namespace, self.chart, self.tag, self.values = namespace, chart, tag, values
        self.rows: list[tuple[str, str, float]] = []
        self._token = ""

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
        stop, current = threading.Event(), []

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

    def trigger(self) -> str:
        self.call("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        body = {"logical_date": None, "conf": {"catch_up": True}}
        return str(self.call("POST", f"/api/v2/dags/{DAG}/dagRuns", body)["dag_run_id"])

    def state(self, run: str) -> str:
        return str(self.call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}")["state"])

    def tasks(self, run: str) -> list[dict[str, Any]]:
        return list(
            self.call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances?limit=300")["task_instances"]
        )

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

    def verify(self) -> str:
        """The warehouse against what is true of the shop, asked inside the demo's pod."""
        script = "cd /tmp && python -m devstack verify --state /tmp/tideline"
        pod = self.kubectl("get", "pod", "-l", "app.kubernetes.io/component=demo", "-o", "name").split()[0]
        settings = json.loads(self.kubectl("get", "secret", "tideline-connections", "-o", "json"))["data"]
        exports = " ".join(f"{k}='{base64.b64decode(v).decode()}'" for k, v in settings.items())
        out = self.kubectl(
            "exec",
            pod,
            "--",
            "bash",
            "-c",
            f"export {exports}; export AIRFLOW_HOME=/tmp/airflow; {script}",
            check=False,
        )
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
    step = cluster.step
    step("namespace that enforces restricted pods", lambda: namespace(cluster))
    step("helm install", lambda: cluster.apply_release() and "deployed")
    with cluster.forwarded():
        run = step("trigger the hourly DAG", cluster.trigger)
        step("the run", lambda: cluster.finish(run))
        step("warehouse against truth", cluster.verify)
        step("memory", lambda: memory(cluster))
        run = step("another run", cluster.trigger)
        cluster.until_running(run, ".")
        step(
            "helm upgrade while it runs",
            lambda: cluster.apply_release("--set", "airflow.airflowPodAnnotations.step=one") and "deployed",
        )
        step(
            "helm upgrade again",
            lambda: cluster.apply_release("--set", "airflow.airflowPodAnnotations.step=two") and "deployed",
        )
        step("the run that was upgraded twice", lambda: cluster.finish(run))
        run = step("a third run", cluster.trigger)
        cluster.until_running(run, ".")
        step(
            "kill the scheduler and the API server at once", lambda: kill(cluster, "scheduler", "api-server")
        )
        step("the run that lost both", lambda: cluster.finish(run))
        step("warehouse against truth again", cluster.verify)
        step("a task's log from the bucket", lambda: task_log(cluster, run))
        step("a stranger does not reach the API server", lambda: stranger(cluster))
    step("helm test", lambda: cluster.helm("test", "tideline", "--timeout", "25m") and "passed")
    step("helm uninstall", lambda: cluster.helm("uninstall", "tideline", "--wait") and "gone")


def namespace(cluster: Cluster) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": cluster.namespace, "labels": labels},
    }
    cluster.kubectl("apply", "-f", "-", given=json.dumps(manifest))
    return cluster.namespace


def kill(cluster: Cluster, *components: str) -> str:
    for component in components:
        cluster.kubectl(
            "delete", "pod", "-l", f"component={component}", "--grace-period=0", "--force", check=False
        )
    return ", ".join(components)


def task_log(cluster: Cluster, run: str) -> str:
    """The log of a task whose pod was killed: it is read from the bucket."""
    task = next(t for t in cluster.tasks(run) if t["task_id"] == "plan")
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/plan/logs/{task['try_number']}?full_content=true"
    text = json.dumps(cluster.call("GET", path))
    if "planned" not in text:
        raise FailedError(f"the log does not hold what the task said: {text[:1500]}")
    return f"{len(text)} characters"


def stranger(cluster: Cluster) -> str:
    """A pod without the policy's labels, in another namespace, asks for the login page and gets no answer."""
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


def memory(cluster: Cluster) -> str:
    """Megabytes that each pod's containers hold now, as their cgroups say."""
    found = []
    for name in cluster.kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "name").split():
        read = (
            "cat /sys/fs/cgroup/memory/memory.usage_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.current"
        )
        out = cluster.kubectl("exec", name, "--", "bash", "-c", read, check=False).strip()
        if out.isdigit():
            found.append((name.removeprefix("pod/").rsplit("-", 2)[0], int(out) >> 20))
    for pod, megabytes in found:
        cluster.rows.append((f"  memory of {pod}", f"{megabytes} MiB", 0.0))
    return f"{sum(m for _, m in found)} MiB in all"


def table(cluster: Cluster) -> None:
    print(f"\n{'step':50} {'seconds':>8}  result")
    for name, result, seconds in cluster.rows:
        print(f"{name:50} {seconds:8.0f}  {result}")


if __name__ == "__main__":
    sys.exit(main())
