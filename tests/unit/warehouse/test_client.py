"""The warehouse does without frames, and hides nothing from anybody else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tideline.warehouse.client import hidden

WITHOUT = """
import importlib.util, sys
from tideline.warehouse import bigquery, leases, ledger, objects, schema, tables
assert "google.cloud.bigquery" in sys.modules
from tideline.warehouse.client import UNUSED
for name in (*UNUSED, "numpy"):
    assert name not in sys.modules, name
    assert importlib.util.find_spec(name), name
"""


def test_the_client_does_not_bring_frames() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)


def test_what_is_imported_already_is_not_hidden() -> None:
    with hidden("json", "this"):
        import json
    assert sys.modules["json"] is json
    assert "this" not in sys.modules


def test_what_is_hidden_is_there_again() -> None:
    sys.modules.pop("this", None)
    with hidden("this"), pytest.raises(ImportError):
        import this  # noqa: F401
    assert "this" not in sys.modules
