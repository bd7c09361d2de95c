"""plan ▶ per dataset land ▶ refine ▶ merge ▶ the dbt models. Generated from the catalog; wiring only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    CronDataIntervalTimetable,
    ExceptionRetryPolicy,
    Param,
    RetryAction,
    RetryRule,
    TaskGroup,
    TriggerRule,
    task,
)
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode

from tideline import settings
from tideline.catalog.loader import load_catalog
from tideline.catalog.models import has_models, manifest_path

SETTINGS = settings.from_environment()
CATALOG = load_catalog(SETTINGS.catalog_dir)
DATASETS = [dataset.dataset_id for dataset in CATALOG.datasets]
RETRIES = ExceptionRetryPolicy(
    [
        RetryRule(
            "tideline.errors.RetriableError", RetryAction.RETRY, reason="the other side may answer later"
        ),
        RetryRule("tideline.errors.FatalError", RetryAction.FAIL, reason="repeating changes nothing"),
    ]
)
PARAMS = {
    "datasets": Param(
        [],
        type="array",
        title="Datasets",
        description="Only these; all where none is chosen.",
        items={"type": "string", "enum": DATASETS},
        examples=DATASETS,
    ),
    "window_start": Param(None, type=["null", "string"], format="date-time", title="Window start (UTC)"),
    "window_end": Param(None, type=["null", "string"], format="date-time", title="Window end (UTC)"),
    "catch_up": Param(False, type="boolean", title="Catch up from the high-water mark"),
    "full_refresh": Param(False, type="boolean", title="dbt full refresh"),
}


@task(retry_policy=RETRIES)
def plan(**context: Any) -> dict[str, dict[str, Any]]:
    """Read the ledger once; dataset id → window."""
    from tideline import connections, pipeline

    with connections.open_deployment() as deployment:
        return pipeline.plan_run(deployment, connections.run_request(context))


@task(retry_policy=RETRIES)
def land(dataset_id: str, loads: dict[str, dict[str, Any]], run_id: str | None = None) -> dict[str, Any]:
    """Source → raw."""
    from airflow.sdk.exceptions import AirflowSkipException

    from tideline import connections, pipeline
    from tideline.plan import PlannedLoad

    if dataset_id not in loads:
        raise AirflowSkipException("not among the datasets of this run")
    with connections.open_deployment() as deployment:
        return pipeline.land_dataset(deployment, PlannedLoad.from_json(loads[dataset_id]), str(run_id))


@task(retry_policy=RETRIES)
def refine(landed: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
    """Raw → Parquet and quarantine."""
    from tideline import connections, pipeline

    with connections.open_deployment() as deployment:
        return pipeline.refine_dataset(deployment, landed, str(run_id))


@task(retry_policy=RETRIES, max_active_tis_per_dag=1)
def merge(refined: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
    """Parquet → warehouse and ledger."""
    from tideline import connections, pipeline

    with connections.open_deployment() as deployment:
        return pipeline.merge_dataset(deployment, refined, str(run_id))


@task(retry_policy=RETRIES, trigger_rule=TriggerRule.ALL_DONE)
def settle(loads: dict[str, dict[str, Any]] | None, merged: list[dict[str, Any] | None]) -> list[str]:
    """Which datasets of the run are stale, so that models are built on what is good and say what is not."""
    from tideline import connections, pipeline

    with connections.open_deployment() as deployment:
        return pipeline.settle(deployment, loads, merged)


@task(retries=0)
def verdict(stale: list[str]) -> None:
    """Be red when a dataset was not merged, beside models that were built all the same."""
    from tideline.errors import FatalError

    if stale:
        raise FatalError(
            f"not merged in this run: {', '.join(stale)}", remedy="see the red tasks of these datasets"
        )


with DAG(
    dag_id="tideline_hourly",
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,  # the first run after a gap covers it by itself: its window begins at the high-water mark
    max_active_runs=1,
    default_args={
        "owner": "tideline",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
    },
    params=PARAMS,
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["tideline"],
) as dag:
    loads = plan()
    merged = []
    for source in CATALOG.sources:
        with TaskGroup(source.name):
            for dataset in source.datasets:
                table = f"{SETTINGS.dataset_prefix}raw_{source.name}/{dataset.name}"
                with TaskGroup(dataset.name):
                    landed = land(dataset.dataset_id, loads)
                    loaded = merge.override(outlets=[Asset(f"bigquery/{SETTINGS.project}/{table}")])(
                        refine(landed)
                    )
                    merged.append(loaded)
    settled = settle(loads, merged)
    verdict(settled)
    if SETTINGS.dbt_dir and has_models(SETTINGS.dbt_dir, CATALOG):
        settled >> DbtTaskGroup(
            group_id="models",
            project_config=ProjectConfig(
                SETTINGS.dbt_dir, manifest_path=manifest_path(SETTINGS.dbt_dir), install_dbt_deps=False
            ),
            profile_config=ProfileConfig(
                "tideline", SETTINGS.dbt_target, profiles_yml_filepath=SETTINGS.dbt_dir / "profiles.yml"
            ),
            render_config=RenderConfig(
                load_method=LoadMode.DBT_MANIFEST,
                exclude=["resource_type:unit_test", "resource_type:exposure"],
            ),
            execution_config=ExecutionConfig(
                execution_mode=ExecutionMode(SETTINGS.dbt_mode), invocation_mode=InvocationMode.DBT_RUNNER
            ),
            operator_args={"full_refresh": "{{ params.full_refresh }}"},
        )
