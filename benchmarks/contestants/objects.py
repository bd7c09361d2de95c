"""Buckets and drops of the S3 server. Not measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contestants import product
from benchmarks.servers import BUCKETS, DROPS


def create(*, s3_endpoint: str) -> dict[str, Any]:
    """Make the buckets."""
    client = product.s3(s3_endpoint)
    for bucket in BUCKETS:
        client.create_bucket(Bucket=bucket)
    return {}


def drop(*, s3_endpoint: str, path: str) -> dict[str, Any]:
    """Put a file where the CSV dataset looks for drops, instead of what lies there."""
    client = product.s3(s3_endpoint)
    clear_drops(client)
    key = f"orders/{Path(path).name}"
    client.upload_file(path, DROPS, key)
    return {"key": key}


def clear_drops(client: Any) -> None:
    """Take away whatever lies where the CSV dataset looks for drops."""
    _clear(client, DROPS)


def clear(*, s3_endpoint: str) -> dict[str, Any]:
    """Empty the lake, so that no run pays for what an earlier one left in the server."""
    client = product.s3(s3_endpoint)
    for bucket in product.STAGES:
        _clear(client, bucket)
    return {}


def _clear(client: Any, bucket: str) -> None:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": entry["Key"]} for entry in page.get("Contents", ())]
        if keys:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys})
