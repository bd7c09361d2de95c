"""Airflow on a laptop ends as a whole."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
import sqlalchemy

from devstack import airflow_home

PARENT = """
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
for start in range(2):
    print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
if sys.argv[1] == "waits":
    sys.stdin.read()
"""


@pytest.mark.parametrize("parent", ["waits", "is gone"])
def test_tasks_in_groups_of_their_own_end_with_airflow(parent):
    env = {**os.environ, airflow_home.MARK: "this one"}
    command = [sys.executable, "-c", PARENT, parent]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, env=env, start_new_session=True, **pipes) as process,
        subprocess.Popen(command, env={**env, airflow_home.MARK: "other"}, **pipes) as other,
    ):
        tasks, others = (
            [psutil.Process(int(each.stdout.readline())) for _ in range(2)] for each in (process, other)
        )
        if parent == "is gone":
            process.wait()
        airflow_home.stop_group(process, "this one")
        try:
            assert psutil.wait_procs(tasks, timeout=10)[1] == []
            assert all(each.is_running() for each in others)
        finally:
            for each in others:
                each.kill()
            other.kill()


def test_a_process_waits_for_the_schedulers_writes(tmp_path):
    """`airflow backfill create` beside a busy scheduler: SQLite's own 5 s ended in "database is locked"."""
    url = airflow_home.environment(tmp_path, {}, "local")["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    engine.dispose()
    assert waits == 1000 * airflow_home.DATABASE_SECONDS >= 60_000
    assert (tmp_path / "airflow.db").exists()
