"""Ten thousand objects of 10 kB: Tideline lands and refines them; pandas reads one after another."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.contestants import product
from benchmarks.servers import DROPS

THREADS = 8


def drop(*, s3_endpoint: str, path: str, objects: int, rows_each: int) -> dict[str, Any]:
    """Cut a plain or gzipped file into objects of so many rows; the sums of what is dropped are its truth."""
    import gzip

    from benchmarks.contestants import objects as drops

    client = product.s3(s3_endpoint)
    drops.clear_drops(client)
    with gzip.open(Path(path)) as file:
        header = file.readline()
        bodies = [[file.readline() for _ in range(rows_each)] for _ in range(objects)]

    def put(numbered: tuple[int, list[bytes]]) -> None:
        number, lines = numbered
        client.put_object(Bucket=DROPS, Key=f"orders/{number:06d}.csv", Body=header + b"".join(lines))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(put, enumerate(bodies)))
    fields = [line.split(b",") for lines in bodies for line in lines]
    return {
        "rows": len(fields),
        "order_id_sum": sum(int(row[1]) for row in fields),
        "email_bytes": sum(len(row[3]) for row in fields),
    }


def tideline(*, s3_endpoint: str) -> dict[str, Any]:
    """Every object → byte-identical raw copy → Parquet in the S3 lake."""
    return product.land_and_refine(
        product.dataset("bench_s3.orders"), product.s3(s3_endpoint), product.s3_lake(s3_endpoint)
    )


def pandas(*, s3_endpoint: str) -> dict[str, Any]:
    """Every object → frame; all frames → one Parquet on S3. No raw copy."""
    import pandas as pd

    client = product.s3(s3_endpoint)
    frames = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=DROPS):
        for entry in page.get("Contents", ()):
            body = io.BytesIO(client.get_object(Bucket=DROPS, Key=entry["Key"])["Body"].read())
            frames.append(pd.read_csv(body, parse_dates=["created_at", "updated_at"]))
    packed = io.BytesIO()
    pd.concat(frames).to_parquet(packed, compression="zstd")
    packed.seek(0)
    client.upload_fileobj(packed, "bench-processed", "pandas/orders.parquet")
    return {"parts": ["s3://bench-processed/pandas/orders.parquet"]}
