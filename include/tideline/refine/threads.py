"""A function over items in a few threads, bounded in what is held. Knows nothing of the items."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
R = TypeVar("R")
_CORES = 3


def are_worth_it() -> bool:
    """Whether there are cores for more threads: inflating, parsing and encoding keep two busy as they are."""
    return bool(pa.cpu_count() >= _CORES)


def mapped(
    function: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    *,
    weigh: Callable[[T], int],
    most: int,
) -> Generator[R, None, None]:
    """The function's results, in the order of the items.

    What either of them raises is raised here. When the consumer stops early (and closes this generator) or
    fails, the threads end after what they were given. They only start where there is anything to do.

    Args:
        function: Called in any of the threads, with several items at a time.
        items: Taken in the consumer's thread.
        threads: How many.
        weigh: How much an item counts.
        most: How much those may count together whose results have not been taken, unless it is one item.
    """
    waiting: deque[tuple[Future[R], int]] = deque()
    held = 0
    with ThreadPoolExecutor(threads, "decode") as pool:
        for item in items:
            weight = weigh(item)
            while waiting and held + weight > most:
                result, freed = waiting.popleft()
                held -= freed
                yield result.result()
            waiting.append((pool.submit(function, item), weight))
            held += weight
        while waiting:
            yield waiting.popleft()[0].result()
