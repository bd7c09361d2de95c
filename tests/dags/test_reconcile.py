"""Policy of the reconciliation's DAG: its shape, its form, and who decides what."""

from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tideline import errors
from tideline.catalog.loader import load_catalog
from tideline.settings import from_environment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def dag(airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags" / "tideline_reconcile.py")).dags["tideline_reconcile"]


def triggered(dag, **form):
    """What a task of a run with this form is given."""
    params = {"datasets": [], "dry_run": False, "max_delete_ratio": None} | form
    return {"params": params, "run_id": "r", "dag": dag, "dag_run": SimpleNamespace(conf=form)}


@pytest.fixture(scope="module")
def catalog():
    return load_catalog(from_environment({}).catalog_dir)


def test_the_tests_then_one_task_for_each_dataset_and_a_verdict(dag, catalog):
    """Before anything is put right, which the models know of from the next hourly run on."""
    reconciling = {f"{dataset.dataset_id}.reconcile" for dataset in catalog.datasets}
    assert set(dag.task_ids) == reconciling | {"data_tests", "verdict"}
    assert dag.get_task("data_tests").upstream_task_ids == set()
    for task_id in reconciling | {"verdict"}:
        assert dag.get_task(task_id).upstream_task_ids == {"data_tests"}
        assert dag.get_task(task_id).downstream_task_ids == set()


def test_red_tests_keep_nothing_from_being_put_right_and_make_the_run_red(dag, catalog):
    """The state of a run is that of its last tasks: without the verdict, tests would not count."""
    assert dag.get_task("data_tests").retries == 0
    assert dag.get_task("verdict").trigger_rule == "all_success"
    rules = {dag.get_task(f"{dataset.dataset_id}.reconcile").trigger_rule for dataset in catalog.datasets}
    assert rules == {"all_done"}


def test_the_day_runs_all_data_tests_over_whole_tables(dag):
    tests = dag.get_task("data_tests")
    assert tests.base_cmd == ["test"]
    assert tests.add_global_flags() == [
        "--exclude",
        "resource_type:unit_test",
        "--vars",
        "tested_days: 100000\n",
    ]
    assert (tests.install_deps, tests.emit_datasets, tests.outlets) == (False, False, [])


def test_both_dags_know_the_warehouse_alike(dag, airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    hourly = DagBag(dag_folder=str(ROOT / "dags" / "tideline_hourly.py")).dags["tideline_hourly"]
    tests, model = dag.get_task("data_tests"), hourly.get_task("models.dim_dates_model_build")
    for name in ("profile_config", "project_dir", "invocation_mode", "dbt_cmd_global_flags", "install_deps"):
        assert getattr(tests, name) == getattr(model, name), name


@pytest.mark.parametrize(
    ("form", "hours", "skipped"),
    [
        ({}, 1, False),
        ({"dry_run": True}, 1, True),
        ({"datasets": ["shop_mongodb.orders"]}, 1, True),
        ({}, 0, True),
    ],
    ids=["all", "dry-run", "some", "before-the-first-hour"],
)
def test_only_a_run_of_everything_is_tested(dag, form, hours, skipped):
    from airflow.sdk.exceptions import AirflowSkipException

    class TaskInstance:
        def get_dr_count(self, dag_id, *, states):
            return {("tideline_hourly", "success"): hours}[(dag_id, *states)]

    begin = dag.get_task("data_tests")._pre_execute_hook
    context = {**triggered(dag, **form), "ti": TaskInstance(), "task": dag.get_task("data_tests")}
    with pytest.raises(AirflowSkipException) if skipped else nullcontext():
        begin(context)


def test_without_models_there_is_nothing_to_test(airflow_home, catalog, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("TIDELINE_DBT_DIR", "")
    dag = DagBag(dag_folder=str(ROOT / "dags" / "tideline_reconcile.py")).dags["tideline_reconcile"]
    assert set(dag.task_ids) == {f"{dataset.dataset_id}.reconcile" for dataset in catalog.datasets}


def test_each_task_emits_its_table(dag, catalog):
    for dataset in catalog.datasets:
        (asset,) = dag.get_task(f"{dataset.dataset_id}.reconcile").outlets
        assert asset.name == f"bigquery/tideline/raw_{dataset.source}/{dataset.name}"


def test_it_runs_once_a_day_and_never_beside_itself(dag):
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    restriction = TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup)
    info = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=None, restriction=restriction
    )
    assert info.data_interval.end - info.data_interval.start == timedelta(days=1)
    assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_a_bare_click_is_valid_and_deletes_what_the_catalog_allows(dag):
    assert dag.params.validate() == {"datasets": [], "dry_run": False, "max_delete_ratio": None}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("datasets", ["shop_mongodb.orders"], ["shop_mongodb.nope"]), ("max_delete_ratio", 0.5, 1.5)],
)
def test_the_form_refuses_what_cannot_be_meant(dag, name, good, bad):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param(name)
    assert param.resolve(value=good) == good
    with pytest.raises(ParamValidationError):
        param.resolve(value=bad)


def test_the_type_of_an_error_says_retry_or_stop(dag):
    from airflow.sdk import RetryAction

    policy = dag.get_task("shop_mongodb.orders.reconcile").retry_policy
    for kind, action in ((errors.ContractError, "FAIL"), (errors.SourceUnavailableError, "RETRY")):
        assert policy.evaluate(kind("x"), try_number=1, max_tries=3).action == RetryAction[action]


@pytest.fixture
def called(monkeypatch):
    """What the task body asks for, with nothing behind it."""
    from tideline import connections
    from tideline.reconcile import reconcile as room

    calls = []
    monkeypatch.setattr(connections, "open_deployment", lambda: nullcontext("deployment"))
    monkeypatch.setattr(room, "reconcile_dataset", lambda *a, **k: calls.append((a, k)) or {"found": {}})
    return calls


def test_the_form_reaches_the_work(dag, called):
    body = dag.get_task("shop_mongodb.orders.reconcile").python_callable
    context = triggered(dag, dry_run=True, max_delete_ratio=0.5)
    assert body("shop_mongodb.orders", **context) == {"found": {}}
    assert called == [
        (("deployment", "shop_mongodb.orders"), {"run_id": "r", "dry_run": True, "max_delete_ratio": 0.5})
    ]


def test_a_dataset_that_was_not_chosen_is_skipped(dag, called):
    from airflow.sdk.exceptions import AirflowSkipException

    body = dag.get_task("shop_mongodb.orders.reconcile").python_callable
    with pytest.raises(AirflowSkipException):
        body("shop_mongodb.orders", **triggered(dag, datasets=["jsonplaceholder.users"]))
    assert called == []


def test_a_field_that_there_is_not_deletes_nothing(dag, called):
    context = triggered(dag, dryrun=True)
    for begin in (
        lambda: dag.get_task("data_tests")._pre_execute_hook(context),
        lambda: dag.get_task("shop_mongodb.orders.reconcile").python_callable(
            "shop_mongodb.orders", **context
        ),
    ):
        with pytest.raises(errors.SettingsError, match="'dryrun', which is no param of tideline_reconcile"):
            begin()
    assert called == []
