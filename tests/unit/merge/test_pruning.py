from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from tideline.merge.pruning import predicate


@pytest.fixture
def pruned(kit):
    def make(partitions, kind="date", granularity="day", immutable=True):
        partition = {"column": "p", "granularity": granularity, "immutable": immutable}
        dataset = kit.mongo(columns=kit.columns(id="int64", p=kind), change_column=None, partition=partition)
        return predicate(dataset, partitions, "t")

    return make


def or_null(condition):
    """Tombstones of keys that were never merged have no partition."""
    return f"({condition} OR t.`p` IS NULL)"


def test_day_is_a_half_open_stretch(pruned):
    assert pruned(["2026-02-28"]) == or_null("(t.`p` >= DATE '2026-02-28' AND t.`p` < DATE '2026-03-01')")


def test_neighbours_are_joined_whatever_their_order(pruned):
    assert pruned(["2026-03-01", "2026-02-27", "2026-02-28", "2026-03-01"]) == or_null(
        "(t.`p` >= DATE '2026-02-27' AND t.`p` < DATE '2026-03-02')"
    )


def test_stretches_and_null_are_alternatives(pruned):
    assert pruned(["2026-01-01", None, "2026-01-05"]) == (
        "((t.`p` >= DATE '2026-01-01' AND t.`p` < DATE '2026-01-02')"
        " OR (t.`p` >= DATE '2026-01-05' AND t.`p` < DATE '2026-01-06') OR t.`p` IS NULL)"
    )


def test_null_alone(pruned):
    assert pruned([None]) == "t.`p` IS NULL"


@pytest.mark.parametrize(
    ("granularity", "start", "end"),
    [
        ("hour", "2026-12-31 23:00:00+00", "2027-01-01 00:00:00+00"),
        ("day", "2026-12-31 00:00:00+00", "2027-01-01 00:00:00+00"),
        ("month", "2026-12-01 00:00:00+00", "2027-01-01 00:00:00+00"),
        ("year", "2024-01-01 00:00:00+00", "2025-01-01 00:00:00+00"),
    ],
)
def test_granularities_of_timestamps(granularity, start, end, pruned):
    iso = start.replace(" ", "T").replace("+00", "Z")
    wanted = or_null(f"(t.`p` >= TIMESTAMP '{start}' AND t.`p` < TIMESTAMP '{end}')")
    assert pruned([iso], "timestamp", granularity) == wanted
    assert pruned([iso.removesuffix("Z")], "timestamp", granularity) == wanted


def test_months_of_dates_are_joined_over_the_new_year(pruned):
    assert pruned(["2026-12-01", "2027-01-01"], granularity="month") == or_null(
        "(t.`p` >= DATE '2026-12-01' AND t.`p` < DATE '2027-02-01')"
    )


@pytest.mark.parametrize(
    ("granularity", "last"), [("day", "9999-12-31"), ("month", "9999-12-01"), ("year", "9999-01-01")]
)
def test_last_partition_of_the_calendar_has_no_end(granularity, last, pruned):
    assert pruned([last], granularity=granularity) == or_null(f"t.`p` >= DATE '{last}'")


def test_first_partition_of_the_calendar(pruned):
    assert pruned(["0001-01-01"], granularity="year").startswith("((t.`p` >= DATE '0001-01-01'")


def test_of_too_many_stretches_those_nearest_to_each_other_are_joined(pruned):
    begin, apart = date(2026, 1, 1), [n * 7 for n in range(399)]
    days = [(begin + timedelta(days=n)).isoformat() for n in apart]
    assert pruned(days).count(" OR ") == 399
    near = [*days, (begin + timedelta(days=2)).isoformat(), (begin + timedelta(days=5)).isoformat()]
    text = pruned(near)
    assert text.count(" OR ") == 400
    assert "(t.`p` >= DATE '2026-01-06' AND t.`p` < DATE '2026-01-09')" in text
    assert pruned([*near, None]) == text


def test_no_partition_is_lost_where_stretches_are_joined(pruned):
    days = [date(2020, 1, 1) + timedelta(days=n * n % 5000) for n in range(900)]
    bounds = re.findall(r">= DATE '([^']+)' AND t.`p` < DATE '([^']+)'", pruned(map(str, days)))
    assert len(bounds) == 400
    assert all(any(low <= day.isoformat() < high for low, high in bounds) for day in days)


@pytest.mark.parametrize("partitions", [None, []])
def test_nothing_is_pruned_where_the_partitions_are_not_known(partitions, pruned):
    assert pruned(partitions) is None


def test_nothing_is_pruned_where_the_column_may_change(pruned):
    assert pruned(["2026-01-01"], immutable=False) is None


def test_nothing_is_pruned_without_a_partition(kit):
    assert predicate(kit.mongo(), ["2026-01-01"], "t") is None
