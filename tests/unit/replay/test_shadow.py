"""What a swap does to tables that expire, wherever it ends, what it leaves said, and what is merged after it."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline.errors import IntegrityError
from tideline.replay import shadow as shadows
from tideline.replay.compare import Comparison
from tideline.replay.shadow import Shadow
from tideline.replay.work import Item, Outcome
from tideline.warehouse.names import TableName, beside

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEEK = NOW + timedelta(days=7)
LIVE = TableName("p", "raw_test", "things")
SHADOW, BEFORE = (beside(LIVE, kind, NOW) for kind in ("shadow", "before"))
DATASET = SimpleNamespace(source="test", name="things")


class Killed(BaseException):
    pass


@pytest.fixture
def warehouse(monkeypatch):
    """A warehouse whose copies have the expiry of what they are copied from, and which may be killed after one."""
    expires, said = {LIVE: None, SHADOW: NOW + timedelta(days=1)}, {}
    made = SimpleNamespace(settings=None, expires=expires, said=said, killed_after=None)
    made.tables = SimpleNamespace(
        names_beside=lambda _: [name.table for name in (*expires, beside(LIVE, "other", NOW))],
        get=lambda name: SimpleNamespace(description=said.get(name)),
    )

    def copy(source, target, *, key, replace):
        expires[target] = expires[source]
        if target == made.killed_after:
            raise Killed

    made.copy = copy
    monkeypatch.setattr(shadows, "set_expiry", lambda _, name, at: expires.update({name: at}))
    monkeypatch.setattr(shadows, "describe", lambda _, name, text: said.update({name: text}))
    monkeypatch.setattr(shadows, "leased", lambda *_: nullcontext())
    monkeypatch.setattr(shadows, "raw_table", lambda *_: LIVE)
    return made


def deployment(warehouse):
    catalog = SimpleNamespace(dataset=lambda _: DATASET)
    return SimpleNamespace(catalog=catalog, open_warehouse=lambda: warehouse)


def swap(warehouse):
    same = Comparison(1, 1, 0, 0, only_live=0, only_shadow=0, columns=(), reshaped=(), examples=())
    shadow = Shadow("test.things", SHADOW, NOW)
    return shadows.swap(deployment(warehouse), shadow, same, NOW, keep_days=7)


def test_the_live_table_stays_and_what_is_beside_it_expires(warehouse):
    assert swap(warehouse) == BEFORE
    assert warehouse.said == {BEFORE: shadows.SWAPPING}
    shadows.close(deployment(warehouse), Shadow("test.things", SHADOW, NOW), WEEK)
    assert warehouse.expires == {LIVE: None, SHADOW: WEEK, BEFORE: WEEK}
    assert warehouse.said == {BEFORE: None}


def test_a_swap_that_is_killed_halfway_leaves_a_live_table_that_stays(warehouse):
    warehouse.killed_after = LIVE
    with pytest.raises(Killed):
        swap(warehouse)
    assert warehouse.expires[LIVE] is None


def test_what_a_killed_swap_left_goes_with_the_next(warehouse):
    """It began an hour before, and nobody knows any more how long its shadow was to be kept."""
    earlier = NOW - timedelta(hours=1)
    shadow, before = (beside(LIVE, kind, earlier) for kind in ("shadow", "before"))
    warehouse.expires |= {shadow: None, before: WEEK}
    warehouse.said[before] = shadows.SWAPPING
    shadows.close(deployment(warehouse), Shadow("test.things", SHADOW, NOW), WEEK)
    assert warehouse.expires[shadow] == WEEK
    assert warehouse.said[before] is None


@pytest.fixture
def settle(monkeypatch):
    """Settles after a swap, with these landings missing: by name, and whether the ledger has them."""
    monkeypatch.setattr(shadows, "merge_all", lambda refined, *_: refined)
    monkeypatch.setattr(shadows, "record_live", lambda *_: None)

    def refine(_, items, *__):
        names = [item.landing.raw_manifest_uri for item in items]
        if "damaged" in names:
            raise IntegrityError("its SHA-256 is another", place="damaged")
        return Outcome(done=[{"raw_manifest_uri": name} for name in names])

    def run(**missing):
        items = [Item(SimpleNamespace(raw_manifest_uri=name), recorded) for name, recorded in missing.items()]
        monkeypatch.setattr(shadows, "_missing", lambda *_: items)
        return shadows.settle(None, Shadow("test.things", SHADOW, NOW), (), (), "run")

    monkeypatch.setattr(shadows, "refine_items", refine)
    return run


def test_a_damaged_landing_that_was_never_merged_holds_up_no_other(settle):
    """Those that the ledger has were merged into the old table: they would be lost."""
    found = settle(damaged=False, in_flight=True, new=False)
    assert {one["raw_manifest_uri"] for one in found.done} == {"in_flight", "new"}
    assert list(found.skipped) == ["damaged"]


def test_a_damaged_landing_that_was_merged_is_an_error(settle):
    with pytest.raises(IntegrityError, match="another"):
        settle(damaged=True, new=False)
