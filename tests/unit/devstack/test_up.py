"""`make run`, `make up` and `make backfill` before anything is started."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from requests.utils import should_bypass_proxies

from devstack import __main__ as command_line
from devstack import run, up
from devstack.airflow_home import UI_PORT
from devstack.environment import past_proxies
from devstack.process import free_port
from devstack.stack import ENVIRONMENT_FILE
from devstack.statelock import StateLock

if TYPE_CHECKING:
    from collections.abc import Callable

CATALOG = Path(run.__file__).parents[1] / "catalog"


@pytest.fixture(autouse=True)
def _nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object) -> None:
        raise AssertionError("servers were started")

    for module in (run, up):
        monkeypatch.setattr(module, "Stack", started)
    for name in (UI_PORT, "SCALE", "HOURS", "TIDELINE_CATALOG_DIR"):
        monkeypatch.delenv(name, raising=False)


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


def empty(folder: Path) -> str:
    folder.mkdir()
    return "the catalog's folder holds no *.yaml or *.yml"


def file(folder: Path) -> str:
    folder.touch()
    return "the catalog's folder cannot be read: Not a directory"


def missing(_: Path) -> str:
    return "the catalog's folder cannot be read: No such file or directory"


def with_a_typo(folder: Path) -> str:
    folder.mkdir()
    text = (CATALOG / "shop_mongodb.yaml").read_text()
    (folder / "shop.yaml").write_text(text.replace("change_column:", "chnge_column:", 1))
    return "chnge_column"


@pytest.mark.parametrize("port", ["70000", "0", "http"])
def test_a_port_that_is_none_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    monkeypatch.setenv(UI_PORT, port)
    expected = f"tideline: {UI_PORT} is {port!r} Remedy: set it to a port number, or unset it"
    assert refused(capsys, "up", "--state", str(tmp_path)) == expected


@pytest.mark.parametrize("verb", ["run", "up"])
@pytest.mark.parametrize("faulty", [missing, empty, file, with_a_typo], ids=lambda case: case.__name__)
def test_a_catalog_that_does_not_load_is_told_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    faulty: Callable[[Path], str],
) -> None:
    monkeypatch.setenv(UI_PORT, str(free_port()))
    monkeypatch.setenv("TIDELINE_CATALOG_DIR", str(tmp_path / "catalog"))
    expected = faulty(tmp_path / "catalog")
    said = refused(capsys, verb, "--state", str(tmp_path))
    assert expected in said
    assert str(tmp_path / "catalog") in said


@pytest.mark.parametrize("verb", ["run", "up"])
def test_a_catalog_of_some_of_the_models_tables_is_told_before_servers_are_started(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    manifest: Path,
    verb: str,
) -> None:
    monkeypatch.setenv(UI_PORT, str(free_port()))
    monkeypatch.setenv("TIDELINE_CATALOG_DIR", str(tmp_path / "catalog"))
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "shop_s3.yaml").write_text((CATALOG / "shop_s3.yaml").read_text())
    said = refused(capsys, verb, "--state", str(tmp_path))
    assert "the dbt project reads tables that the catalog does not fill: jsonplaceholder.albums" in said
    assert "TIDELINE_DBT_DIR" in said
    assert not (tmp_path / verb / "servers").exists()


@pytest.mark.parametrize("verb", ["run", "up"])
@pytest.mark.parametrize(("name", "value"), [("SCALE", "big"), ("HOURS", "0"), ("TIDELINE_PROJECT", "?")])
def test_a_variable_that_is_wrong_is_told_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(UI_PORT, str(free_port()))
    monkeypatch.setenv(name, value)
    assert f"{name} is {value!r} Remedy: set it to" in refused(capsys, verb, "--state", str(tmp_path))


def test_what_is_shown_is_asked_for_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with run.as_deployment(os.environ | past_proxies(os.environ)):
        assert not should_bypass_proxies("http://example.com/", no_proxy=None)
        assert should_bypass_proxies("http://127.0.0.1:9050/bigquery/v2", no_proxy=None)
    assert not should_bypass_proxies("http://127.0.0.1:9050/bigquery/v2", no_proxy=None)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCALE", "HOURS"):
        monkeypatch.setenv(name, "")
    assert (run.scale(), run.whole_number("HOURS", 3)) == (1.0, 3)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (["", ""], "from when to when? Remedy: make backfill FROM="),
        (
            ["yesterday", "2026-01-31T12:00"],
            "'yesterday' is not an instant Remedy: write it as 2026-01-31T14:00",
        ),
        (["2026-01-31T12:00", "2026-01-31T10:00"], "FROM=2026-01-31T12:00 is later than TO=2026-01-31T10:00"),
        (["2026-01-31T12:00", "2999-01-31T10:00"], "TO=2999-01-31T10:00 is yet to come"),
        (["2026-01-31T10:00", "2026-01-31T12:00"], "nothing is up Remedy: run `make up`"),
    ],
    ids=["nothing", "no instant", "backwards", "future", "nothing is up"],
)
def test_a_backfill_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interval: list[str], words: str
) -> None:
    assert words in refused(capsys, "backfill", *interval, "--state", str(tmp_path))


def test_a_backfill_reads_all_of_hours_that_were_run_for_some_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow leaves a run that it does again its params, unless it is given others."""
    ran: list[list[str]] = []

    def run_it(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / up.READY).touch()
    (tmp_path / ENVIRONMENT_FILE).touch()
    monkeypatch.setattr(subprocess, "run", run_it)
    assert up.backfill(tmp_path, ["2026-01-31T10:00", "2026-01-31T12:00"]) == 0
    (command,) = ran
    assert command[command.index("--dag-run-conf") + 1] == "{}"


def test_a_backfill_before_set_up_is_one_line(tmp_path: Path) -> None:
    command = ["make", "--no-print-directory", "-f", str(CATALOG.parents[1] / "Makefile"), "backfill"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode
    assert done.stderr.splitlines()[0].startswith("tideline: nothing is up Remedy: run `make up`")
