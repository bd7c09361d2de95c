"""Once a day: source and warehouse of each dataset compared, and put right. Wiring only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, TaskGroup, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from tideline import settings
from tideline.catalog.loader import load_catalog

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
        description="None: all of them.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Compare and report; change nothing."
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


@task(retry_policy=RETRIES, multiple_outputs=False)
def reconcile(dataset_id: str, **context: Any) -> dict[str, Any]:
    """Compare, write the evidence, refine it and merge it."""
    from airflow.sdk.exceptions import AirflowSkipException

    from tideline import connections
    from tideline.reconcile.reconcile import reconcile_dataset

    params = context["params"]
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


with DAG(
    dag_id="tideline_reconcile",
    schedule=CronDataIntervalTimetable(
        "30 3 * * *", timezone="UTC"
    ),  # half an hour off the hourly run's merges
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    catchup=False,  # it compares what is there now, whatever day it is run for
    max_active_runs=1,
    default_args={"owner": "tideline", "retries": 3, "retry_delay": timedelta(minutes=1)},
    params=PARAMS,
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["tideline"],
) as dag:
    for source in CATALOG.sources:
        with TaskGroup(source.name):
            for dataset in source.datasets:
                with TaskGroup(dataset.name):
                    table = f"{SETTINGS.project}/{SETTINGS.dataset_prefix}raw_{source.name}/{dataset.name}"
                    reconcile.override(outlets=[Asset(f"bigquery/{table}")])(dataset.dataset_id)
