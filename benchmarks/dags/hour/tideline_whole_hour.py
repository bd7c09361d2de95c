"""The product's own hourly DAG without its schedule: triggered by the benchmark, once.

BENCH_DBT names a project whose models are built by one task behind it; else the DAG has its models itself.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from airflow.sdk import DAG, task
from airflow.sdk.definitions.timetables.simple import NullTimetable

FOUND = runpy.run_path(str(Path(__file__).parents[3] / "dags" / "tideline_hourly.py"))
dag: DAG = FOUND["dag"]
dag.timetable = NullTimetable()

if project := os.environ.get("BENCH_DBT"):

    @task
    def models() -> None:
        """`dbt build`, whole."""
        from dbt.cli.main import dbtRunner

        command = ["--quiet", "build", "--project-dir", project, "--profiles-dir", project]
        done = dbtRunner().invoke(command)
        if not done.success:
            raise RuntimeError(str(done.exception or done.result))

    with dag:
        FOUND["settled"] >> models()
