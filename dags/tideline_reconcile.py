"""Once a day: all data tests; then source and warehouse compared, and put right. Wiring only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, TaskGroup, TriggerRule, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException
from cosmos import DbtTestLocalOperator, ProfileConfig
from cosmos.constants import InvocationMode

from tideline import settings
from tideline.catalog.loader import load_catalog
from tideline.catalog.models import has_models, profile_name
from tideline.dbt_process import make_ready

SETTINGS = settings.from_environment()
CATALOG = load_catalog(SETTINGS.catalog_dir)
DATASETS = [dataset.dataset_id for dataset in CATALOG.datasets]
RATIO: dict[str, Any] = {"type": ["null", "number"], "minimum": 0, "maximum": 1}
PARAMS = {
    "datasets": Param(
        [],
        type="array",
        items={"type": "string", "enum": DATASETS},
        examples=DATASETS,
        title="Datasets",
        description="None: all of them, and the data tests.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Compare and report; change and test nothing."
    ),
    "max_delete_ratio": Param(
        None,
        **RATIO,
        title="Maximum ratio of deletions",
        description="Share of a table's live rows that may be deleted in this run; empty: the catalog's.",
    ),
}
WAIT = "the other side may answer later"
RETRIES = ExceptionRetryPolicy(
    [
        RetryRule("tideline.errors.RetriableError", RetryAction.RETRY, reason=WAIT),
        RetryRule("tideline.errors.FatalError", RetryAction.FAIL, reason="repeating changes nothing"),
    ]
)


@task(retry_policy=RETRIES, multiple_outputs=False, trigger_rule=TriggerRule.ALL_DONE)
def reconcile(dataset_id: str, **context: Any) -> dict[str, Any]:
    """Compare, write the evidence, refine it and merge it."""
    from tideline import connections
    from tideline.reconcile.reconcile import reconcile_dataset
    from tideline.run_form import filled_form

    params = filled_form(context)
    if params["datasets"] and dataset_id not in params["datasets"]:
        raise AirflowSkipException("not among the datasets of this run")
    with connections.open_deployment() as deployment:
        return reconcile_dataset(
            deployment,
            dataset_id,
            run_id=context["run_id"],
            dry_run=bool(params["dry_run"]),
            max_delete_ratio=params["max_delete_ratio"],
        )


def of_everything(context: dict[str, Any]) -> None:
    """The tests are about the whole warehouse, once there is one; so are the runs that they are part of."""
    from tideline.run_form import filled_form

    params = filled_form(context)
    if params["datasets"] or params["dry_run"]:
        raise AirflowSkipException("a run of some datasets, or a dry run: nothing is tested")
    if not context["ti"].get_dr_count("tideline_hourly", states=["success"]):
        raise AirflowSkipException("no hour has succeeded yet: there are no models to test")
    make_ready(context)


with DAG(
    dag_id="tideline_reconcile",
    schedule=CronDataIntervalTimetable(
        "30 3 * * *", timezone="UTC"
    ),  # half an hour off the hourly run's merges
    catchup=False,  # it compares what is there now, whatever day it is run for
    max_active_runs=1,
    default_args={"owner": "tideline", "retries": 3, "retry_delay": timedelta(minutes=1)},
    params=PARAMS,
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["tideline"],
) as dag:
    reconciled = []
    for source in CATALOG.sources:
        with TaskGroup(source.name):
            for dataset in source.datasets:
                with TaskGroup(dataset.name):
                    table = f"{SETTINGS.project}/{SETTINGS.dataset_prefix}raw_{source.name}/{dataset.name}"
                    outlets = [Asset(f"bigquery/{table}")]
                    reconciled.append(reconcile.override(outlets=outlets)(dataset.dataset_id))
    if (dbt := SETTINGS.dbt_dir) and has_models(dbt, CATALOG):
        tests = DbtTestLocalOperator(
            task_id="data_tests",
            project_dir=dbt,
            profile_config=ProfileConfig(profile_name(dbt), SETTINGS.dbt_target, dbt / "profiles.yml"),
            vars={"tested_days": 100_000},  # whole tables; an hour looks back less
            exclude="resource_type:unit_test",
            invocation_mode=InvocationMode.DBT_RUNNER,
            dbt_cmd_global_flags=["--no-write-json"],
            install_deps=False,
            emit_datasets=False,
            should_store_compiled_sql=False,  # of a hundred tests: more than Airflow shows
            retries=0,
            pre_execute=of_everything,
        )
        # first: what is put right makes raw differ from the models, until the next hourly run builds them.
        # A run is as its last tasks are: without a verdict, red tests would not make it red
        tests >> [*reconciled, EmptyOperator(task_id="verdict")]
