"""kube-linter over every supported combination of values, where TIDELINE_KUBE_LINTER names one; CI has a job for it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from charts import ROOT, VALUES
from manifests import write_all

if TYPE_CHECKING:
    from pathlib import Path

    from charts import Renderer

LINTER = os.environ.get("TIDELINE_KUBE_LINTER")
pytestmark = pytest.mark.skipif(
    not LINTER, reason="TIDELINE_KUBE_LINTER is not given: kube-linter was NOT run"
)


def lint(path: Path) -> list[dict[str, Any]]:
    assert LINTER
    command = [
        LINTER,
        "--config",
        str(ROOT / "tests/helm/kube-linter.yaml"),
        "lint",
        str(path),
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return json.loads(done.stdout)["Reports"] or []


@pytest.fixture(scope="module")
def folder(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not renderer.official:
        pytest.skip("the official Airflow chart could not be had: kube-linter was NOT run")
    made = tmp_path_factory.mktemp("manifests")
    write_all(renderer, made)
    return made


def test_it_finds_nothing(folder: Path) -> None:
    assert len(list(folder.glob("*.yaml"))) == len(VALUES)
    found = {
        (each["Check"], each["Object"]["K8sObject"]["Name"], each["Diagnostic"]["Message"])
        for path in folder.glob("*.yaml")
        for each in lint(path)
    }
    assert not found


def test_it_finds_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    text = (folder / "gke.yaml").read_text()
    (tmp_path / "wrong.yaml").write_text(
        text.replace("runAsNonRoot: true", "runAsNonRoot: false").replace("runAsUser: 50000", "runAsUser: 0")
    )
    assert "run-as-non-root" in {each["Check"] for each in lint(tmp_path / "wrong.yaml")}
