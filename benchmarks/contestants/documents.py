"""A MongoDB collection → Parquet: Tideline (which also keeps the raw bytes), pandas, dlt."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.replay import DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.settings import Decoder

DLT_CHUNK = 10_000
"""The chunk size that dlt's MongoDB source has by default."""


def tideline(*, uri: str, collection: str, s3_endpoint: str, decoder: Decoder) -> dict[str, Any]:
    """Raw BSON and typed Parquet into an S3 lake, through the functions of the tasks."""
    import pymongo

    from benchmarks.contestants import product

    documents = product.dataset("bench_mongodb.documents", collection=collection)
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        return product.land_and_refine(documents, client, product.s3_lake(s3_endpoint), decoder)


def pandas(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """What a notebook does: everything into a list, a frame, one file. Identifiers become text."""
    import pandas as pd
    import pymongo

    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        frame = pd.DataFrame(list(client[DATABASE][collection].find()))
    frame["_id"] = frame["_id"].astype(str)
    frame.to_parquet(Path(folder, "documents.parquet"), compression="zstd")
    return {"parts": [str(Path(folder, "documents.parquet"))]}


def dlt(*, uri: str, collection: str, folder: str) -> dict[str, Any]:
    """Its MongoDB source's default: documents as objects, ten thousand at a time, lists into child tables."""
    import dlt as library

    pipeline = library.pipeline(
        "bench",
        pipelines_dir=str(Path(folder, "pipelines")),
        destination=library.destinations.filesystem(Path(folder, "lake").as_uri()),
        dataset_name="bench",
    )
    documents = library.resource(_dlt_documents(uri, collection), name="orders", primary_key="_id")
    pipeline.run(documents, loader_file_format="parquet")
    return {"parts": [str(path) for path in Path(folder, "lake", "bench", "orders").glob("*.parquet")]}


def _dlt_documents(uri: str, collection: str) -> Iterator[list[dict[str, Any]]]:
    import pymongo
    from bson import Decimal128, ObjectId
    from dlt.common.time import ensure_pendulum_datetime
    from dlt.common.utils import map_nested_values_in_place

    def plain(value: Any) -> Any:
        if isinstance(value, ObjectId | Decimal128):
            return str(value)
        return ensure_pendulum_datetime(value) if isinstance(value, datetime) else value

    with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
        cursor = client[DATABASE][collection].find({})
        while chunk := list(islice(cursor, DLT_CHUNK)):
            yield map_nested_values_in_place(plain, chunk)
