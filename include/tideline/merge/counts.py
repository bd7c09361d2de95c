"""What a merge will do, counted before it and kept beside the Parquet: a retry still tells the truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from tideline.errors import AlreadyExistsError, IntegrityError
from tideline.merge.absences import vanishing
from tideline.merge.cap import check_cap
from tideline.merge.deletes import Events

if TYPE_CHECKING:
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.merge.step import Step
    from tideline.warehouse.bigquery import Warehouse


@dataclass(frozen=True, slots=True)
class Counts:
    """What becomes of the rows of a load; together they are all of them, and rows that a whole read deleted.

    Of a load of events `deleted` is one of the outcomes, see `tideline.merge.deletes`.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    revived: int = 0
    stale: int = 0
    duplicates: int = 0
    deleted: int = 0
    """Rows of the table that became tombstones."""

    def total(self, *, events: bool) -> int:
        """All rows of the load."""
        outcomes = sum(int(count) for count in asdict(self).values())
        return outcomes if events else outcomes - self.deleted


def counted(
    step: Step,
    manifest: Manifest,
    *,
    processed: Store,
    warehouse: Warehouse,
    max_delete_ratio: float | None = None,
) -> Counts:
    """The counts of this merge: those that an earlier try stored, or a query's, which are then stored.

    Raises:
        ContractError: A larger share of the live rows would be deleted than the catalog, or the ratio, says.
        IntegrityError: They do not add up to the rows that were refined.
    """
    key = manifest.folder.counts
    counts = _stored(processed, key) if processed.exists(key) else None
    if counts is None:
        counts = _queried(step, warehouse, max_delete_ratio)
        counts = _store(processed, key, counts)
    total = counts.total(events=isinstance(step, Events))
    if total != manifest.records:
        raise IntegrityError(
            f"{total} rows are accounted for, {manifest.records} were refined",
            source=manifest.source,
            dataset=manifest.dataset,
            place=processed.uri_of(key),
            remedy="refine the window again, then merge it",
        )
    return counts


def stored_counts(manifest: Manifest, processed: Store) -> Counts:
    """The counts that the merge of this manifest stored; none are stored for a load that says nothing.

    Raises:
        IntegrityError: It was never merged.
    """
    key = manifest.folder.counts
    return _stored(processed, key) if manifest.records or processed.exists(key) else Counts()


def _queried(step: Step, warehouse: Warehouse, max_delete_ratio: float | None) -> Counts:
    labels = {"source": step.dataset.source, "dataset": step.dataset.name}
    (row,) = warehouse.rows(step.counts_sql, kind="counts", labels=labels)
    counts = Counts(**{name: int(count) for name, count in row.items()})
    if isinstance(step, Events) or step.absences is None:
        return counts
    found = vanishing(step, warehouse)
    check_cap(step.dataset, found, max_delete_ratio)
    return replace(counts, deleted=found.count)


def _store(processed: Store, key: str, counts: Counts) -> Counts:
    """Write the counts once; where another try was quicker, its counts are the ones."""
    try:
        processed.put(key, (json.dumps(asdict(counts)) + "\n").encode(), content_type="application/json")
    except AlreadyExistsError:
        return _stored(processed, key)
    return counts


def _stored(processed: Store, key: str) -> Counts:
    try:
        return Counts(**json.loads(processed.read(key)))
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            f"these are not the counts of a merge: {error}",
            place=processed.uri_of(key),
            remedy="refine the window again, then merge it",
        ) from error
