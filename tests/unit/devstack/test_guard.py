"""The guard itself, in this process; that it works from outside is shown by test_process.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from devstack import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def run(monkeypatch: pytest.MonkeyPatch, descriptor: int, command: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", ["guard", str(descriptor), *command])
    return guard.main()


def when_up(monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    """Call `act` once the guarded command has printed its first line."""
    popen = subprocess.Popen

    def started(command: list[str], **fields: object) -> subprocess.Popen[bytes]:
        child = popen(command, stdout=subprocess.PIPE, **fields)  # type: ignore[call-overload]

        def follow() -> None:
            assert child.stdout is not None
            child.stdout.readline()
            child.stdout.close()
            act()  # type: ignore[operator]

        threading.Thread(target=follow, daemon=True).start()
        return child  # type: ignore[no-any-return]

    monkeypatch.setattr(guard.subprocess, "Popen", started)


def test_the_commands_exit_code_is_the_guards(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    assert run(monkeypatch, pipe[0], [sys.executable, "-c", "raise SystemExit(7)"]) == 7
    os.close(pipe[1])


def test_the_command_ends_when_the_pipe_closes(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    when_up(monkeypatch, lambda: os.close(pipe[1]))
    assert run(monkeypatch, pipe[0], SLEEP) == -signal.SIGTERM


def test_the_command_ends_on_sigterm(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    when_up(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(monkeypatch, pipe[0], SLEEP) == -signal.SIGTERM
    os.close(pipe[1])


def test_a_command_that_ignores_sigterm_is_killed(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.1)
    when_up(monkeypatch, lambda: os.close(pipe[1]))
    assert run(monkeypatch, pipe[0], DEAF) == -signal.SIGKILL
