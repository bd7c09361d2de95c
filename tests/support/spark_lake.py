"""A landing for Spark on an S3 server, and what one process makes of it, to hold a job's rows against.

    python -m spark_lake DOCUMENTS COMMAND…      lands them, runs the command with the order after it, compares

`COMMAND` finds the lake by the AWS variables of its environment, as a job does on a cluster. Knows no Spark.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

import boto3
import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pymongo
from botocore.config import Config

from benchmarks import bigload
from benchmarks.replay import Server
from devstack.s3_server import S3Server
from tideline.catalog.loader import fingerprint, load_catalog
from tideline.lake import manifest as manifests
from tideline.lake.store import open_store
from tideline.land import mongodb
from tideline.land.request import LandRequest
from tideline.refine.refine import refine
from tideline.spark import parts
from tideline.spark.order import Order, Stages
from tideline.window import Window

if TYPE_CHECKING:
    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store

REGION, KEY = "us-east-1", "t"
BUCKETS = ("spark-raw", "spark-processed", "spark-quarantine")
REFUSED_OF = 128
"""One document of so many has a text where a number belongs."""
ASIDE = {"seconds", "bytes", "quarantine_uri", "ranges", "distributed", "engine"}
"""Details that may differ between one process and many; bytes are those of other Parquet parts."""


class Lake:
    """Three buckets of an S3 server, and what a job needs to reach them."""

    def __init__(self, endpoint: str) -> None:
        self.environment = environment(endpoint)
        config = Config(s3={"addressing_style": "path"}, proxies={})
        client = boto3.client("s3", endpoint_url=endpoint, region_name=REGION, config=config,
                              aws_access_key_id=KEY, aws_secret_access_key=KEY)  # fmt: skip
        for name in BUCKETS:
            client.create_bucket(Bucket=name)
        self.uris = [f"s3://{name}" for name in BUCKETS]
        self.stages = Stages(*(open_store(uri, s3_client=client) for uri in self.uris))

    def order(self, dataset: AnyDataset, count: int) -> Order:
        """Land so many documents in at least five parts; the order to refine them."""
        with Server(0, bigload.Ranged(documents(count))) as server:
            Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            request = LandRequest(
                dataset=dataset,
                window=Window(None, datetime(2026, 11, 21, 8, tzinfo=UTC)),
                mode="scheduled",
                run_id="test",
                catalog_fingerprint=fingerprint(dataset),
                part_bytes=max(1 << 20, count * 400 // 16),
            )
            with pymongo.MongoClient(f"mongodb://127.0.0.1:{server.server_address[1]}") as client:
                landed, uri = mongodb.land(request, client, self.stages.raw)
            server.shutdown()
        assert len(landed.parts) > 4
        return Order(dataset, uri, "test", *self.uris)

    def alone(self, order: Order) -> Manifest:
        """What one process makes of the landing."""
        stages = self.stages
        found, _ = refine(order.dataset, order.raw_manifest_uri, raw=stages.raw, processed=stages.processed,
                          quarantine=stages.quarantine, run_id="alone")  # fmt: skip
        return found

    def spread(self, order: Order) -> Manifest | None:
        """The newest that a job committed of the landing."""
        landed = manifests.read(self.stages.raw, order.raw_manifest_uri)
        uri = parts.find(self.stages.processed, landed, order)
        return None if uri is None else manifests.read(self.stages.processed, uri)

    def assert_same(self, alone: Manifest, spread: Manifest, count: int) -> int:
        """Rows, refusals and everything that the manifests say of them; how many rows."""
        stages = self.stages
        order = [("_raw_uri", "ascending"), ("_raw_position", "ascending")]
        here, there = (table(stages.processed, found).sort_by(order) for found in (alone, spread))
        assert there.num_rows == count - spread.details["quarantined"]
        assert there.equals(here)
        order = [("raw_uri", "ascending"), ("position", "ascending")]
        evidence = (
            manifests.read(stages.quarantine, found.details["quarantine_uri"]) for found in (alone, spread)
        )
        refused, also_refused = (table(stages.quarantine, found).sort_by(order) for found in evidence)
        assert refused.num_rows == count // REFUSED_OF + (count % REFUSED_OF > 0)
        assert also_refused.equals(refused)
        same = [{k: v for k, v in found.details.items() if k not in ASIDE} for found in (alone, spread)]
        assert same[0] == same[1]
        for name in ("window", "extracted_at", "records", "catalog_fingerprint"):
            assert getattr(alone, name) == getattr(spread, name)
        return there.num_rows


def environment(endpoint: str) -> dict[str, str]:
    """What a job finds its lake by."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "NO_PROXY": "*",
    }


def dataset_in(folder: Path) -> AnyDataset:
    """The dataset whose documents are landed, refined by Spark; its catalog is written to the folder."""
    text = bigload.CATALOG.format(records=10**9).replace(
        "split: {records: 1000000000}", "engine: spark\n    spark_from: 1MB"
    )
    (folder / "big.yaml").write_text(text)
    return load_catalog(folder).dataset(bigload.DATASET)


def documents(count: int) -> bigload.Documents:
    """Those of `benchmarks.bigload`, with some to refuse."""
    templates = bigload.templates()
    for number in range(0, len(templates), REFUSED_OF):
        wrong = bson.encode({"_id": bson.Int64(0), "order_id": "none", "extra": number})
        at = wrong.index(b"\x12_id\0") + 5
        templates[number] = (wrong[:at], wrong[at + 8 :])
    return bigload.Documents(0, count, templates)


def table(store: Store, found: Manifest) -> pa.Table:
    """All rows that a manifest names."""
    with ThreadPoolExecutor(4) as pool:
        bodies = pool.map(lambda part: store.read(store.key_of(part.uri)), found.parts)
        tables = [pq.read_table(io.BytesIO(body)) for body in bodies]
    return pa.concat_tables(tables)


def main() -> int:
    """Have a command refine a landing, and compare."""
    count, command = int(sys.argv[1]), sys.argv[2:]
    with S3Server() as server, TemporaryDirectory() as folder:
        lake = Lake(server.url)
        order = lake.order(dataset_in(Path(folder)), count)
        alone = lake.alone(order)
        assert lake.spread(order) is None
        found = {"PATH": os.environ["PATH"], **lake.environment}
        done = subprocess.run(
            [*command, order.encode()], env=found, capture_output=True, text=True, check=False
        )
        spread = lake.spread(order)
        if done.returncode or spread is None:
            sys.stderr.write(f"{done.stdout}{done.stderr}"[-6000:] + f"\nended with {done.returncode}\n")
            return 1
        rows = lake.assert_same(alone, spread, count)
    sys.stdout.write(f"{rows:,} rows and {spread.details['quarantined']} refusals, as of one process\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
