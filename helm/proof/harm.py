"""What is done to a deployment and looked at in it: pods killed, a stranger at the door, logs, memory, what is left."""

from __future__ import annotations

import json
import time

from proof.airflow import DAG, Airflow
from proof.cluster import Cluster, FailedError

STRANGER = "stranger"


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


def kill(cluster: Cluster, *selectors: str) -> str:
    gone = []
    for selector in selectors:
        gone += cluster.kubectl("delete", "pod", "-l", selector, "--grace-period=0", "--force").split("\n")
    return f"{sum('deleted' in line for line in gone)} pods"


def task_log(cluster: Cluster, airflow: Airflow, run: str) -> str:
    """The log of a task that had a pod of its own: it is read from the bucket."""
    pods = cluster.kubectl("get", "pods", "-l", f"dag_id={DAG}", "-o", "name").split()
    if pods:
        raise FailedError(f"pods of tasks that are over: {pods}")
    task = next(t for t in airflow.tasks(run) if t["task_id"].endswith(".land") and t["state"] == "success")
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
    text = json.dumps(airflow.call("GET", f"{path}?full_content=true"))
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
