"""The invariants see what they are there to see: each kind of damage, on made-up sights."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from invariants import Sight, Truth, check_settled, check_unmoved, check_unsettled
from tally import Tally

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def row(key: int, stamp: int = 0, read: int = 5, **fields: Any) -> dict[str, Any]:
    return {
        "id": key, "note": f"at {stamp}", "updated_at": T0 + timedelta(hours=stamp),
        "_extracted_at": T0 + timedelta(hours=read), "_raw_uri": "a", "_raw_position": 0, "_deleted_at": None,
        **fields,
    }  # fmt: skip


def load(end: int, start: int | None = None, **fields: Any) -> dict[str, Any]:
    counts = dict.fromkeys(
        ("inserted", "updated", "unchanged", "revived", "stale", "duplicates", "quarantined"), 0
    )
    return {
        "load_id": f"load {end}", "mode": "scheduled", "window_end": T0 + timedelta(hours=end),
        "window_start": None if start is None else T0 + timedelta(hours=start),
        "landed": 0, "refined": 0, **counts, **fields,
    }  # fmt: skip


def sight(*rows: dict[str, Any], **fields: Any) -> Sight:
    given: dict[str, Any] = {
        "dataset_id": "a.b", "rows": rows, "key": ("id",), "change_column": "updated_at",
        "objects": {"s3://raw/x": "1"}, "loads": (load(1),), "broken": (), "quarantined": 0, "evidence": 0,
    }  # fmt: skip
    return Sight(**{**given, **fields})


def truth(*rows: dict[str, Any], injected: int = 0) -> Truth:
    known = {each["id"]: {name: each[name] for name in ("id", "note", "updated_at")} for each in rows}
    return Truth(known, {key: each["updated_at"] for key, each in known.items()}, injected)


GOOD = sight(row(1), row(2))
SAYS = truth(row(1), row(2))


def test_nothing_is_said_of_a_good_table():
    tally = Tally()
    check_unsettled(tally, GOOD, GOOD, SAYS)
    check_settled(tally, GOOD, GOOD, SAYS)
    check_unmoved(tally, GOOD, GOOD)
    assert tally.line() == "faults tried=0 lost=0 duplicated=0 regressed=0 quarantined=0/0"


@pytest.mark.parametrize(
    ("after", "counted"),
    [
        (sight(row(1)), "lost=1"),
        (sight(row(1), row(2, _deleted_at=T0)), "lost=1"),
        (sight(row(1), row(2), row(2)), "duplicated=1"),
        (sight(row(1), row(2, stamp=-1)), "regressed=1"),
        (sight(row(1), row(2, read=4)), "regressed=1"),
    ],
    ids=["gone", "tombstone", "double", "older-stamp", "older-read"],
)
@pytest.mark.parametrize("check", [check_unsettled, check_settled])
def test_wrong_rows_are_counted(check, after, counted):
    tally = Tally()
    with pytest.raises(AssertionError):
        check(tally, GOOD, after, SAYS)
    assert counted in tally.line()


@pytest.mark.parametrize(
    ("after", "complaint"),
    [
        (replace(GOOD, objects={"s3://raw/x": "2"}), "changed or removed"),
        (replace(GOOD, objects={}), "changed or removed"),
        (replace(GOOD, broken=("half a folder",)), "half a folder"),
        (replace(GOOD, loads=(load(0),)), "fell from"),
        (replace(GOOD, loads=()), "is gone"),
    ],
    ids=["other-bytes", "removed", "half", "lower-mark", "no-mark"],
)
@pytest.mark.parametrize("check", [check_unsettled, check_settled])
def test_lake_and_mark_are_watched(check, after, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check(Tally(), GOOD, after, SAYS)


def test_a_mark_past_unread_data_is_a_loss():
    new = truth(row(1), row(2), row(3, stamp=2))
    after = replace(GOOD, loads=(load(1), load(3, start=1)))
    with pytest.raises(AssertionError, match="lost"):
        check_unsettled(Tally(), GOOD, after, new, SAYS)
    check_unsettled(Tally(), GOOD, GOOD, new, SAYS)


def test_a_late_row_below_the_mark_is_not_yet_a_loss_but_is_one_when_settled():
    new = truth(row(1), row(2), row(3, stamp=0))
    check_unsettled(Tally(), GOOD, GOOD, new, SAYS)
    with pytest.raises(AssertionError, match="lost"):
        check_settled(Tally(), GOOD, GOOD, new)


def test_rows_that_the_source_does_not_have():
    with pytest.raises(AssertionError, match="does not have"):
        check_settled(Tally(), GOOD, sight(row(1), row(2), row(3)), SAYS)


def test_quarantine_must_have_what_was_injected():
    with pytest.raises(AssertionError, match="1 were injected"):
        check_settled(Tally(), GOOD, GOOD, truth(row(1), row(2), injected=1))
    lost_ledger = replace(GOOD, evidence=1)
    check_settled(Tally(), GOOD, lost_ledger, truth(row(1), row(2), injected=1), whole_ledger=False)


@pytest.mark.parametrize(
    "loads", [(load(1), load(1)), (load(1, landed=2, refined=1),), (load(1, landed=1, refined=1),)]
)
def test_ledger_rows_add_up_and_are_there_once(loads):
    with pytest.raises(AssertionError):
        check_settled(Tally(), GOOD, replace(GOOD, loads=loads), SAYS)


def test_a_rerun_may_move_when_a_row_was_seen_and_nothing_else():
    check_unmoved(Tally(), GOOD, sight(row(1, read=9), row(2)))
    with pytest.raises(AssertionError, match="re-run changed"):
        check_unmoved(Tally(), GOOD, sight(row(1, note="other"), row(2)))
