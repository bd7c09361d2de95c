"""Tideline's own functions with clients made from addresses: what its tasks do, without Airflow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.paths import CATALOG
from tideline.catalog.loader import fingerprint, load_catalog
from tideline.lake.store import open_store
from tideline.land.request import LandRequest
from tideline.window import Window

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.settings import Decoder

STAGES = ("bench-raw", "bench-processed", "bench-quarantine")


@dataclass(frozen=True)
class Lake:
    """The three stages."""

    raw: Store
    processed: Store
    quarantine: Store


def dataset(dataset_id: str, **changes: object) -> AnyDataset:
    """A dataset of the benchmarks' catalog, with other values for some of its keys."""
    return load_catalog(CATALOG).dataset(dataset_id).model_copy(update=changes)


def s3(endpoint: str) -> S3Client:
    """A client of the S3 server."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )


def s3_lake(endpoint: str) -> Lake:
    """The lake on the S3 server."""
    client = s3(endpoint)
    return Lake(*(open_store(f"s3://{name}", s3_client=client) for name in STAGES))


def land(what: AnyDataset, client: Any, lake: Lake) -> tuple[Manifest, str]:
    """Source → raw, everything there is; (manifest, its URI)."""
    request: LandRequest[Any] = LandRequest(
        dataset=what,
        window=Window(None, datetime.now(UTC)),
        mode="scheduled",
        run_id="bench",
        catalog_fingerprint=fingerprint(what),
    )
    if what.kind == "mongodb":
        from tideline.land import mongodb

        return mongodb.land(request, client, lake.raw)
    if what.kind == "s3_csv":
        from tideline.land import s3_csv

        return s3_csv.land(request, client, lake.raw, iter(()))
    from tideline.land import rest_api

    return rest_api.land(request, client, lake.raw)


def refine(what: AnyDataset, raw_manifest_uri: str, lake: Lake, decoder: Decoder = "auto") -> dict[str, Any]:
    """Raw → Parquet; what the harness needs to check and report it."""
    from tideline.refine import refine as room

    started = time.monotonic()
    manifest, _ = room.refine(
        what,
        raw_manifest_uri,
        raw=lake.raw,
        processed=lake.processed,
        quarantine=lake.quarantine,
        run_id="bench",
        decoder=decoder,
    )
    return {
        "refine_seconds": time.monotonic() - started,
        "parts": [part.uri for part in manifest.parts],
        "processed_bytes": manifest.bytes,
        "engine": manifest.details["engine"],
        "quarantined": manifest.details["quarantined"],
    }


def land_and_refine(what: AnyDataset, client: Any, lake: Lake, decoder: Decoder = "auto") -> dict[str, Any]:
    """Source → raw → Parquet."""
    started = time.monotonic()
    manifest, uri = land(what, client, lake)
    seconds = time.monotonic() - started
    return {"land_seconds": seconds, "raw_bytes": manifest.bytes, **refine(what, uri, lake, decoder)}
