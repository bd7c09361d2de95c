"""Checkov over every supported combination of values, the pods of tasks too: what it finds is mended, or left with a reason."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import ROOT, VALUES, combined
from manifests import write, write_all

if TYPE_CHECKING:
    from pathlib import Path

    from charts import Renderer

CHECKOV = (str(ROOT / ".venv/bin/uv"), "tool", "run", "--quiet", "--from", "checkov==3.3.30", "checkov")
SKIPS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "tests/helm/checkov-skips.yaml").read_text())


@pytest.fixture(scope="module")
def found(renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(check, "values file Kind/name") of everything that it finds."""
    if not renderer.official:
        pytest.skip("the official Airflow chart could not be had: checkov was NOT run")
    if subprocess.run([*CHECKOV, "--version"], capture_output=True, check=False, timeout=240).returncode:
        pytest.skip(f"{CHECKOV[5]} could not be installed by uv: checkov was NOT run")
    folder = tmp_path_factory.mktemp("manifests")
    write_all(renderer, folder)
    report = checked(folder)
    assert report["summary"]["parsing_errors"] == 0
    seen = {each["file_path"].strip("/") for each in report["results"]["passed_checks"]}
    assert seen == {path.name for path in VALUES}
    return [(each["check_id"], place(each)) for each in report["results"]["failed_checks"]]


def checked(folder: Path) -> dict[str, Any]:
    arguments = ("-d", str(folder), "--framework", "kubernetes", "--skip-download", "--compact", "-o", "json")
    done = subprocess.run([*CHECKOV, *arguments], capture_output=True, text=True, check=False, timeout=240)
    return json.loads(done.stdout)


def place(finding: dict[str, Any]) -> str:
    kind, _, name = finding["resource"].split(".", 2)
    return f"{finding['file_path'].strip('/').removesuffix('.yaml')} {kind}/{name}"


def test_what_it_finds_is_left_with_a_reason(found: list[tuple[str, str]]) -> None:
    unexplained = {
        f"{check}: {where}"
        for check, where in found
        if check not in SKIPS or not re.search(SKIPS[check]["where"], where)
    }
    assert not unexplained


def test_every_skip_is_needed(found: list[tuple[str, str]]) -> None:
    assert set(SKIPS) <= {check for check, _ in found}


def test_every_skip_has_a_reason_and_a_date() -> None:
    for check, skip in SKIPS.items():
        assert set(skip) == {"where", "why", "since"}, check
        assert isinstance(skip["since"], dt.date), check
        assert len(skip["why"]) > 30, check


def test_it_finds_what_is_wrong(renderer: Renderer, tmp_path: Path, found: list[tuple[str, str]]) -> None:
    """A privileged container in one of the rendered pods is seen."""
    assert found
    documents = yaml.safe_load(yaml.safe_dump(renderer.documents(*combined(VALUES[0]))))
    wrong = next(d for d in documents if d["metadata"]["name"] == "tideline-migrate-1")
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    write([wrong], tmp_path / "wrong.yaml")
    said = {each["check_id"] for each in checked(tmp_path)["results"]["failed_checks"]}
    assert "CKV_K8S_16" in said
