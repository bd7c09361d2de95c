"""What tests of processes share: a look at what still runs and listens."""

from __future__ import annotations

import os

import psutil
import pytest


class Leftovers:
    """Processes and ports that must be gone at the end."""

    def __init__(self) -> None:
        self._others = set(psutil.Process().children(recursive=True))
        self._processes: list[psutil.Process] = []
        self._ports: list[int] = []

    def watch_children(self) -> None:
        """Remember the processes below this one that the test has started."""
        self._processes += set(psutil.Process().children(recursive=True)) - self._others

    def watch(self, pid: int) -> None:
        """Remember a process and all below it."""
        process = psutil.Process(pid)
        self._processes += [process, *process.children(recursive=True)]

    def watch_port(self, port: int) -> None:
        """Remember a port."""
        self._ports.append(port)

    def assert_gone(self, within_seconds: float = 20.0) -> None:
        """Nothing of what was remembered runs or listens."""
        _, alive = psutil.wait_procs(self._processes, timeout=within_seconds)
        assert alive == []
        mine = {process.pid for process in psutil.Process().children(recursive=True)} | {os.getpid()}
        for connection in psutil.net_connections("tcp4"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port in self._ports:
                assert connection.pid not in mine  # another test may have been given the port since


@pytest.fixture
def leftovers() -> Leftovers:
    return Leftovers()
