from __future__ import annotations

import pytest
import requests

from tideline.errors import WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.patience import Patience


class Clock:
    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def patience(self, deadline=100.0, dice=1.0):
        return Patience(deadline, sleep=self.sleep, clock=lambda: self.now, dice=lambda: dice)


def test_first_success_is_returned():
    clock = Clock()
    assert clock.patience().call("here", lambda seconds: seconds) == 100.0
    assert clock.pauses == []


def test_tries_are_bounded_and_pauses_grow():
    clock, seen = Clock(), []

    def request(seconds):
        seen.append(seconds)
        raise requests.ConnectionError("refused")

    with pytest.raises(WarehouseUnavailableError, match="refused") as caught:
        clock.patience().call("table t", request)
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(seen) == 6
    assert seen == sorted(seen, reverse=True)
    assert caught.value.place == "table t"
    assert isinstance(caught.value.__cause__, requests.ConnectionError)


def test_time_is_bounded():
    clock = Clock()

    def request(seconds):
        clock.now += 60
        raise requests.Timeout("slow")

    with pytest.raises(WarehouseUnavailableError):
        clock.patience().call("t", request)
    assert clock.now < 130


def test_jitter_halves_a_pause_at_most():
    clock = Clock()
    clock.patience(dice=0.0).pause(1, "why")
    assert clock.pauses == [0.25]


def test_pauses_do_not_grow_for_ever():
    clock = Clock()
    clock.patience().pause(50, "why")
    assert clock.pauses == [30.0]


def test_what_does_not_pass_is_not_repeated():
    clock, seen = Clock(), []

    def request(seconds):
        seen.append(seconds)
        from google.api_core.exceptions import Forbidden

        raise Forbidden("no", errors=[{"reason": "accessDenied"}])

    with pytest.raises(WarehouseRefusedError):
        clock.patience().call("t", request)
    assert len(seen) == 1


def test_long_deadline_does_not_make_one_request_long():
    assert Clock().patience(deadline=86400.0).call("t", lambda seconds: seconds) == 300.0


def test_bug_is_not_translated():
    with pytest.raises(ZeroDivisionError):
        Clock().patience().call("t", lambda seconds: 1 / 0)
