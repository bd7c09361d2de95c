"""The iterator in a thread: order, bounds, errors, and that nothing is left behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tideline.refine.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Generator


class Source:
    """Numbers, and what happened to them."""

    def __init__(self, count: int, error: BaseException | None = None) -> None:
        self.count = count
        self.error = error
        self.made = 0
        self.changed = threading.Condition()
        self.closed = threading.Event()

    def items(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                with self.changed:
                    self.made += 1
                    self.changed.notify()
                yield number
            if self.error is not None:
                raise self.error
        finally:
            self.closed.set()

    def wait_for(self, made: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.made >= min(made, self.count), timeout=10)


def test_keeps_order_and_ends() -> None:
    before = set(threading.enumerate())
    assert list(prefetch(Source(100).items())) == list(range(100))
    assert set(threading.enumerate()) <= before


def test_of_nothing_is_nothing() -> None:
    assert list(prefetch(Source(0).items())) == []


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_is_depth_items_ahead_and_no_more(depth: int) -> None:
    source = Source(300)
    ahead = set()
    for taken, _ in enumerate(prefetch(source.items(), depth), 1):
        assert source.wait_for(taken + depth)
        ahead.add(source.made - taken)
    assert max(ahead) == depth


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_raises_what_the_source_raises_after_its_items(error: BaseException) -> None:
    before = set(threading.enumerate())
    items = prefetch(Source(3, error).items())
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)):
        next(items)
    assert set(threading.enumerate()) <= before


def test_closing_early_closes_the_source_and_ends_the_thread() -> None:
    before = set(threading.enumerate())
    source = Source(1_000)
    items = prefetch(source.items())
    assert next(items) == 0
    items.close()
    assert source.closed.is_set()
    assert source.made <= 4
    assert set(threading.enumerate()) <= before


def test_an_error_of_the_consumer_ends_the_thread() -> None:
    before = set(threading.enumerate())
    source = Source(1_000)

    def consume() -> None:
        for _ in prefetch(source.items()):
            raise RuntimeError("consumer")

    with pytest.raises(RuntimeError, match="consumer"):
        consume()
    assert source.closed.wait(10)
    assert set(threading.enumerate()) <= before


def test_a_time_limit_does_not_wait_for_an_item_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow raises its limit once; a store that does not answer is tried again for ten minutes."""
    monkeypatch.setattr("tideline.refine.prefetch._GOODBYE_SECONDS", 0.1)
    answer, before = threading.Event(), set(threading.enumerate())

    def items() -> Generator[int, None, None]:
        yield 0
        answer.wait(20)

    read = prefetch(items())
    assert next(read) == 0
    with pytest.raises(KeyboardInterrupt):
        read.throw(KeyboardInterrupt())
    (thread,) = set(threading.enumerate()) - before  # still at its item
    answer.set()
    thread.join(10)
    assert not thread.is_alive()
