"""The dashboard's own suite (`app/check_*.py`), run in the dashboard's own environment."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from dashboard.launch import VENV

SUITE = Path(__file__).with_name("app")


@pytest.mark.integration
@pytest.mark.timeout(900)
@pytest.mark.skipif(not VENV.exists(), reason="no environment of the dashboard: `make dashboard-install`")
@pytest.mark.parametrize("file", sorted(path.name for path in SUITE.glob("check_*.py")))
def test_the_suite_of_the_app_passes(file):
    command = [str(VENV / "bin" / "python"), "-m", "pytest", "-q", "-c", str(SUITE / "pytest.ini")]
    command += ["--confcutdir", str(SUITE), str(SUITE / file)]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "COVERAGE_"))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    if skipped := re.search(r"^SKIPPED .*?: ([^:]+)$", done.stdout, re.MULTILINE):
        pytest.skip(f"{file}: {skipped[1]}")
    assert " passed" in done.stdout
