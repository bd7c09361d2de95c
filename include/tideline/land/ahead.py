"""Reading ahead: a source works in its own thread while its last batch is being stored. Knows no source."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Generic, TypeVar

from tideline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

T = TypeVar("T")

_GOODBYE_SECONDS = 2.0
"""How long the end waits for the thread to close what it reads."""


class ReadAhead(Generic[T]):
    """The items of a generator, read one ahead by a thread of its own; a context manager that ends it.

    Bounds how long a silent source is waited for, which a client without a socket time-out would not. The
    thread is a daemon: one that hangs in such a client does not keep the process alive.

    Args:
        items: A generator, used and closed by the thread only.
        wait_seconds: How long to wait for one item.
        place: What is read, for the message.
        source: Of which source, for the message.
        dataset: Of which of its datasets.
    """

    def __init__(
        self,
        items: Generator[T, None, None],
        *,
        wait_seconds: float,
        place: str,
        source: str | None = None,
        dataset: str | None = None,
    ) -> None:
        self._items = items
        self._wait_seconds = wait_seconds
        self._where = {"place": place, "source": source, "dataset": dataset}
        self._box: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
        self._taken = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name=f"read {place}", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._given()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._taken.release()
        self._thread.join(timeout=_GOODBYE_SECONDS)

    def _given(self) -> Iterator[T]:
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    def _next(self) -> tuple[T] | BaseException | None:
        try:
            item = self._box.get(timeout=self._wait_seconds)
        except queue.Empty:
            raise SourceUnavailableError(
                f"the source gave nothing for {self._wait_seconds:g} s",
                remedy="see whether the source is overloaded, or raise TIDELINE_DEADLINE_SECONDS",
                **self._where,
            ) from None
        self._taken.release()
        return item

    def _read(self) -> None:
        try:
            with closing(self._items):
                for item in self._items:
                    self._box.put((item,))
                    self._taken.acquire()
                    if self._stopped.is_set():
                        return
            self._box.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are used
            self._box.put(error)
