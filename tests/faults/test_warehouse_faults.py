"""BigQuery behind a network that breaks, and with every reason that it documents: retried or told, merged once."""

from __future__ import annotations

import json

import pytest
from invariants import check_settled, check_unmoved, check_unsettled, look
from proxy import behead, cut, lose, reset, status
from survival import attempt, settle

from tideline.errors import IntegrityError, WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.reasons import REASONS

KIND = "mongodb"
JSON = {"Content-Type": "application/json"}
TRIES = 6
QUERY, UPLOAD = r"POST /bigquery/v2/projects/local/jobs", r"POST /upload/bigquery"
CALLS = {
    "query": QUERY,
    "look at a job": r"GET /bigquery/v2/projects/local/(jobs|queries)/",
    "look at a table": r"GET /bigquery/v2/projects/local/datasets/.*/tables/",
    "make a table": r"POST /bigquery/v2/projects/local/datasets/.*/tables",
    "upload": UPLOAD,
    "finish upload": r"PUT /upload/bigquery",
}


def answer(code, reason, message="said the server"):
    details = [{"reason": reason, "message": message, "domain": "global"}]
    body = json.dumps({"error": {"code": code, "message": message, "errors": details}})
    return status(code, JSON, body.encode())


BREAKS = {
    "reset": reset,
    "reply lost": lose,
    "body truncated": cut,
    "head truncated": behead,
    "403 rateLimitExceeded": answer(403, "rateLimitExceeded"),
    "429": status(429, {"Retry-After": "3"}),
    "500 backendError": answer(500, "backendError"),
    "503": answer(503, "backendError"),
    "504": status(504),
}


@pytest.fixture(scope="module")
def settled(arena):
    """One lane for all: its tables are made once, and every case is an hour of it."""
    return arena.lane(), iter(range(1, 10_000))


def hour_of(settled):
    lane, hours = settled
    hour = next(hours)
    lane.change(KIND, 1 + hour % 5, 10 + hour, hour=hour)
    return lane, hour


def go(faults, line, lane, hour, before):
    """Heal, run again, check that all is there once."""
    line.proxy.heal()
    assert attempt(line, lane.request(KIND, hour)) is None
    after = look(line.deployment, lane.dataset_id(KIND))
    check_settled(faults, before, after, lane.truth(KIND))
    faults.tried()


@pytest.mark.parametrize("call", ["query", "look at a job", "look at a table", "upload"])
@pytest.mark.parametrize("name", BREAKS)
def test_a_warehouse_that_breaks_once_is_asked_again(faults, proxies, settled, name, call):
    """Where the work was done and the reply was lost, the job exists already: under the id that we gave it."""
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        line.proxy.fail(CALLS[call], BREAKS[name])
        error = attempt(line, lane.request(KIND, hour))
        assert len(line.proxy.failed) == 1
        assert error is None, error
        line.proxy.heal()
        after = look(line.deployment, lane.dataset_id(KIND))
        check_settled(faults, after, after, lane.truth(KIND))
        faults.tried()


@pytest.mark.parametrize("call", ["query", "look at a table", "upload"])
@pytest.mark.parametrize("name", ["reset", "403 rateLimitExceeded", "503", "429"])
def test_a_warehouse_that_stays_broken_is_given_up_within_bounds(faults, proxies, settled, name, call):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        before = look(line.deployment, lane.dataset_id(KIND))
        line.proxy.fail(CALLS[call], BREAKS[name], times=999)
        error = attempt(line, lane.request(KIND, hour))
        assert isinstance(error, WarehouseUnavailableError), repr(error)
        assert len(line.proxy.failed) == TRIES
        assert line.naps.total <= lane.deadline_seconds * 2
        line.proxy.heal()
        check_unsettled(faults, before, look(line.deployment, lane.dataset_id(KIND)), lane.truth(KIND))
        go(faults, line, lane, hour, before)


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_of_an_answer_is_retried_or_told(faults, proxies, settled, reason):
    """A reason that stops is sent once, and says what a person does."""
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        warehouse = line.deployment.open_warehouse()
        line.proxy.fail(QUERY, answer(400, reason))
        key = f"{reason} {hour}"
        if REASONS[reason].retry:
            assert warehouse.run("SELECT 1 AS n", kind="test", key=key).state == "DONE"
            assert len(line.naps.asked) == 1
        else:
            with pytest.raises(WarehouseRefusedError, match=reason) as raised:
                warehouse.run("SELECT 1 AS n", kind="test", key=key)
            assert raised.value.remedy == REASONS[reason].remedy
            assert line.naps.asked == []
        assert len(line.proxy.failed) == 1
        faults.tried()


