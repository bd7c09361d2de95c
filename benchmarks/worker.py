"""The process of one run: calls a contestant's function and writes what it returns, with its peak memory.

Standard library only: it also runs in the environments of the peers.
"""

from __future__ import annotations

import importlib
import json
import resource
import signal
import sys
from pathlib import Path


def main() -> None:
    """`python -m benchmarks.worker MODULE:FUNCTION ARGUMENTS RESULT`, arguments and result as JSON."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that `finally` clauses are run
    name, arguments, result = sys.argv[1:]
    module, _, function = name.partition(":")
    contestant = getattr(importlib.import_module(f"benchmarks.contestants.{module}"), function)
    output = contestant(**json.loads(arguments)) or {}
    Path(result).write_text(json.dumps({**output, "peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """The most memory this process has held, from the kernel, so that no sample can miss it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
