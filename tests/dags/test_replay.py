"""The replay DAG: its shape, its form, and that a form means what the command line means."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from tideline.errors import FatalError, RetriableError, SettingsError
from tideline.replay.request import KEEP_DAYS, ReplayRequest

pytestmark = pytest.mark.airflow
NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def dag(airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    file = Path(__file__).parents[2] / "dags" / "tideline_replay.py"
    return DagBag(dag_folder=str(file)).dags["tideline_replay"]


def test_one_group_for_each_step(dag):
    assert sorted(dag.task_ids) == [
        "merge.loads", "plan", "refine.batch", "refine.batches", "shadow.compare", "shadow.swap",
    ]  # fmt: skip
    chain = ["plan", "refine.batches", "refine.batch", "merge.loads", "shadow.compare", "shadow.swap"]
    for before, after in pairwise(chain):
        assert before in dag.get_task(after).upstream_task_ids, after


def test_batches_are_refined_side_by_side_and_merged_by_one(dag):
    assert [task.task_id for task in dag.tasks if task.is_mapped] == ["refine.batch"]
    assert dag.get_task("merge.loads").max_active_tis_per_dag == 1
    assert (dag.max_active_runs, dag.catchup, dag.timetable.can_be_scheduled) == (1, False, False)


def test_every_task_that_does_something_knows_when_to_retry(dag):
    from airflow.sdk import RetryAction

    for task in dag.tasks:
        if task.task_id == "refine.batches":
            continue
        policy = task.partial_kwargs["retry_policy"] if task.is_mapped else task.retry_policy
        for kind, action in ((RetriableError, RetryAction.RETRY), (FatalError, RetryAction.FAIL)):
            assert policy.evaluate(kind("x"), try_number=1, max_tries=3).action == action, task.task_id


def test_a_task_that_got_nothing_says_so(dag):
    """As after a plan that a person marked as success."""
    for task_id, given in (("refine.batches", (None,)), ("merge.loads", (None, []))):
        with pytest.raises(FatalError, match="left nothing to go on with"):
            dag.get_task(task_id).python_callable(*given)


def test_every_field_of_the_form_is_explained(dag):
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema["title"], name
        assert len(param.description) > 20, name


def test_an_untouched_form_asks_which_dataset(dag):
    with pytest.raises(SettingsError, match="which dataset"):
        ReplayRequest.from_params(dag.params.validate(), NOW)


def test_a_form_is_read_as_the_command_line_is(dag):
    from airflow.sdk.definitions.param import ParamsDict

    filled = ParamsDict(dag.params)
    filled.update({
        "datasets": ["shop_mongodb.orders"], "from": "2026-03-14T09:00:00+00:00", "into": "shadow", "swap": True,
    })  # fmt: skip
    request = ReplayRequest.from_params(filled.validate(), NOW)
    assert (request.datasets, request.into, request.swap) == (("shop_mongodb.orders",), "shadow", True)
    assert request.span.after == datetime(2026, 3, 14, 9, tzinfo=UTC)
    assert (request.keep_days, request.force, request.quarantined) == (KEEP_DAYS, False, False)


def test_a_field_that_there_is_not_replays_nothing(dag):
    conf = {"quarantined": True, "data_sets": ["shop_mongodb.orders"]}
    context = {"params": conf, "dag": dag, "dag_run": SimpleNamespace(conf=conf)}
    with pytest.raises(SettingsError, match="'data_sets', which is no param of tideline_replay"):
        dag.get_task("plan").python_callable(**context)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datasets", ["shop_mongodb.nope"]),
        ("into", "elsewhere"),
        ("keep_days", 0),
        ("swap", "perhaps"),
        ("from", "not a date"),
    ],
)
def test_the_form_refuses(dag, name, value):
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value=value)


def test_a_plan_that_is_cleared_and_gives_fewer_batches_is_merged(dag, monkeypatch):
    merged = []
    monkeypatch.setattr("tideline.connections.open_deployment", nullcontext)
    monkeypatch.setattr("tideline.replay.steps.merge_refined", lambda *each: merged.append(each[2]))
    dag.get_task("merge.loads").python_callable({"batches": [[]]}, ["now", "before"], run_id="r")
    assert merged == [["now"]]
