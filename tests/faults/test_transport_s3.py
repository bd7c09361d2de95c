"""The CSV bucket and the lake behind a network that breaks: all bytes arrive as they were, or it is told."""

from __future__ import annotations

import pytest
from proxy import (
    behead,
    cut,
    flip,
    flip_request,
    halve,
    lose,
    reset,
    say_nothing,
    stall,
    status,
    status_after,
)
from survival import check_crop, harvest, settle, survive, try_harvest
from through import ATTEMPTS, SHORT

from tideline.errors import (
    FatalError,
    IntegrityError,
    RetriableError,
    SettingsError,
    SourceRefusedError,
    SourceUnavailableError,
    StoreUnavailableError,
)

KIND = "s3_csv"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
NOT_YOURS = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
XML = {"Content-Type": "application/xml"}
LIST, GET = r"GET /fault-drops\?", r"GET /fault-drops/lane"

BREAKS = {
    "reset": reset,
    "reply lost": lose,
    "reset in the body": halve,
    "body truncated": cut,
    "head truncated": behead,
    "429": status(429, {"Retry-After": "3"}),
    "500": status(500, XML, b"<Error><Code>InternalError</Code></Error>"),
    "502": status(502, {}, b"<html>bad gateway</html>"),
    "503 SlowDown": status(503, XML, SLOW_DOWN),
    "504": status(504),
}
LASTING = ["reset", "body truncated", "503 SlowDown", "504"]


@pytest.fixture
def single(arena):
    """One object with eight rows."""
    made = arena.lane()
    made.change(KIND, *range(1, 9))
    return made


# --- the source --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [LIST, GET], ids=["list", "get"])
@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_source_that_breaks_once_is_asked_again(faults, proxies, single, fault, message):
    with proxies.before("s3", single) as line:
        line.proxy.fail(message, fault)
        survive(faults, line, single, KIND)
        assert len(line.naps.asked) == 1


@pytest.mark.parametrize("message", [LIST, GET], ids=["list", "get"])
@pytest.mark.parametrize("name", LASTING)
def test_a_source_that_stays_broken_is_given_up_within_bounds(faults, proxies, single, name, message):
    with proxies.before("s3", single) as line:
        line.proxy.fail(message, BREAKS[name], times=99)
        survive(faults, line, single, KIND, fails=SourceUnavailableError, met=ATTEMPTS)
        assert len(line.naps.asked) == ATTEMPTS - 1


@pytest.mark.parametrize("message", [LIST, GET], ids=["list", "get"])
@pytest.mark.parametrize("fault", [say_nothing, stall], ids=lambda fault: fault.__name__)
def test_a_source_that_stops_talking_is_asked_again(faults, proxies, single, fault, message):
    with proxies.before("s3", single, SHORT) as line:
        line.proxy.fail(message, fault)
        survive(faults, line, single, KIND)


@pytest.mark.parametrize("message", [LIST, GET], ids=["list", "get"])
def test_a_source_that_refuses_is_told_at_once(faults, proxies, single, message):
    with proxies.before("s3", single) as line:
        line.proxy.fail(message, status(403, XML, NOT_YOURS), times=99)
        survive(faults, line, single, KIND, fails=SourceRefusedError)
        assert line.naps.asked == []


@pytest.mark.parametrize("place", range(16))
def test_a_flipped_byte_of_an_object_is_noticed(faults, proxies, single, place):
    """The ETag is the content's MD5: what arrives is compared with it."""
    with proxies.before("s3", single) as line:
        line.proxy.fail(GET, flip(place / 16))
        survive(faults, line, single, KIND)
        assert len(line.naps.asked) == 1


@pytest.mark.parametrize("place", range(12))
def test_a_flipped_byte_of_a_listing_costs_a_run_at_most(faults, proxies, single, place):
    """A listing has no checksum: it may hide an object for one run, and never make it another."""
    with proxies.before("s3", single) as line:
        line.proxy.fail(LIST, flip(place / 12))
        crop, error = try_harvest(line, single.request(KIND))
        assert len(line.proxy.failed) == 1
        assert error is None or isinstance(error, RetriableError), repr(error)
        if crop is not None and crop.rows:
            check_crop(faults, crop, single.truth(KIND))
        line.proxy.heal()
        check_crop(faults, harvest(line.deployment, single.request(KIND)), single.truth(KIND))
        faults.tried()


# --- the lake ----------------------------------------------------------------------------------------------

