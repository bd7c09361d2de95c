"""A deployment proved on a real cluster: installed, run, upgraded and hurt; its warehouse held against the truth.

    python helm/e2e.py                whatever KUBECONFIG points to, kind or any other
    python helm/e2e.py --keep         leave the namespace afterwards

Needs helm, kubectl, and the images `localhost/tideline:<tag>` and `localhost/tideline-demo:<tag>` in the cluster's
nodes. Prints a table of what was done, how long it took, and the memory of each component.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from proof.airflow import DAG, Airflow
from proof.cluster import HELM_DIR, Cluster, FailedError
from proof.harm import kill, left, memory, stranger, task_log
from proof.shop import verify


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
        cluster.table()
        if not options.keep:
            cluster.kubectl("delete", "namespace", options.namespace, "--wait=true", check=False)
    return 0


def prove(cluster: Cluster) -> None:
    """Every step, in the order in which an operator would meet it."""
    step, upgrade, airflow = cluster.step, cluster.apply_release, Airflow(cluster)
    step("namespace that enforces restricted pods", cluster.make_namespace)
    step("helm install", lambda: upgrade() and "deployed")
    with airflow.forwarded():
        run = step("the schedule makes its first run", airflow.scheduled)
        airflow.until_running(run, ".")
        step("helm upgrade while it runs", lambda: upgrade(*annotation("one")) and "deployed")
        step(
            "helm upgrade again, to pods for tasks", lambda: upgrade(*PODS, *annotation("two")) and "deployed"
        )
        step("the hour that was upgraded twice", lambda: airflow.finish(run))
        step("warehouse against truth", lambda: verify(cluster, airflow))
        step("memory", lambda: memory(cluster))
        run = step("a run through the API, in pods", lambda: airflow.trigger(hours=3))
        step("a task's pod", lambda: airflow.until_worker(run))
        killed = ("component=scheduler", "component=api-server", f"dag_id={DAG}")
        step("kill scheduler, API server and tasks' pods at once", lambda: kill(cluster, *killed))
        step("the run that lost them", lambda: airflow.finish(run))
        step("warehouse against truth again", lambda: verify(cluster, airflow))
        step("a task's log after its pod is gone", lambda: task_log(cluster, airflow, run))
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


if __name__ == "__main__":
    sys.exit(main())