@pytest.mark.parametrize("reason", ["quotaExceeded", "accessDenied", "backendError", "unheardOf"])
def test_a_refused_load_is_told_and_done_once_the_reason_is_gone(faults, proxies, settled, reason):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        before = look(line.deployment, lane.dataset_id(KIND))
        line.proxy.fail(UPLOAD, answer(400, reason))
        error = attempt(line, lane.request(KIND, hour))
        assert len(line.proxy.failed) == 1
        assert error is None if reason == "backendError" else isinstance(error, WarehouseRefusedError), repr(
            error
        )
        line.proxy.heal()
        check_unsettled(faults, before, look(line.deployment, lane.dataset_id(KIND)), lane.truth(KIND))
        go(faults, line, lane, hour, before)


def failed_job(reason):
    """The server does the work and says that the job failed."""

    def fault(exchange):
        reply = exchange.done()
        head, body = reply.head, json.loads(_plain(reply))
        body["status"] = {"state": "DONE", "errorResult": {"reason": reason, "message": "half way"}}
        text = json.dumps(body).encode()
        lines = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nContent-Type: application/json\r\n\r\n"]
        assert head
        exchange.client.send("".join(lines).encode() + text)

    return fault


def _plain(reply):
    import gzip

    body = reply.body
    if b"chunked" in reply.head.lower():
        pieces, rest = [], body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            pieces.append(rest[:length])
            rest = rest[length + 2 :]
        body = b"".join(pieces)
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


@pytest.mark.parametrize(
    "reason", ["backendError", "rateLimitExceeded", "internalError", "quotaExceeded", "invalid"]
)
@pytest.mark.parametrize("call", ["query", "finish upload"])
def test_a_job_that_fails_half_way_is_done_again_or_told(faults, proxies, settled, call, reason):
    """It did its work or some of it: rows are counted before they are believed, so nothing comes twice."""
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        before = look(line.deployment, lane.dataset_id(KIND))
        line.proxy.fail(
            CALLS[call] + ("$|" + CALLS[call] + r"\?" if call == "query" else ""), failed_job(reason)
        )
        error = attempt(line, lane.request(KIND, hour))
        assert len(line.proxy.failed) == 1
        assert (error is None) == REASONS[reason].retry, repr(error)
        line.proxy.heal()
        check_unsettled(faults, before, look(line.deployment, lane.dataset_id(KIND)), lane.truth(KIND))
        go(faults, line, lane, hour, before)


def test_the_same_job_again_is_found_and_not_repeated(faults, proxies, settled):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        warehouse = line.deployment.open_warehouse()
        first = warehouse.run("SELECT 1 AS n", kind="test", key=f"same {hour}")
        again = warehouse.run("SELECT 1 AS n", kind="test", key=f"same {hour}")
        assert first.job_id == again.job_id
        faults.tried()


def test_the_same_job_with_other_sql_is_an_error(faults, proxies, settled):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        warehouse = line.deployment.open_warehouse()
        warehouse.run("SELECT 1 AS n", kind="test", key=f"other {hour}")
        with pytest.raises(IntegrityError, match="does something else"):
            warehouse.run("SELECT 2 AS n", kind="test", key=f"other {hour}")
        faults.tried()


def test_a_conflict_whose_job_is_ours_is_waited_for(faults, proxies, settled):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        warehouse = line.deployment.open_warehouse()
        line.proxy.fail(QUERY + "$|" + QUERY + r"\?", lose)
        assert warehouse.run("SELECT 1 AS n", kind="test", key=f"lost {hour}").state == "DONE"
        assert line.proxy.count(r"GET /bigquery/v2/projects/local/jobs/") == 1
        faults.tried()


def test_a_closed_door_is_told(faults, proxies, settled):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        before = look(line.deployment, lane.dataset_id(KIND))
        line.proxy.close_door()
        assert isinstance(attempt(line, lane.request(KIND, hour)), WarehouseUnavailableError)
        assert len(line.naps.asked) == TRIES - 1
        go(faults, line, lane, hour, before)


@pytest.mark.parametrize("fault", [reset, lose], ids=["reset", "reply lost"])
def test_a_whole_first_run_in_which_every_request_fails_once(faults, proxies, arena, fault):
    lane = arena.lane()
    lane.change(KIND, *range(1, 5))
    with proxies.before("bigquery", lane) as line:
        settle(faults, line, lane, KIND, fault, "^(?!.*upload_id)")  # each upload anew has a name of its own


def test_running_the_last_window_again_changes_nothing(faults, proxies, settled):
    lane, hour = hour_of(settled)
    with proxies.before("bigquery", lane) as line:
        assert attempt(line, lane.request(KIND, hour)) is None
        before = look(line.deployment, lane.dataset_id(KIND))
        assert attempt(line, lane.request(KIND, hour)) is None
        check_unmoved(faults, before, look(line.deployment, lane.dataset_id(KIND)))
