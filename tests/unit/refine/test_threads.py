"""Items through a few threads: order, bounds, errors, and that nothing is left behind."""

from __future__ import annotations

import threading
from functools import partial
from itertools import count, takewhile
from typing import TYPE_CHECKING

import pytest

from tideline.refine.threads import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator


def doubled(number: int) -> int:
    return 2 * number


def one(_: int) -> int:
    return 1


every = partial(mapped, doubled, threads=2, weigh=one, most=4)


def test_keeps_the_order_of_items_that_take_long_and_of_those_that_do_not() -> None:
    before = threading.active_count()
    overtaken = threading.Event()

    def wait_for_the_next(number: int) -> int:
        if number % 2:
            overtaken.set()
        else:
            assert overtaken.wait(10), "the next item was not begun meanwhile"
            overtaken.clear()
        return number

    assert list(mapped(wait_for_the_next, range(100), 2, weigh=one, most=4)) == list(range(100))
    assert threading.active_count() == before


def test_of_nothing_is_nothing_and_starts_nothing() -> None:
    before = threading.active_count()
    items = every([])
    assert list(items) == []
    assert threading.active_count() == before


@pytest.mark.parametrize(("most", "ahead"), [(1, 1), (4, 4), (7, 7)])
def test_holds_no_more_than_it_may(most: int, ahead: int) -> None:
    taken = 0
    made = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number - taken)
            yield number

    for taken, _ in enumerate(mapped(doubled, items(), 2, weigh=one, most=most), 1):  # noqa: B007 - seen by items
        pass
    assert max(made) == ahead


def test_an_item_that_weighs_more_than_all_may_goes_alone() -> None:
    held: list[int] = []
    most_held = 0
    lock = threading.Lock()

    def hold(weight: int) -> int:
        nonlocal most_held
        with lock:
            held.append(weight)
            most_held = max(most_held, len(held) if 9 in held else 1)
        with lock:
            held.remove(weight)
        return weight

    weights = [1, 9, 1, 9, 9, 2, 2]
    assert list(mapped(hold, weights, 2, weigh=int, most=4)) == weights
    assert most_held == 1


def test_raises_what_the_function_raises_in_the_place_of_its_result() -> None:
    before = threading.active_count()

    def no_threes(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    items = mapped(no_threes, count(), 2, weigh=one, most=4)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(items)
    assert threading.active_count() == before


def test_raises_what_the_items_raise() -> None:
    before = threading.active_count()

    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        list(every(items()))
    assert threading.active_count() == before


def test_closing_early_ends_the_threads() -> None:
    before = threading.active_count()
    items = every(takewhile(lambda number: number < 20, count()))
    assert next(items) == 0
    items.close()
    assert threading.active_count() == before
