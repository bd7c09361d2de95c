"""Which warehouse `make dashboard` looks at, and what it says where there is none."""

import os
import socket
import subprocess
import sys

import pytest

from dashboard import launch
from devstack import environment
from devstack.process import StackError
from devstack.statelock import StateLock


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "STATE", tmp_path)
    for name in ("BIGQUERY_EMULATOR_HOST", "TIDELINE_DBT_TARGET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_warehouse_that_is_named_is_used(state, monkeypatch):
    monkeypatch.setenv("TIDELINE_DBT_TARGET", "prod")
    with launch.warehouse() as found:
        assert found == {}


def test_a_running_stack_is_used_without_its_secrets(state):
    (state / "up").mkdir()
    known = {
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1",
        "TIDELINE_PROJECT": "p",
        "AIRFLOW_CONN_X": "secret",
    }
    environment.write_file(state / "up" / launch.ENVIRONMENT_FILE, known)
    with StateLock(state / "up"), launch.warehouse() as found:
        assert found == {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1", "TIDELINE_PROJECT": "p"}


def test_a_running_stack_is_reached_past_a_proxy(state, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("no_proxy", "example.com")
    (state / "up").mkdir()
    url = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"}
    environment.write_file(state / "up" / launch.ENVIRONMENT_FILE, url)
    with StateLock(state / "up"), launch.warehouse() as found:
        assert found == url | dict.fromkeys(environment.NO_PROXY, "example.com,127.0.0.1,localhost")


def test_no_warehouse_says_what_to_run(state):
    with pytest.raises(StackError, match="no warehouse"), launch.warehouse():
        pass


def test_a_run_that_goes_on_is_waited_for(state):
    (state / "run").mkdir()
    with StateLock(state / "run"), pytest.raises(StackError, match="still running"), launch.warehouse():
        pass


@pytest.mark.integration
def test_what_the_last_run_left_is_served_again(state):
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    from devstack.bigquery import server

    def ask(url, sql):
        client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": url})
        return [tuple(row.values()) for row in client.query(sql, job_retry=None).result(timeout=60)]

    with server.start(state / "run" / "servers" / "bigquery", tied=True) as emulator:
        client = bigquery.Client("p", AnonymousCredentials(), client_options={"api_endpoint": emulator.url})
        client.create_dataset("p.marts")
        ask(emulator.url, "create table marts.rpt_x as select 7 as seven")
    with launch.warehouse() as found:
        assert ask(found["BIGQUERY_EMULATOR_HOST"], "select seven from marts.rpt_x") == [(7,)]


def test_a_port_that_is_busy_or_none_is_told_before_the_address(state, monkeypatch, capsys):
    monkeypatch.setattr(launch, "install", lambda: sys.executable)
    monkeypatch.setenv("TIDELINE_DBT_TARGET", "prod")
    with socket.create_server((launch.HOST, 0)) as taken:
        busy = taken.getsockname()[1]
        for port, words in ((busy, f"port {busy}, wanted for the dashboard, is busy"), (70000, "is '70000'")):
            monkeypatch.setenv(launch.PORT, str(port))
            assert launch.main([]) == 1
            (said,) = capsys.readouterr().err.splitlines()
            assert words in said
            assert "Remedy: " in said


def test_an_environment_that_is_current_is_left_alone(tmp_path, monkeypatch):
    calls = []

    def call(command):
        calls.append(command)
        (tmp_path / "venv").mkdir(exist_ok=True)

    monkeypatch.setattr(launch, "_call", call)
    assert launch.install(tmp_path / "venv") == tmp_path / "venv" / "bin" / "python"
    assert len(calls) == 2
    assert "--require-hashes" in calls[1]
    launch.install(tmp_path / "venv")
    assert len(calls) == 2


def test_a_failed_installation_is_one_line(tmp_path):
    with pytest.raises(StackError, match="cannot be installed: the reason"):
        launch._call([sys.executable, "-c", "import sys; sys.exit('more\\nthe reason')"])


def test_packages_are_hashed_and_name_no_index():
    text = launch.LOCK.read_text()
    pinned = [line for line in text.splitlines() if "==" in line]
    assert len(pinned) > 20
    assert all(line.endswith("\\") for line in pinned), "a hash follows each"
    assert "http" not in text


def test_it_starts_without_streamlit_here():
    code = "import sys, dashboard.cli, dashboard.launch; sys.exit('streamlit' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(launch.INCLUDE)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
