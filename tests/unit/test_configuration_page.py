"""docs/configuration.md names every variable that is read."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = re.compile(r"""["'](TIDELINE_[A-Z0-9_]+)["']""")
BETWEEN_PROCESSES = {
    "TIDELINE_SHIM_WITHOUT",
    "TIDELINE_SHIM_TIED",
    "TIDELINE_SHIM_RECORD",
    "TIDELINE_STANDALONE",
}


def test_every_variable_has_a_row():
    files = [*(ROOT / "include").rglob("*.py"), ROOT / "dbt" / "profiles.yml"]
    read = {name for path in files for name in READ.findall(path.read_text())} - BETWEEN_PROCESSES
    rows = set(
        re.findall(r"^\| `([A-Z0-9_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    )
    assert len(read) > 25
    assert read - rows == set()
    assert rows - read == {"SCALE", "HOURS"}
