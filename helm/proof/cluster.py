"""One namespace of a cluster, by kubectl and helm; knows nothing of what runs in it but its names."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HELM_DIR = Path(__file__).resolve().parents[1]


class FailedError(Exception):
    """A step did not end as it must."""


class Cluster:
    """One namespace of whatever cluster KUBECONFIG names."""

    def __init__(self, namespace: str, chart: Path, tag: str, values: list[str]) -> None:
        self.namespace, self.chart, self.tag, self.values = namespace, chart, tag, values
        self.rows: list[tuple[str, str, float]] = []

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

    def make_namespace(self) -> str:
        """The namespace, refusing pods that are not restricted."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": labels},
        }
        self.kubectl("apply", "-f", "-", given=json.dumps(manifest))
        return self.namespace

    def secret(self, name: str) -> dict[str, str]:
        """A Secret's keys and values."""
        data = json.loads(self.kubectl("get", "secret", name, "-o", "json"))["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def demo(self, *command: str, check: bool = True) -> str:
        pod = self.kubectl("get", "pod", "-l", "app.kubernetes.io/component=demo", "-o", "name").split()[0]
        return self.kubectl("exec", pod, "--", *command, check=check)

    def step(self, name: str, body: Callable[[], Any]) -> Any:
        started = time.monotonic()
        print(f"… {name}", flush=True)
        result = body()
        seconds = time.monotonic() - started
        self.rows.append((name, str(result or "done").splitlines()[0][:100], seconds))
        print(f"  {self.rows[-1][1]} ({seconds:.0f} s)", flush=True)
        return result

    def table(self) -> None:
        """What was done, how long it took, and the memory of each component."""
        print(f"\n{'step':50} {'seconds':>8}  result")
        for name, result, seconds in self.rows:
            print(f"{name:50} {seconds:8.0f}  {result}")
