"""Start bqemulator with its faults corrected: `python -m devstack.bigquery.shim start --rest-port …`.

Runs in the emulator's own environment; imports nothing of Tideline. A test starts the emulator without each
correction (`TIDELINE_SHIM_WITHOUT=name,name`) and sees the fault; drop a correction when its test finds none.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from pathlib import Path

from devstack.bigquery import record
from devstack.bigquery.corrections import jobs, sql, tables
from devstack.bigquery.corrections.registry import CORRECTIONS, module

__all__ = ["jobs", "main", "sql", "tables"]


def main() -> None:
    """Install the corrections and hand over to the emulator's own command line."""
    without = set(filter(None, os.environ.get("TIDELINE_SHIM_WITHOUT", "").split(",")))
    unknown = without - set(CORRECTIONS)
    if unknown:
        sys.exit(f"TIDELINE_SHIM_WITHOUT names no correction: {', '.join(sorted(unknown))}")
    for name, install in CORRECTIONS.items():
        if name not in without:
            install()
    if folder := os.environ.get("TIDELINE_SHIM_RECORD"):
        record.install(Path(folder))
    if os.environ.get("TIDELINE_SHIM_TIED"):
        _end_with_parent()
    _collect_seldom()
    module("cli").main()


def _collect_seldom() -> None:
    """Syntax trees are thousands of objects in circles: looking for them took a fifth of the time."""
    module("server")
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _end_with_parent() -> None:
    """Whoever started this holds the other end of standard input, and lets go of it even when killed."""

    def wait() -> None:
        while os.read(0, 1):  # sys.stdin has a lock, which the end of the interpreter awaits for a second
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
