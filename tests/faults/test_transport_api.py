"""The API behind a network that breaks: what passes is tried again, what does not is told, no page is lost."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from proxy import behead, cut, flip, flipped, halve, lose, reset, say_nothing, stall, status, trickle
from survival import check_crop, harvest, settle, survive, try_harvest
from through import ATTEMPTS, SHORT

from tideline.errors import FatalError, SourceRefusedError, SourceUnavailableError

PAGE = "page=2"
KIND = "rest_api"


def retry_after(value):
    return status(429, {"Retry-After": value})


def http_date(**away):
    return format_datetime(datetime.now(UTC) + timedelta(**away), usegmt=True)


ONCE = {
    "reset": reset,
    "reply lost": lose,
    "reset in the body": halve,
    "body truncated": cut,
    "head truncated": behead,
    "429 for 3 s": retry_after("3"),
    "429 until a date": retry_after(http_date(seconds=20)),
    "429 without a wait": status(429),
    "429 for ever": retry_after("99999999999999999999"),
    "429 until year 9999": retry_after("Fri, 31 Dec 9999 23:59:59 GMT"),
    "429 until yesterday": retry_after(http_date(days=-1)),
    "429 for less than nothing": retry_after("-5"),
    "429 for a word": retry_after("soon"),
    "408": status(408),
    "500": status(500, body=b"oops"),
    "502": status(502, {"Content-Type": "text/html"}, b"<html>bad gateway</html>"),
    "503 for 7 s": status(503, {"Retry-After": "7"}),
    "504": status(504),
    "HTML with 200": status(200, {"Content-Type": "text/html"}, b"<html>please log in</html>"),
    "empty with 200": status(200),
}


LASTING = [
    "reset",
    "body truncated",
    "429 for ever",
    "429 without a wait",
    "500",
    "503 for 7 s",
    "HTML with 200",
]


@pytest.fixture
def lane(arena):
    made = arena.lane()
    made.change(KIND, *range(1, 9))
    return made


@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_what_passes_is_tried_again(faults, proxies, lane, fault):
    with proxies.before("api", lane) as line:
        line.proxy.fail(PAGE, fault)
        survive(faults, line, lane, KIND)
        assert line.naps.asked


@pytest.mark.parametrize("name", LASTING)
def test_what_does_not_pass_is_given_up_within_bounds(faults, proxies, lane, name):
    with proxies.before("api", lane) as line:
        line.proxy.fail(PAGE, ONCE[name], times=99)
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=None)
        assert len(line.naps.asked) <= ATTEMPTS - 1


def test_a_closed_door_is_told(faults, proxies, lane):
    with proxies.before("api", lane) as line:
        line.proxy.close_door()
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=0)
        assert len(line.naps.asked) == ATTEMPTS - 1


def test_a_door_that_opens_while_we_wait_is_found(faults, proxies, lane):
    with proxies.before("api", lane) as line:
        line.proxy.close_door()
        line.naps.after = (3, line.proxy.open_door)
        survive(faults, line, lane, KIND, met=0)
        assert len(line.naps.asked) == 3


@pytest.mark.parametrize("fault", [say_nothing, stall], ids=lambda fault: fault.__name__)
def test_a_server_that_stops_talking_is_asked_again(faults, proxies, lane, fault):
    with proxies.before("api", lane, SHORT) as line:
        line.proxy.fail(PAGE, fault)
        survive(faults, line, lane, KIND, met=None)


@pytest.mark.parametrize("fault", [say_nothing, stall, trickle], ids=lambda fault: fault.__name__)
def test_a_server_that_never_finishes_is_given_up_at_the_deadline(faults, proxies, lane, fault):
    lane.deadline_seconds = 1.0
    with proxies.before("api", lane, SHORT) as line:
        line.proxy.fail(PAGE, fault, times=99)
        survive(faults, line, lane, KIND, fails=SourceUnavailableError, met=None)


@pytest.mark.parametrize(
    ("code", "location", "fails"),
    [
        (307, "?page=2&limit=3&again=1", None),
        (302, "{base}/{lane}/things?page=2&limit=3&again=1", None),
        (301, "http://127.0.0.1:1/elsewhere", SourceUnavailableError),
        (308, "gopher://127.0.0.1/", SourceRefusedError),
        (302, "http://[", SourceRefusedError),
        (303, None, SourceRefusedError),
    ],
    ids=["same path", "absolute", "to nobody", "other protocol", "no URL", "to nowhere"],
)
def test_redirects_lead_to_the_page_or_are_told(faults, proxies, lane, code, location, fails):
    with proxies.before("api", lane) as line:
        headers = {"Location": location.format(base=line.proxy.url, lane=lane.name)} if location else {}
        line.proxy.fail("page=2&limit=3$", status(code, headers), times=99 if fails else 1)
        survive(faults, line, lane, KIND, fails=fails, met=None)


def test_redirects_in_a_circle_end(faults, proxies, lane):
    with proxies.before("api", lane) as line:
        line.proxy.fail(PAGE, status(302, {"Location": "?page=2&limit=3"}), times=99)
        survive(faults, line, lane, KIND, fails=SourceRefusedError, met=4)
        assert line.naps.asked == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 418, 451, 501, 505])
def test_a_refusal_is_told_at_once(faults, proxies, lane, code):
    with proxies.before("api", lane) as line:
        line.proxy.fail("page=1", status(code), times=99)
        survive(faults, line, lane, KIND, fails=SourceRefusedError)
        assert line.naps.asked == []


@pytest.mark.parametrize("place", range(8))
def test_a_flipped_byte_is_noticed_where_the_server_sends_a_checksum(faults, proxies, lane, place):
    def fault(exchange):
        reply = exchange.done()
        digest = base64.b64encode(hashlib.sha256(reply.body).digest())
        head = reply.head[:-2] + b"Content-Digest: sha-256=:" + digest + b":\r\n\r\n"
        exchange.client.send(head + flipped(reply.body, place / 8))

    with proxies.before("api", lane) as line:
        line.proxy.fail(PAGE, fault)
        survive(faults, line, lane, KIND)
        assert len(line.naps.asked) == 1


@pytest.mark.parametrize("place", range(16))
def test_a_flipped_byte_is_told_or_lands_as_it_came(faults, proxies, lane, place):
    """HTTP has no checksum of its own: inside a value one flipped bit is a value like any other.

    What is promised: what is landed is what came, with its own checksum, and counts agree; nothing but the one
    row differs; the next time that the page changes it is right again (`docs/guarantees.md`).
    """
    with proxies.before("api", lane) as line:
        line.proxy.fail(PAGE, flip(place / 16))
        crop, error = try_harvest(line, lane.request(KIND))
        assert len(line.proxy.failed) == 1
        assert error is None or isinstance(error, FatalError)
        if crop is not None:
            right = [row for row in crop.rows if _is_right(row, lane.truth(KIND).rows)]
            assert len(right) >= 7
            assert len(crop.rows) + crop.refused == 8
        line.proxy.heal()
        lane.change(KIND, 1, hour=1)
        check_crop(faults, harvest(line.deployment, lane.request(KIND, hour=1)), lane.truth(KIND))
        faults.tried()


def _is_right(row, truth):
    return all(row[name] == value for name, value in truth.get(row["id"], {"id": None}).items())


@pytest.mark.parametrize("fault", [reset, cut, status(503)], ids=["reset", "truncated", "503"])
def test_a_whole_run_in_which_every_request_fails_once(faults, proxies, lane, fault):
    with proxies.before("api", lane) as line:
        settle(faults, line, lane, KIND, fault)
