"""The infrastructure as OpenTofu reads it: every argument is one that the provider has, of the type it wants.

TIDELINE_TOFU names a tofu or terraform; the provider comes from its registry, or from where TF_CLI_CONFIG_FILE says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from charts import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TOFU = os.environ.get("TIDELINE_TOFU")
pytestmark = pytest.mark.skipif(
    not TOFU, reason="TIDELINE_TOFU is not given: the infrastructure was read by policy tests, NOT validated"
)


def tofu(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert TOFU
    return subprocess.run(
        [TOFU, f"-chdir={folder}", *arguments], capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terraform") / "module"
    shutil.copytree(ROOT / "terraform", folder, ignore=shutil.ignore_patterns(".terraform*"))
    done = tofu(folder, "init", "-backend=false", "-input=false")
    assert done.returncode == 0, done.stderr
    return folder


def test_it_is_valid(module: Path) -> None:
    said = json.loads(tofu(module, "validate", "-json").stdout)
    assert said["valid"], said["diagnostics"]
    assert not said["diagnostics"]  # nor anything deprecated


def test_a_misspelt_argument_is_found(module: Path, tmp_path: Path) -> None:
    shutil.copytree(module, tmp_path / "module", symlinks=True)
    wrong = tmp_path / "module" / "storage.tf"
    wrong.write_text(wrong.read_text().replace("force_destroy ", "force_destory "))
    said = json.loads(tofu(tmp_path / "module", "validate", "-json").stdout)
    assert "force_destory" in str(said["diagnostics"])


def test_it_plans_and_applies_on_a_provider_that_answers_from_memory(module: Path) -> None:
    done = tofu(module, "test", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed, 0 failed" in done.stdout


def test_it_is_formatted(module: Path) -> None:
    done = tofu(module, "fmt", "-check", "-recursive")
    assert done.returncode == 0, done.stdout
