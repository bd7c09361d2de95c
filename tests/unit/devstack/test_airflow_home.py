"""Airflow on a laptop ends as a whole."""

from __future__ import annotations

import subprocess
import sys

import psutil

from devstack import airflow_home

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


def test_a_task_in_a_group_of_its_own_ends_with_airflow():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        airflow_home.stop_group(parent)
    gone, alive = psutil.wait_procs([child], timeout=10)
    assert (gone, alive) == ([child], [])
