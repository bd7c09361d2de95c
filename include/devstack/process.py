"""Servers in processes of their own: ports, groups, bounded waits, logs. Knows no particular server."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tideline.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HOST = "127.0.0.1"
INCLUDE = Path(__file__).resolve().parents[1]
START_SECONDS = 60.0
STOP_SECONDS = 15.0
_STARTS = 3
"""How often a server is started when another process takes the free port between our look and its bind."""


class StackError(FatalError):
    """The stand-ins cannot run; one line that says why and what to do."""


@dataclass(frozen=True)
class Program:
    """How one server is run.

    Args:
        name: What people call it, and the name of its log.
        command: The command line for a port.
        is_ready: Whether the server on that port answers in its protocol; anything it raises counts as no.
        environment: What it gets beside this process's environment.
        port: A port it must have; None for any free one.
        port_variable: The variable that a person sets to move it.
    """

    name: str
    command: Callable[[int], list[str]]
    is_ready: Callable[[int], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    port_variable: str = ""


@dataclass(frozen=True)
class Server:
    """A running server: a process group led by its guard."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    watchdog: IO[bytes]
    """The writing end of the guard's pipe; the group ends when it closes."""

    def stop(self) -> None:
        """End the group and wait until nothing of it is left; what does not go is killed. Idempotent."""
        if self.watchdog.closed:
            return
        if self.process.poll() is None:
            _signal_group(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _signal_group(self.process.pid, signal.SIGKILL)
                self.process.wait(STOP_SECONDS)
        _signal_group(self.process.pid, signal.SIGKILL)
        self.watchdog.close()


def module(name: str, *arguments: str) -> list[str]:
    """The command line of one of our own modules."""
    return [sys.executable, "-m", name, *arguments]


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_number(text: str, variable: str) -> int:
    """The port that a variable's text says.

    Raises:
        StackError: It is no port's number.
    """
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise StackError(f"{variable} is {text!r}", remedy="set it to a port number, or unset it")
    return int(text)


def require_free(port: int, name: str, variable: str) -> int:
    """The port, if it is free.

    Raises:
        StackError: Somebody listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StackError(
                f"port {port}, wanted for {name}, is busy: {error.strerror}",
                remedy=f"end what listens there, or set {variable} to another port",
            ) from error
    return port


def start(program: Program, logs: Path) -> Server:
    """Start a server and wait until it answers.

    Raises:
        StackError: It ended, or did not answer in time; says the last line of its log.
    """
    for remaining in reversed(range(_STARTS)):
        port = _port_for(program)
        server = _spawn(program, port, logs)
        try:
            if _answers(program, server):
                return server
        except BaseException:
            server.stop()
            raise
        has_ended = server.process.poll() is not None
        server.stop()
        if not (has_ended and remaining and program.port is None and not _is_free(port)):
            raise _did_not_start(program, logs, has_ended=has_ended)
    raise AssertionError("the last start either answered or raised")


def _port_for(program: Program) -> int:
    if program.port is None:
        return free_port()
    return require_free(program.port, program.name, program.port_variable)


def _is_free(port: int) -> bool:
    try:
        require_free(port, "", "")
    except StackError:
        return False
    return True


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Run a command to its end; its exit code. It ends with this process, however that ends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process, watchdog = _guarded(command, environment, output)
    try:
        return process.wait()
    finally:
        # Airflow's tasks take SIGTERM for a failure, and try again
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        watchdog.close()


def _spawn(program: Program, port: int, logs: Path) -> Server:
    logs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **program.environment}
    with (logs / f"{program.name}.log").open("wb") as log:
        return Server(program.name, port, *_guarded(program.command(port), environment, log))


def _guarded(
    command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A guard with the command under it, and the writing end of its pipe."""
    reading, writing = os.pipe()
    search = os.pathsep.join(filter(None, (str(INCLUDE), environment.get("PYTHONPATH"))))
    try:
        process = subprocess.Popen(
            module("devstack.guard", str(reading), *command),
            env={**environment, "PYTHONPATH": search},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(reading,),
            start_new_session=True,
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return process, os.fdopen(writing, "wb")


def _answers(program: Program, server: Server) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        if _is_ready(program, server.port) and server.process.poll() is None:
            return True
        time.sleep(0.05)
    return False


def _is_ready(program: Program, port: int) -> bool:
    try:
        return program.is_ready(port)
    except Exception:  # noqa: BLE001  every client has its own exceptions for "not yet"
        return False


def _did_not_start(program: Program, logs: Path, *, has_ended: bool) -> StackError:
    log = logs / f"{program.name}.log"
    lines = log.read_text(errors="replace").strip().splitlines()
    what = "ended at once" if has_ended else f"did not answer within {START_SECONDS:g} s"
    return StackError(
        f"{program.name} {what}: {lines[-1] if lines else 'it wrote nothing'}",
        place=str(log),
        remedy="read its log",
    )


def answers_http(port: int, path: str) -> bool:
    """Whether a GET on loopback gets any answer below 500."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500  # noqa: PLR2004
    finally:
        connection.close()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return
