"""The ledger: one row per load that committed. The source of high-water marks and of all reports about loads.

Knows its table, not how a load is made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING
from uuid import uuid4

from google.cloud import bigquery

from tideline.errors import IntegrityError
from tideline.warehouse import names, objects
from tideline.warehouse.schema import REQUIRED, Field, Layout
from tideline.warehouse.state import DatasetState
from tideline.warehouse.tables import ensure_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.objects import LandedObject

LAYOUT = Layout(
    fields=(
        Field(
            "load_id", "STRING", REQUIRED, description="Names the load: dataset, window and refine attempt."
        ),
        Field("run_id", "STRING", REQUIRED),
        Field("source", "STRING", REQUIRED),
        Field("dataset", "STRING", REQUIRED),
        Field("window_start", "TIMESTAMP", description="NULL for a window without lower bound."),
        Field("window_end", "TIMESTAMP", REQUIRED),
        Field("window_id", "STRING", REQUIRED),
        Field("attempt_id", "STRING", REQUIRED, description="The refine attempt."),
        Field(
            "mode", "STRING", REQUIRED, description="scheduled, or exact for a run that named its interval."
        ),
        Field("raw_manifest_uri", "STRING", REQUIRED),
        Field("processed_manifest_uri", "STRING", REQUIRED),
        Field("quarantine_manifest_uri", "STRING"),
        Field("landed", "INT64", REQUIRED, description="Records in raw: refined + quarantined."),
        Field(
            "refined", "INT64", REQUIRED, description="Rows that conform: the sum of the six counts below."
        ),
        Field("quarantined", "INT64", REQUIRED),
        Field("inserted", "INT64", REQUIRED),
        Field("updated", "INT64", REQUIRED),
        Field("unchanged", "INT64", REQUIRED, description="Newer versions that say the same."),
        Field("revived", "INT64", REQUIRED, description="Tombstones that came back."),
        Field("stale", "INT64", REQUIRED, description="Versions older than what the table held."),
        Field("duplicates", "INT64", REQUIRED, description="Older versions of a key within the load."),
        Field("deleted", "INT64", REQUIRED, description="Rows that became tombstones."),
        Field("cursor_min", "TIMESTAMP", description="Smallest change stamp of the load."),
        Field("cursor_max", "TIMESTAMP", description="Greatest change stamp of the load."),
        Field("null_changes", "INT64", description="Rows without a change stamp."),
        Field("future_changes", "INT64", description="Rows stamped later than they were read."),
        Field("raw_bytes", "INT64", REQUIRED),
        Field("processed_bytes", "INT64", REQUIRED),
        Field("land_seconds", "FLOAT64"),
        Field("refine_seconds", "FLOAT64"),
        Field("merge_seconds", "FLOAT64"),
        Field("drift", "STRING", description="JSON: unknown fields, with counts and examples."),
        Field("catalog_fingerprint", "STRING", REQUIRED),
        Field("code_version", "STRING", REQUIRED),
        Field("unchanged_source", "BOOL", REQUIRED, description="The source answered that nothing changed."),
        Field("extracted_at", "TIMESTAMP", REQUIRED, description="When the source was read: data as of."),
        Field("committed_at", "TIMESTAMP", REQUIRED, description="When the load was merged."),
    ),
    partition_column="committed_at",
    clustering=("source", "dataset"),
    description="One row for each load that was merged.",
)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One committed load; the columns of `LAYOUT`. `committed_at` is set by the warehouse."""

    load_id: str
    run_id: str
    source: str
    dataset: str
    window_start: datetime | None
    window_end: datetime
    window_id: str
    attempt_id: str
    mode: str
    raw_manifest_uri: str
    processed_manifest_uri: str
    quarantine_manifest_uri: str | None
    landed: int
    refined: int
    quarantined: int
    inserted: int
    updated: int
    unchanged: int
    revived: int
    stale: int
    duplicates: int
    deleted: int
    cursor_min: datetime | None
    cursor_max: datetime | None
    null_changes: int | None
    future_changes: int | None
    raw_bytes: int
    processed_bytes: int
    land_seconds: float | None
    refine_seconds: float | None
    merge_seconds: float | None
    drift: str | None
    catalog_fingerprint: str
    code_version: str
    unchanged_source: bool
    extracted_at: datetime
    committed_at: datetime | None = None


_COLUMNS = tuple(field.name for field in fields(LedgerRow))


