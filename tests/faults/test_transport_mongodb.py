"""MongoDB behind a network that breaks: a scan ends whole or not at all, and a message's damage is never a crash."""

from __future__ import annotations

import pytest
from proxy import cut, flip, halve, lose, reset, say_nothing, stall
from survival import check_crop, harvest, settle, survive, try_harvest
from through import SHORT

from tideline.errors import FatalError, RetriableError, SourceUnavailableError
from tideline.land import mongodb

KIND = "mongodb"
MESSAGES = {"listCollections": "^listCollections", "find": "^find things", "getMore": "^getMore things"}
BREAKS = {"reset": reset, "reply lost": lose, "reset in the reply": halve, "reply truncated": cut}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(mongodb, "BATCH_DOCUMENTS", 3)


@pytest.fixture
def lane(arena):
    made = arena.lane()
    made.change(KIND, *range(1, 9))
    made.change(KIND, 9, bad=True)
    return made


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_scan_that_breaks_once_is_whole_or_told(faults, proxies, lane, fault, message):
    """The driver asks once more for what only reads; a cursor that is gone ends the task, which retries."""
    with proxies.before("mongo", lane) as line:
        line.proxy.fail(MESSAGES[message], fault)
        error = survive(faults, line, lane, KIND, may_fail=(SourceUnavailableError,))
        assert (error is not None) == (message == "getMore")


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_server_that_stays_broken_is_told(faults, proxies, lane, fault, message):
    with proxies.before("mongo", lane) as line:
        line.proxy.fail(MESSAGES[message], fault, times=99)
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=None)
        assert len(line.proxy.names) < 40


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("fault", [say_nothing, stall], ids=lambda fault: fault.__name__)
def test_a_server_that_stops_talking_is_told(faults, proxies, lane, fault, message):
    with proxies.before("mongo", lane, SHORT) as line:
        line.proxy.fail(MESSAGES[message], fault, times=99)
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=None)


def test_a_closed_door_is_told(faults, proxies, lane):
    with proxies.before("mongo", lane, SHORT) as line:
        line.proxy.close_door()
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=0)


@pytest.mark.parametrize("message", ["find", "getMore"])
@pytest.mark.parametrize("place", range(16))
def test_a_flipped_byte_is_told_or_lands_as_it_came(faults, proxies, lane, place, message):
    """The protocol has no checksum (TLS has): inside a value one flipped bit is a value like any other.

    What is promised: no crash, counts agree, nothing but the documents of that reply differs, and reading the
    window again puts it right (`docs/guarantees.md`).
    """
    with proxies.before("mongo", lane) as line:
        line.proxy.fail(MESSAGES[message], flip(place / 16))
        crop, error = try_harvest(line, lane.request(KIND))
        assert line.proxy.failed
        assert error is None or isinstance(error, (RetriableError, FatalError))
        if crop is not None:
            truth = lane.truth(KIND).rows
            right = [
                r for r in crop.rows if all(r[k] == v for k, v in truth.get(r["id"], {"id": None}).items())
            ]
            assert len(right) >= len(truth) - 3
        line.proxy.heal()
        check_crop(faults, harvest(line.deployment, lane.request(KIND)), lane.truth(KIND))
        faults.tried()


def test_a_whole_run_in_which_what_is_only_read_fails_once(faults, proxies, lane):
    with proxies.before("mongo", lane) as line:
        settle(faults, line, lane, KIND, reset, "^(listCollections|find)")
