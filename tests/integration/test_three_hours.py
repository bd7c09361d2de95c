"""Three hours of a living shop on embedded servers; the warehouse equals the generator's truth each time.

One story in order, so the tests of this file share a world and run in one process.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from tideline import pipeline
from tideline.errors import ContractError
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import raw_table

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("hour", [0, 1, 2])
def test_an_hour_and_the_same_hour_again(world, hour):
    world.shop.advance(hour, world.targets)
    first = world.run(world.request(hour))

    assert world.compare(hour) > 1000
    expected = {k: sum(v.values()) for k, v in world.shop.quarantined(hour).items()}
    assert {k: v["quarantined"] for k, v in first.items()} == expected
    for summary in first.values():
        assert summary["landed"] == summary["refined"] + summary["quarantined"]
        counted = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates")
        assert summary["refined"] == sum(summary[name] for name in counted)

    again = world.run(world.request(hour))
    assert world.compare(hour) > 1000
    assert sum(summary["inserted"] + summary["updated"] for summary in again.values()) == 0
    assert all(
        summary["landed"] == 0 for key, summary in again.items() if key.startswith(("json", "shop_s3"))
    )


def test_the_first_run_has_no_lower_bound_and_the_next_begins_at_the_mark(world):
    loads = pipeline.plan_run(world.deployment, world.request(2))
    assert loads["shop_mongodb.orders"]["window"]["start"] == "2026-03-14T10:00:00Z"
    assert loads["shop_s3.products"]["window"]["start"] == "2026-03-14T11:00:00Z"


def test_a_backfill_over_live_data_changes_nothing_that_is_newer(world):
    done = world.run(world.request(0, kind="backfill"))
    assert done["shop_mongodb.orders"]["landed"] > 0
    assert world.compare(2) > 1000


def test_the_ledger_names_the_partitions_that_rows_were_merged_into(world):
    """Whatever a row's window was, the loads of that window name where it lies."""
    warehouse, held = world.deployment.open_warehouse(), {}
    for dataset in world.deployment.catalog.datasets:
        loads = list(Ledger(warehouse).history(dataset.source, dataset.name))
        if dataset.partition is None:
            assert {load.partitions for load in loads if load.refined} == {None}
            continue
        named = {
            (load.window_id, start and f"{start}-01"[:10])
            for load in loads
            for start in json.loads(load.partitions).get(dataset.partition.column, ())
        }
        column, unit = dataset.partition.column, dataset.partition.granularity
        sql = (
            f"SELECT DISTINCT _window_id AS window_id, CAST(DATE_TRUNC(DATE({column}), {unit}) AS STRING) AS start "
            f"FROM {raw_table(dataset, warehouse.settings).sql}"
        )
        found = {(row["window_id"], row["start"]) for row in warehouse.rows(sql, kind="test")}
        assert found <= named
        held[dataset.name] = len(found)
        assert all(load.partitions == "{}" for load in loads if not load.refined)
    assert held.keys() == {"orders", "charges", "customers", "order_items"}
    assert held["customers"] > 12
    assert held["order_items"] > 300


def test_refused_rows_keep_their_bytes_and_reasons(world):
    import pyarrow.parquet as pq

    listing = list(world.deployment.quarantine.list("shop_mongodb/orders/"))
    parts = [key for key in listing if key.endswith(".parquet")]
    assert parts
    with world.deployment.quarantine.open(parts[0]) as stream:
        rows = pq.read_table(__import__("io").BytesIO(stream.read())).to_pylist()
    assert all(row["reason"] and row["raw"] and row["raw_uri"].startswith("s3://") for row in rows)


def test_a_task_killed_in_its_middle_and_retried(world):
    """SIGKILL at the moment the first Parquet part has been written; the retry makes a folder of its own."""
    world.shop.advance(3, world.targets)
    request = world.request(3, datasets=("shop_mongodb.orders",))
    load = pipeline.plan_run(world.deployment, request)["shop_mongodb.orders"]
    landed = pipeline.land_dataset(world.deployment, load, request.run_id)
    script = textwrap.dedent(f"""
        import os, signal
        from tideline import connections, pipeline
        from tideline.lake import manifest
        manifest.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        with connections.open_deployment() as deployment:
            pipeline.refine_dataset(deployment, {landed!r}, "killed")
    """)
    killed = subprocess.run(
        [sys.executable, "-c", script], check=False, env=dict(os.environ), capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]

    prefix = "shop_mongodb/orders/"
    orphans = [key for key in world.deployment.processed.list(prefix) if key.endswith(".parquet")]
    refined = pipeline.refine_dataset(world.deployment, landed, request.run_id)
    pipeline.merge_dataset(world.deployment, refined, request.run_id)
    world.run(world.request(3))
    assert world.compare(3) > 1000
    assert set(orphans) <= set(world.deployment.processed.list(prefix))


def test_a_load_above_the_threshold_fails_after_its_evidence_is_written(world):
    world.targets.put_object("products/broken.csv", _header(world) + b"x,y\n" * 50)
    request = world.request(3, datasets=("shop_s3.products",))
    load = pipeline.plan_run(world.deployment, request)["shop_s3.products"]
    landed = pipeline.land_dataset(world.deployment, load, request.run_id)
    with pytest.raises(ContractError) as failure:
        pipeline.refine_dataset(world.deployment, landed, request.run_id)
    assert "field_count" in str(failure.value)
    assert "s3://tideline-quarantine/" in str(failure.value)

    world.targets.put_object("products/broken.csv", _header(world))
    done = world.run(world.request(3, datasets=("shop_s3.products",)))
    assert done["shop_s3.products"]["quarantined"] == 0
    assert world.compare(3) > 1000


def _header(world):
    dataset = world.deployment.catalog.dataset("shop_s3.products")
    return ",".join(column.field for column in dataset.columns).encode() + b"\n"
