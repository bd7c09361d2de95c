"""Answers that are good for a few seconds: made once however many ask, in threads of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")
SECONDS = 5.0
THREADS = 4
"""So many answers are made at a time; the server's own threads stay free for everything else."""
_KEPT = 200


@dataclass(frozen=True, slots=True)
class _Entry:
    """An answer that is made or being made; it ages from when it was asked for."""

    future: Future[Any]
    began: float


class Cache:
    """Answers by key; a failure is an answer too, so that a dead server is not asked by every reader.

    Args:
        seconds: How long an answer is given again.
        clock: Seconds that only grow.
    """

    def __init__(self, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tideline-health")

    async def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The answer of that key, made now where there is none or it is old.

        Raises:
            Exception: Whatever `make` raised.
        """
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or self._is_old(entry):
                self._forget()
                entry = self._entries[key] = _Entry(self._pool.submit(make), self._clock())
        # a reader that goes away must not take the answer from the others
        answer: T = await asyncio.shield(asyncio.wrap_future(entry.future))
        return answer

    def _is_old(self, entry: _Entry) -> bool:
        return entry.future.done() and self._clock() - entry.began >= self._seconds

    def _forget(self) -> None:
        old = [key for key, entry in self._entries.items() if self._is_old(entry)]
        for key in old if len(self._entries) < _KEPT else list(self._entries):
            del self._entries[key]