class Ledger:
    """The committed loads of one deployment."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._table = names.ops_table(names.LEDGER, warehouse.settings)

    def ensure(self) -> None:
        """Make the ledger's tables where they are missing."""
        ensure_table(self._warehouse, self._table, LAYOUT)
        objects_table = names.ops_table(names.LANDED_OBJECTS, self._warehouse.settings)
        ensure_table(self._warehouse, objects_table, objects.LAYOUT)

    def state(self) -> dict[str, DatasetState]:
        """How far every dataset has come, by dataset id, in one query whose answer is one row per dataset."""
        rows = self._warehouse.rows(state_sql(self._table.sql), kind="state")
        return {
            f"{row['source']}.{row['dataset']}": DatasetState(
                row["high_water_mark"], row["raw_manifest_uri"], row["catalog_fingerprint"]
            )
            for row in rows
        }

    def find(self, source: str, dataset: str, load_id: str) -> LedgerRow | None:
        """The row of that load, or None where it has not committed."""
        rows = self._warehouse.rows(
            f"SELECT {', '.join(_COLUMNS)} FROM {self._table.sql}\n"  # noqa: S608 - the name is quoted
            "WHERE source = @source AND dataset = @dataset AND load_id = @load_id\n"
            "ORDER BY committed_at LIMIT 1",
            kind="ledger",
            labels={"source": source, "dataset": dataset},
            parameters=[
                bigquery.ScalarQueryParameter("source", "STRING", source),
                bigquery.ScalarQueryParameter("dataset", "STRING", dataset),
                bigquery.ScalarQueryParameter("load_id", "STRING", load_id),
            ],
        )
        return next((LedgerRow(**dict(row.items())) for row in rows), None)

    def record(self, row: LedgerRow) -> LedgerRow:
        """Commit a load; once committed its row stays as it is.

        Returns:
            The row as the ledger has it.

        Raises:
            IntegrityError: The ledger took it and lost it.
        """
        # where the job of an earlier try is found and its row has been deleted since, it is written again
        for key in (row.load_id, f"{row.load_id} {uuid4().hex}"):
            self._insert(row, key)
            if committed := self.find(row.source, row.dataset, row.load_id):
                return committed
        raise IntegrityError(
            f"the ledger took the row of {row.load_id} and does not have it",
            source=row.source,
            dataset=row.dataset,
            place=f"table {self._table}",
            remedy="does anything else delete rows of the ledger? stop it and clear the task",
        )

    def _insert(self, row: LedgerRow, key: str) -> None:
        given = [field for field in LAYOUT.fields if field.name != "committed_at"]
        columns = ", ".join(field.name for field in given)
        values = ", ".join(f"@{field.name}" for field in given)
        self._warehouse.run(
            f"INSERT INTO {self._table.sql} ({columns}, committed_at)\n"  # noqa: S608 - the name is quoted
            f"SELECT {values}, CURRENT_TIMESTAMP()\n"
            "FROM UNNEST([1])\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._table.sql} AS l WHERE l.load_id = @load_id)",
            kind="commit",
            key=key,
            labels={"source": row.source, "dataset": row.dataset},
            parameters=[
                bigquery.ScalarQueryParameter(field.name, field.type, getattr(row, field.name))
                for field in given
            ],
        )

    def landed_objects(self, dataset: Dataset) -> Iterator[LandedObject]:
        """See `tideline.warehouse.objects.landed_objects`."""
        return objects.landed_objects(self._warehouse, dataset)


def state_sql(table: str) -> str:
    """Per dataset its high-water mark (as `tideline.window.high_water_mark`), and its newest read.

    Windows are put in order of their starts, the unbounded first. One that begins after all before it have
    ended opens a gap; the chain is what lies before the first gap. Reads that brought nothing new are passed
    over: conditional requests need the manifest that names the bodies.
    """
    order = "window_start IS NOT NULL, window_start, window_end, load_id"
    over = f"PARTITION BY source, dataset ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND"
    return f"""\
WITH windows AS (
  SELECT source, dataset, window_start, window_end, load_id,
    MAX(window_end) OVER ({over} 1 PRECEDING) AS covered
  FROM {table}
),
chains AS (
  SELECT source, dataset, window_end,
    SUM(IF(window_start IS NOT NULL AND (covered IS NULL OR window_start > covered), 1, 0))
      OVER ({over} CURRENT ROW) AS gaps
  FROM windows
),
marks AS (
  SELECT source, dataset, MAX(IF(gaps = 0, window_end, NULL)) AS high_water_mark
  FROM chains
  GROUP BY source, dataset
),
reads AS (
  SELECT source, dataset, raw_manifest_uri, catalog_fingerprint
  FROM {table}
  WHERE NOT unchanged_source
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, dataset ORDER BY extracted_at DESC, load_id DESC) = 1
)
SELECT source, dataset, high_water_mark, raw_manifest_uri, catalog_fingerprint
FROM marks LEFT JOIN reads USING (source, dataset)"""  # noqa: S608 - the name is quoted
