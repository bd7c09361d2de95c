"""A load is held against the loads before it; nobody is alarmed where little is known or little is at stake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tideline import volume
from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.warehouse.state import PastLoad
from tideline.window import Window

END = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = Window(END - timedelta(hours=1), END)
COLUMNS = [{"name": "id", "type": "int64"}, {"name": "updated_at", "type": "timestamp"}]


def orders(change_column="updated_at", **declared):
    return MongoDataset.model_validate(
        {"name": "orders", "source": "shop", "database": "d", "collection": "c", "key": ["id"], "columns": COLUMNS,
         "change_column": change_column, "volume": {"factor": 10, **declared}}
    )  # fmt: skip


def past(*landed, same_hour=(), seconds=3600.0):
    recent = [PastLoad(count, seconds, is_same_hour=False) for count in landed]
    return [*recent, *(PastLoad(count, seconds, is_same_hour=True) for count in same_hour)]


def test_nothing_is_expected_where_nobody_asks():
    quiet = orders().model_copy(update={"volume": None})
    assert volume.expectation(quiet, HOUR, past(*[100] * 50)) is None
    assert volume.outside(quiet, 10**9, {"records": 1.0, "loads": 24, "of": "recent"}) is None


def test_nothing_is_expected_of_a_first_load_or_of_a_short_history():
    assert volume.expectation(orders(), Window(None, END), past(*[100] * 50)) is None
    assert volume.expectation(orders(), HOUR, past(*[100] * 23)) is None
    assert volume.expectation(orders(), HOUR, past(same_hour=[1, 2, 3])) is None


def test_the_median_of_the_newest_loads_is_expected():
    found = volume.expectation(orders(history=4), HOUR, past(10, 20, 30, 1000, 10**9, 10**9))
    assert found == {"records": 25.0, "loads": 4, "of": "recent"}


def test_the_same_hour_of_the_week_goes_before_all_hours():
    found = volume.expectation(orders(), HOUR, past(*[5] * 50, same_hour=[1000, 2000, 3000, 4000]))
    assert found == {"records": 2500.0, "loads": 4, "of": "hour of the week"}


def test_a_longer_window_should_have_in_proportion():
    gap = Window(END - timedelta(hours=5), END)
    assert volume.expectation(orders(), gap, past(*[100] * 24))["records"] == 500.0
    assert volume.expectation(orders(), HOUR, past(*[100] * 24, seconds=7200.0))["records"] == 50.0


def test_what_is_read_whole_does_not_depend_on_the_window():
    gap = Window(END - timedelta(hours=5), END)
    api = HttpDataset.model_validate(
        {"name": "users", "source": "api", "path": "/users", "key": ["id"], "columns": COLUMNS, "volume": {}}
    )
    assert volume.expectation(api, gap, past(*[100] * 24))["records"] == 100.0
    assert volume.expectation(orders(change_column=None), gap, past(*[100] * 24))["records"] == 100.0


def test_files_that_pile_up_do():
    drops = CsvDataset.model_validate(
        {"name": "items", "source": "s3", "bucket": "drops", "prefix": "items/", "key": ["id"], "columns": COLUMNS,
         "volume": {}}
    )  # fmt: skip
    gap = Window(END - timedelta(hours=5), END)
    assert volume.expectation(drops, gap, past(*[100] * 24))["records"] == 500.0


@pytest.mark.parametrize(
    ("landed", "usual", "word"),
    [
        (100_000, 10_000.0, None),
        (100_001, 10_000.0, "many"),
        (1_000, 10_000.0, None),
        (999, 10_000.0, "few"),
        (0, 10_000.0, "few"),
        (1_000, 0.0, None),
        (1_001, 0.0, "many"),
        (0, 1_000.0, None),
        (0, 1_001.0, "few"),
        (0, 0.0, None),
    ],
)
def test_outside_is_beyond_the_factor_and_more_than_a_little(landed, usual, word):
    said = volume.outside(orders(), landed, {"records": usual, "loads": 24, "of": "recent"})
    assert (said is None) == (word is None)
    if word:
        assert f"{landed} records are suspiciously {word}" in said
        assert f"is {usual:g} for such a window" in said


def test_without_an_expectation_nothing_is_outside():
    assert volume.outside(orders(), 10**9, None) is None


def test_the_error_says_how_to_let_a_load_pass():
    error = volume.stopped(orders(), "too many", "s3://p/m.json")
    assert (error.dataset, error.place) == ("orders", "s3://p/m.json")
    assert "tideline merge --dataset shop.orders --manifest s3://p/m.json" in error.remedy
