"""What a merge will do, counted before it and kept beside the Parquet: a retry still tells the truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from tideline.errors import AlreadyExistsError, IntegrityError
from tideline.merge.sql import counts_sql

if TYPE_CHECKING:
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.merge.sql import Merge
    from tideline.warehouse.bigquery import Warehouse


@dataclass(frozen=True, slots=True)
class Counts:
    """What becomes of the rows of a load; together they are all of them."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    revived: int = 0
    stale: int = 0
    duplicates: int = 0

    @property
    def total(self) -> int:
        """All rows of the load."""
        return sum(asdict(self).values())


def counted(merge: Merge, manifest: Manifest, *, processed: Store, warehouse: Warehouse) -> Counts:
    """The counts of this merge: those that an earlier try stored, or a query's, which are then stored.

    Raises:
        IntegrityError: They do not add up to the rows that were refined.
    """
    key = manifest.folder.counts
    counts = _stored(processed, key) if processed.exists(key) else None
    if counts is None:
        counts = _queried(merge, warehouse)
        counts = _store(processed, key, counts)
    if counts.total != manifest.records:
        raise IntegrityError(
            f"{counts.total} rows are accounted for, {manifest.records} were refined",
            source=manifest.source,
            dataset=manifest.dataset,
            place=processed.uri_of(key),
            remedy="refine the window again, then merge it",
        )
    return counts


def _queried(merge: Merge, warehouse: Warehouse) -> Counts:
    labels = {"source": merge.dataset.source, "dataset": merge.dataset.name}
    (row,) = warehouse.rows(counts_sql(merge), kind="counts", labels=labels)
    return Counts(**{field.name: int(row[field.name]) for field in fields(Counts)})


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
