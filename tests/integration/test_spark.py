"""The same landing refined here and by Spark: same rows, same refusals, whatever workers die meanwhile.

TIDELINE_SPARK_DOCUMENTS says how many documents; CI takes three million, a laptop's `make test` fewer.
"""

from __future__ import annotations

import io
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import boto3
import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pymongo
import pytest

from benchmarks import bigload
from benchmarks.replay import Server
from devstack import spark as laptop
from devstack.s3_server import S3Server
from tideline.catalog.loader import fingerprint, load_catalog
from tideline.errors import ContractError
from tideline.lake import keys, manifest
from tideline.lake.store import open_store
from tideline.land import mongodb
from tideline.land.request import LandRequest
from tideline.refine.refine import refine
from tideline.spark import parts, submit
from tideline.spark.order import Order, Stages
from tideline.window import Window

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

DOCUMENTS = int(os.environ.get("TIDELINE_SPARK_DOCUMENTS", "40000"))
KEYS = {"AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t", "AWS_DEFAULT_REGION": "us-east-1"}
KILLED = Path(__file__).parents[1] / "support" / "spark_killed.py"
ASIDE = {"seconds", "bytes", "quarantine_uri", "ranges", "distributed", "engine"}
"""Details that may differ between one process and many; bytes are those of other Parquet parts."""

if why := laptop.missing():
    pytest.skip(f"not measured on Spark: {why}", allow_module_level=True)


class Lake:
    """Three buckets of an S3 server, and what Spark needs to reach them."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {**laptop.environment(), **KEYS, "AWS_ENDPOINT_URL": endpoint, "NO_PROXY": "*"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1",
                              aws_access_key_id="t", aws_secret_access_key="t")  # fmt: skip
        names = ("spark-raw", "spark-processed", "spark-quarantine")
        for name in names:
            client.create_bucket(Bucket=name)
        self.uris = [f"s3://{name}" for name in names]
        self.stages = Stages(*(open_store(uri, s3_client=client) for uri in self.uris))

    def table(self, store, found) -> pa.Table:
        with ThreadPoolExecutor(4) as pool:
            bodies = pool.map(lambda part: store.read(store.key_of(part.uri)), found.parts)
            tables = [pq.read_table(io.BytesIO(body)) for body in bodies]
        return pa.concat_tables(tables)


@pytest.fixture(scope="module")
def lake():
    with S3Server() as server:
        yield Lake(server.url)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalog")
    text = bigload.CATALOG.format(records=10**9).replace(
        "split: {records: 1000000000}", "engine: spark\n    spark_from: 1MB"
    )
    (folder / "big.yaml").write_text(text)
    return load_catalog(folder).dataset(bigload.DATASET)


def documents(count: int) -> bigload.Documents:
    """One in 128 has a text where a number belongs."""
    templates = bigload.templates()
    for number in range(0, len(templates), 128):
        wrong = bson.encode({"_id": bson.Int64(0), "order_id": "none", "extra": number})
        at = wrong.index(b"\x12_id\0") + 5
        templates[number] = (wrong[:at], wrong[at + 8 :])
    return bigload.Documents(0, count, templates)


@pytest.fixture(scope="module")
def order(lake, dataset):
    with Server(0, bigload.Ranged(documents(DOCUMENTS))) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        request = LandRequest(
            dataset=dataset,
            window=Window(None, datetime(2026, 11, 21, 8, tzinfo=UTC)),
            mode="scheduled",
            run_id="test",
            catalog_fingerprint=fingerprint(dataset),
            part_bytes=max(1 << 20, DOCUMENTS * 400 // 16),
        )
        with pymongo.MongoClient(f"mongodb://127.0.0.1:{server.server_address[1]}") as client:
            landed, uri = mongodb.land(request, client, lake.stages.raw)
        server.shutdown()
    assert len(landed.parts) > 4
    return Order(dataset, uri, "test", *lake.uris)


@pytest.fixture(scope="module")
def alone(lake, order):
    """What one process makes of the landing."""
    stages = lake.stages
    found, _ = refine(order.dataset, order.raw_manifest_uri, raw=stages.raw, processed=stages.processed,
                      quarantine=stages.quarantine, run_id="alone")  # fmt: skip
    return found


def extra(lake, **fields):
    program = str(laptop.VENV / "bin" / "spark-submit")
    conf = {"spark.ui.enabled": "false"}
    return {"submit": "local", "spark_submit": program, "env": lake.environment, "conf": conf, **fields}


def found_by_spark(lake, order):
    landed = manifest.read(lake.stages.raw, order.raw_manifest_uri)
    uri = parts.find(lake.stages.processed, landed, order.raw_manifest_uri)
    return None if uri is None else manifest.read(lake.stages.processed, uri)


def assert_same(lake, alone, spread):
    """Rows, refusals and everything that the manifests say of them."""
    stages = lake.stages
    order = [("_raw_uri", "ascending"), ("_raw_position", "ascending")]
    here, there = (lake.table(stages.processed, found).sort_by(order) for found in (alone, spread))
    assert there.num_rows == DOCUMENTS - spread.details["quarantined"]
    assert there.equals(here)
    order = [("raw_uri", "ascending"), ("position", "ascending")]
    evidence = (
        manifest.read(stages.quarantine, found.details["quarantine_uri"]) for found in (alone, spread)
    )
    refused, also_refused = (lake.table(stages.quarantine, found).sort_by(order) for found in evidence)
    assert refused.num_rows == DOCUMENTS // 128 + (DOCUMENTS % 128 > 0)
    assert also_refused.equals(refused)
    same = [{k: v for k, v in found.details.items() if k not in ASIDE} for found in (alone, spread)]
    assert same[0] == same[1]
    for name in ("window", "extracted_at", "records", "catalog_fingerprint"):
        assert getattr(alone, name) == getattr(spread, name)


def test_spark_gives_the_rows_of_one_process(lake, order, alone):
    assert found_by_spark(lake, order) is None
    submit.run_locally(order, extra(lake))
    assert_same(lake, alone, found_by_spark(lake, order))


def test_a_killed_worker_leaves_nothing_that_counts(lake, order, alone, tmp_path):
    before = set(lake.stages.processed.list(""))
    program = [
        str(laptop.VENV / "bin" / "spark-submit"),
        "--master",
        "local[4,4]",
        "--conf",
        "spark.ui.enabled=false",
    ]
    done = subprocess.run(
        [*program, str(KILLED), order.encode(), str(tmp_path)],
        env={**os.environ, **lake.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "before"]
    spread = found_by_spark(lake, order)
    assert_same(lake, alone, spread)
    added = set(lake.stages.processed.list("")) - before
    ranges = [key for key in added if keys.attempt_of(key) and "-whole-" not in key]
    landed = manifest.read(lake.stages.raw, order.raw_manifest_uri)
    assert len(ranges) == len(landed.parts) + 1, (
        "the range that was committed and lost is there, and not named"
    )
    named = {lake.stages.processed.key_of(uri) for uri in spread.details["ranges"]}
    assert len(named) == len(landed.parts)
    assert named < set(ranges)


def test_too_many_refusals_stop_it_after_the_evidence(lake, order, dataset):
    strict = replace(order, dataset=dataset.model_copy(update={"quarantine_threshold": 0.0}), run_id="strict")
    named = found_by_spark(lake, order)
    with pytest.raises(ContractError, match="quarantine_threshold") as refused:
        submit.run_locally(strict, extra(lake))
    assert "spark-quarantine" in str(refused.value)
    assert found_by_spark(lake, order) == named
