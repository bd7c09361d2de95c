"""What a run asks for: by what made it, and by its form, of which nothing is passed over."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType

from tideline.errors import FatalError, SettingsError
from tideline.run_form import begin_anew, handed_over, handed_over_by_each, merged_by_now, run_request
from tideline.window import HOUR

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(
    ("run_type", "kind"),
    [
        ("scheduled", "scheduled"),
        (DagRunType.SCHEDULED, "scheduled"),  # what a task is given under a scheduler
        (DagRunType.BACKFILL, "backfill"),
        (DagRunType.MANUAL, "manual"),
        (DagRunType.ASSET_TRIGGERED, "manual"),
    ],
)
def test_a_run_is_of_the_kind_that_made_it(run_type: Any, kind: str) -> None:
    context = run_context(SimpleNamespace(run_type=run_type, conf={}))
    assert run_request(context).kind == kind


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("run_type", "start", "interval"),
    [
        ("backfill", NOON, (NOON, NOON + HOUR)),
        ("backfill", NOON - HOUR, (NOON - HOUR, NOON + HOUR)),  # taken over from a trigger by hand
        ("manual", NOON - HOUR, (NOON - HOUR, NOON)),
        ("scheduled", NOON, (NOON, NOON + HOUR)),
    ],
)
def test_a_backfill_reads_the_hour_that_it_is_of(
    run_type: str, start: datetime, interval: tuple[datetime, datetime]
) -> None:
    context = run_context(SimpleNamespace(run_type=run_type, conf={}))
    context |= {"logical_date": NOON, "data_interval_start": start, "data_interval_end": start + HOUR}
    assert run_request(context).interval == interval


def run_context(dag_run: Any) -> dict[str, Any]:
    """What Airflow gives a task of a run: what it was triggered with joins the params, known or not."""
    params = {"datasets": [], "window_start": None, "window_end": None, "catch_up": False}
    dag = SimpleNamespace(dag_id="tideline_hourly", params=params)
    return {"run_id": "r", "params": params | (dag_run.conf or {}), "dag": dag, "dag_run": dag_run}


@pytest.mark.parametrize("conf", [None, {}, {"catch_up": True}])
def test_a_run_is_asked_what_it_was_triggered_with(conf: Any) -> None:
    context = run_context(SimpleNamespace(run_type=DagRunType.MANUAL, conf=conf))
    assert run_request(context).catch_up is bool(conf)


def test_what_is_no_param_is_not_passed_over() -> None:
    """A whole hour would be read for `dataset`, and rows deleted for `dryrun`."""
    conf = {"dataset": ["shop_mongodb.orders"]}
    context = run_context(SimpleNamespace(run_type=DagRunType.MANUAL, conf=conf))
    with pytest.raises(SettingsError, match="'dataset', which is no param of tideline_hourly") as error:
        run_request(context)
    assert "trigger it anew with datasets, window_start" in str(error.value.remedy)


def test_what_was_handed_over_is_handed_on_and_nothing_is_an_error() -> None:
    assert handed_over({}) == {}
    with pytest.raises(FatalError, match="left nothing"):
        handed_over(None)


def test_what_tasks_left_that_are_no_more_is_not_handed_on() -> None:
    assert handed_over_by_each(["new", "old", "old"], 1) == ["new"]
    assert handed_over_by_each(["one"], 2) == ["one"]


def test_one_range_is_handed_on_as_airflow_gives_it() -> None:
    """What a task of a mapped group left is a list only where there are more of them."""
    assert handed_over_by_each({"records": 3}, 1) == [{"records": 3}]
    with pytest.raises(FatalError, match="left nothing"):
        handed_over_by_each(None, 1)


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "skipped"])
def test_what_a_merge_left_before_its_run_was_cleared_counts_no_more(state: str) -> None:
    """Airflow keeps it where the merge is not begun again, and the run would be green without having read."""
    states = {"r": {"shop.orders.merge": state, "shop.items.merge": "success"}}
    asked: list[Any] = []

    def get_task_states(*which: Any, **run: Any) -> dict[str, Any]:
        asked.append((which, run))
        return states

    context = run_context(SimpleNamespace(conf={})) | {"ti": SimpleNamespace(get_task_states=get_task_states)}
    orders, items = {"dataset_id": "shop.orders"}, {"dataset_id": "shop.items"}
    assert merged_by_now(context, [orders, None, items]) == [items]
    assert asked == [(("tideline_hourly",), {"run_ids": ["r"]})]


def test_what_is_landed_anew_was_neither_refined_nor_merged() -> None:
    """Airflow keeps what they left, and a merge that is marked as success before it begins leaves nothing else."""
    gone: list[tuple[str, int]] = []

    def take_away(*, key: str, dag_id: str, task_id: str, run_id: str, map_index: int) -> None:
        assert (key, dag_id, run_id) == ("return_value", "tideline_hourly", "r")
        gone.append((task_id, map_index))

    for map_index, try_number in ((-1, 2), (2, 5), (-1, 1), (4, 1)):
        ti = SimpleNamespace(dag_id="tideline_hourly", run_id="r", map_index=map_index, try_number=try_number)
        begin_anew({"ti": ti}, "shop.orders", take_away)
    assert gone == [
        ("shop.orders.refine", -1), ("shop.orders.merge", -1),
        ("shop.orders.refine_range", 2), ("shop.orders.merge", -1),
    ]  # fmt: skip
