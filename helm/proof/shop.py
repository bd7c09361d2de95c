"""What is true of the living shop, asked inside the demo's pod, and whether the warehouse says the same."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from proof.cluster import FailedError

if TYPE_CHECKING:
    from proof.airflow import Airflow
    from proof.cluster import Cluster

SHOP = "/tmp/tideline"  # noqa: S108  inside the pod
"""Where the demo's pod keeps the shop."""


def shop_end(cluster: Cluster) -> datetime:
    """The end of the last hour that has happened in the shop."""
    clock = json.loads(cluster.demo("cat", f"{SHOP}/demo/shop.json"))
    return datetime.fromisoformat(clock["anchor"]) + timedelta(hours=clock["hour"] + 1)


def verify(cluster: Cluster, airflow: Airflow) -> str:
    """The warehouse against what is true of the shop.

    The shop goes on while runs do. An hour that happened in it since the run's end is waited for and run as well.
    """
    end = shop_end(cluster)
    if end > airflow.until:
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds() + 5))
        airflow.finish(airflow.trigger(hours=3))
    exports = {
        k: v.replace("tideline-demo", "127.0.0.1") for k, v in cluster.secret("tideline-connections").items()
    }
    exports |= {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050", "AIRFLOW_HOME": f"{SHOP}/airflow"}
    command = ["env", *(f"{k}={v}" for k, v in exports.items())]
    out = cluster.demo(*command, "python", "-m", "devstack", "verify", "--state", SHOP, check=False)
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if not lines:
        raise FailedError(f"verify said nothing: {out[-1000:]}")
    found = json.loads(lines[-1])
    if not found["equal"]:
        raise FailedError(f"the warehouse is not the shop: {found}")
    return (
        f"{sum(d['rows'] for d in found['datasets'].values())} rows equal in {len(found['datasets'])} tables"
    )
