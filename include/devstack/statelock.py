"""Who runs the stack of a state folder: a lock that the operating system frees when its holder ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

from devstack.process import StackError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "stack.lock"


class StateLock:
    """Held while it is entered; one process at a time.

    Raises:
        StackError: Another process holds it.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / _NAME
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _try_lock(descriptor):
            os.close(descriptor)
            pid = _pid(self._path)
            raise StackError(
                f"a stack runs already in {self._path.parent} (process {pid})",
                remedy=f"wait for its end, press Ctrl-C in its terminal, or end process {pid}",
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def holder(state: Path) -> int | None:
    """The process that holds the folder's lock; None where nobody does."""
    path = state / _NAME
    if not path.exists():
        return None
    descriptor = os.open(path, os.O_RDWR)
    try:
        return None if _try_lock(descriptor) else _pid(path)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(path: Path) -> int:
    text = path.read_text()
    return int(text) if text.isdigit() else 0
