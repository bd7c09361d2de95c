"""Reconcile one dataset: find what hourly runs cannot see, write the evidence, refine it and merge it.

A keyed collection is compared with its table by key and stamp; rows that are gone become events, rows that
differ are landed again. What is read whole each time (an API, a collection without a change column) is read
whole, and its merge finds what vanished. Of CSV objects those are landed that no committed load holds. Knows
which kind of dataset goes which way; each way is in a module of its own.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tideline.catalog.model import CsvDataset, MongoDataset
from tideline.pipeline import land_dataset
from tideline.plan import PlannedLoad
from tideline.reconcile.evidence import MODE, moment
from tideline.reconcile.keyed import reconcile_keyed
from tideline.reconcile.preview import preview
from tideline.reconcile.work import MERGED, Reconciliation, merged_counts, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment, Summary

log = logging.getLogger(__name__)


def reconcile_dataset(
    deployment: Deployment,
    dataset_id: str,
    *,
    run_id: str,
    dry_run: bool = False,
    max_delete_ratio: float | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Summary:
    """Reconcile one dataset with its source.

    Returns:
        What was found and what became of it, small enough to travel between tasks: `found` (counts by
        verdict), `relanded`, the counts of the merges together, and `seconds`.

    Raises:
        CatalogError: There is no such dataset.
        ContractError: More rows are gone than may be deleted at once; nothing was written.
        RetriableError: Source, lake or warehouse may answer later.
    """
    started = time.monotonic()
    dataset = deployment.catalog.dataset(dataset_id)
    work = Reconciliation(deployment, run_id, dry_run, max_delete_ratio, now)
    summary = {
        "dataset_id": dataset_id,
        "dry_run": dry_run,
        "found": {},
        "relanded": 0,
        **dict.fromkeys(MERGED, 0),
        **_reconciled(work, dataset),
        "seconds": round(time.monotonic() - started, 3),
    }
    log.info("reconciled %s%s: %s", dataset_id, " (dry run)" if dry_run else "", text_of(summary))
    return summary


def text_of(summary: Summary) -> str:
    """One line for the log."""
    found = ", ".join(f"{count} {verdict}" for verdict, count in summary["found"].items())
    merged = ", ".join(f"{summary[name]} {name}" for name in MERGED if summary[name])
    return f"found {found or 'nothing'}; landed {summary['relanded']} again; merged {merged or 'nothing'}"


def _reconciled(work: Reconciliation, dataset: AnyDataset) -> Summary:
    if isinstance(dataset, MongoDataset) and dataset.change_column is not None:
        return reconcile_keyed(work, dataset)
    found = preview(work, dataset) if work.dry_run or isinstance(dataset, CsvDataset) else {}
    if work.dry_run or not found.get("found", {}).get("missed_objects", 1):
        return found
    return {**_read_again(work, dataset), **found}


def _read_again(work: Reconciliation, dataset: AnyDataset) -> Summary:
    """Everything, or of CSV objects what no committed load holds."""
    load = PlannedLoad(dataset.dataset_id, moment(work.now()), MODE)
    landed = land_dataset(work.deployment, load.to_json(), work.run_id)
    merged = work.refine_and_merge(landed)
    return {"relanded": merged["landed"], **merged_counts(merged)}
