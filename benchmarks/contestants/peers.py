"""What else one would have picked, by the recipes of its makers: libraries, each in its own environment.

Each writes one Parquet file, or several, into its folder; what does not write Parquet counts its rows, and is
compared by that alone. Programs are in `programs`. None keeps the raw bytes, refuses single records or counts
what it was given.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

BATCH = 10_000
DATABASE = "bench"
"""As `benchmarks.replay` has it, which polars' environment cannot import."""


def read_alone(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """Documents as the server sends them, let go at once: what any client pays."""
    import pymongo

    del folder
    size = 0
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        for batch in client[DATABASE][collection].find_raw_batches(batch_size=BATCH):
            size += len(batch)
        rows = client[DATABASE].command("count", collection)["n"]
    return {"rows": rows, "bytes": size}


def landing(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """Tideline's landing alone: documents as zstd BSON, with checksums and a manifest, in a folder."""
    import pymongo

    from benchmarks.contestants import product
    from benchmarks.contestants.directory import DirectoryStore

    what = product.dataset("bench_mongodb.documents", collection=collection)
    lake = product.Lake(*(DirectoryStore(Path(folder), name) for name in product.STAGES))
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        manifest, _ = product.land(what, client, lake)
    return {"rows": manifest.records, "bytes": manifest.bytes}


def pymongoarrow(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """Batch by batch into one Parquet file, with an explicit schema."""
    import pyarrow.parquet as pq

    target = str(Path(folder, "documents.parquet"))
    writer = None
    for table in _arrow_batches(uri, collection):
        writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return {"parts": [target]}


def dlt_arrow(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """Arrow tables through dlt into Parquet: its source's Arrow loader, mended."""
    tables = _plain(_arrow_batches(uri, collection, wanted=100_000))
    return _dlt(tables, folder, "documents")


def _plain(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Without the extension type of ObjectId, which dlt does not know."""
    for table in tables:
        yield table.set_column(0, "_id", _bytes(table.column("_id")))


def _bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    chunks = (getattr(chunk, "storage", chunk) for chunk in column.chunks)
    return pa.chunked_array([chunk.cast(pa.binary()) for chunk in chunks], pa.binary())


def _dlt(resource: Any, folder: str, name: str) -> dict[str, Any]:
    import dlt as library

    pipeline = library.pipeline(
        "bench",
        pipelines_dir=str(Path(folder, "pipelines")),
        destination=library.destinations.filesystem(Path(folder, "lake").as_uri()),
        dataset_name="bench",
    )
    pipeline.run(library.resource(resource, name=name), loader_file_format="parquet")
    return {"parts": [str(path) for path in Path(folder, "lake", "bench", name).glob("*.parquet")]}


def _arrow_batches(uri: str, collection: str, wanted: int = 20_000) -> Iterator[pa.Table]:
    import pymongo
    from pymongoarrow.context import PyMongoArrowContext

    schema = _document_schema()
    with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        source = client[DATABASE][collection]
        context, gathered = PyMongoArrowContext(schema, codec_options=source.codec_options), 0
        for batch in source.find_raw_batches(batch_size=BATCH):
            context.process_bson_stream(batch)
            gathered += BATCH
            if gathered >= wanted:
                yield context.finish()
                context, gathered = PyMongoArrowContext(schema, codec_options=source.codec_options), 0
        if gathered:
            yield context.finish()


def _document_schema() -> Any:
    import pyarrow as pa
    from pymongoarrow.api import Schema
    from pymongoarrow.types import ObjectIdType

    instant, text, number, real = pa.timestamp("ms", "UTC"), pa.string(), pa.int64(), pa.float64()
    place = pa.struct([("lat", real), ("lon", real)])
    return Schema(
        {
            "_id": ObjectIdType(),
            "order_id": number,
            "customer_id": number,
            "email": text,
            "status": text,
            "created_at": instant,
            "updated_at": instant,
            "amount": real,
            "tax": real,
            "quantity": number,
            "country": text,
            "is_gift": pa.bool_(),
            "note": text,
            "address": pa.struct([("street", text), ("city", text), ("zip", text), ("geo", place)]),
            "items": pa.list_(pa.struct([("sku", text), ("qty", number), ("price", real)])),
            "tags": pa.list_(text),
        }
    )


def polars_csv(*, path: str, folder: str) -> dict[str, Any]:
    """Its streaming engine, from file to file."""
    import polars as pl

    target = str(Path(folder, "orders.parquet"))
    pl.scan_csv(path, try_parse_dates=True).sink_parquet(target, compression="zstd")
    return {"parts": [target]}


def polars_s3(*, s3_endpoint: str, key: str, folder: str) -> dict[str, Any]:
    """The same from S3, without a raw copy; Parquet to a local file."""
    import polars as pl

    target = str(Path(folder, "orders.parquet"))
    options = {
        "aws_endpoint_url": s3_endpoint,
        "aws_allow_http": "true",
        "aws_access_key_id": "bench",
        "aws_secret_access_key": "bench",
        "aws_region": "us-east-1",
    }
    source = pl.scan_csv(f"s3://bench-drops/{key}", storage_options=options, try_parse_dates=True)
    source.sink_parquet(target, compression="zstd")
    return {"parts": [target]}


def dlt_arrow_csv(*, path: str, folder: str) -> dict[str, Any]:
    """Record batches of pyarrow's CSV reader through dlt."""

    def batches() -> Iterator[pa.Table]:
        import pyarrow as pa

        with pa.input_stream(path, compression="gzip") as packed:
            yield from _csv_batches(packed)

    return _dlt(batches, folder, "orders")


def _csv_batches(packed: Any) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.csv as pv

    for batch in pv.open_csv(packed, read_options=pv.ReadOptions(block_size=8 << 20)):
        yield pa.Table.from_batches([batch])


def dlt_arrow_s3(*, s3_endpoint: str, key: str, folder: str) -> dict[str, Any]:
    """The same from S3, without a raw copy; Parquet to local files."""
    from pyarrow.fs import S3FileSystem

    store = S3FileSystem(
        endpoint_override=s3_endpoint, access_key="bench", secret_key="bench", region="us-east-1"
    )

    def batches() -> Iterator[pa.Table]:
        with store.open_input_stream(f"bench-drops/{key}", compression="gzip") as packed:
            yield from _csv_batches(packed)

    return _dlt(batches, folder, "orders")


def pyairbyte_s3(*, s3_endpoint: str, key: str, folder: str, program: str) -> dict[str, Any]:
    """Airbyte's own connector for files on S3, without its platform, into DuckDB: it writes no Parquet."""
    import airbyte

    stream = {"name": "orders", "globs": [key], "format": {"filetype": "csv"}}
    config = {
        "bucket": "bench-drops",
        "endpoint": s3_endpoint,
        "aws_access_key_id": "bench",
        "aws_secret_access_key": "bench",
        "region_name": "us-east-1",
        "streams": [{**stream, "validation_policy": "Emit Record"}],
    }
    source = airbyte.get_source("source-s3", config=config, local_executable=program, streams="*")
    cache = airbyte.caches.DuckDBCache(db_path=str(Path(folder, "out.duckdb")))
    return {"rows": source.read(cache=cache).processed_records}
