"""The machine: what it is, what it is busy with beside us, and a wait until it is calm."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

CALM_CORES = 0.25
CALM_SECONDS = 0.5


@dataclass(frozen=True)
class CpuClock:
    """CPU seconds since boot: of the whole machine, and of this process with the servers it started."""

    machine: float
    own: float
    at: float

    @classmethod
    def read(cls, servers: Iterable[int]) -> CpuClock:
        """Now. `servers` are process ids; one that has ended counts no more."""
        times = psutil.cpu_times()
        machine = times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "softirq", 0.0)
        own = sum(_cpu_seconds(pid) for pid in (os.getpid(), *servers))
        return cls(machine, own, time.monotonic())

    def foreign_cores(self, before: CpuClock, measured_cpu_seconds: float) -> float:
        """How many cores others kept busy since `before` on average, beside us and the run measured."""
        others = (self.machine - before.machine) - (self.own - before.own) - measured_cpu_seconds
        return max(0.0, others) / max(self.at - before.at, 1e-3)


def wait_until_calm(servers: Iterable[int], patience_seconds: float) -> float:
    """Wait for a calm half-second, but not longer than that; returns the foreign load seen last, in cores."""
    pids = tuple(servers)
    deadline = time.monotonic() + patience_seconds
    while True:
        before = CpuClock.read(pids)
        time.sleep(CALM_SECONDS)
        foreign = CpuClock.read(pids).foreign_cores(before, 0.0)
        if foreign < CALM_CORES or time.monotonic() > deadline:
            return foreign


def describe() -> dict[str, object]:
    """What a reader of the figures needs to know of the machine; nothing that names it."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or platform.machine()
    models = [
        line.partition(":")[2].strip() for line in path.read_text().splitlines() if "model name" in line
    ]
    return models[0] if models else platform.machine()


def _cpu_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
