"""One iterator in a thread of its own, a bounded number of items ahead. Knows nothing of the items."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

T = TypeVar("T")

_GOODBYE_SECONDS = 10.0
"""How long a consumer that stops early waits for the item that is being made."""


class _End:
    """What the thread says last: that there are no more items, and why if that is an error."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def prefetch(items: Generator[T, None, None], depth: int = 2) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread at most `depth` items ahead of the consumer.

    What making them raises is raised here, in its place. When the consumer stops early (and closes this
    generator) or fails, the thread ends after the item it is at, closes `items`, and is waited for; not for
    long, since a store that does not answer may be what a task's time limit has ended.
    """
    ready: SimpleQueue[T | _End] = SimpleQueue()
    room = threading.Semaphore(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, ready, room, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        room.release()
        thread.join(timeout=_GOODBYE_SECONDS)


def _produce(
    items: Generator[T, None, None],
    ready: SimpleQueue[T | _End],
    room: threading.Semaphore,
    stop: threading.Event,
) -> None:
    end = _End()
    try:
        while room.acquire() and not stop.is_set():
            ready.put(next(items))
    except StopIteration:
        pass
    except BaseException as error:  # noqa: BLE001 - raised again by the consumer, whatever it is
        end = _End(error)
    finally:
        items.close()
        ready.put(end)
