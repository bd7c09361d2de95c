"""The replay DAG as Airflow runs it: a shadow swapped in, batches mapped, a form that does not go together."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from devstack.airflow_home import BIN
from tideline.warehouse.ledger import Ledger

ORDERS = "shop_mongodb.orders"
ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.integration, pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def trigger(world, manifest, tmp_path_factory):
    """Run the DAG with a form, in one process; exit code and output."""
    home = tmp_path_factory.mktemp("airflow")
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    subprocess.run([BIN / "airflow", "db", "migrate"], env=env, check=True, capture_output=True)

    def run(**form):
        command = [BIN / "airflow", "dags", "test", "tideline_replay", "--conf", json.dumps(form)]
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_replay_through_a_shadow(world, trigger):
    for hour in (0, 1):
        world.shop.advance(hour, world.targets)
        world.run(world.request(hour, datasets=(ORDERS,)))
    code, said = trigger(datasets=[ORDERS], into="shadow", swap=True)
    assert code == 0, said[-4000:]
    assert "took the place of" in said
    assert world.compare(1, (ORDERS,)) > 100
    ledger = Ledger(world.deployment.open_warehouse())
    assert [row.mode for row in ledger.history(*ORDERS.split("."))].count("replay") == 2


def test_a_form_that_does_not_go_together_fails_the_plan(trigger):
    code, said = trigger(datasets=[ORDERS], swap=True)
    assert code != 0
    assert "a swap needs a shadow" in said