RAW, PROCESSED = "/fault-raw/.*", "/fault-processed/.*"
CALLS = {
    "put raw part": f"PUT {RAW}part-",
    "put raw manifest": f"PUT {RAW}_manifest",
    "ask for raw manifest": f"HEAD {RAW}_manifest",
    "get raw manifest": f"GET {RAW}_manifest",
    "ask for raw part": f"HEAD {RAW}part-",
    "get raw part": f"GET {RAW}part-",
    "put processed part": f"PUT {PROCESSED}part-",
    "put processed manifest": f"PUT {PROCESSED}_manifest",
}
WITHOUT_BODY = {"ask for raw manifest", "ask for raw part"}
LAKE_BREAKS = {
    **{
        name: BREAKS[name]
        for name in ("reset", "reply lost", "reset in the body", "body truncated", "head truncated")
    },
    "503 SlowDown": BREAKS["503 SlowDown"],
    "500 after the work": status_after(500, XML, b"<Error><Code>InternalError</Code></Error>"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", LAKE_BREAKS)
def test_a_lake_that_breaks_once_is_asked_again(faults, proxies, single, name, call):
    """Where the work was done and the reply was lost, the object is there already: with our bytes, so it is ours."""
    if call in WITHOUT_BODY and name in ("reset in the body", "body truncated"):
        pytest.skip("this reply has no body")
    with proxies.before("s3", single) as line:
        line.proxy.fail(CALLS[call], LAKE_BREAKS[name])
        survive(faults, line, single, KIND)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["reset", "503 SlowDown", "500 after the work"])
def test_a_lake_that_stays_broken_is_given_up_within_bounds(faults, proxies, single, name, call):
    with proxies.before("s3", single) as line:
        line.proxy.fail(CALLS[call], LAKE_BREAKS[name], times=99)
        survive(faults, line, single, KIND, fails=StoreUnavailableError, met=ATTEMPTS)
        assert len(line.naps.asked) == ATTEMPTS - 1


@pytest.mark.parametrize("call", ["put raw part", "get raw part", "put processed manifest"])
@pytest.mark.parametrize("fault", [say_nothing, stall], ids=lambda fault: fault.__name__)
def test_a_lake_that_stops_talking_is_asked_again(faults, proxies, single, fault, call):
    with proxies.before("s3", single, SHORT) as line:
        line.proxy.fail(CALLS[call], fault)
        survive(faults, line, single, KIND, met=None)


@pytest.mark.parametrize("call", ["put raw part", "get raw part", "put processed part"])
def test_a_lake_that_refuses_is_told_at_once(faults, proxies, single, call):
    with proxies.before("s3", single) as line:
        line.proxy.fail(CALLS[call], status(403, XML, NOT_YOURS), times=99)
        survive(faults, line, single, KIND, fails=SettingsError, met=None)
        assert line.naps.asked == []


@pytest.mark.parametrize("call", ["get raw part", "get raw manifest"])
@pytest.mark.parametrize("place", range(8))
def test_a_flipped_byte_on_the_way_back_is_noticed(faults, proxies, single, place, call):
    with proxies.before("s3", single) as line:
        line.proxy.fail(CALLS[call], flip(place / 8))
        survive(faults, line, single, KIND, may_fail=(IntegrityError,))


@pytest.mark.parametrize("call", ["put raw part", "put processed part", "put raw manifest"])
@pytest.mark.parametrize("place", range(5))
def test_a_flipped_byte_on_the_way_in_is_noticed(faults, proxies, single, place, call):
    """By the server, which is told the checksum beforehand; else by whoever reads it."""
    with proxies.before("s3", single) as line:
        line.proxy.fail(CALLS[call], flip_request(place / 5))
        crop, error = try_harvest(line, single.request(KIND))
        assert len(line.proxy.failed) == 1
        assert crop is None
        assert isinstance(error, FatalError), repr(error)
        line.proxy.heal()
        check_crop(faults, harvest(line.deployment, single.request(KIND)), single.truth(KIND))
        faults.tried()


@pytest.mark.parametrize(
    "fault", [reset, lose, status(503, XML, SLOW_DOWN)], ids=["reset", "reply lost", "503"]
)
def test_a_whole_run_in_which_every_request_fails_once(faults, proxies, single, fault):
    with proxies.before("s3", single) as line:
        settle(faults, line, single, KIND, fault)


def test_a_lake_whose_door_is_closed_is_told(faults, proxies, single):
    with proxies.before("s3", single) as line:
        line.proxy.close_door()
        survive(faults, line, single, KIND, fails=SourceUnavailableError, met=0)
        line.naps.asked.clear()


def test_a_lake_whose_door_opens_while_we_wait_is_found(faults, proxies, single):
    with proxies.before("s3", single) as line:
        line.proxy.close_door()
        line.naps.after = (4, line.proxy.open_door)
        survive(faults, line, single, KIND, met=0)
        assert len(line.naps.asked) == 4
