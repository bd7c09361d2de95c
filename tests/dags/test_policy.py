"""Policy over the DAG bag: what must hold for every DAG, and the shape of the hourly one."""

import ast
import inspect
import json
import shutil
import socket
import subprocess
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from tideline import errors
from tideline.catalog.checks import DAG_TASKS
from tideline.catalog.loader import load_catalog
from tideline.dbt_process import make_ready
from tideline.settings import from_environment

ROOT = Path(__file__).parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
PARSE_TIME_IMPORTS = (
    "__future__",
    "airflow.sdk",
    "cosmos",
    "datetime",
    "io",
    "json",
    "pathlib",
    "typing",
    "tideline",
)

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def bag(airflow_home):
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(ROOT / "dags"))


@pytest.fixture(scope="module")
def dag(bag):
    return bag.dags["tideline_hourly"]


@pytest.fixture(scope="module")
def catalog():
    return load_catalog(from_environment({}).catalog_dir)


def test_bag_holds_the_dags_and_no_import_errors(bag):
    assert bag.import_errors == {}
    assert sorted(bag.dags) == [path.stem for path in DAG_FILES]


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.stem)
def test_dag_files_are_wiring_only(path):
    source = path.read_text()
    assert source.count("\n") <= 165
    assert not path.stem.startswith("dbt_")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        else:
            continue
        for name in names:
            assert name.split(".")[0] in {n.split(".")[0] for n in PARSE_TIME_IMPORTS}, name
            assert not name.startswith(
                ("tideline.land", "tideline.refine", "tideline.merge", "tideline.connections")
            )


