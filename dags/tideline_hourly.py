"""plan ▶ per dataset land ▶ refine ▶ merge ▶ the dbt models. Generated from the catalog; wiring only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, TaskGroup, TriggerRule, task, task_group
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.xcom import XCom
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior, TestIndirectSelection

from tideline import settings
from tideline.catalog.loader import load_catalog
from tideline.catalog.models import NIGHTLY, HourlyManifest, has_models, manifest_path, profile_name
from tideline.dbt_process import make_ready
from tideline.run_form import begin_anew, handed_over, handed_over_by_each, merged_by_now

SETTINGS = settings.from_environment()
CATALOG = load_catalog(SETTINGS.catalog_dir)
DATASETS = [dataset.dataset_id for dataset in CATALOG.datasets]
INSTANT: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
PARAMS = {
    "datasets": Param([], type="array", items={"type": "string", "enum": DATASETS}, examples=DATASETS),
    "window_start": Param(None, **INSTANT, title="Window start (UTC)"),
    "window_end": Param(None, **INSTANT, title="Window end (UTC)"),
    "catch_up": Param(False, type="boolean", title="Catch up from the high-water mark"),
    "full_refresh": Param(False, type="boolean", title="dbt full refresh"),
}
RETRIES = ExceptionRetryPolicy(
    [
        RetryRule("tideline.errors.RetriableError", RetryAction.RETRY, reason="the other side may recover"),
        RetryRule("tideline.errors.FatalError", RetryAction.FAIL, reason="repeating changes nothing"),
    ]
)


def pod(role: str) -> dict[str, Any]:
    """Where tasks can have pods of their own, the heavy ones do: with their role's account and size."""
    if "KubernetesExecutor" not in conf.get("core", "executor"):
        return {}
    template = Path(__file__).parents[1] / "pods" / f"{role}.yaml"  # from the chart's values
    return {"executor": "KubernetesExecutor", "executor_config": {"pod_template_file": str(template)}}


def body(verb: str, *arguments: Any) -> Any:
    """One task body of `tideline.pipeline`, with clients that are made for it and closed after it."""
    from tideline import connections, pipeline

    with connections.open_deployment() as deployment:
        return getattr(pipeline, verb)(deployment, *arguments)


@task(retry_policy=RETRIES)
def plan(dataset_id: str | None = None, **context: Any) -> Any:
    """Read the ledger once; dataset id → window. Of one dataset that may be big: its ranges."""
    from tideline.run_form import run_request

    request = run_request(context)
    return body("plan_ranges", request, dataset_id) if dataset_id else body("plan_run", request)


@task(retry_policy=RETRIES, **pod("extract"))
def land(load: dict[str, Any], dataset_id: str | None = None, **context: Any) -> dict[str, Any]:
    """Source → raw. Takes a planned load, or the whole plan and which of it."""
    if dataset_id and dataset_id not in handed_over(load):
        raise AirflowSkipException("not among the datasets of this run")
    planned = load[dataset_id] if dataset_id else load
    begin_anew(context, planned["dataset_id"], XCom.delete)
    return body("land_dataset", planned, context["run_id"])


