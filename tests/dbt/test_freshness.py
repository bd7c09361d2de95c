"""What reports promise is the high-water mark, whatever the ledger has been through."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tideline.warehouse.drift import drift_text
from tideline.warehouse.state import ORIGIN, Commit, high_water_mark
from tideline.window import Window

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODES = ("scheduled", "exact", "replay", "reconcile", "rewind")
API = ("albums", "comments", "photos", "posts", "todos", "users")
COUNTS = (
    "landed", "refined", "quarantined", "inserted", "updated", "unchanged", "revived", "stale", "duplicates",
    "deleted", "raw_bytes", "processed_bytes",
)  # fmt: skip
TEXTS = ("run_id", "window_id", "attempt_id", "catalog_fingerprint", "code_version")
DRIFT = {
    "utm.source": {"count": 2, "example": "a secret", "kind": "new_field"},
    "(missing column) title": {"count": 3, "example": "", "kind": "missing_column"},
}


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def commit(mode: str, start: int | None, end: float, at: float, name: str) -> Commit:
    window = Window(None if start is None else hour(start), hour(end))
    return Commit(mode, window, hour(at), hour(at), name)


def any_commit(dice: Random, name: str) -> Commit:
    mode, start = dice.choices(MODES, (9, 3, 1, 1, 2))[0], dice.choice([None, *range(12)])
    end = (start or 0) + dice.randint(1, 6)
    read, committed = hour(dice.randint(0, 9)), hour(dice.randint(0, 9))
    if mode == "rewind":
        return Commit(mode, Window(None, dice.choice([ORIGIN, hour(end)])), read, committed, name)
    return Commit(mode, Window(None if start is None else hour(start), hour(end)), read, committed, name)


def cases() -> dict[str, list[Commit]]:
    """Dataset id → its commits; those of the API are read well, but for one that has a backfill only."""
    dice = Random(20260301)
    found = {
        f"any.d{n}": [any_commit(dice, f"{n}-{m}") for m in range(dice.randint(1, 9))] for n in range(60)
    }
    found |= {f"jsonplaceholder.{name}": [commit("scheduled", None, 3, 3, name)] for name in API}
    found["jsonplaceholder.users"] = [commit("exact", 2, 3, 3, "users")]
    found["hand.rewound"] = [commit("scheduled", None, 9, 1, "a"), commit("rewind", None, 4, 2, "b")]
    found["hand.reconciled"] = [commit("scheduled", None, 3, 3, "c"), commit("reconcile", 5, 5.1, 5, "d")]
    return found


def numbers(dataset_id: str, one: Commit) -> dict[str, float]:
    """What a load counted, each number another one; a rewind counts nothing."""
    dice = Random(f"{dataset_id} {one.load_id}")
    counted = {name: 0 if one.mode == "rewind" else dice.randrange(1_000_000) for name in COUNTS}
    return counted | {"land_seconds": 1.5, "refine_seconds": 0.25}


def line(dataset_id: str, one: Commit) -> dict[str, object]:
    source, _, dataset = dataset_id.partition(".")
    return {
        **numbers(dataset_id, one), **dict.fromkeys(TEXTS, "x"), "source": source, "dataset": dataset,
        "load_id": f"{dataset_id}:{one.load_id}", "mode": one.mode, "window_start": one.window.start,
        "window_end": one.window.end, "extracted_at": one.extracted_at, "committed_at": one.committed_at,
        "unchanged_source": False, "drift": drift_text(DRIFT) if dataset == "rewound" else "[]",
    }  # fmt: skip


@pytest.fixture(scope="module")
def ledgers(dbt, raw_tables):
    found = cases()
    raw_tables.fill_ledger(
        [line(dataset_id, one) for dataset_id, commits in found.items() for one in commits]
    )
    raw_tables.fill("jsonplaceholder.users", [{"id": 1, "_extracted_at": NOON, "_merged_at": NOON}])
    dbt.run("run", "--select", "+rpt_user_activity", "rpt_daily_loads")
    return found


def test_data_are_as_of_the_high_water_mark(ledgers, raw_tables):
    found = {row["dataset_id"]: row for row in raw_tables.rows("marts.rpt_freshness")}
    loads = {key: [one for one in commits if one.mode != "rewind"] for key, commits in ledgers.items()}
    assert {key: row["data_as_of"] for key, row in found.items()} == {
        key: high_water_mark(commits) for key, commits in ledgers.items() if loads[key]
    }
    assert found["hand.rewound"]["data_as_of"] == hour(4)
    assert not found["hand.reconciled"]["has_gap"], "a moment is no window"
    assert all(row["load_count"] == len(loads[key]) for key, row in found.items())


def test_a_rewind_is_no_load_of_a_day(ledgers, raw_tables):
    counts: dict[str, int] = defaultdict(int)
    for row in raw_tables.rows("marts.rpt_daily_loads"):
        counts[row["dataset_id"]] += row["load_count"]
    loads = {key: sum(one.mode != "rewind" for one in commits) for key, commits in ledgers.items()}
    assert counts == {key: count for key, count in loads.items() if count}


def test_what_the_loads_of_a_day_counted_is_added_up(ledgers, raw_tables):
    expected: dict[tuple[object, ...], Counter[str]] = defaultdict(Counter)
    ends: dict[tuple[object, ...], datetime] = {}
    for key, commits in ledgers.items():
        for one in (commit for commit in commits if commit.mode != "rewind"):
            day = (key, one.committed_at.date())
            expected[day] += Counter(
                {name: value for name, value in numbers(key, one).items() if name in COUNTS}
            )
            expected[day]["load_seconds"] += 1.75
            ends[day] = max(one.window.end, ends.get(day, one.window.end))
    column = {name: f"{name.removesuffix('s') if name == 'duplicates' else name}_count" for name in COUNTS}
    column |= {name: name for name in ("raw_bytes", "processed_bytes", "load_seconds")}
    rows = {(row["dataset_id"], row["load_date"]): row for row in raw_tables.rows("marts.rpt_daily_loads")}
    assert {key: row["data_as_of"] for key, row in rows.items()} == ends
    for name, reported in column.items():
        assert {key: row[reported] for key, row in rows.items()} == {
            key: row[name] for key, row in expected.items()
        }


def test_what_was_refused_in_all_loads_is_added_up(ledgers, raw_tables):
    loads = {key: [numbers(key, one) for one in commits] for key, commits in ledgers.items()}
    for row in raw_tables.rows("marts.rpt_freshness"):
        for name in ("refined", "quarantined", "deleted"):
            assert row[f"{name}_count"] == sum(load[name] for load in loads[row["dataset_id"]])


def test_a_report_promises_nothing_where_one_of_its_datasets_was_not_read_from_its_beginning(
    ledgers, raw_tables
):
    assert raw_tables.rows("marts.rpt_user_activity", "data_as_of") == [{"data_as_of": None}]


def test_undeclared_fields_are_named_without_what_they_hold(ledgers, raw_tables):
    for table in ("rpt_freshness", "rpt_daily_loads"):
        found = {row["dataset_id"]: row["drift_fields"] for row in raw_tables.rows(f"marts.{table}")}
        assert found.pop("hand.rewound") == "title (missing column), utm.source"
        assert set(found.values()) == {None}
