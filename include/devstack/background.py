"""A stack that outlives the command that started it: a keeper process holds it until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from devstack import environment
from devstack.process import INCLUDE, StackError, module
from devstack.stack import ENVIRONMENT_FILE, Stack
from devstack.statelock import holder

if TYPE_CHECKING:
    from pathlib import Path

UP_SECONDS = 120.0
DOWN_SECONDS = 60.0
_FAILED = "keeper.error"


def up(state: Path, *, offline: bool) -> dict[str, str]:
    """Start a keeper and wait until its servers answer; the environment that points at them. Idempotent.

    Raises:
        StackError: It does not come up.
    """
    if holder(state) is not None and (state / ENVIRONMENT_FILE).exists():
        return environment.read_file(state / ENVIRONMENT_FILE)
    logs = state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    failed = state / _FAILED
    for stale in (failed, state / ENVIRONMENT_FILE):
        stale.unlink(missing_ok=True)
    search = os.pathsep.join(filter(None, (str(INCLUDE), os.environ.get("PYTHONPATH"))))
    with (logs / "keeper.log").open("wb") as log:
        keeper = subprocess.Popen(
            module("devstack", "keep", "--state", str(state), *(["--offline"] if offline else [])),
            env={**os.environ, "PYTHONPATH": search},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    threading.Thread(target=keeper.wait, daemon=True).start()  # reaps it, should it end before this process
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline and keeper.poll() is None:
        if (state / ENVIRONMENT_FILE).exists():
            return environment.read_file(state / ENVIRONMENT_FILE)
        time.sleep(0.05)
    keeper.terminate()
    keeper.wait()
    raise _not_up(state)


def _not_up(state: Path) -> StackError:
    failed = state / _FAILED
    if failed.exists():
        return StackError(failed.read_text())
    return StackError(f"the stack did not come up within {UP_SECONDS:g} s", place=str(state / "logs"))


def keep(state: Path, *, offline: bool) -> None:
    """Hold a stack until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with Stack(state, offline=offline or None):
            ended.wait()
    except StackError as error:
        (state / _FAILED).write_text(str(error))
        sys.exit(1)


def down(state: Path) -> bool:
    """End whoever holds the folder's stack; False where nobody did. Idempotent.

    Raises:
        StackError: It does not end.
    """
    pid = holder(state)
    if not pid:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        if _is_freed(state):
            return True
    raise StackError(f"process {pid} holds the stack in {state} and does not end", remedy=f"kill -9 {pid}")


def _is_freed(state: Path) -> bool:
    deadline = time.monotonic() + DOWN_SECONDS
    while time.monotonic() < deadline:
        if holder(state) is None:
            return True
        time.sleep(0.05)
    return False
