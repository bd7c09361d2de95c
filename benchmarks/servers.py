"""The servers that contestants talk to, each a process of its own: documents, objects, pages."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.harness import RunError
from benchmarks.paths import CACHE, PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.fixtures import Fixture

START_SECONDS = 60.0
REGION = "us-east-1"
DROPS = "bench-drops"
BUCKETS = (DROPS, "bench-raw", "bench-processed", "bench-quarantine")


@dataclass(frozen=True)
class Servers:
    """Where they listen, and their process ids."""

    s3_endpoint: str
    api_url: str
    pids: tuple[int, ...]


@contextmanager
def servers() -> Iterator[Servers]:
    """An empty S3 and an API, until the block is left."""
    with ExitStack() as running:
        s3 = running.enter_context(_server("moto.server", "--host", "127.0.0.1"))
        api = running.enter_context(_server("devstack.http_server"))
        yield Servers(f"http://127.0.0.1:{s3[0]}", f"http://127.0.0.1:{api[0]}", (s3[1], api[1]))


@contextmanager
def mongodb(**collections: Fixture) -> Iterator[tuple[str, int]]:
    """A MongoDB that serves each fixture as a collection of that name; (URI, process id)."""
    files = [f"{name}={fixture.path}" for name, fixture in collections.items()]
    with _server("benchmarks.replay", *files) as (port, pid):
        yield f"mongodb://127.0.0.1:{port}", pid


@contextmanager
def _server(module: str, *arguments: str) -> Iterator[tuple[int, int]]:
    port = _free_port()
    CACHE.mkdir(parents=True, exist_ok=True)
    log = CACHE / f"{module}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [str(PYTHON), "-m", module, "--port", str(port), *arguments], cwd=ROOT, stdout=sink, stderr=sink
        )
    try:
        _wait_for(port, process, log)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RunError(f"{log.stem} did not start; its last words are in {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
