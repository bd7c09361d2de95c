"""Whether a run's output is what the fixture holds. No time counts before this has passed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator


def parquet(*, parts: list[str], truth: dict[str, int], s3_endpoint: str | None = None) -> dict[str, Any]:
    """Compare rows, the sum of `order_id` and the bytes of `email` of all parts with the fixture's.

    Raises:
        ValueError: They differ.
    """
    found = dict.fromkeys(truth, 0)
    for file in _files(parts, s3_endpoint):
        for batch in file.iter_batches(columns=["order_id", "email"]):
            found["rows"] += batch.num_rows
            found["order_id_sum"] += pc.sum(batch["order_id"]).as_py()
            found["email_bytes"] += pc.sum(pc.binary_length(batch["email"])).as_py()
    if found != truth:
        raise ValueError(f"the output holds {found}, the input {truth}")
    return {}


def count(*, parts: list[str], rows: int, s3_endpoint: str) -> dict[str, Any]:
    """Compare the number of rows of all parts with what the source serves.

    Raises:
        ValueError: They differ.
    """
    found = sum(file.metadata.num_rows for file in _files(parts, s3_endpoint))
    if found != rows:
        raise ValueError(f"the output holds {found} rows, the source {rows}")
    return {}


def _files(parts: list[str], s3_endpoint: str | None) -> Iterator[pq.ParquetFile]:
    if s3_endpoint is None:
        yield from map(pq.ParquetFile, parts)
        return
    from benchmarks.contestants import product

    client = product.s3(s3_endpoint)
    for uri in parts:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        yield pq.ParquetFile(io.BytesIO(client.get_object(Bucket=bucket, Key=key)["Body"].read()))