def test_parsing_asks_no_network(airflow_home, monkeypatch):
    from airflow.dag_processing.dagbag import DagBag

    def refuse(*args, **kwargs):
        raise AssertionError("parsing a DAG file opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert DagBag(dag_folder=str(ROOT / "dags")).import_errors == {}


def test_every_dag_is_documented_and_tagged(bag):
    for dag in bag.dags.values():
        assert dag.tags
        for word in ("Upstream", "Trigger", "Backfill", "Triage"):
            assert word in dag.doc_md


def test_hourly_interval_is_one_hour_wide(dag):
    """A bare "@hourly" gives intervals of zero width in Airflow 3, and every window would be empty."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(dag.timetable)
    info = timetable.next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup),
    )
    assert info.data_interval.end - info.data_interval.start == timedelta(hours=1)
    assert info.data_interval.end.minute == 0
    assert str(info.data_interval.end.tzinfo) == "UTC"


def test_a_run_of_any_date_has_its_tasks(bag):
    """A manual run of before a start date is left without tasks by Airflow, and is green at once."""
    for dag in bag.dags.values():
        assert [task.task_id for task in dag.tasks if task.start_date is not None] == []


def test_one_run_at_a_time_and_no_catchup(dag):
    assert dag.max_active_runs == 1
    assert dag.catchup is False


def test_each_dataset_is_landed_refined_and_merged(dag, catalog):
    for dataset in catalog.datasets:
        verbs = [dag.get_task(f"{dataset.dataset_id}.{verb}") for verb in ("land", "refine", "merge")]
        assert verbs[0].upstream_task_ids == {"plan"}
        assert verbs[1].upstream_task_ids == {verbs[0].task_id}
        assert verbs[2].upstream_task_ids == {verbs[1].task_id}
        assert verbs[2].task_id in dag.get_task("settle").upstream_task_ids


def test_no_source_may_be_called_as_a_task_of_a_dag_is(bag, catalog):
    """Airflow would not import the DAG."""
    sources = {source.name for source in catalog.sources}
    found = {
        name
        for each in ("tideline_hourly", "tideline_reconcile")
        for name in bag.dags[each].task_group.children
    }
    assert found - sources == set(DAG_TASKS)


def test_one_writer_per_table(dag, catalog):
    for dataset in catalog.datasets:
        assert dag.get_task(f"{dataset.dataset_id}.merge").max_active_tis_per_dag == 1


def test_each_merge_emits_one_asset_and_nothing_else_does(dag, catalog):
    emitted = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets}
    ours = {task_id: names for task_id, names in emitted.items() if not task_id.startswith("models.")}
    assert ours == {
        f"{d.dataset_id}.merge": [f"bigquery/tideline/raw_{d.source}/{d.name}"] for d in catalog.datasets
    }


def test_no_task_is_mapped(dag):
    """The shop's catalog declares no `split`: an hourly run costs no task and no query more."""
    assert [task.task_id for task in dag.tasks if task.is_mapped] == []
    assert {task.task_id for task in dag.tasks if task.task_id.endswith("plan")} == {"plan"}


@pytest.fixture(scope="module")
def split_dag(airflow_home, tmp_path_factory):
    """The hourly DAG of a catalog in which one dataset may be big."""
    from airflow.dag_processing.dagbag import DagBag

    directory = tmp_path_factory.mktemp("split")
    for path in (ROOT / "include" / "catalog").glob("*.yaml"):
        text = path.read_text()
        if path.stem == "shop_mongodb":
            text = text.replace("  orders:\n", "  orders:\n    split: {records: 1000, at_once: 3}\n")
        (directory / path.name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDELINE_CATALOG_DIR", str(directory))
        bag = DagBag(dag_folder=str(ROOT / "dags" / "tideline_hourly.py"))
    assert bag.import_errors == {}
    return bag.dags["tideline_hourly"]


def test_a_big_dataset_is_landed_and_refined_by_mapped_tasks(split_dag):
    land, refine, merge = (
        split_dag.get_task(f"shop_mongodb.orders.{verb}") for verb in ("land_range", "refine_range", "merge")
    )

    assert land.upstream_task_ids == {"shop_mongodb.orders.plan"}
    assert refine.upstream_task_ids == {land.task_id}
    assert merge.upstream_task_ids == {refine.task_id, "shop_mongodb.orders.plan"}
    group = land.task_group
    assert (type(group).__name__, group) == ("MappedTaskGroup", refine.task_group)
    assert not merge.is_mapped
    assert (merge.max_active_tis_per_dag, land.max_active_tis_per_dagrun) == (1, 3)
    assert split_dag.get_task("shop_mongodb.orders.plan").upstream_task_ids == set()


def test_no_task_becomes_many_when_a_dataset_is_split(split_dag, dag):
    """Airflow cannot take that in where a run is going on: its scheduler fails on that run for ever."""
    mapped = {
        task.task_id for task in split_dag.tasks if task.is_mapped or task.get_closest_mapped_task_group()
    }
    assert len(mapped) == 2
    assert not mapped & {task.task_id for task in dag.tasks}


def test_a_plan_that_is_cleared_and_gives_fewer_ranges_is_merged(split_dag, monkeypatch):
    """Airflow keeps what the ranges left that there are no more; the merge would have both."""
    merged = []
    monkeypatch.setattr("tideline.connections.open_deployment", nullcontext)
    monkeypatch.setattr("tideline.pipeline.merge_dataset", lambda _, refined, __: merged.append(refined))
    merge = split_dag.get_task("shop_mongodb.orders.merge").python_callable
    merge([{"now": 1}, {"before": 2}, {"before": 3}], [{}], run_id="r")
    assert merged == [[{"now": 1}]]


def test_other_datasets_stay_as_they_are_beside_a_big_one(split_dag, dag):
    others = {t.task_id for t in dag.tasks if not t.task_id.startswith("models.")}
    own = {f"shop_mongodb.orders.{verb}" for verb in ("plan", "land_range", "refine_range")}
    assert {t.task_id for t in split_dag.tasks if not t.task_id.startswith("models.")} - others == own
    assert split_dag.get_task("shop_mongodb.charges.land").upstream_task_ids == {"plan"}


def test_a_big_dataset_makes_no_path_longer(split_dag):
    def depth(task_id):
        return 1 + max((depth(up) for up in split_dag.get_task(task_id).upstream_task_ids), default=0)

    assert depth("settle") == 5


def test_models_are_built_when_a_dataset_failed_and_the_run_is_red_all_the_same(dag):
    assert dag.get_task("settle").trigger_rule == "all_done"
    assert dag.get_task("verdict").upstream_task_ids == dag.get_task("settle").upstream_task_ids | {"settle"}
    assert dag.get_task("verdict").trigger_rule == "all_done"
    assert dag.get_task("verdict").downstream_task_ids == set()
    first_models = [
        t for t in dag.tasks if t.task_id.startswith("models.") and "settle" in t.upstream_task_ids
    ]
    assert first_models


def test_a_verdict_that_could_not_be_asked_for_makes_no_good_run_red(dag):
    """Airflow's own server is not there for a moment, at an upgrade say: the verdict is asked for again."""
    from airflow.sdk import RetryAction

    verdict = dag.get_task("verdict")
    assert verdict.retries > 0
    for kind, action in ((errors.FatalError, "FAIL"), (RuntimeError, "DEFAULT")):
        found = verdict.retry_policy.evaluate(kind("x"), try_number=1, max_tries=3).action
        assert found == RetryAction[action]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TidelineError)
    ],
)
def test_the_type_of_an_error_says_retry_or_stop(dag, kind):
    from airflow.sdk import RetryAction

    policy = dag.get_task("shop_mongodb.orders.land").retry_policy
    decision = policy.evaluate(kind("x"), try_number=1, max_tries=3).action
    expected = (
        RetryAction.RETRY
        if issubclass(kind, errors.RetriableError)
        else RetryAction.FAIL
        if issubclass(kind, errors.FatalError)
        else RetryAction.DEFAULT
    )
    assert decision == expected


