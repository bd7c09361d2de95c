"""Servers as processes: started when they answer, stopped without a trace, failing in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from devstack import process
from devstack.process import INCLUDE, Program, StackError, answers_http, free_port, require_free, run, start

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Leftovers

LISTENER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/") or 200)); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTENER
PARENT = f"""
import subprocess, sys
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE).stdout.readline()
{LISTENER}
"""


def program(source: str = LISTENER, **fields: object) -> Program:
    return Program(
        "listener",
        lambda port: [sys.executable, "-c", source, str(port)],
        lambda port: answers_http(port, "/"),
        **fields,  # type: ignore[arg-type]
    )


def test_a_server_answers_when_start_returns_and_is_gone_after_stop(
    tmp_path: Path, leftovers: Leftovers
) -> None:
    server = start(program(), tmp_path)
    leftovers.watch(server.process.pid)
    leftovers.watch_port(server.port)
    assert answers_http(server.port, "/")
    assert os.getpgid(server.process.pid) == server.process.pid != os.getpgid(0)
    server.stop()
    leftovers.assert_gone(5)
    server.stop()


@pytest.mark.parametrize("source", [DEAF, PARENT], ids=["ignores SIGTERM", "has a child that does"])
def test_whatever_does_not_go_by_itself_is_killed(
    tmp_path: Path, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.5)
    server = start(program(source), tmp_path)
    leftovers.watch(server.process.pid)
    server.stop()
    leftovers.assert_gone(5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_with_whoever_started_it(
    tmp_path: Path, leftovers: Leftovers, number: signal.Signals
) -> None:
    source = f"""
import sys, time
sys.path[:0] = [{str(INCLUDE)!r}]
from pathlib import Path
from devstack.process import *
listener = {LISTENER!r}
server = start(Program("listener", lambda port: [sys.executable, "-c", listener, str(port)],
                       lambda port: answers_http(port, "/")), Path({str(tmp_path)!r}))
print(server.port, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        leftovers.watch_port(int(starter.stdout.readline()))
        leftovers.watch(starter.pid)
        starter.send_signal(number)
    leftovers.assert_gone()


UP = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
RUNNER = f"""
import sys, time
sys.path[:0] = [{str(INCLUDE)!r}]
from pathlib import Path
from devstack.process import run
from devstack.stopping import stoppable
with stoppable():
    run([sys.executable, "-c", {UP!r}], {{}}, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_command_ends_with_whoever_ran_it(
    tmp_path: Path, leftovers: Leftovers, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    os.mkfifo(log)
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(log)], stderr=subprocess.DEVNULL) as runner:
        with log.open() as said:
            assert said.readline() == "up\n"
        leftovers.watch(runner.pid)
        runner.send_signal(number)
    leftovers.assert_gone()


def test_a_command_is_run_to_its_end(tmp_path: Path) -> None:
    source = "import os; print(os.environ['A']); raise SystemExit(3)"
    for _ in range(2):
        assert run([sys.executable, "-c", source], {"A": "b"}, tmp_path / "logs" / "log") == 3
    assert (tmp_path / "logs" / "log").read_text() == "b\nb\n"


def test_a_server_ends_with_its_guard(tmp_path: Path, leftovers: Leftovers) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    server = start(program(), tmp_path)
    leftovers.watch(server.process.pid)
    server.process.kill()
    leftovers.assert_gone()
    server.stop()


def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StackError) as error:
        start(program("raise SystemExit('no such luck')"), tmp_path)
    assert str(error.value) == (
        f"listener ended at once: no such luck [at {tmp_path / 'listener.log'}] Remedy: read its log"
    )


def test_a_server_that_never_answers_is_reported_and_ended(
    tmp_path: Path, leftovers: Leftovers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "START_SECONDS", 0.3)
    with pytest.raises(StackError, match=r"listener did not answer within 0\.3 s: it wrote nothing"):
        start(program("import time; time.sleep(600)"), tmp_path)
    leftovers.watch_children()
    leftovers.assert_gone(5)


def test_a_port_that_another_process_took_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr(process, "free_port", lambda: next(ports))
        server = start(Program("listener", program().command, lambda port: answers_http(port, "/")), tmp_path)
    assert server.port != taken
    server.stop()


def test_a_wanted_port_is_used_or_named_when_it_is_busy(tmp_path: Path) -> None:
    wanted = free_port()
    server = start(program(port=wanted, port_variable="TIDELINE_X_PORT"), tmp_path)
    assert server.port == wanted
    with pytest.raises(StackError) as error:
        start(program(port=wanted, port_variable="TIDELINE_X_PORT"), tmp_path)
    assert str(error.value).startswith(f"port {wanted}, wanted for listener, is busy: Address already in use")
    assert "set TIDELINE_X_PORT to another port" in str(error.value)
    server.stop()
    assert require_free(wanted, "listener", "X") == wanted


def test_an_interrupt_while_waiting_leaves_nothing(tmp_path: Path, leftovers: Leftovers) -> None:
    def interrupted(_: int) -> bool:
        leftovers.watch_children()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(Program("listener", program().command, interrupted), tmp_path)
    leftovers.assert_gone(5)


def test_a_command_that_is_not_there_leaves_no_open_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = psutil.Process().num_fds()
    monkeypatch.setattr(process.sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        start(Program("listener", lambda _: ["x"], lambda _: True), tmp_path)
    assert psutil.Process().num_fds() == before


def test_an_answer_below_500_is_an_answer(tmp_path: Path) -> None:
    server = start(program(), tmp_path)
    assert answers_http(server.port, "/404")
    assert not answers_http(server.port, "/503")
    server.stop()
