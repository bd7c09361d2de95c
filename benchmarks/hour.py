"""The whole hour: 200 k documents, 1.5 M CSV rows, an API and twenty models, under a real scheduler.

Tideline with its models watched, Tideline with one dbt task, and what many write today: pandas tasks and a
task for each model. Each has servers, an Airflow and a warehouse of its own, and is run once.
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks import fixtures, hour_models
from benchmarks.costs import connections
from benchmarks.harness import RunError, Task, perform
from benchmarks.paths import CACHE
from benchmarks.servers import mongodb
from devstack.stack import Stack

if TYPE_CHECKING:
    from benchmarks.sections import Bench

FORMS = {
    "watcher": ("hour", "tideline_hourly"),
    "one": ("hour", "tideline_hourly"),
    "pandas": ("hour_pandas", "pandas_hourly"),
}
"""Form → folder of its DAG file, and its DAG."""
ROWS = 200_000 + 1_500_000 + 810
SAME = (
    "select (select count(*) from raw_bench_mongodb.documents) + (select count(*) from raw_bench_s3.orders) "
    "+ (select count(*) from raw_bench_api.users) + (select count(*) from raw_bench_api.posts) "
    "+ (select count(*) from raw_bench_api.comments) + (select count(*) from raw_bench_api.todos), "
    "(select sum(row_count) from marts.documents_by_day) + (select sum(row_count) from marts.orders_by_day)"
)


def hour(bench: Bench) -> dict[str, Any]:
    """Seconds of each form, or why there are none; until the last table was loaded; how many tasks."""
    project = CACHE / "hour" / "dbt"
    costs: dict[str, Any] = {"hour_models": hour_models.write(project)}
    endpoint = bench.servers.s3_endpoint
    perform(Task("objects:drop", {"s3_endpoint": endpoint, "path": str(fixtures.CSV.path)}))
    perform(
        Task(
            "hour:manifest",
            {"project": str(project)},
            environment={"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        )
    )
    for form in FORMS:
        bench.say(f"the whole hour: {form}")
        try:
            found = _run(bench, form, str(project))
            costs |= {f"hour_{form}": found["seconds"], f"hour_{form}_loaded": found["loaded_seconds"]}
            costs[f"hour_{form}_tasks"] = found["tasks"]
        except RunError as error:
            costs[f"hour_{form}"] = str(error)
        perform(Task("objects:clear", {"s3_endpoint": endpoint}))
    return costs


def _run(bench: Bench, form: str, project: str) -> dict[str, Any]:
    state = CACHE / "hour" / form
    shutil.rmtree(state, ignore_errors=True)
    folder, dag_id = FORMS[form]
    with mongodb(documents=fixtures.DOCUMENTS) as (uri, _):
        known = connections(bench, uri)
        own = {name: value for name, value in known.items() if "WAREHOUSE" not in name}
        with Stack(state, offline=True, environ={**os.environ, **own}) as stack:
            environment = {**known, **stack.environment, "BENCH_DBT": project, "TIDELINE_DBT_DIR": ""}
            if form == "watcher":
                environment |= {"BENCH_DBT": "", "TIDELINE_DBT_DIR": project}
            window = {"window_start": "2020-01-01T00:00:00Z", "window_end": datetime.now(UTC).isoformat()}
            task = {"home": str(state / "airflow"), "folder": folder, "dag_id": dag_id, "mode": "watcher"}
            found = perform(Task("hour:run", {**task, "conf": window}, environment=environment))
            _check(str(stack.warehouse_url))
            return found


def _check(url: str) -> None:
    """Every form has loaded the same, and built from all of it.

    Raises:
        RunError: It has not.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    client = bigquery.Client("tideline", AnonymousCredentials(), client_options={"api_endpoint": url})
    (row,) = client.query(SAME, job_retry=None).result()
    if tuple(row) != (ROWS, 1_700_000):
        raise RunError(f"rows in raw tables and in two models: {tuple(row)}, not {(ROWS, 1_700_000)}")
