from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions

from tideline.errors import IntegrityError, TidelineError, WarehouseUnavailableError
from tideline.warehouse import names
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.leases import LAYOUT, Lease, leased
from tideline.warehouse.names import TableName

TABLE = TableName("local", "raw_shop", "orders")


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    """One whose waiting takes no time: each pause moves its clock."""
    slept: list[float] = []
    found = Warehouse(
        bigquery_client, own_settings(lease_seconds=60.0), sleep=slept.append, clock=lambda: sum(slept)
    )
    found.slept = slept
    return found


def lease(warehouse):
    table = warehouse.tables.get(names.lease_table(TABLE, warehouse.settings))
    return None if table is None else Lease.parse(table.description)


def test_a_lease_is_held_inside_and_free_afterwards(warehouse):
    assert lease(warehouse) is None
    with leased(warehouse, TABLE, "load 1"):
        held = lease(warehouse)
        assert held.holder == "load 1"
        assert 55 < (held.until - datetime.now(UTC)).total_seconds() <= 60
    assert lease(warehouse) is None
    with leased(warehouse, TABLE, "load 2"):
        assert lease(warehouse).holder == "load 2"
    assert warehouse.slept == []


def write(warehouse, other):
    table = warehouse.tables.get(names.lease_table(TABLE, warehouse.settings))
    table.description = other.text
    assert warehouse.tables.update(table, ["description"])


def test_other_holders_are_waited_for_and_then_told_of(warehouse, monkeypatch):
    """One comes after another."""
    first = leased(warehouse, TABLE, "load 1")
    first.__enter__()

    def sleep(seconds):
        warehouse.slept.append(seconds)
        if 30 < sum(warehouse.slept) < 40:
            write(warehouse, Lease("load 3", datetime.now(UTC) + timedelta(seconds=60)))

    monkeypatch.setitem(warehouse.patience.__dict__, "sleep", sleep)
    with pytest.raises(WarehouseUnavailableError, match="load 3 writes the table"):
        leased(warehouse, TABLE, "load 2").__enter__()
    assert 60 < sum(warehouse.slept) < 70, "as long as a lease lasts, and no longer"


def test_a_killed_holder_whose_clock_was_ahead_is_waited_for_no_longer_than_another(warehouse):
    killed = leased(warehouse, TABLE, "killed")
    killed.__enter__()
    write(warehouse, Lease("killed", datetime.now(UTC) + timedelta(hours=5)))
    with leased(warehouse, TABLE, "load 2"):
        assert lease(warehouse).holder == "load 2"
    assert 60 <= sum(warehouse.slept) < 65


def test_whoever_waits_is_next(warehouse):
    inside = leased(warehouse, TABLE, "load 1")
    inside.__enter__()
    warehouse.patience.__dict__["sleep"] = lambda seconds: inside.__exit__(None, None, None)
    with leased(warehouse, TABLE, "load 2"):
        assert lease(warehouse).holder == "load 2"


def test_tables_have_leases_of_their_own(warehouse):
    others = [
        TableName("local", "raw_shop", "items"),
        TableName("local", "raw_shop__orders", "x"),
        TableName("local", "raw_shop", "orders__x"),
        TableName("local", "raw", "x" * 500 + "y"),
        TableName("local", "raw", "x" * 500 + "z"),
    ]
    with leased(warehouse, TABLE, "load 1"):
        for number, table in enumerate(others):
            with leased(warehouse, table, f"other {number}"):
                pass
    assert warehouse.slept == []
    assert len({names.lease_table(table, warehouse.settings) for table in others}) == len(others)


def test_the_retry_of_a_killed_holder_goes_on_at_once(warehouse):
    leased(warehouse, TABLE, "load 1").__enter__()
    with leased(warehouse, TABLE, "load 1"):
        assert lease(warehouse).holder == "load 1"
    assert warehouse.slept == []
    assert lease(warehouse) is None


def test_the_lease_of_a_killed_holder_runs_out(warehouse, own_settings):
    soon = Warehouse(
        warehouse.client, own_settings(dataset_prefix=warehouse.settings.dataset_prefix, lease_seconds=0.3)
    )
    killed = leased(soon, TABLE, "killed")
    killed.__enter__()
    with leased(soon, TABLE, "load 2"):
        assert lease(warehouse).holder == "load 2"
        killed.__exit__(None, None, None)  # it was only slow: the lease is not its own to let go any more
        assert lease(warehouse).holder == "load 2"


class TimeLimit(BaseException):
    """Like Airflow's, which is raised wherever a task is then."""


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (WarehouseUnavailableError("again"), True),
        (TimeLimit(), True),
        (IntegrityError("no"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_after_an_error_it_is_kept_only_for_a_retry(error, kept, warehouse):
    with pytest.raises(type(error)), leased(warehouse, TABLE, "load 1"):
        raise error
    assert (lease(warehouse) is not None) == kept


def test_a_lease_that_cannot_be_let_go_is_no_failure(warehouse, monkeypatch, caplog):
    def fails(table, properties):
        raise TidelineError("gone away")

    with leased(warehouse, TABLE, "load 1"):
        monkeypatch.setattr(
            type(warehouse.tables), "update", lambda self, table, properties: fails(table, properties)
        )
    assert "runs out by itself: gone away" in caplog.text


def test_of_two_that_see_it_free_one_gets_it(warehouse, monkeypatch):
    """Both read before either writes."""
    warehouse.tables.create(names.lease_table(TABLE, warehouse.settings), LAYOUT)
    together, update = threading.Barrier(2, timeout=20), warehouse.client.update_table
    first, inside, most = threading.local(), [], []

    def at_once(*given, **named):
        if not hasattr(first, "done"):
            first.done = True
            together.wait()
        return update(*given, **named)

    monkeypatch.setattr(warehouse.client, "update_table", at_once)
    warehouse.patience.__dict__["sleep"] = lambda seconds: threading.Event().wait(seconds / 20)

    def work(name):
        with leased(warehouse, TABLE, name):
            inside.append(name)
            most.append(len(inside))
            threading.Event().wait(0.1)
            inside.remove(name)

    workers = [threading.Thread(target=work, args=(f"load {n}",)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert most == [1, 1]


def test_a_lost_reply_is_no_lost_lease(warehouse, monkeypatch):
    update, calls = warehouse.client.update_table, []

    def loses(*given, **named):
        calls.append(update(*given, **named))
        if len(calls) == 1:
            raise exceptions.ServiceUnavailable("the reply is lost")
        return calls[-1]

    monkeypatch.setattr(warehouse.client, "update_table", loses)
    with leased(warehouse, TABLE, "load 1"):
        assert lease(warehouse).holder == "load 1"
    assert lease(warehouse) is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "a note",
        "[]",
        "{}",
        '{"holder": "x"}',
        '{"holder": "x", "until": "soon"}',
        '{"holder": 1, "until": 2}',
    ],
)
def test_a_description_that_is_no_lease_bars_nobody(text):
    assert Lease.parse(text) is None


def test_a_lease_bars_others_until_its_time():
    now = datetime(2026, 3, 1, tzinfo=UTC)
    held = Lease.parse(Lease("a", now).text)
    assert held == Lease("a", now)
    assert json.loads(held.text) == {"holder": "a", "until": "2026-03-01T00:00:00Z"}
    before = now - timedelta(microseconds=1)
    assert [held.bars(who, at) for who, at in [("b", before), ("b", now), ("a", before)]] == [
        True,
        False,
        False,
    ]
