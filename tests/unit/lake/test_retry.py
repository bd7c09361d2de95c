"""Patience is bounded in number and in time, and pauses never eat the time of the attempt after them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.errors import ContractError, StoreUnavailableError
from tideline.lake.retry import Patience


class Clock:
    """A clock that only sleeping, and what an attempt takes, moves on."""

    def __init__(self):
        self.now = 100.0
        self.naps = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += seconds


def patience(clock, **rule):
    return Patience(sleep=clock.sleep, clock=clock, chance=lambda: 0.0, **rule)


def failing(times, result="done"):
    """An operation that fails so many times."""
    left = [times]

    def operation():
        if left[0] > 0:
            left[0] -= 1
            raise StoreUnavailableError(f"{left[0]} to go")
        return result

    return operation


def test_pauses_double_up_to_the_longest():
    clock = Clock()

    assert patience(clock, attempts=7, longest_pause_seconds=2.0).call(failing(6)) == "done"

    assert clock.naps == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_chance_takes_off_up_to_half():
    clock = Clock()
    rule = Patience(sleep=clock.sleep, clock=clock, chance=lambda: 1.0)

    rule.call(failing(2))

    assert clock.naps == [0.125, 0.25]


def test_the_last_error_comes_out_when_attempts_are_used_up():
    with pytest.raises(StoreUnavailableError, match="7 to go"):
        patience(Clock(), attempts=3).call(failing(10))


def test_an_error_that_repeating_does_not_help_is_raised_at_once():
    clock = Clock()

    def operation():
        raise ContractError("no")

    with pytest.raises(ContractError):
        patience(clock).call(operation)
    assert clock.naps == []


def test_no_attempt_begins_after_the_deadline():
    clock = Clock()

    def slow():
        clock.now += 6
        raise StoreUnavailableError("slow")

    with pytest.raises(StoreUnavailableError):
        patience(clock, attempts=99, deadline_seconds=10).call(slow)
    assert len(clock.naps) == 1


@settings(deadline=None)
@given(
    attempts=st.integers(1, 8),
    deadline=st.floats(0.1, 1000),
    asked=st.floats(0, 1e12),
)
def test_whatever_a_server_asks_for_attempts_and_pauses_stay_bounded(attempts, deadline, asked):
    clock = Clock()
    budget = patience(clock, attempts=attempts, deadline_seconds=deadline).begin()

    def pause_for_ever():
        while True:
            budget.pause(StoreUnavailableError("x"), at_least=asked)

    with pytest.raises(StoreUnavailableError):
        pause_for_ever()
    assert len(clock.naps) == attempts - 1
    assert sum(clock.naps) <= deadline
    assert budget.seconds_left >= 0


def test_a_wait_that_a_server_asks_for_is_kept():
    clock = Clock()

    patience(clock).begin().pause(StoreUnavailableError("x"), at_least=42.0)

    assert clock.naps == [42.0]


def test_another_deadline_keeps_the_rest_of_the_rule():
    rule = patience(Clock(), attempts=2).within(5.0)

    assert (rule.attempts, rule.deadline_seconds) == (2, 5.0)
