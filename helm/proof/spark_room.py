"""A namespace for Spark's jobs: restricted pods, a lake in one of them, an account that may have what Spark makes."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from proof.cluster import Cluster, FailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORT = 9000
SECONDS = 600
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


def prepare(cluster: Room) -> None:
    """A namespace with a lake in it, and an account that may have what Spark makes."""
    cluster.kubectl("delete", "namespace", cluster.namespace, "--ignore-not-found", "--wait=true")
    cluster.make_namespace()
    serve = ["python", "-m", "devstack.s3_server", "--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
    server = {"command": serve, "env": [{"name": "HOME", "value": "/tmp"}], "volumeMounts": [AT_TMP]}  # noqa: S108
    cluster.apply(
        *account("spark", [rule(group, resources, VERBS) for group, resources in ALLOWED.items()]),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "lake"},
            "spec": {"selector": {"app": "lake"}, "ports": [{"port": PORT}]},
        },
        pod("lake", f"localhost/tideline-demo:{cluster.tag}", 50000, server, volumes=[TMP]),
    )
    # a port that nobody listens on ends what forwards it
    until("the lake listens", lambda: "listening" in cluster.kubectl("logs", "lake", check=False))


def rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def account(name: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A service account that may do so much in its namespace."""
    rbac, named = "rbac.authorization.k8s.io", {"metadata": {"name": name}}
    bound = {
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", **named},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", **named, "rules": rules},
        {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", **named, **bound},
    ]


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


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
