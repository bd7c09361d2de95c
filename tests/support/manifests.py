"""Every supported combination of values as manifests in files, for tools that read those: `make chart-manifests`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from charts import CHART, VALUES, Renderer, combined, helm_binary, official, pods


def write(documents: list[dict[str, Any]], path: Path) -> None:
    """Manifests as a cluster gets them: in the release's namespace, and with the pods that tasks will have."""
    tasks = [d for name, d, _ in pods(documents) if name.endswith("'s pod")]
    for document in (everything := [*documents, *tasks]):
        document["metadata"]["namespace"] = "tideline"
    path.write_text(yaml.safe_dump_all(everything))


def write_all(renderer: Renderer, folder: Path) -> None:
    """A file for each combination, named as its values file is."""
    for path in VALUES:
        write(renderer.documents(*combined(path)), folder / path.name)


def main(target: Path) -> int:
    helm = helm_binary()
    if helm is None:
        sys.stderr.write("tideline: helm was not found; install it, or name it in TIDELINE_HELM\n")
        return 1
    with TemporaryDirectory() as folder:
        chart = Path(folder) / "tideline"
        shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("charts"))
        if not official(helm, chart):
            sys.stderr.write("tideline: the official Airflow chart cannot be had; name it in AIRFLOW_CHART\n")
            return 1
        target.mkdir(parents=True, exist_ok=True)
        write_all(Renderer(helm, chart, official=True), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
