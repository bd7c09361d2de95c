"""Input that asks for gigabytes is decoded in a bounded share of them, and all of it that is sound is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support" / "hostile.py"
MOST_BYTES = 150_000_000
"""What a process may grow by; the input of each case asks for between 0.4 and 2 GB."""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel says no peak")


def measured(name: str, engine: str) -> tuple[int, dict[str, int]]:
    """Rows, and rejects by reason."""
    done = subprocess.run(
        [sys.executable, SUPPORT, name, engine], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["grew"] < MOST_BYTES
    return found["rows"], found["reasons"]


@pytest.mark.parametrize(
    ("name", "rows", "reasons"),
    [
        ("exploding documents", 2, {"too_large": 1}),
        ("exploding texts", 2, {"too_large": 1}),
        ("strings beyond two gigabytes", 2_100, {}),
    ],
)
@pytest.mark.parametrize("engine", ["python", "native"])
def test_documents(name: str, rows: int, reasons: dict[str, int], engine: str) -> None:
    if engine == "native" and find_spec("tideline_native_bson") is None:
        pytest.skip("the compiled decoder is not built (make native)")
    assert measured(name, engine) == (rows, reasons)


@pytest.mark.parametrize(
    ("name", "rows", "reasons"),
    [("field of a gigabyte", 2, {"too_large": 1}), ("header of many columns", 3, {})],
)
def test_csv(name: str, rows: int, reasons: dict[str, int]) -> None:
    assert measured(name, "python") == (rows, reasons)


@pytest.mark.parametrize(("name", "rows"), [("exploding items", 20), ("body with one emoji", 26_002)])
def test_bodies(name: str, rows: int) -> None:
    assert measured(name, "python") == (rows, {})