@pytest.mark.parametrize(
    ("verb", "given"), [("land", (None, "shop_mongodb.orders")), ("refine", (None,)), ("merge", (None,))]
)
def test_a_task_that_got_nothing_says_so_and_is_not_tried_again(dag, verb, given):
    """As after one that a person marked as success."""
    with pytest.raises(
        errors.FatalError, match=r"left nothing to go on with .*clear it, with everything downstream"
    ):
        dag.get_task(f"shop_mongodb.orders.{verb}").python_callable(*given)


@pytest.mark.parametrize("split", [False, True])
def test_what_is_landed_anew_counts_as_merged_only_after_its_merge(dag, split_dag, split, monkeypatch):
    """A merge of a run that is cleared may be marked as success before it begins; Airflow keeps what it left."""
    done = []
    monkeypatch.setattr("tideline.connections.open_deployment", nullcontext)
    monkeypatch.setattr("tideline.pipeline.land_dataset", lambda _, load, __: done.append(load))
    monkeypatch.setattr(
        "airflow.sdk.execution_time.xcom.XCom.delete",
        lambda **of: done.append((of["task_id"], of["map_index"])),
    )
    ti = SimpleNamespace(dag_id="tideline_hourly", run_id="r", map_index=3 if split else -1, try_number=2)
    load = {"dataset_id": "shop_mongodb.orders"}
    given = (load,) if split else ({"shop_mongodb.orders": load}, "shop_mongodb.orders")
    of_range = "_range" if split else ""
    land = (split_dag if split else dag).get_task(f"shop_mongodb.orders.land{of_range}")
    land.python_callable(*given, run_id="r", ti=ti)
    assert done == [
        (f"shop_mongodb.orders.refine{of_range}", ti.map_index),
        ("shop_mongodb.orders.merge", -1),
        load,
    ]


def test_a_bare_click_is_valid(dag):
    assert dag.params.validate() == {
        "datasets": [], "window_start": None, "window_end": None, "catch_up": False, "full_refresh": False,
    }  # fmt: skip


def test_the_form_refuses_an_unknown_dataset(dag):
    from airflow.sdk.exceptions import ParamValidationError

    param = dag.params.get_param("datasets")
    assert param.resolve(value=["shop_mongodb.orders"]) == ["shop_mongodb.orders"]
    with pytest.raises(ParamValidationError):
        param.resolve(value=["shop_mongodb.nope"])


def test_before_the_models_at_most_five_tasks_are_chained(dag):
    """plan, land, refine, merge, settle; the rest of the critical path is the models' own depth."""

    def depth(task_id):
        return 1 + max((depth(up) for up in dag.get_task(task_id).upstream_task_ids), default=0)

    assert depth("settle") == 5


