"""plan ▶ refine in batches ▶ merge ▶ a shadow compared and swapped. From raw, no source; wiring only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, task
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from tideline import settings
from tideline.catalog.loader import load_catalog
from tideline.run_form import handed_over, handed_over_by_each

DATASETS = [dataset.dataset_id for dataset in load_catalog(settings.from_environment().catalog_dir).datasets]
INSTANT = {"type": ["null", "string"], "format": "date-time"}
TEXT = {"type": ["null", "string"]}
FLAG = {"type": "boolean"}
DAYS = {"type": "integer", "minimum": 1, "maximum": 365}
SOME = {"type": "array", "items": {"type": "string", "enum": DATASETS}, "examples": DATASETS}


def field(default: Any, schema: dict[str, Any], title: str, description: str) -> Param:
    """One field of the form."""
    return Param(default, title=title, description=description, **schema)


PARAMS = {
    "datasets": field([], SOME, "Datasets", "What to replay; a shadow is of one. None: all refused rows."),
    "from": field(None, INSTANT, "From (UTC)", "Windows that end after it; empty: from the first on."),
    "to": field(None, INSTANT, "To (UTC)", "Windows that end then or before; empty: up to now."),
    "into": field(
        "live",
        {"enum": ["live", "shadow"]},
        "Into",
        "live: merge into the table as it is. shadow: build a table beside it, and compare the two.",
    ),
    "swap": field(
        False, FLAG, "Swap", "Put the shadow in the live table's place; the old one is kept beside it."
    ),
    "force": field(
        False, FLAG, "Force the swap", "Also where live has keys that the shadow has not: these rows go."
    ),
    "keep_days": field(7, DAYS, "Keep for days", "After how many days the old table, or a shadow, expires."),
    "quarantined": field(False, FLAG, "Refused rows", "Only landings with refused rows that are still open."),
    "load": field(None, TEXT, "Of load", "Of refused rows: only those of this load, by its load_id."),
    "reason": field(None, TEXT, "For reason", "Of refused rows: only landings with one for this reason."),
}
WAIT = "the other side may answer later"
RETRIES = ExceptionRetryPolicy(
    [
        RetryRule("tideline.errors.RetriableError", RetryAction.RETRY, reason=WAIT),
        RetryRule("tideline.errors.FatalError", RetryAction.FAIL, reason="repeating changes nothing"),
    ]
)
STEP: dict[str, Any] = {"retry_policy": RETRIES, "multiple_outputs": False}


def body(step: str, *arguments: Any) -> Any:
    """One step of `tideline.replay.steps`, with clients that are made for it and closed after it."""
    from tideline import connections
    from tideline.replay import steps

    with connections.open_deployment() as deployment:
        return getattr(steps, step)(deployment, *arguments)


@task(**STEP)
def plan(**context: Any) -> dict[str, Any]:
    """Choose the landings; for a shadow, make its table."""
    from tideline.replay.request import ReplayRequest
    from tideline.run_form import filled_form

    now = datetime.now(UTC)
    return body("plan_replay", ReplayRequest.from_params(filled_form(context), now), now)


@task
def batches(planned: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """What is refined together."""
    return handed_over(planned)["batches"]


@task(task_id="batch", **STEP)
def refine(batch: list[dict[str, Any]], run_id: str | None = None) -> dict[str, Any]:
    """Raw → Parquet and quarantine, anew; nothing of it is visible yet."""
    return body("refine_batch", batch, run_id)


@task(task_id="loads", max_active_tis_per_dag=1, **STEP)
def merge(
    planned: dict[str, Any], refined: list[dict[str, Any]], run_id: str | None = None
) -> dict[str, Any]:
    """Parquet → the live tables or the shadow, in the order in which the source was read."""
    batches = handed_over(planned)["batches"]
    return body("merge_refined", planned, handed_over_by_each(refined, len(batches)), run_id)


@task(**STEP)
def compare(planned: dict[str, Any], merged: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
    """Rows, keys, and every column by count and checksum."""
    from airflow.sdk.exceptions import AirflowSkipException

    if planned["shadow"] is None:
        raise AirflowSkipException("this replay goes into the live tables")
    return body("compare_shadow", planned, handed_over(merged), run_id)


@task(**STEP)
def swap(planned: dict[str, Any], compared: dict[str, Any], run_id: str | None = None) -> dict[str, Any]:
    """The shadow takes the live table's place."""
    from airflow.sdk.exceptions import AirflowSkipException

    if not planned["swap"]:
        raise AirflowSkipException("no swap was asked for; the shadow expires by itself")
    return body("swap_shadow", planned, handed_over(compared), run_id)


with DAG(
    dag_id="tideline_replay",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"owner": "tideline", "retries": 3, "retry_delay": timedelta(seconds=30)},
    params=PARAMS,
    doc_md=Path(__file__).with_suffix(".md").read_text(encoding="utf-8"),
    tags=["tideline"],
) as dag:
    planned = plan()
    with TaskGroup("refine"):
        refined = refine.expand(batch=batches(planned))
    with TaskGroup("merge"):
        merged = merge(planned, refined)
    with TaskGroup("shadow"):
        swap(planned, compare(planned, merged))
