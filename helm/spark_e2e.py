"""A landing refined by Spark on a real cluster, with an executor killed in the midst: the rows of one process.

    make spark-e2e                    whatever KUBECONFIG points to, kind or any other
    make spark-e2e ARGS=--keep        leave the namespace afterwards

Needs kubectl, and the images `localhost/tideline-spark:<tag>` and `localhost/tideline-demo:<tag>` (its S3 server) in
the cluster's nodes. The job is the SparkApplication that a task would make, submitted as the Spark operator does it:
by spark-submit in cluster mode, here from a pod. Every pod is one that the restricted Pod Security standard admits.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import spark_lake
import yaml
from proof.cluster import HELM_DIR, Cluster, FailedError

from tideline.spark import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tideline.spark.order import Order

PORT = 9000
NAME = "tideline-spark-e2e"
DRIVER = f"{NAME}-driver"
SECONDS = 600
TEMPLATES = "/templates"
VERBS = ["create", "get", "list", "watch", "update", "patch", "delete", "deletecollection"]
ALLOWED = {
    "": ["pods", "services", "configmaps", "persistentvolumeclaims"],
    "networking.k8s.io": ["networkpolicies"],
}
"""What Spark makes for a job, and removes after it."""
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
TMP = {"name": "tmp", "emptyDir": {}}
AT_TMP = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108  inside the pod


class Room(Cluster):
    """One namespace of whatever cluster KUBECONFIG names, with Spark's pods in it."""

    def apply(self, *documents: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("apply", "-f", "-", given=json.dumps(listed))

    def phase(self, pod: str) -> str:
        return self.kubectl("get", "pod", pod, "--ignore-not-found", "-o", "jsonpath={.status.phase}")

    def executors(self) -> dict[str, str]:
        """Of each executor's pod its phase."""
        line = '{range .items[*]}{.metadata.name} {.status.phase}{"\\n"}{end}'
        found = self.kubectl("get", "pods", "-l", "spark-role=executor", "-o", f"jsonpath={line}")
        return dict(line.split() for line in found.splitlines())

    @contextmanager
    def forwarded(self, pod: str) -> Iterator[str]:
        """The pod's port on loopback."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = ["kubectl", "-n", self.namespace, "port-forward", "--address", "127.0.0.1"]
        command += [f"pod/{pod}", f"{port}:{PORT}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                until("the lake answers", lambda: answers(url))
                yield url
            finally:
                process.terminate()


def until(what: str, asked: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What was asked for, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while not (answer := asked()):
        if time.monotonic() > deadline:
            raise FailedError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)
    return answer


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", default=NAME)
    parser.add_argument("--tag", default=os.environ.get("TIDELINE_TAG", "dev"))
    parser.add_argument("--documents", type=int, default=400_000)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    cluster = Room(options.namespace, HELM_DIR / "tideline", options.tag, [])
    try:
        prove(cluster, options.documents)
    except (FailedError, subprocess.TimeoutExpired) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        for asked in (("get", "pods", "-o", "wide"), ("logs", "submit"), ("logs", DRIVER, "--tail=60")):
            print(cluster.kubectl(*asked, check=False)[-6000:], file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            cluster.kubectl("delete", "namespace", options.namespace, "--wait=true", check=False)
    return 0


def prove(cluster: Room, count: int) -> None:
    """Every step, in order."""
    started = time.monotonic()

    def say(what: str) -> None:
        print(f"{what} ({time.monotonic() - started:.0f} s)", flush=True)

    prepare(cluster)
    say("a namespace that enforces restricted pods, with a lake")
    with cluster.forwarded("lake") as url, TemporaryDirectory() as folder:
        lake = spark_lake.Lake(url)
        order = lake.order(spark_lake.dataset_in(Path(folder)), count)
        alone = lake.alone(order)
        say(f"{count:,} documents landed, and refined by one process")
        begin(cluster, order, spark_lake.environment(f"http://lake:{PORT}"))
        # A range that is committed says that executors are at work, and fifteen are to come.
        before = set(lake.stages.processed.list(""))
        until(
            "a range is committed", lambda: committed(cluster, set(lake.stages.processed.list("")) - before)
        )
        victim = min(name for name, phase in cluster.executors().items() if phase == "Running")
        cluster.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        say(f"{victim} killed")
        seen = cluster.executors()
        while (phase := cluster.phase(DRIVER)) not in ("Succeeded", "Failed"):
            seen |= cluster.executors()
            if time.monotonic() - started > SECONDS:
                raise FailedError(f"the driver is {phase} after {SECONDS} s")
            time.sleep(0.5)
        spread = lake.spread(order)
        if phase != "Succeeded" or spread is None:
            raise FailedError(f"the driver is {phase}, a manifest is {'not ' if spread is None else ''}there")
        later = sorted(set(seen) - {victim})
        log = cluster.kubectl("logs", DRIVER)
        if "Lost executor" not in log:
            raise FailedError("the driver did not notice that an executor was gone")
        say(f"the driver ended well, with {', '.join(later)}")
        rows = lake.assert_same(alone, spread, count)
        say(f"{rows:,} rows and {spread.details['quarantined']:,} refusals, as of one process")


def prepare(cluster: Room) -> None:
    """A namespace with a lake in it, and an account that may have what Spark makes."""
    cluster.kubectl("delete", "namespace", cluster.namespace, "--ignore-not-found", "--wait=true")
    cluster.make_namespace()
    may = [
        {"apiGroups": [group], "resources": resources, "verbs": VERBS} for group, resources in ALLOWED.items()
    ]
    rbac = "rbac.authorization.k8s.io"
    named = {"metadata": {"name": "spark"}}
    account = {"kind": "ServiceAccount", "name": "spark"}
    role = {"apiGroup": rbac, "kind": "Role", "name": "spark"}
    serve = ["python", "-m", "devstack.s3_server", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
    server = {"command": serve, "env": [{"name": "HOME", "value": "/tmp"}], "volumeMounts": [AT_TMP]}  # noqa: S108
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", **named},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", **named, "rules": may},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", **named, "roleRef": role, "subjects": [account]},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "templates"},
            "data": {"pod.yaml": template()},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "lake"},
            "spec": {"selector": {"app": "lake"}, "ports": [{"port": PORT}]},
        },
        pod("lake", f"localhost/tideline-demo:{cluster.tag}", 50000, server, volumes=[TMP]),
    )
    until("the lake runs", lambda: cluster.phase("lake") == "Running")


def template() -> str:
    """Of the driver and of the executors: what Spark does not set by itself."""
    spec = {
        "containers": [{"name": "spark", "securityContext": SECURITY, "volumeMounts": [AT_TMP]}],
        "volumes": [TMP],
    }
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": spec})


def pod(name: str, image: str, user: int, container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    own = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {**SECURITY, "runAsUser": user},
        **container,
    }
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [own], **spec}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def begin(cluster: Room, order: Order, environment: dict[str, str]) -> None:
    """Submit what a task would have the operator submit."""
    file = f"{TEMPLATES}/pod.yaml"
    conf = {
        "spark.kubernetes.driver.podTemplateFile": file,
        "spark.kubernetes.executor.podTemplateFile": file,
    }
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    spec = {
        "sparkConf": conf,
        "driver": {"serviceAccount": "spark", "coreRequest": "100m", "memory": "512m", "env": variables},
        "executor": {
            "instances": 2,
            "cores": 1,
            "coreRequest": "100m",
            "memory": "512m",
            "memoryOverhead": "512m",
            "env": variables,
        },
    }
    image = f"localhost/tideline-spark:{cluster.tag}"
    application = submit.spark_application(
        order, {"image": image, "namespace": cluster.namespace, "spec": spec}, NAME
    )
    mounts = [AT_TMP, {"name": "templates", "mountPath": TEMPLATES}]
    container = {"args": words_of(application), "volumeMounts": mounts}
    volumes = [TMP, {"name": "templates", "configMap": {"name": "templates"}}]
    cluster.apply(pod("submit", image, 1099, container, volumes=volumes, serviceAccountName="spark"))


def words_of(application: dict[str, Any]) -> list[str]:
    """The command that the Spark operator makes of a SparkApplication, of those keys that are used here."""
    spec = application["spec"]
    driver, executor = spec["driver"], spec["executor"]
    conf = {
        "spark.kubernetes.namespace": application["metadata"]["namespace"],
        "spark.kubernetes.driver.pod.name": DRIVER,
        "spark.kubernetes.container.image": spec["image"],
        "spark.kubernetes.pyspark.pythonVersion": spec["pythonVersion"],
        "spark.kubernetes.submission.waitAppCompletion": "false",
        **spec["sparkConf"],
        "spark.kubernetes.authenticate.driver.serviceAccountName": driver["serviceAccount"],
        "spark.kubernetes.driver.request.cores": driver["coreRequest"],
        "spark.driver.cores": driver["cores"],
        "spark.driver.memory": driver["memory"],
        **{f"spark.kubernetes.driverEnv.{each['name']}": each["value"] for each in driver["env"]},
        "spark.kubernetes.executor.request.cores": executor["coreRequest"],
        "spark.executor.instances": executor["instances"],
        "spark.executor.cores": executor["cores"],
        "spark.executor.memory": executor["memory"],
        "spark.executor.memoryOverhead": executor["memoryOverhead"],
        **{f"spark.executorEnv.{each['name']}": each["value"] for each in executor["env"]},
    }
    options = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    words = [
        "spark-submit",
        "--master",
        "k8s://https://kubernetes.default.svc",
        "--deploy-mode",
        spec["mode"],
    ]
    words += ["--name", application["metadata"]["name"], *options, spec["mainApplicationFile"]]
    return words + spec["arguments"]


def committed(cluster: Room, keys: set[str]) -> bool:
    """Whether a range is; raises where none will be."""
    if cluster.phase("submit") == "Failed" or cluster.phase(DRIVER) == "Failed":
        raise FailedError("the job did not begin")
    return any(key.endswith("_manifest.json") for key in keys)


if __name__ == "__main__":
    sys.exit(main())
