"""SIGTERM as Ctrl-C: what was started is ended in order."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """The first SIGTERM or SIGINT sets the event and interrupts; later ones leave the end alone."""
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        if stop.is_set():
            return
        stop.set()
        raise KeyboardInterrupt(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
