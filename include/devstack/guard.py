"""Runs one command and ends with whoever started it, even when that one is killed. Standard library only.

`python -m devstack.guard <descriptor> <command>…`: `descriptor` is the reading end of a pipe that the starter
holds the writing end of. When the pipe closes, or on SIGTERM, the command is ended, then killed. On Linux the
command also dies with this process (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the command; its exit code, or 1 where it had to be killed."""
    descriptor, command = int(sys.argv[1]), sys.argv[2:]
    child = subprocess.Popen(command, preexec_fn=_die_with_parent)  # noqa: PLW1509  one thread so far
    signal.signal(signal.SIGTERM, lambda *_: _end_in_background(child))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_starter, args=(descriptor, child), daemon=True).start()
    return child.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_with_starter(descriptor: int, child: subprocess.Popen[bytes]) -> None:
    os.read(descriptor, 1)
    _end(child)


def _end_in_background(child: subprocess.Popen[bytes]) -> None:
    threading.Thread(target=_end, args=(child,), daemon=True).start()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main())
