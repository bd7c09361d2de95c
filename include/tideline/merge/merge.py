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

from tideline.errors import IntegrityError
from tideline.lake import manifest as manifests
from tideline.merge.absences import absences_of
from tideline.merge.counts import Counts, counted, stored_counts
from tideline.merge.load import fill
from tideline.merge.record import check, ledger_row, load_id_of, partitions_of
from tideline.merge.step import fields_of, step_of
from tideline.warehouse.leases import leased
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
    from tideline.warehouse.names import TableName

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
            f"{row.revived} revived, {row.stale} stale, {row.duplicates} duplicates; {row.deleted} deleted"
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
    target: TableName | None = None,
) -> MergeResult:
    """Merge what was refined, once.

    Args:
        dataset: What it is.
        refined: The refine step's summary: `processed_manifest_uri`, and `mode`, `land_seconds` and
            `refine_seconds` for the ledger; `max_delete_ratio`, where a person allowed more than the catalog.
        run_id: The run that asks, for the ledger.
        raw: The raw stage, for its manifest.
        processed: The processed stage: the Parquet, and the place of the counts.
        warehouse: Where it goes.
        target: A table to build beside its own; nothing is looked up or recorded then (see `record`).

    Raises:
        ContractError: A whole read lets more rows vanish than may be deleted at once; nothing was merged.
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
    if target is None and (found := ledger.find(dataset.source, dataset.name, load_id)):
        log.info("%s is in the ledger since %s; nothing is done", load_id, found.committed_at)
        return MergeResult(found, repeated=True)
    raw_uri = str(manifest.details["raw_manifest"])
    raw_manifest = manifests.read(raw, raw_uri)
    most = refined.get("max_delete_ratio")
    # another run may find a table that was restored since: to it a merge that is over says nothing
    job_key = f"{load_id} {run_id}"
    counts = _merge_rows(
        dataset, manifest, raw_manifest, load_id, job_key, processed, warehouse, target, most
    )
    row = ledger_row(
        manifest,
        raw_manifest,
        counts,
        load_id=load_id,
        run_id=run_id,
        uri=uri,
        summary=refined,
        merge_seconds=round(time.monotonic() - started, 3),
        partitions=partitions_of(dataset, manifest, raw_manifest),
    )
    if target is not None:
        return MergeResult(row, repeated=False)
    record_objects(warehouse, raw_manifest, raw_uri, load_id=load_id, now=datetime.now(UTC))
    return MergeResult(ledger.record(row), repeated=False)


def record(
    dataset: Dataset,
    refined: Mapping[str, Any],
    *,
    run_id: str,
    raw: Store,
    processed: Store,
    warehouse: Warehouse,
) -> LedgerRow:
    """Enter a load into the ledger that was merged into another table, which has become the dataset's own.

    Its counts are those that were stored when it was merged there. Which partitions changed is not known: any
    may have, since the whole table has.

    Raises:
        IntegrityError: It was not merged anywhere.
    """
    uri = str(refined["processed_manifest_uri"])
    manifest = manifests.read(processed, uri)
    check(dataset, manifest, uri)
    raw_uri = str(manifest.details["raw_manifest"])
    raw_manifest = manifests.read(raw, raw_uri)
    load_id = load_id_of(manifest)
    counts = stored_counts(manifest, processed)
    row = ledger_row(
        manifest,
        raw_manifest,
        counts,
        load_id=load_id,
        run_id=run_id,
        uri=uri,
        summary=refined,
        merge_seconds=float(refined.get("merge_seconds") or 0),
    )
    record_objects(warehouse, raw_manifest, raw_uri, load_id=load_id, now=datetime.now(UTC))
    return Ledger(warehouse).record(row)


def ensure_target(dataset: Dataset, warehouse: Warehouse, *, anew: bool = False) -> Ensured:
    """Make the dataset's table, or bring it to what the catalog declares.

    Args:
        dataset: Whose table.
        warehouse: Where it is.
        anew: Make it also where it is gone although the ledger has loads of it: what follows has their rows.

    Raises:
        IntegrityError: It is gone; an empty one in its place would look as if it had everything.
        SchemaEvolutionError: It would have to change in a way that BigQuery does not allow.
    """
    target = raw_table(dataset, warehouse.settings)

    def refuse() -> None:
        refuse_lost(dataset, warehouse)

    return ensure_table(warehouse, target, raw_layout(dataset), missing=None if anew else refuse)


def refuse_lost(dataset: Dataset, warehouse: Warehouse) -> None:
    """Refuse to make the dataset's table anew where the ledger has loads of it.

    Raises:
        IntegrityError: It has.
    """
    ledger = Ledger(warehouse)
    ledger.ensure()
    if loads := ledger.loads_with_rows(dataset.source, dataset.name):
        dataset_id = dataset.dataset_id
        raise IntegrityError(
            f"the table is gone, and the ledger has {loads} loads of it",
            source=dataset.source,
            dataset=dataset.name,
            place=f"table {raw_table(dataset, warehouse.settings)}",
            remedy="restore it (BigQuery keeps dropped tables for days), or make it again from raw: "
            f"`tideline replay --dataset {dataset_id}`; if raw does not go back far enough, have everything "
            f"read again: `tideline rewind --dataset {dataset_id} --to origin --reason ...`",
        )


def _merge_rows(
    dataset: Dataset,
    manifest: Manifest,
    raw_manifest: Manifest,
    load_id: str,
    job_key: str,
    processed: Store,
    warehouse: Warehouse,
    other: TableName | None = None,
    max_delete_ratio: float | None = None,
) -> Counts:
    """Load, count, MERGE into the dataset's table, or the other. A load that says nothing only makes it."""
    target = other or raw_table(dataset, warehouse.settings)
    if other is None:
        ensured = ensure_target(dataset, warehouse, anew=_has_everything(raw_manifest))
    else:
        ensured = ensure_table(warehouse, other, raw_layout(dataset))
    absences = absences_of(dataset, raw_manifest, manifest)
    if not manifest.records and absences is None:
        return Counts()
    fields = fields_of(dataset, manifest)
    load = fill(dataset, manifest, load_id, fields=fields, processed=processed, warehouse=warehouse)
    step = step_of(dataset, manifest, target=target, fields=ensured.fields, load=load, absences=absences)
    sql = step.sql
    # another statement (newer code) or another table of the name (dropped and made anew) is another job
    digest = hashlib.sha256(f"{sql}\n{ensured.created}".encode()).hexdigest()
    labels = {"source": dataset.source, "dataset": dataset.name, "window": manifest.window.window_id}
    with leased(warehouse, target, load_id):
        counts = counted(
            step, manifest, processed=processed, warehouse=warehouse, max_delete_ratio=max_delete_ratio
        )
        warehouse.run(sql, kind="merge", key=f"{job_key} {digest}", labels=labels)
    return counts


def _has_everything(raw_manifest: Manifest) -> bool:
    """Whether all rows of the source are in the landing."""
    is_whole = bool(raw_manifest.details.get("whole")) and not raw_manifest.unchanged
    return is_whole or raw_manifest.window.start is None
