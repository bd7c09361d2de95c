"""Measure one run: a process from start to exit, wall, CPU of its tree, peak memory, foreign load.

Knows processes, not what they do. The output of a run is the JSON that `benchmarks.worker` writes for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.machine import CpuClock, wait_until_calm
from benchmarks.paths import CACHE, PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SAMPLE_SECONDS = 0.02
SAMPLES_PER_SEARCH = 10
"""Children are looked for at every tenth sample: it means a walk over all processes of the machine."""
TIMEOUT_SECONDS = 900.0
END_SECONDS = 60.0
PATIENCE_SECONDS = 8.0


class RunError(Exception):
    """A run failed; the message is the last thing it said."""


@dataclass(frozen=True)
class Task:
    """A function of a contestant's module and its one argument, run in a process of its own."""

    function: str
    """`module:function` under `benchmarks.contestants`."""
    arguments: dict[str, Any] = field(default_factory=dict)
    python: Path = PYTHON
    environment: dict[str, str] = field(default_factory=dict)
    timeout_seconds: float = TIMEOUT_SECONDS


@dataclass(frozen=True)
class Measured:
    """One run."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    foreign_cores: float
    output: dict[str, Any]


@contextmanager
def alone() -> Iterator[None]:
    """Keep other benchmarks of this checkout away: they would clear its output, and load the machine.

    Raises:
        RunError: One is running.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("another benchmark is running in this checkout") from None
        yield


def measure(
    task: Task, servers: Iterable[int] = (), *, patience_seconds: float = PATIENCE_SECONDS
) -> Measured:
    """Run the task when the machine is calm and measure it.

    Args:
        task: What to run.
        servers: Process ids of servers that work for the run; their CPU is neither the run's nor foreign.
        patience_seconds: How long to wait for a calm machine.

    Raises:
        RunError: It failed, or took longer than its time.
    """
    pids = tuple(servers)
    wait_until_calm(pids, patience_seconds)
    before = CpuClock.read(pids)
    finished = run(task)
    foreign = CpuClock.read(pids).foreign_cores(before, finished.cpu_seconds)
    return Measured(
        finished.wall_seconds, finished.cpu_seconds, finished.peak_bytes, round(foreign, 2), finished.output
    )


def perform(task: Task) -> dict[str, Any]:
    """Run the task without measuring it; returns its output.

    Raises:
        RunError: It failed.
    """
    return run(task).output


def run(task: Task) -> Measured:
    """Run the task at once, however busy the machine is; the load of others is not looked at.

    Raises:
        RunError: It failed, or took longer than its time.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="run-") as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log")
        command = [
            str(task.python), "-m", "benchmarks.worker", task.function, json.dumps(task.arguments),
            str(result),
        ]  # fmt: skip
        with log.open("wb") as sink:
            started = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(task.environment),
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
            usage, peak = _wait(process, task.timeout_seconds)
            wall = time.monotonic() - started
        if process.returncode != 0:
            raise RunError(_last_words(log, process.returncode))
        output: dict[str, Any] = json.loads(result.read_text())
    return Measured(wall, usage.ru_utime + usage.ru_stime, max(peak, output.pop("peak_bytes")), 0.0, output)


def _wait(process: subprocess.Popen[bytes], timeout_seconds: float) -> tuple[Any, int]:
    """(resource usage of the process and the children it waited for, peak memory of the tree in bytes)."""
    sampler = _Sampler(process.pid)
    watchdog = threading.Timer(timeout_seconds, process.terminate)
    sampler.start()
    watchdog.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        _end(process)
        raise
    finally:
        watchdog.cancel()
        sampler.finish()
    return usage, sampler.peak_bytes


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it end what it started itself; it has a session of its own, so no Ctrl-C has reached it yet."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Sampler(threading.Thread):
    """Looks at the resident memory of a process and its descendants, fifty times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        tree: list[psutil.Process] = []
        samples = 0
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self._pid)
            while not self._done.wait(SAMPLE_SECONDS):
                if samples % SAMPLES_PER_SEARCH == 0:
                    tree = [root, *root.children(recursive=True)]
                samples += 1
                self.peak_bytes = max(self.peak_bytes, sum(map(_resident_bytes, tree)))

    def finish(self) -> None:
        self._done.set()
        self.join()


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This environment without what would steer the product: a benchmark is told everything by its task."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TIDELINE_", "AIRFLOW", "AWS_", "STORAGE_EMULATOR", "BIGQUERY"))
    }
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (kept.get(name), "127.0.0.1,localhost")))
    return {**kept, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(CACHE / "bytecode"), **extra}


def _last_words(log: Path, code: int) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else f"ended with code {code} and said nothing"
