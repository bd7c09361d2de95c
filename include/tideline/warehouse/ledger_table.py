"""The ledger's table: its columns, and one row of it. Knows no client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tideline.warehouse.schema import REPEATED, REQUIRED, Field, Layout

if TYPE_CHECKING:
    from datetime import datetime

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
            "mode",
            "STRING",
            REQUIRED,
            description="scheduled, exact (a named interval), reconcile, replay; or rewind: no load.",
        ),
        Field("raw_manifest_uri", "STRING", description="NULL for a rewind."),
        Field("processed_manifest_uri", "STRING", description="NULL for a rewind."),
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
        Field("drift", "STRING", description="JSON array: path, kind, count and example of each difference."),
        Field("catalog_fingerprint", "STRING", REQUIRED),
        Field("code_version", "STRING", REQUIRED),
        Field("unchanged_source", "BOOL", REQUIRED, description="The source answered that nothing changed."),
        Field("extracted_at", "TIMESTAMP", REQUIRED, description="When the source was read: data as of."),
        Field("committed_at", "TIMESTAMP", REQUIRED, description="When the load was merged."),
        Field("reason", "STRING", description="Why, where a person or a verb gave a reason."),
        Field("actor", "STRING", description="Who did."),
        Field("source_count", "INT64", description="How many records the source counted, where it can."),
        Field("ranges", "INT64", description="Of how many ranges a split load was put together."),
        Field("raw_manifest_uris", "STRING", REPEATED, description="Of a split load, one for each range."),
        Field("reasons", "STRING", description="JSON: how many rows were refused, by reason."),
        Field("empty_columns", "STRING", description="JSON array: columns without a value in any row."),
        Field("notes", "STRING", description="What was suspicious about the load."),
        Field("kind", "STRING", description="rows; or events: keys seen absent, or otherwise, there."),
        Field(
            "partitions",
            "STRING",
            description="JSON: the partition column and the starts of the partitions that the load changed, "
            "as precise as they are, and null for NULL. NULL where not known.",
        ),
    ),
    partition_column="committed_at",
    clustering=("source", "dataset"),
    description="One row for each load that was merged, and for each rewind.",
)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One committed load, or a rewind; the columns of `LAYOUT`. `committed_at` is set by the warehouse."""

    load_id: str
    run_id: str
    source: str
    dataset: str
    window_start: datetime | None
    window_end: datetime
    window_id: str
    attempt_id: str
    mode: str
    raw_manifest_uri: str | None
    processed_manifest_uri: str | None
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
    reason: str | None = None
    actor: str | None = None
    source_count: int | None = None
    ranges: int | None = None
    raw_manifest_uris: tuple[str, ...] = ()
    reasons: str | None = None
    empty_columns: str | None = None
    notes: str | None = None
    kind: str | None = None
    partitions: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw_manifest_uris", tuple(self.raw_manifest_uris))

    @property
    def dataset_id(self) -> str:
        """`source.dataset`."""
        return f"{self.source}.{self.dataset}"
