"""Big loads: cut into ranges before they are landed, put together again before they are merged.

Knows which kind of source is cut how. Does not know what lands, refines or merges a range.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tideline.catalog.model import CsvDataset, MongoDataset
from tideline.errors import ContractError, IntegrityError, TidelineError
from tideline.lake import manifest as manifests
from tideline.lake.ranges import cut
from tideline.lake.whole import commit_evidence, commit_whole
from tideline.plan import PlannedLoad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.pipeline import Deployment, Summary

log = logging.getLogger(__name__)

_SUMS = ("landed", "refined", "quarantined", "parts", "raw_bytes", "processed_bytes")
_SECONDS = ("land_seconds", "refine_seconds")


def split_load(deployment: Deployment, planned: Summary) -> list[Summary]:
    """The ranges of a planned load, as planned loads; the load itself where it is small or not to be cut.

    Asks the source only where the catalog declares `split`. A source that does not answer here has its load
    planned in one piece: that is right too, and landing says what is the matter.
    """
    load = PlannedLoad.from_json(planned)
    dataset = deployment.catalog.dataset(load.dataset_id)
    if not isinstance(dataset, (MongoDataset, CsvDataset)) or dataset.split is None:
        return [planned]
    planned_at = datetime.now(UTC)
    try:
        bounds = _bounds(deployment, dataset, load, planned_at)
    except TidelineError as error:
        log.warning(
            "%s %s is not split, as its source cannot be asked: %s", load.dataset_id, load.window, error
        )
        return [planned]
    ranges = cut(bounds, planned_at, f"{load.dataset_id} {load.window}")
    if not ranges:
        return [planned]
    log.info("split %s %s into %d ranges", load.dataset_id, load.window, len(ranges))
    return [{**planned, "part": part.to_json()} for part in ranges]


def _bounds(
    deployment: Deployment, dataset: MongoDataset | CsvDataset, load: PlannedLoad, clock: datetime
) -> list[Any]:
    client = deployment.open_source(deployment.catalog.source_of(dataset))
    if isinstance(dataset, MongoDataset):
        from tideline.land import mongo_ranges
        from tideline.land.mongodb import window_filter

        criteria = window_filter(dataset, load.window, clock)
        is_bounded = bool(criteria) and load.window.start is not None
        return mongo_ranges.bounds(client, dataset, criteria, is_bounded=is_bounded)
    from tideline.lake.store import DEFAULT_PATIENCE
    from tideline.land import s3_groups
    from tideline.warehouse.ledger import Ledger

    landed = Ledger(deployment.open_warehouse()).landed_objects(dataset)
    again = s3_groups.wanted_again(load.mode, load.window)
    patience = DEFAULT_PATIENCE.within(deployment.settings.deadline_seconds)
    return s3_groups.bounds(client, dataset, landed, again, patience)


def whole_load(deployment: Deployment, refined: Summary | Sequence[Summary]) -> Summary:
    """One summary of a load that was refined in ranges; that of a load in one piece is returned as it is.

    The ranges are put together in each stage by a manifest that names all their parts. Doing it twice gives
    the same manifests.

    Raises:
        IntegrityError: They are not all ranges of one load.
        ContractError: Of all ranges together more rows were refused than the dataset's threshold allows.
    """
    each = [refined] if isinstance(refined, Mapping) else list(refined)
    if len(each) == 1 and not each[0].get("range"):
        return each[0]
    if not each:
        raise IntegrityError("no range of the load was refined", remedy="clear land, refine and merge")
    dataset = deployment.catalog.dataset(each[0]["dataset_id"])
    _, raw_uri = commit_whole(deployment.raw, _read(deployment.raw, each, "raw_manifest_uri"))
    processed = _read(deployment.processed, each, "processed_manifest_uri")
    evidence = _evidence(deployment, each, processed)
    check_threshold(dataset, each, evidence)
    manifest, uri = commit_whole(
        deployment.processed, processed, raw_manifest=raw_uri, quarantine_uri=evidence
    )
    log.info("%s: %d ranges make one load of %s rows", dataset.dataset_id, len(each), manifest.records)
    return {
        **{key: value for key, value in each[0].items() if key != "range"},
        **{key: sum(summary.get(key) or 0 for summary in each) for key in _SUMS},
        **{key: round(sum(summary.get(key) or 0.0 for summary in each), 3) for key in _SECONDS},
        "drift": sorted(manifest.details.get("drift") or {}),
        "ranges": len(each),
        "raw_manifest_uri": raw_uri,
        "processed_manifest_uri": uri,
        "quarantine_manifest_uri": evidence,
    }


def _read(store: Store, each: Sequence[Summary], key: str) -> list[tuple[Manifest, str]]:
    return [(manifests.read(store, uri), uri) for summary in each if (uri := summary.get(key))]


def _evidence(
    deployment: Deployment, each: Sequence[Summary], processed: Sequence[tuple[Manifest, str]]
) -> str | None:
    """One manifest for what any of the ranges refused; None where none did."""
    refused = _read(deployment.quarantine, each, "quarantine_manifest_uri")
    if not refused:
        return None
    return commit_evidence(deployment.quarantine, refused, [manifest for manifest, _ in processed])[1]


def check_threshold(dataset: AnyDataset, each: Sequence[Mapping[str, Any]], evidence: str | None) -> None:
    """As refining checks it for a load in one piece: before anything is merged, and after the evidence."""
    landed, quarantined = (sum(summary[key] for summary in each) for key in ("landed", "quarantined"))
    if quarantined <= dataset.quarantine_threshold * landed:
        return
    raise ContractError(
        f"{quarantined} of {landed} records ({quarantined / landed:.2%}) in {len(each)} ranges were refused, "
        f"more than quarantine_threshold {dataset.quarantine_threshold:.2%} allows",
        source=dataset.source,
        dataset=dataset.name,
        place=evidence,
        remedy="look at the evidence there; correct the source or the declared types and run again, or raise "
        "quarantine_threshold in the catalog",
    )
