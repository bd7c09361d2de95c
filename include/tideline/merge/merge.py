"""One processed manifest into its table, then into the ledger. Knows the order of the steps.

Load table, counts, MERGE, landed objects, ledger row: each step finds what an earlier try did, and only the
last one commits. A load that is in the ledger is not touched again.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tideline.lake import manifest as manifests
from tideline.merge.counts import Counts, counted
from tideline.merge.load import fill
from tideline.merge.record import check, ledger_row, load_id_of
from tideline.merge.sql import Merge, merge_sql
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import raw_table
from tideline.warehouse.objects import record_objects
from tideline.warehouse.schema import raw_layout
from tideline.warehouse.tables import Ensured, ensure_table
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.ledger import LedgerRow

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What a merge did, as its ledger row has it."""

    row: LedgerRow
    repeated: bool
    """Whether the load was in the ledger before, so that nothing was done."""

    def to_json(self) -> dict[str, Any]:
        """The counts and seconds, small enough to travel between tasks."""
        names = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates", "deleted")
        return {
            "load_id": self.row.load_id,
            **{name: getattr(self.row, name) for name in names},
            "merge_seconds": self.row.merge_seconds,
            "committed_at": format_instant(self.row.committed_at) if self.row.committed_at else None,
            "repeated": self.repeated,
        }

    def text(self) -> str:
        """One line for the log."""
        row = self.row
        said = (
            f"{row.refined} rows: {row.inserted} inserted, {row.updated} updated, {row.unchanged} unchanged, "
            f"{row.revived} revived, {row.stale} stale, {row.duplicates} duplicates"
        )
        return f"{said} (committed before)" if self.repeated else said


def merge(
    dataset: Dataset,
    refined: Mapping[str, Any],
    *,
    run_id: str,
    raw: Store,
    processed: Store,
    warehouse: Warehouse,
) -> MergeResult:
    """Merge what was refined, once.

    Args:
        dataset: What it is.
        refined: The refine step's summary: `processed_manifest_uri`, and `mode`, `land_seconds` and
            `refine_seconds` for the ledger.
        run_id: The run that asks, for the ledger.
        raw: The raw stage, for its manifest.
        processed: The processed stage: the Parquet, and the place of the counts.
        warehouse: Where it goes.

    Raises:
        IntegrityError: Manifest, Parquet, load table and counts do not agree.
        SchemaEvolutionError: The table would have to change in a way that BigQuery does not allow.
        WarehouseUnavailableError: What went wrong may pass; a retry goes on where this try ended.
        WarehouseRefusedError: It does not pass.
    """
    started = time.monotonic()
    uri = str(refined["processed_manifest_uri"])
    manifest = manifests.read(processed, uri)
    check(dataset, manifest, uri)
    load_id = load_id_of(manifest)
    ledger = Ledger(warehouse)
    ledger.ensure()
    if found := ledger.find(dataset.source, dataset.name, load_id):
        log.info("%s is in the ledger since %s; nothing is done", load_id, found.committed_at)
        return MergeResult(found, repeated=True)
    counts = _merge_rows(dataset, manifest, load_id, processed, warehouse)
    raw_uri = str(manifest.details["raw_manifest"])
    raw_manifest = manifests.read(raw, raw_uri)
    record_objects(warehouse, raw_manifest, raw_uri, load_id=load_id, now=datetime.now(UTC))
    row = ledger_row(
        manifest,
        raw_manifest,
        counts,
        load_id=load_id,
        run_id=run_id,
        uri=uri,
        summary=refined,
        merge_seconds=round(time.monotonic() - started, 3),
    )
    return MergeResult(ledger.record(row), repeated=False)


def ensure_target(dataset: Dataset, warehouse: Warehouse) -> Ensured:
    """Make the dataset's table, or bring it to what the catalog declares.

    Raises:
        SchemaEvolutionError: It would have to change in a way that BigQuery does not allow.
    """
    return ensure_table(warehouse, raw_table(dataset, warehouse.settings), raw_layout(dataset))


def _merge_rows(
    dataset: Dataset, manifest: Manifest, load_id: str, processed: Store, warehouse: Warehouse
) -> Counts:
    """Load, count, MERGE. A load without rows only makes the table."""
    target = raw_table(dataset, warehouse.settings)
    ensured = ensure_target(dataset, warehouse)
    if not manifest.records:
        return Counts()
    partitions = manifest.details.get("partitions")
    step = Merge(
        dataset=dataset,
        target=target,
        fields=ensured.fields,
        load=fill(dataset, manifest, load_id, processed=processed, warehouse=warehouse),
        window_id=manifest.window.window_id,
        partitions=None if partitions is None else tuple(partitions),
    )
    counts = counted(step, manifest, processed=processed, warehouse=warehouse)
    sql = merge_sql(step)
    # another statement (newer code) or another table of the name (dropped and made anew) is another job
    digest = hashlib.sha256(f"{sql}\n{ensured.created}".encode()).hexdigest()
    labels = {"source": dataset.source, "dataset": dataset.name, "window": manifest.window.window_id}
    warehouse.run(sql, kind="merge", key=f"{load_id} {digest}", labels=labels)
    return counts
