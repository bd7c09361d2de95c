"""Puts a report together: what the ledger, the lake, the catalog and the planner say of each dataset."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tideline import plan as planning
from tideline.catalog import paths
from tideline.catalog.model import CsvDataset, HttpDataset
from tideline.lake.store import here
from tideline.plan import RunRequest
from tideline.status import lake, wording
from tideline.status.ledger import LedgerReader, last_load
from tideline.status.model import DatasetStatus, Report
from tideline.status.sql import COUNTS
from tideline.warehouse.state import DatasetState
from tideline.window import HOUR, hour_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tideline.catalog.model import AnyDataset, Catalog
    from tideline.pipeline import Deployment
    from tideline.status.lake import Found
    from tideline.status.model import Drift, Pending, Refused
    from tideline.window import Window

DAYS = 90
"""How far back loads are looked at: open refusals and drift of older ones are not seen."""


def report(
    deployment: Deployment, now: datetime, *, datasets: Sequence[str] | None = None, days: int = DAYS
) -> Report:
    """How the datasets are doing.

    Args:
        deployment: Ledger, lake and catalog. Nothing of it is changed.
        now: The clock.
        datasets: Ids of those wanted; None for all.
        days: How far back loads are looked at.

    Raises:
        CatalogError: A dataset is not in the catalog.
        WarehouseUnavailableError: The ledger does not answer.
        StoreUnavailableError: The lake does not answer.
    """
    catalog = deployment.catalog
    wanted = catalog.datasets if datasets is None else tuple(catalog.dataset(one) for one in datasets)
    reader = LedgerReader(deployment.open_warehouse(), now, days)
    if not reader.exists():
        new = tuple(_status(one, now, _Facts.nothing(catalog, now)) for one in wanted)
        return Report(now, days, lake.DAYS, new, is_new=True)
    facts = _gather(deployment, reader, wanted)
    return Report(
        now,
        days,
        lake.DAYS,
        tuple(_status(dataset, now, facts) for dataset in wanted),
        tuple(one for one in facts.refused if one.dataset_id in {dataset.dataset_id for dataset in wanted}),
    )


@dataclass(frozen=True)
class _Facts:
    """What was found out, of all datasets."""

    states: dict[str, DatasetState]
    summaries: dict[str, dict[str, Any]]
    drift: list[Drift]
    refused: list[Refused]
    pending: list[Pending]
    next_reads: dict[str, Window]

    @classmethod
    def nothing(cls, catalog: Catalog, now: datetime) -> _Facts:
        return cls({}, {}, [], [], [], next_windows(catalog, {}, now))


def _gather(deployment: Deployment, reader: LedgerReader, wanted: Sequence[AnyDataset]) -> _Facts:
    """All questions at once: each takes a second or so, and none needs another's answer."""
    since = reader.now - timedelta(days=lake.DAYS + 1)

    def listed(store: Any) -> list[Found]:  # noqa: ANN401  (a store)
        return lake.committed(store, wanted, reader.now)

    with ThreadPoolExecutor(8) as pool:
        raw, evidence = pool.submit(listed, deployment.raw), pool.submit(listed, deployment.quarantine)
        states, summaries = pool.submit(reader.state), pool.submit(reader.summary)
        drift, vanished = pool.submit(reader.drift), pool.submit(reader.vanished)
        refused, of_ledger = pool.submit(reader.refused), pool.submit(reader.known, since)
        stores = (deployment.raw, deployment.quarantine)
        known = of_ledger.result() | {here(store, uri) for uri in of_ledger.result() for store in stores}
        of_lake = lake.unmerged_evidence(
            deployment.quarantine, deployment.processed, evidence.result(), known
        )
        return _Facts(
            states.result(),
            summaries.result(),
            summed([*vanished.result(), *drift.result(), *(one for each in of_lake for one in each.drift)]),
            sorted([*refused.result(), *of_lake], key=lambda one: one.extracted_at, reverse=True),
            lake.pending(raw.result(), known),
            next_windows(deployment.catalog, states.result(), reader.now),
        )


def next_windows(catalog: Catalog, states: dict[str, DatasetState], now: datetime) -> dict[str, Window]:
    """What the next scheduled run will read, by dataset id: planned as it will be, at the next full hour."""
    end = hour_of(now) + HOUR
    request = RunRequest("status", "scheduled", (end - HOUR, end), None, None, catch_up=False, now=end)
    return {load.dataset_id: load.window for load in planning.plan(catalog, request, states)}


def _status(dataset: AnyDataset, now: datetime, facts: _Facts) -> DatasetStatus:
    dataset_id = dataset.dataset_id
    mark = facts.states.get(dataset_id, DatasetState()).high_water_mark
    summary = facts.summaries.get(dataset_id)
    of_lake = sum(
        one.quarantined for one in facts.refused if one.load_id is None and one.dataset_id == dataset_id
    )
    status = DatasetStatus(
        dataset_id=dataset_id,
        high_water_mark=mark,
        lag=None if mark is None else max(now - mark, timedelta(0)),
        drift=tuple(open_drift(dataset, (one for one in facts.drift if one.dataset_id == dataset_id))),
        pending=tuple(one for one in facts.pending if one.dataset_id == dataset_id),
        quarantined_open=of_lake,
        next_reads=facts.next_reads[dataset_id],
        changes_at=_changes_at(dataset),
    )
    if summary is None:
        return status
    return replace(
        status,
        last=last_load(summary),
        loads=summary["loads"],
        counts={name: summary[name] for name in COUNTS},
        quarantined_open=of_lake + (summary["quarantined_open"] or 0),
    )


def summed(drift: Iterable[Drift]) -> list[Drift]:
    """Each difference once, newest first: the ledger's and those of reads that were not merged."""
    found: dict[tuple[str, str, str], Drift] = {}
    for one in drift:
        key = (one.dataset_id, one.kind, one.path)
        found[key] = _together(found[key], one) if key in found else one
    return sorted(found.values(), key=lambda one: one.last_seen, reverse=True)


def _together(one: Drift, other: Drift) -> Drift:
    newest = max(one, other, key=lambda drift: drift.last_seen)
    return replace(
        newest,
        records=one.records + other.records,
        loads=one.loads + other.loads,
        first_seen=min(one.first_seen, other.first_seen),
    )


def open_drift(dataset: AnyDataset, drift: Iterable[Drift]) -> list[Drift]:
    """Those that still differ from the catalog, what is gone first, then by how many records have it.

    A new field that was declared since is none any more.
    """
    still = (
        one
        for one in drift
        if one.kind != "new_field" or paths.resolve(dataset.columns, one.path).column is None
    )
    order = list(wording.KINDS)
    return sorted(still, key=lambda one: (order.index(one.kind) if one.kind in order else -1, -one.records))


def _changes_at(dataset: AnyDataset) -> str:
    if isinstance(dataset, CsvDataset):
        return "objects that no load has read"
    if isinstance(dataset, HttpDataset) or dataset.change_column is None:
        return "everything"
    return dataset.change_column
