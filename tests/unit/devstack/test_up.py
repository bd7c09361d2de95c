"""`make up`, `make down` and `make backfill` before anything is started."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from devstack import __main__ as command_line
from devstack.airflow_home import UI_PORT
from devstack.statelock import StateLock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command says when it goes no further."""
    assert command_line.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_second_one_is_told_of_the_first_and_not_of_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, StateLock(tmp_path / "up"):
        monkeypatch.setenv(UI_PORT, str(taken.getsockname()[1]))
        said = refused(capsys, "up", "--state", str(tmp_path))
    assert said == f"tideline: `make up` runs already (process {os.getpid()}) Remedy: end it with `make down`"
