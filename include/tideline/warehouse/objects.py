"""The CSV objects that committed loads came from: a set of identities. Knows its table, not who asks it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from tideline.warehouse import names
from tideline.warehouse.bigquery import NDJSON
from tideline.warehouse.client import bigquery
from tideline.warehouse.ledger_table import LAYOUT as LEDGER_LAYOUT
from tideline.warehouse.schema import REQUIRED, Field, Layout
from tideline.warehouse.state import REWIND
from tideline.warehouse.tables import ensure_table
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.warehouse.bigquery import Warehouse

PAGE_ROWS = 20_000

LAYOUT = Layout(
    fields=(
        Field("source", "STRING", REQUIRED),
        Field("dataset", "STRING", REQUIRED),
        Field("object_key", "STRING", REQUIRED, description="The object's key in the source's bucket."),
        Field("etag", "STRING", REQUIRED, description="Its ETag as it was read."),
        Field("last_modified", "TIMESTAMP", REQUIRED),
        Field("version_id", "STRING", description="Its version, where the bucket keeps versions."),
        Field("bytes", "INT64", description="Its size in bytes."),
        Field("window_id", "STRING", description="The window whose run landed it."),
        Field("manifest_uri", "STRING", description="The raw manifest that names its copy."),
        Field("landed_at", "TIMESTAMP", REQUIRED, description="When its load was merged."),
    ),
    partition_column="landed_at",
    granularity="month",
    clustering=("source", "dataset", "object_key"),
    description="CSV objects that committed loads came from; an object may be listed more than once.",
)


class LandedObject(NamedTuple):
    """One version of an object, as a listing tells it."""

    key: str
    etag: str
    last_modified: datetime


def landed_objects(warehouse: Warehouse, dataset: Dataset) -> Iterator[LandedObject]:
    """Every identity in a committed load of the dataset, by key in UTF-8 byte order, streamed in pages.

    A load is committed if the ledger has it: that may have been lost, or be an old copy, and the raw table
    with it, while this table is as it was. After a rewind to T, objects from T on count only once they have
    been landed again.
    """
    table = names.ops_table(names.LANDED_OBJECTS, warehouse.settings)
    ledger = names.ops_table(names.LEDGER, warehouse.settings)
    ensure_table(warehouse, table, LAYOUT)
    ensure_table(warehouse, ledger, LEDGER_LAYOUT)
    rows = warehouse.rows(
        _objects_sql(table.sql, ledger.sql),
        kind="objects",
        labels={"source": dataset.source, "dataset": dataset.name},
        parameters=[
            bigquery.ScalarQueryParameter("source", "STRING", dataset.source),
            bigquery.ScalarQueryParameter("dataset", "STRING", dataset.name),
        ],
        page_size=PAGE_ROWS,
    )
    for row in rows:
        yield LandedObject(row["object_key"], row["etag"], row["last_modified"])


def _objects_sql(table: str, ledger: str) -> str:
    return f"""\
WITH rewinds AS (
  SELECT source, dataset, window_end, committed_at
  FROM {ledger}
  WHERE mode = '{REWIND}' AND source = @source AND dataset = @dataset
  QUALIFY ROW_NUMBER() OVER (ORDER BY committed_at DESC, load_id DESC) = 1
)
SELECT object_key, etag, last_modified
FROM {table}
LEFT JOIN rewinds USING (source, dataset)
WHERE source = @source AND dataset = @dataset
  AND manifest_uri IN (SELECT raw_manifest_uri FROM {ledger} WHERE source = @source AND dataset = @dataset)
  AND (committed_at IS NULL OR last_modified < window_end OR landed_at > committed_at)
GROUP BY object_key, etag, last_modified
ORDER BY object_key, last_modified"""  # noqa: S608 - the names are quoted


def record_objects(
    warehouse: Warehouse, manifest: Manifest, manifest_uri: str, *, load_id: str, now: datetime
) -> int:
    """Note the objects that a raw manifest names as landed; once for a load, and again does no harm.

    Returns:
        How many there are; none for a manifest that did not come from objects.
    """
    body = b"".join(_lines(manifest, manifest_uri, now))
    if not body:
        return 0
    table = names.ops_table(names.LANDED_OBJECTS, warehouse.settings)
    ensure_table(warehouse, table, LAYOUT)
    warehouse.load_file(
        table,
        BytesIO(body),
        LAYOUT.fields,
        key=f"objects {load_id}",
        truncate=False,
        source_format=NDJSON,
        labels={"source": manifest.source, "dataset": manifest.dataset},
    )
    return body.count(b"\n")


def _lines(manifest: Manifest, manifest_uri: str, now: datetime) -> Iterable[bytes]:
    for part in manifest.parts:
        origin = part.origin
        if "etag" not in origin or "key" not in origin:
            continue
        row = {
            "source": manifest.source,
            "dataset": manifest.dataset,
            "object_key": origin["key"],
            "etag": origin["etag"],
            "last_modified": origin["last_modified"],
            "version_id": origin.get("version_id"),
            "bytes": origin.get("size", part.bytes),
            "window_id": manifest.window.window_id,
            "manifest_uri": manifest_uri,
            "landed_at": format_instant(now),
        }
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