@pytest.fixture(scope="module", params=["local", "watcher"])
def tagged(request, airflow_home, tmp_path_factory):
    """The hourly DAG of the project with some tests tagged `nightly`: all of albums', one of several of fct_orders'.

    Returns its mode, its tasks of dbt, and the ids of these tests.
    """
    from airflow.dag_processing.dagbag import DagBag

    project = tmp_path_factory.mktemp("tagged") / "dbt"
    shutil.copytree(ROOT / "dbt", project, ignore=shutil.ignore_patterns("logs"))
    path = project / "target" / "manifest.json"
    manifest = json.loads(path.read_text())
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    albums = [
        node for node in tests if "model.tideline.stg_jsonplaceholder__albums" in node["depends_on"]["nodes"]
    ]
    orders = [node for node in tests if node["attached_node"] == "model.tideline.fct_orders"]
    for node in tests:
        nightly = node in albums or node is orders[0]
        node["tags"] = node["config"]["tags"] = ["nightly"] if nightly else []
    assert albums
    assert len(orders) > 1
    path.write_text(json.dumps(manifest))
    about = project / "dbt_project.yml"
    about.write_text(about.read_text().replace("profile: tideline", "profile: ours"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDELINE_DBT_DIR", str(project))
        patch.setenv("TIDELINE_DBT_MODE", request.param)
        bag = DagBag(dag_folder=str(ROOT / "dags" / "tideline_hourly.py"))
    assert bag.import_errors == {}
    tasks = [task for task in bag.dags["tideline_hourly"].tasks if hasattr(task, "base_cmd")]
    assert len(tasks) > 30
    return request.param, tasks, {node["unique_id"] for node in [*albums, orders[0]]}


def test_models_are_built_by_the_profile_that_their_project_names(tagged):
    _, tasks, _ = tagged
    assert {task.profile_config.profile_name for task in tasks} == {"ours"}


def test_no_command_of_the_hour_runs_a_nightly_test(tagged):
    """Where the watcher tries a model or a seed again by itself, by `run` and `seed`, dbt runs no test at all."""
    _, tasks, _ = tagged
    commands = [task for task in tasks if task.base_cmd not in (["run"], ["seed"])]
    assert {task.base_cmd[0] for task in commands} <= {"build", "test"}
    assert len(commands) > 20
    for task in commands:
        flags = task.add_global_flags()
        assert {"tag:nightly", "resource_type:unit_test"} <= set(
            flags[flags.index("--exclude") + 1].split()
        ), task


def test_the_watcher_waits_for_no_nightly_test(tagged):
    """A test that it waits for and that dbt does not run would keep its task running for a week."""
    mode, tasks, nightly = tagged
    if mode != "watcher":
        assert not any(task.task_id.endswith(".test") for task in tasks)
        return
    (producer,) = (task for task in tasks if task.task_id.endswith("dbt_producer_watcher"))
    awaited = {test for tests in producer.tests_per_model.values() for test in tests}
    assert len(awaited) > 20
    assert not awaited & nightly
    watched = {task.task_id for task in tasks}
    assert "models.fct_orders.test" in watched
    assert "models.stg_jsonplaceholder__albums.test" not in watched
    for task in tasks:
        if task.task_id.endswith(".test"):
            assert producer.tests_per_model[task.model_unique_id], task


def test_no_task_of_dbt_waits_for_ever(tagged):
    """One that does keeps this hour and all after it: for a reply that was lost, or for a build that is over."""
    mode, tasks, _ = tagged
    assert {task._pre_execute_hook for task in tasks} == {make_ready}
    watchers = [task for task in tasks if hasattr(task, "poke")]
    assert len(watchers) == (len(tasks) - 1 if mode == "watcher" else 0)
    assert {task.producer_task_id for task in watchers} <= {"models.dbt_producer_watcher"}


def test_a_build_that_ends_is_over_at_once_and_decides_nothing(tagged):
    """Its retry would do nothing but end those who wait for it; they keep the slots that it would need."""
    mode, tasks, _ = tagged
    if mode == "watcher":
        (producer,) = (task for task in tasks if task.task_id.endswith("dbt_producer_watcher"))
        done = producer.dag.get_task(f"{producer.task_id}_done")
        assert (producer.retries, done.trigger_rule) == (0, "all_done")
        assert {task.retries for task in tasks} == {0, 3}
        assert done.downstream_task_ids == set()


def test_plugins_folder_holds_airflow_plugins_only():
    for path in (ROOT / "plugins").rglob("*.py"):
        assert "AirflowPlugin" in path.read_text(), path


def test_parsing_imports_no_provider_and_no_client(airflow_home):
    """In a process of its own: each would cost every parse and every task a second or more."""
    heavy = (
        "airflow.providers.google.common",
        "airflow.providers.amazon.aws",
        "airflow.providers.mongo.hooks",
    )
    heavy += ("boto3", "google.cloud.bigquery", "google.cloud.storage", "pandas", "pyarrow", "pymongo")
    script = (
        "import sys\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag(dag_folder={str(ROOT / 'dags')!r})\n"
        "assert bag.dags and not bag.import_errors\n"
        f"print([name for name in sys.modules if name.startswith({heavy!r})])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
