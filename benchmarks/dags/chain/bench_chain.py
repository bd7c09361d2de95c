"""Ten tasks that do nothing, one after the other: what Airflow itself costs for each link of a chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task


@task
def nothing() -> None:
    """Return at once."""


with DAG(
    "bench_chain",
    schedule="@once",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    # The scheduler may be up before the API server that the first task reports to.
    default_args={"retries": 5, "retry_delay": timedelta(seconds=2)},
):
    before = None
    for number in range(10):
        link = nothing.override(task_id=f"link_{number}")()
        if before is not None:
            before >> link
        before = link
