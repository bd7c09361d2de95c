"""Reading one ahead: order, errors, an early end, and a source that says nothing."""

from __future__ import annotations

import threading

import pytest

from tideline.errors import SourceUnavailableError
from tideline.land.ahead import ReadAhead


def ahead(items, wait_seconds=10.0):
    return ReadAhead(items, wait_seconds=wait_seconds, place="somewhere")


def test_gives_everything_in_order():
    with ahead(n for n in range(1000)) as items:
        assert list(items) == list(range(1000))


def test_reads_one_ahead_and_no_more():
    asked = []
    second_asked = threading.Event()

    def source():
        for number in range(5):
            asked.append(number)
            if number == 1:
                second_asked.set()
            yield number

    with ahead(source()) as items:
        assert next(items) == 0
        assert second_asked.wait(10)
        assert asked == [0, 1]


def test_an_error_comes_out_where_the_items_are_used_after_those_before_it():
    def source():
        yield 1
        raise ValueError("odd")

    with ahead(source()) as items:
        assert next(items) == 1
        with pytest.raises(ValueError, match="odd"):
            next(items)


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_leaving_early_ends_the_thread_and_closes_the_source(taken):
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    with ahead(source()) as items:
        for _ in range(taken):
            next(items)

    assert closed.wait(10)


def test_a_source_that_says_nothing_is_given_up():
    released = threading.Event()

    def source():
        yield 1
        released.wait(30)

    with ahead(source(), wait_seconds=0.05) as items:
        assert next(items) == 1
        with pytest.raises(SourceUnavailableError, match=r"gave nothing for 0\.05 s") as raised:
            next(items)
        released.set()

    assert raised.value.place == "somewhere"
