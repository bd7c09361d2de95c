"""A gzipped CSV → Parquet: one stage on local files (Tideline, bare pyarrow, pandas), and S3 end to end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow.csv as pv

    from benchmarks.contestants.product import Lake
    from tideline.catalog.model import AnyDataset

ROWS_PER_GROUP = 512 * 1024
BLOCK_BYTES = 8 << 20
TIMESTAMPS = ["created_at", "updated_at"]


def stage(*, s3_endpoint: str, folder: str) -> dict[str, Any]:
    """Land the drop into a local lake; not measured, the stage after it is."""
    from benchmarks.contestants import product

    drops = product.dataset("bench_s3.orders")
    _, uri = product.land(drops, product.s3(s3_endpoint), _lake(Path(folder), Path(folder)))
    return {"raw_manifest_uri": uri}


def tideline(*, raw_manifest_uri: str, raw_folder: str, folder: str, wide: bool = False) -> dict[str, Any]:
    """Refine on local files: checksum of the raw part, decode, conform, lineage, Parquet, manifest."""
    from benchmarks.contestants import product

    lake = _lake(Path(raw_folder), Path(folder))
    orders = product.dataset("bench_s3.orders")
    done = product.refine(_widened(orders) if wide else orders, raw_manifest_uri, lake)
    return {**done, "parts": [str(Path(folder, uri.removeprefix("s3://"))) for uri in done["parts"]]}


def _widened(orders: AnyDataset) -> AnyDataset:
    from benchmarks import shapes
    from tideline.catalog.model import Column

    more = (Column(name=name, type=kind) for name, kind in shapes.wide_columns().items())
    return orders.model_copy(update={"columns": (*orders.columns, *more)})


def pyarrow(*, path: str, folder: str) -> dict[str, Any]:
    """Bare streaming pyarrow with the same types, and nothing else."""
    import pyarrow as pa
    import pyarrow.csv as pv
    import pyarrow.parquet as pq

    target = str(Path(folder, "orders.parquet"))
    with (
        pa.input_stream(path, compression="gzip") as stream,
        pv.open_csv(stream, pv.ReadOptions(block_size=BLOCK_BYTES), convert_options=_types()) as reader,
        pq.ParquetWriter(target, reader.schema, compression="zstd") as writer,
    ):
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(batch)
            if sum(map(len, waiting)) >= ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    return {"parts": [target]}


def pandas(*, path: str, folder: str) -> dict[str, Any]:
    """What a notebook does, with the same types. Turns empty texts and `n/a` into NULL."""
    import pandas as pd

    target = str(Path(folder, "orders.parquet"))
    pd.read_csv(path, parse_dates=TIMESTAMPS).to_parquet(target, compression="zstd")
    return {"parts": [target]}


def tideline_s3(*, s3_endpoint: str) -> dict[str, Any]:
    """S3 drop → byte-identical raw copy → Parquet in the S3 lake."""
    from benchmarks.contestants import product

    return product.land_and_refine(
        product.dataset("bench_s3.orders"), product.s3(s3_endpoint), product.s3_lake(s3_endpoint)
    )


def pandas_s3(*, s3_endpoint: str, key: str) -> dict[str, Any]:
    """S3 drop → frame → Parquet on S3, without a raw copy."""
    import pandas as pd

    from benchmarks.contestants import product
    from benchmarks.servers import DROPS

    client = product.s3(s3_endpoint)
    body = io.BytesIO(client.get_object(Bucket=DROPS, Key=key)["Body"].read())
    packed = io.BytesIO()
    frame = pd.read_csv(body, compression="gzip", parse_dates=TIMESTAMPS)
    frame.to_parquet(packed, compression="zstd")
    packed.seek(0)
    client.upload_fileobj(packed, "bench-processed", "pandas/orders.parquet")
    return {"parts": ["s3://bench-processed/pandas/orders.parquet"]}


def _types() -> pv.ConvertOptions:
    import pyarrow as pa
    import pyarrow.csv as pv

    instant = pa.timestamp("us", "UTC")
    return pv.ConvertOptions(
        column_types={
            "id": pa.string(),
            "order_id": pa.int64(),
            "customer_id": pa.int64(),
            "email": pa.string(),
            "status": pa.string(),
            "created_at": instant,
            "updated_at": instant,
            "amount": pa.float64(),
            "tax": pa.float64(),
            "quantity": pa.int64(),
            "country": pa.string(),
            "is_gift": pa.bool_(),
            "note": pa.string(),
        },
        strings_can_be_null=False,
    )


def _lake(raw_folder: Path, folder: Path) -> Lake:
    from benchmarks.contestants.directory import DirectoryStore
    from benchmarks.contestants.product import STAGES, Lake

    raw, processed, quarantine = STAGES
    return Lake(
        DirectoryStore(raw_folder, raw), DirectoryStore(folder, processed), DirectoryStore(folder, quarantine)
    )
