"""The same hour as many write it today: a pandas task for each table, then Cosmos with a task for each model.

Reads everything into a frame, writes one Parquet file, loads it over the table. No raw copy, no types beyond
what pandas guesses, no quarantine, no counts.
"""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.bases.hook import BaseHook
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, LoadMode

if TYPE_CHECKING:
    import pandas as pd

PROJECT = Path(os.environ["BENCH_DBT"])
KINDS = {"int64": "INT64", "double": "FLOAT64", "bool": "BOOL"} | {
    f"timestamp[{unit}{zone}]": "TIMESTAMP" for unit in ("ms", "us", "ns") for zone in ("", ", tz=UTC")
}
NAMES = {"_id": "id", "userId": "user_id", "postId": "post_id", "completed": "is_completed"}


def load(frame: pd.DataFrame, dataset: str, table: str) -> None:
    """A frame → Parquet → the table, replaced."""
    import pyarrow.parquet as pq
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    client = bigquery.Client(os.environ["TIDELINE_PROJECT"], AnonymousCredentials())
    name = f"{client.project}.raw_{dataset}.{table}"
    config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        frame.rename(columns=NAMES).to_parquet(path, compression="zstd", index=False)
        fields = [
            bigquery.SchemaField(f.name, KINDS.get(str(f.type), "STRING")) for f in pq.read_schema(path)
        ]
        client.create_dataset(f"raw_{dataset}", exists_ok=True)
        client.create_table(bigquery.Table(name, fields), exists_ok=True)  # the emulator makes none
        with path.open("rb") as rows:
            client.load_table_from_file(rows, name, job_config=config).result()


@task
def documents() -> None:
    """The collection; identifiers become text, what is nested JSON."""
    import json

    import pandas as pd
    import pymongo

    source = BaseHook.get_connection("tideline_mongodb")
    with pymongo.MongoClient[dict[str, Any]](source.host, source.port) as client:
        frame = pd.DataFrame(list(client["bench"]["documents"].find()))
    frame["_id"] = frame["_id"].astype(str)
    for nested in ("address", "items", "tags"):
        frame[nested] = [json.dumps(value) for value in frame[nested]]
    load(frame, "bench_mongodb", "documents")


@task
def orders() -> None:
    """The objects of the prefix, one frame."""
    import boto3
    import pandas as pd

    source = BaseHook.get_connection("tideline_s3_source")
    client = boto3.client(
        "s3", aws_access_key_id=source.login, aws_secret_access_key=source.password, **source.extra_dejson
    )
    listed = client.list_objects_v2(Bucket="bench-drops", Prefix="orders/")["Contents"]
    frames = []
    for entry in listed:
        body = client.get_object(Bucket="bench-drops", Key=entry["Key"])["Body"]
        frames.append(pd.read_csv(body, compression="gzip", parse_dates=["created_at", "updated_at"]))
    load(pd.concat(frames), "bench_s3", "orders")


@task
def pages(resource: str) -> None:
    """A resource of the API."""
    import pandas as pd
    import requests

    address = BaseHook.get_connection("tideline_jsonplaceholder").host
    items = requests.get(f"{address}/{resource}", timeout=60).json()
    load(pd.json_normalize(items, sep="_"), "bench_api", resource)


@task
def settle() -> None:
    """All tables are loaded."""


with DAG(
    "pandas_hourly",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={name: Param(None, type=["null", "string"]) for name in ("window_start", "window_end")},
) as dag:
    loads = [documents(), orders()]
    loads += [pages.override(task_id=name)(name) for name in ("users", "posts", "comments", "todos")]
    loaded = settle()
    loads >> loaded
    loaded >> DbtTaskGroup(
        group_id="models",
        project_config=ProjectConfig(PROJECT, manifest_path=PROJECT / "target" / "manifest.json"),
        profile_config=ProfileConfig("tideline", "local", PROJECT / "profiles.yml"),
        execution_config=ExecutionConfig(ExecutionMode.LOCAL),
        render_config=RenderConfig(load_method=LoadMode.DBT_MANIFEST),
    )