@task(retry_policy=RETRIES, **pod("transform"))
def refine(landed: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
    """Raw → Parquet and quarantine."""
    return body("refine_dataset", handed_over(landed), run_id)


@task_group(group_id="ranges", prefix_group_id=False)
def by_range(load: dict[str, Any], dataset_id: str, at_once: int) -> Any:
    """Land and refine one range of a big load; it does not wait for the others.

    Under ids of their own: a task of a run that becomes many, when `split` is declared, stops it for good.
    """
    landed = land.override(task_id=f"{dataset_id}.land_range", max_active_tis_per_dagrun=at_once)(load)
    return refine.override(task_id=f"{dataset_id}.refine_range")(landed)


@task(retry_policy=RETRIES, max_active_tis_per_dag=1)
def merge(refined: Any, ranges: list[Any] | None = None, run_id: str | None = None) -> dict[str, Any]:
    """Parquet → warehouse and ledger. Takes what one task refined, or those of all ranges of a load."""
    each = handed_over(refined) if ranges is None else handed_over_by_each(refined, len(ranges))
    return body("merge_dataset", each, run_id)


@task(retry_policy=RETRIES, trigger_rule=TriggerRule.ALL_DONE)
def settle(loads: Any, merged: list[dict[str, Any] | None], **context: Any) -> list[str]:
    """Which datasets of the run are stale; models are built on what is good all the same."""
    return body("settle", loads, merged_by_now(context, merged))


@task(retry_policy=RETRIES, trigger_rule=TriggerRule.ALL_DONE)
def verdict(settled: Any, loads: Any, merged: list[dict[str, Any] | None], **context: Any) -> None:
    """Be red when a dataset is not merged, beside models that were built; settle may be of an earlier try."""
    from tideline.verdict import judge

    judge(settled, loads, merged_by_now(context, merged), DATASETS)


with DAG(
    dag_id="tideline_hourly",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    catchup=False,  # the first run after a gap covers it by itself: its window begins at the high-water mark
    max_active_runs=1,
    default_args={"owner": "tideline", "retries": 3, "retry_delay": timedelta(seconds=30)},
    params=PARAMS,
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["tideline"],
) as dag:
    loads, merged = plan(), []
    for source in CATALOG.sources:
        with TaskGroup(source.name):
            for dataset in source.datasets:
                with TaskGroup(dataset.name):
                    table = f"{SETTINGS.project}/{SETTINGS.dataset_prefix}raw_{source.name}/{dataset.name}"
                    if split := getattr(dataset, "split", None):
                        ranges = plan(dataset.dataset_id)
                        each = by_range.partial(dataset_id=dataset.dataset_id, at_once=split.at_once)
                        refined = [each.expand(load=ranges), ranges]
                    else:
                        refined = [refine(land(loads, dataset.dataset_id))]
                    merged.append(merge.override(outlets=[Asset(f"bigquery/{table}")])(*refined))
    verdict(settled := settle(loads, merged), loads, merged)
    if (dbt := SETTINGS.dbt_dir) and has_models(dbt, CATALOG):
        project = ProjectConfig(dbt, manifest_path=manifest_path(dbt), install_dbt_deps=False)
        project.manifest_path = HourlyManifest(manifest_path(dbt))  # Cosmos's own imports every provider
        # a model for itself: what dbt would write about the whole project is read by nobody
        how: dict[str, Any] = {"dbt_cmd_global_flags": ["--no-write-json"]}
        if watches := SETTINGS.dbt_mode == "watcher":
            how = {"deferrable": False, "poke_interval": 2}
        how |= {"full_refresh": "{{ params.full_refresh }}", "pre_execute": make_ready}
        settled >> DbtTaskGroup(
            group_id="models",
            project_config=project,
            profile_config=ProfileConfig(profile_name(dbt), SETTINGS.dbt_target, dbt / "profiles.yml"),
            render_config=RenderConfig(
                load_method=LoadMode.DBT_MANIFEST,
                test_behavior=TestBehavior.AFTER_EACH if watches else TestBehavior.BUILD,
                exclude=["resource_type:unit_test", "resource_type:exposure", f"tag:{NIGHTLY}"],
                emit_datasets=False,  # two tasks that make one asset known at once: Airflow fails the second
            ),
            # a test runs with the model that is built after everything the test reads, never before
            execution_config=ExecutionConfig(
                ExecutionMode(SETTINGS.dbt_mode), InvocationMode.DBT_RUNNER, TestIndirectSelection.BUILDABLE
            ),
            operator_args=how,
        )
        if watches:  # a retry of the build only skips it, and would wait for slots that its watchers keep
            build, done = (dag.get_task(f"models.dbt_producer_watcher{end}") for end in ("", "_done"))
            build.retries, done.trigger_rule = 0, TriggerRule.ALL_DONE
