"""A read at "majority" waits for what most members have, and does not take the past for the present."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import bson
import pytest
from bson import Timestamp
from pymongo import ReadPreference
from pymongo import errors as mongo

from tideline.catalog.model import MongoDataset
from tideline.errors import SourceUnavailableError
from tideline.land import mongodb
from tideline.land.mongo_majority import check_majority

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW = END + timedelta(minutes=5)
THINGS = MongoDataset.model_validate(
    {
        "name": "things", "source": "shop", "database": "shop", "collection": "things", "key": ["id"],
        "columns": [{"name": "id", "field": "_id", "type": "string"}],
    }
)  # fmt: skip


def member(written, majority, *, primary=True, clock=NOW):
    """What a member says that is so many seconds past the window's end, and knows most to be."""

    def at(seconds):
        return END + timedelta(seconds=seconds)

    def op(seconds):
        return {"ts": Timestamp(at(seconds), 1), "t": 3}

    return {
        "isWritablePrimary": primary,
        "localTime": clock.replace(tzinfo=None),  # a client that knows no time zones
        "lastWrite": {
            "opTime": op(written), "lastWriteDate": at(written).replace(tzinfo=None),
            "majorityOpTime": op(majority), "majorityWriteDate": at(majority).replace(tzinfo=None),
        },
    }  # fmt: skip


def checking(*replies, primary=None, until=END, wait_seconds=2.0):
    """The naps taken until it was content; `replies` come one after another, the last again and again."""
    asked, naps = [], []

    def command(name, read_preference):
        assert name == "hello"
        if read_preference == ReadPreference.PRIMARY and primary is not None:
            return primary
        asked.append(name)
        reply = replies[min(len(asked), len(replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    preference = ReadPreference.PRIMARY if primary is None else ReadPreference.SECONDARY
    client = SimpleNamespace(admin=SimpleNamespace(command=command), read_preference=preference)
    check_majority(client, THINGS, until, wait_seconds=wait_seconds, sleep=naps.append)
    return naps


@pytest.mark.parametrize(
    "hello",
    [
        member(300, 299), member(3, 0), member(-3600, -3600), {"isWritablePrimary": True, "msg": "isdbgrid"}, {},
        {"lastWrite": {"opTime": Timestamp(1, 1)}}, mongo.OperationFailure("no such command", 59),
    ],
    ids=["beyond", "at the end", "all of it, long ago", "mongos", "standalone", "protocol 0", "unknown command"],
)  # fmt: skip
def test_what_is_as_far_as_it_must_is_read_at_once(hello):
    assert checking(hello) == []


def test_a_majority_that_comes_is_waited_for():
    assert checking(member(9, -5), member(9, -1), member(9, 0)) == [0.5, 0.5]


def test_a_window_that_is_not_over_by_the_servers_clock_asks_for_what_was_written_by_now():
    clock = END - timedelta(minutes=3)
    assert checking(member(-179, -180, clock=clock)) == []
    assert checking(member(-179, -181, clock=clock), member(-170, -171, clock=clock)) == [0.5]


@pytest.mark.parametrize("behind", [-1, -7200])
def test_a_majority_that_does_not_come_is_no_read(behind):
    """The primary takes writes while its secondary is down: those of the window are on it alone."""
    with pytest.raises(
        SourceUnavailableError, match="most members of the replica set have no more"
    ) as raised:
        checking(member(300, behind))
    assert raised.value.place == "shop.things"
    assert "rs.status()" in raised.value.remedy


def test_a_secondary_is_held_against_the_primary():
    ahead = member(300, 299)
    assert checking(member(-5, -5, primary=False), primary=member(-5, -5)) == []
    assert checking(member(-5, -5, primary=False), member(301, 299, primary=False), primary=ahead) == [0.5]
    with pytest.raises(SourceUnavailableError):
        checking(member(-5, -5, primary=False), primary=ahead)


def test_a_landing_that_would_see_the_past_commits_nothing(
    wire, wire_client, store, request_for, monkeypatch, assert_nothing_committed
):
    monkeypatch.setattr(mongodb, "check_majority", partial(check_majority, wait_seconds=0))
    wire.steps = [[bson.encode({"_id": "a"})]]
    wire.replication = member(300, -60)

    with pytest.raises(SourceUnavailableError, match="11:59:00Z"):
        mongodb.land(request_for(THINGS), wire_client, store)

    assert_nothing_committed()
    wire.replication = member(300, 290)
    assert mongodb.land(request_for(THINGS), wire_client, store)[0].records == 1
