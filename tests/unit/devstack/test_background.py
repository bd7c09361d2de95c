"""Up, down and status from a shell: a keeper that stays, one line when it cannot, nothing left after down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from pymongo import MongoClient

from devstack import __main__ as command_line
from devstack import background, environment
from devstack.environment import CONNECTIONS, MONGODB
from devstack.process import StackError
from devstack.servers import mongodb
from devstack.statelock import StateLock, holder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Leftovers


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a stack of MongoDB only."""
    for name in CONNECTIONS:
        monkeypatch.setenv(name, '{"conn_type": "mine"}')
    for name in (MONGODB, mongodb.JARS, mongodb.PORT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    yield tmp_path / "state"
    background.down(tmp_path / "state")


def test_a_stack_stays_up_until_it_is_put_down(state: Path, leftovers: Leftovers) -> None:
    found = background.up(state, offline=True)
    pid = holder(state)
    assert pid is not None
    leftovers.watch(pid)
    assert set(found) == {MONGODB}
    assert background.up(state, offline=True) == found == environment.read_file(state / "tideline.env")
    assert holder(state) == pid
    port = int(found[MONGODB].rpartition(":")[2].strip(" }"))
    leftovers.watch_port(port)
    with MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=5000) as client:
        assert client.admin.command("ping")["ok"] == 1
    assert background.down(state)
    leftovers.assert_gone()
    assert not background.down(state)
    assert not (state / "tideline.env").exists()


def test_a_keeper_that_is_killed_takes_its_servers_along_and_can_be_replaced(
    state: Path, leftovers: Leftovers
) -> None:
    background.up(state, offline=True)
    pid = holder(state)
    assert pid is not None
    leftovers.watch(pid)
    os.kill(pid, signal.SIGKILL)
    leftovers.assert_gone()
    assert (state / "tideline.env").exists()
    background.up(state, offline=True)
    assert holder(state) not in (None, pid)


def test_why_it_does_not_come_up_is_one_line(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mongodb.PORT, "nonsense")
    with pytest.raises(
        StackError, match="TIDELINE_MONGODB_PORT is 'nonsense' Remedy: set it to a port number"
    ):
        background.up(state, offline=True)
    assert holder(state) is None


def test_a_keeper_that_takes_too_long_is_ended(
    state: Path, monkeypatch: pytest.MonkeyPatch, leftovers: Leftovers
) -> None:
    monkeypatch.setattr(background, "UP_SECONDS", 0.0)
    with pytest.raises(StackError, match="did not come up within 0 s"):
        background.up(state, offline=True)
    leftovers.watch_children()
    leftovers.assert_gone()


def test_a_keeper_holds_until_a_signal(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    class Signalled(background.threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert (state / "tideline.env").exists()
            os.kill(os.getpid(), signal.SIGTERM)
            return super().wait(timeout)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(background, "Stack", lambda *_, **__: StateLock(state))
            patch.setattr(background.threading, "Event", Signalled)
            (state).mkdir()
            (state / "tideline.env").write_text("")
            background.keep(state, offline=True)
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    assert holder(state) is None


def test_a_keeper_that_fails_leaves_word(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.signal, "signal", lambda *_: None)
    monkeypatch.setenv(mongodb.PORT, "0")
    with pytest.raises(SystemExit):
        background.keep(state, offline=True)
    assert (state / "keeper.error").read_text().startswith("TIDELINE_MONGODB_PORT is '0'")


DEAF = """
import signal, sys, time
from pathlib import Path
from devstack.statelock import StateLock
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with StateLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def deaf(state: Path) -> Iterator[subprocess.Popen[str]]:
    search = {**os.environ, "PYTHONPATH": str(background.INCLUDE)}
    command = [sys.executable, "-c", DEAF, str(state)]
    with subprocess.Popen(command, env=search, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_holder_that_ignores_the_signal_is_killed(
    state: Path, monkeypatch: pytest.MonkeyPatch, deaf: subprocess.Popen[str]
) -> None:
    monkeypatch.setattr(background, "DOWN_SECONDS", 0.2)
    assert background.down(state)
    assert deaf.wait(10) == -signal.SIGKILL


def test_a_holder_that_cannot_be_ended_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch, deaf: subprocess.Popen[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(background, "DOWN_SECONDS", 0.1)
        patch.setattr(background.os, "kill", lambda *_: None)
        with pytest.raises(StackError, match=f"process {deaf.pid} holds the stack"):
            background.down(state)


def test_a_holder_that_ends_meanwhile_is_down(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "holder", lambda _: _free_pid())
    assert background.down(state)


def _free_pid() -> int:
    return max(psutil.pids()) + 100_000


def test_the_command_line_of_the_servers_alone(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        code = command_line.main([*arguments, "--state", str(state)])
        read = capsys.readouterr()
        return code, (read.out + read.err).strip()

    assert run("status") == (3, "down")
    assert run("servers-up", "--offline") == (0, f"up; connections are in {state / 'tideline.env'}")
    assert run("status") == (0, f"up, kept by process {holder(state)}")
    assert run("servers-down") == (0, "down")
    assert run("servers-down") == (0, "nothing was up")
    monkeypatch.setenv(mongodb.PORT, "x")
    code, text = run("servers-up")
    assert (code, text) == (
        1,
        "tideline: TIDELINE_MONGODB_PORT is 'x' Remedy: set it to a port number, or unset it",
    )
    monkeypatch.setattr(background, "keep", lambda *_, **__: None)
    assert run("keep") == (0, "")
