"""A server run by its command line: says where it listens, then serves until the process is ended."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def run(server: AbstractContextManager[object], address: str) -> None:
    """Serve as long as the process lives."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    print(f"listening {address}", flush=True)
    with server:
        _wait()


def _wait() -> None:
    threading.Event().wait()
