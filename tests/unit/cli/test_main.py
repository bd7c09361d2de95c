"""What reaches a pipe from `tideline`: whole lines of ours, and none of Airflow's about itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

INCLUDE = Path(__file__).parents[3] / "include"
QUIET = """
import logging
from tideline.cli import _quiet_airflow
logging.basicConfig(level=logging.INFO)
_quiet_airflow()
from airflow.sdk import Connection
Connection.get("x")
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
S3Hook("x").get_conn()
"""


@pytest.fixture
def piped(tmp_path):
    """Runs Python in a home of its own; its standard error."""

    def run(*arguments, **more):
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TIDELINE"))
        }
        env |= {"HOME": str(tmp_path), "PYTHONPATH": str(INCLUDE), **more}
        done = subprocess.run(
            [sys.executable, *arguments], env=env, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    return run


def test_an_error_is_one_line_however_long(piped, tmp_path):
    folder = tmp_path / ("long" * 30)
    said = piped("-c", "from tideline.cli import main; main()", "catalog", TIDELINE_CATALOG_DIR=str(folder))
    (line,) = said.splitlines()
    assert line.startswith("CatalogError the catalog's folder cannot be read")
    assert str(folder) in line


def test_airflow_says_nothing_of_itself_and_makes_no_folders(piped, tmp_path):
    connection = (
        '{"conn_type": "aws", "login": "me", "password": "abc", "extra": {"region_name": "us-east-1"}}'
    )
    assert piped("-c", QUIET, AIRFLOW_CONN_X=connection) == ""
    assert list(tmp_path.iterdir()) == []
