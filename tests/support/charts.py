"""The chart rendered by a real helm: with the official Airflow chart where it can be had, else with a stub of it.

AIRFLOW_CHART names a folder or archive of the official chart; without it Helm's own cache is looked at, then
`helm dependency update` is tried. TIDELINE_HELM names a helm binary that is not on PATH.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "tideline"
VALUES = sorted((CHART / "ci").glob("*.yaml"))
KUBERNETES = ("1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0")
TASK_PODS = {
    "pod_template_file.yaml": "task's pod",
    "extract.yaml": "extract's pod",
    "transform.yaml": "transform's pod",
}
STUB = """{{- /* nothing: the official chart's place */ -}}"""


def combined(path: Path) -> tuple[str, ...]:
    """Helm's arguments for a file of `ci/`: the values file it is named after, `gke.yaml` before what varies it, then it."""
    family = path.stem.partition("-")[0]
    before = [ROOT / "helm" / f"values-{family}.yaml", CHART / "ci" / f"{family}.yaml"]
    return tuple(a for file in dict.fromkeys((*before, path)) if file.is_file() for a in ("-f", str(file)))


def helm_binary() -> str | None:
    return os.environ.get("TIDELINE_HELM") or shutil.which("helm")


class Renderer:
    """Renders the chart; keeps what it rendered, since the same values are looked at by many tests."""

    def __init__(self, helm: str, chart: Path, *, official: bool) -> None:
        self.helm, self.chart, self.official = helm, chart, official
        self._known: dict[tuple[str, ...], str] = {}

    def text(self, *arguments: str, kubernetes: str = "1.34.0") -> str:
        key = (kubernetes, *arguments)
        if key not in self._known:
            done = self.run(*arguments, kubernetes=kubernetes)
            assert done.returncode == 0, done.stderr
            self._known[key] = done.stdout
        return self._known[key]

    def documents(self, *arguments: str, kubernetes: str = "1.34.0") -> list[dict[str, Any]]:
        return [d for d in yaml.safe_load_all(self.text(*arguments, kubernetes=kubernetes)) if d]

    def refusal(self, *arguments: str, kubernetes: str = "1.34.0") -> str:
        done = self.run(*arguments, kubernetes=kubernetes)
        assert done.returncode != 0, "it rendered"
        return done.stderr

    def run(self, *arguments: str, kubernetes: str) -> subprocess.CompletedProcess[str]:
        command = [self.helm, "template", "tideline", str(self.chart), "-n", "tideline"]
        command += ["--kube-version", kubernetes, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def pod_of(document: dict[str, Any]) -> dict[str, Any] | None:
    spec = document.get("spec") or {}
    match document["kind"]:
        case "Pod":
            return spec
        case "CronJob":
            return spec["jobTemplate"]["spec"]["template"]["spec"]
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            return spec["template"]["spec"]
    return None


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(name, document, pod) of all that runs, the pods of tasks too."""
    for document in documents:
        if pod := pod_of(document):
            yield f"{document['kind']} {document['metadata']['name']}", document, pod
        for name, text in (document.get("data") or {}).items() if document["kind"] == "ConfigMap" else ():
            if name in TASK_PODS:
                task = yaml.safe_load(text)
                yield TASK_PODS[name], task, task["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def official(helm: str, chart: Path) -> bool:
    named = os.environ.get("AIRFLOW_CHART")
    target = chart / "charts" / "airflow"
    if named and Path(named).is_dir():
        shutil.copytree(named, target, ignore=shutil.ignore_patterns("docs", "charts", "Chart.lock"))
    elif named:
        with tarfile.open(named) as archive:
            archive.extractall(chart / "charts", filter="data")
    else:
        command = [helm, "dependency", "update", str(chart)]
        try:
            return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
        except subprocess.TimeoutExpired:
            return False
    about = target / "Chart.yaml"  # its only dependency is a Postgres that is never enabled
    about.write_text(re.sub(r"(?m)^dependencies:\n((?: .*|-.*)\n)+", "", about.read_text()))
    shutil.rmtree(target / "charts", ignore_errors=True)
    return True


def stub(target: Path) -> None:
    wanted = yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"][0]
    (target / "templates").mkdir(parents=True)
    about = {"apiVersion": "v2", "name": "airflow", "version": wanted["version"]}
    (target / "Chart.yaml").write_text(yaml.safe_dump(about))
    (target / "templates" / "stub.yaml").write_text(STUB)


def prepared(folder: Path, helm: str) -> bool:
    """A copy of the chart under `folder` with the official chart in it; whether that could be had."""
    chart = folder / "tideline"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("charts"))
    return official(helm, chart)


if __name__ == "__main__":
    sys.exit(not prepared(Path(sys.argv[1]), helm_binary() or "helm"))
