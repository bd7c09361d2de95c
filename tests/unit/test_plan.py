from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.catalog.model import Catalog, CsvDataset, HttpDataset, MongoDataset, Source
from tideline.errors import CatalogError, SettingsError
from tideline.plan import PlannedLoad, RunRequest, plan
from tideline.warehouse.state import DatasetState
from tideline.window import HOUR, Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = [{"name": "id", "type": "int64"}, {"name": "updated_at", "type": "timestamp"}]


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def catalog() -> Catalog:
    common = {"key": ["id"], "columns": COLUMNS}
    orders = MongoDataset(
        name="orders", source="shop", database="shop", collection="orders", change_column="updated_at",
        lookback="1h", **common,
    )  # fmt: skip
    items = CsvDataset(name="items", source="drops", bucket="drops", prefix="items/", **common)
    users = HttpDataset(name="users", source="api", path="/users", **common)
    return Catalog(
        sources=(
            Source(name="shop", kind="mongodb", connection="c", datasets=(orders,)),
            Source(name="drops", kind="s3_csv", connection="c", datasets=(items,)),
            Source(name="api", kind="rest_api", connection="c", datasets=(users,)),
        )
    )


LAST_HOUR = (hour(-1), NOON)


def request(kind="scheduled", interval=LAST_HOUR, **more) -> RunRequest:
    given = {"datasets": None, "window": None, "catch_up": False, "now": hour(0.1), **more}
    return RunRequest(run_id="r", kind=kind, interval=interval, **given)


def windows(request, states=None) -> dict[str, tuple[datetime | None, datetime]]:
    loads = plan(catalog(), request, states or {})
    return {load.dataset_id: (load.window.start, load.window.end) for load in loads}


def test_first_run_of_all_has_no_lower_bound():
    assert windows(request()) == dict.fromkeys(["shop.orders", "drops.items", "api.users"], (None, NOON))


def test_scheduled_run_begins_at_its_interval_less_the_lookback():
    states = {name: DatasetState(hour(-1)) for name in ("shop.orders", "drops.items", "api.users")}
    assert windows(request(), states) == {
        "shop.orders": (hour(-2), NOON),
        "drops.items": (hour(-1), NOON),
        "api.users": (hour(-1), NOON),
    }


def test_run_after_an_outage_covers_the_gap_of_each_dataset():
    states = {"shop.orders": DatasetState(hour(-30)), "drops.items": DatasetState(hour(-5))}
    planned = windows(request(), states)
    assert planned["shop.orders"] == (hour(-31), NOON)
    assert planned["drops.items"] == (hour(-5), NOON)
    assert planned["api.users"] == (None, NOON)


def test_cleared_run_behind_the_mark_reads_its_own_interval_again():
    states = {"shop.orders": DatasetState(hour(40))}
    again = request(datasets=("shop.orders",), now=hour(41))
    assert windows(again, states) == {"shop.orders": (hour(-2), NOON)}


@pytest.mark.parametrize("kind", ["manual", "backfill"])
def test_run_that_names_its_interval_reads_exactly_that(kind):
    states = {"shop.orders": DatasetState(hour(-30))}
    for load in plan(catalog(), request(kind), states):
        assert (load.window, load.mode) == (Window(hour(-1), NOON), "exact")


def test_manual_run_without_a_date_is_the_last_full_hour():
    asked = request("manual", None, now=hour(0.75))
    assert set(windows(asked).values()) == {(hour(-1), NOON)}


def test_manual_run_may_catch_up():
    states = {"shop.orders": DatasetState(hour(-3))}
    asked = request("manual", None, catch_up=True, now=hour(0.75), datasets=("shop.orders",))
    (load,) = plan(catalog(), asked, states)
    assert (load.window, load.mode) == (Window(hour(-4), NOON), "scheduled")


@pytest.mark.parametrize("kind", ["scheduled", "manual", "backfill"])
def test_window_that_a_person_names_comes_before_everything(kind):
    asked = request(kind, window=(hour(-9), hour(-7)), catch_up=True)
    for load in plan(catalog(), asked, {"shop.orders": DatasetState(hour(-30))}):
        assert (load.window, load.mode) == (Window(hour(-9), hour(-7)), "exact")


@pytest.mark.parametrize(("window", "given"), [((hour(-1), None), "start"), ((None, hour(-1)), "end")])
def test_half_a_window_is_refused(window, given):
    with pytest.raises(SettingsError, match=f"only the {given} of the window"):
        plan(catalog(), request(window=window), {})


def test_empty_window_is_refused():
    with pytest.raises(SettingsError, match="is empty"):
        plan(catalog(), request("manual", (NOON, NOON)), {})


def test_window_that_is_not_over_is_refused():
    with pytest.raises(SettingsError, match="not over"):
        plan(catalog(), request("backfill", (NOON, hour(1)), now=hour(0.99)), {})


def test_worker_whose_clock_is_a_little_behind_runs_the_schedule():
    assert windows(request(now=NOON - timedelta(minutes=4)))
    with pytest.raises(SettingsError, match="not over"):
        windows(request(now=NOON - timedelta(minutes=6)))


def test_unknown_dataset_is_refused_with_those_there_are():
    with pytest.raises(CatalogError, match=r"shop\.orders, drops\.items, api\.users"):
        plan(catalog(), request(datasets=("shop.ordres",)), {})


def test_chosen_datasets_come_in_catalog_order_and_once():
    asked = request(datasets=("api.users", "shop.orders", "api.users"))
    assert list(windows(asked)) == ["shop.orders", "api.users"]


def test_previous_manifest_is_for_sources_that_can_answer_as_before():
    states = {
        name: DatasetState(hour(-1), "s3://raw/m") for name in ("shop.orders", "drops.items", "api.users")
    }
    previous = {load.dataset_id: load.previous_manifest_uri for load in plan(catalog(), request(), states)}
    assert previous == {"shop.orders": None, "drops.items": None, "api.users": "s3://raw/m"}


def test_naive_instants_are_utc():
    naive = (hour(-1).replace(tzinfo=None), NOON.replace(tzinfo=None))
    assert windows(request("manual", naive)) == windows(request("manual"))


@given(
    start=st.none() | st.integers(-50_000, -1).map(hour),
    mode=st.sampled_from(["scheduled", "exact"]),
    previous=st.none() | st.text(),
)
def test_planned_load_survives_its_json(start, mode, previous):
    load = PlannedLoad("shop.orders", Window(start, NOON), mode, previous)
    assert PlannedLoad.from_json(load.to_json()) == load


@given(mark=st.none() | st.integers(-1000, 1000), first=st.integers(-1000, 999))
def test_scheduled_window_leaves_no_gap_behind(mark, first):
    """Whatever lies between the mark and the interval's end is read."""
    state = DatasetState(None if mark is None else hour(mark))
    asked = request(interval=(hour(first), hour(first + 1)), now=hour(2000), datasets=("shop.orders",))
    (load,) = plan(catalog(), asked, {"shop.orders": state})
    assert load.window.end == hour(first) + HOUR
    if mark is None:
        assert load.window.start is None
    else:
        assert load.window.start <= min(hour(mark), hour(first)) - timedelta(hours=1)


def test_the_hour_that_comes_twice_is_over_when_its_second_turn_is():
    """Adding to a local time forgets which of the two turns it is: the hour would not be over yet."""
    now = datetime(2026, 10, 25, 1, 30, tzinfo=UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert now.fold == 1
    assert set(windows(request("manual", None, now=now)).values()) == {
        (datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    }
