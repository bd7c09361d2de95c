"""The three task bodies, land ▶ refine ▶ merge, and nothing between them but small JSON summaries.

Knows which room does what. Does not know Airflow, nor how a client is made.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tideline import plan as planning
from tideline.catalog.loader import fingerprint
from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.errors import IntegrityError, SettingsError
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.land.request import LandRequest
from tideline.plan import PlannedLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tideline.catalog.model import AnyDataset, Catalog, Source
    from tideline.lake.manifest import Manifest, Stage
    from tideline.lake.store import Store
    from tideline.plan import RunRequest
    from tideline.settings import Settings
    from tideline.warehouse.bigquery import Warehouse
    from tideline.window import Window

log = logging.getLogger(__name__)
Summary = dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """What the task bodies work with. Clients are opened when they are first needed."""

    settings: Settings
    catalog: Catalog
    open_source: Callable[[Source], Any]
    raw: Store
    processed: Store
    quarantine: Store
    open_warehouse: Callable[[], Warehouse]


def plan_run(deployment: Deployment, request: RunRequest) -> dict[str, Summary]:
    """Read the ledger once and fix the windows of the run; dataset id → planned load as JSON."""
    from tideline.warehouse.ledger import Ledger

    ledger = Ledger(deployment.open_warehouse())
    ledger.ensure()
    loads = planning.plan(deployment.catalog, request, ledger.state())
    for load in loads:
        log.info("planned %s %s (%s)", load.dataset_id, load.window, load.mode)
    return {load.dataset_id: load.to_json() for load in loads}


def land_dataset(deployment: Deployment, planned: Summary, run_id: str) -> Summary:
    """Source → raw. Takes one planned load, returns the raw manifest's URI with counts, bytes and seconds.

    Raises:
        RetriableError: The source or the lake may answer later.
        FatalError: They will not, until somebody acts.
    """
    started = time.monotonic()
    load = PlannedLoad.from_json(planned)
    dataset = deployment.catalog.dataset(load.dataset_id)
    request = LandRequest(
        dataset=dataset,
        window=load.window,
        mode=load.mode,
        run_id=run_id,
        catalog_fingerprint=fingerprint(dataset),
        previous=_previous(deployment, load),
        part_bytes=deployment.settings.part_bytes,
        deadline_seconds=deployment.settings.deadline_seconds,
    )
    manifest, uri = _land(deployment, dataset, request)
    seconds = round(time.monotonic() - started, 3)
    log.info(
        "landed %s %s: %s records, %d bytes in %d parts%s, %.1f s",
        load.dataset_id, load.window, "?" if manifest.records is None else manifest.records,
        manifest.bytes, len(manifest.parts), " (unchanged)" if manifest.unchanged else "", seconds,
    )  # fmt: skip
    return {**_landed(manifest, uri), "land_seconds": seconds}


def refine_dataset(deployment: Deployment, landed: Summary, run_id: str) -> Summary:
    """Raw → typed Parquet and quarantine. Adds the processed manifest's URI and counts to land's summary.

    Raises:
        ContractError: More rows than the dataset's threshold were refused; the evidence is in quarantine.
        IntegrityError: Raw bytes are not what their manifest says, or counts do not add up.
    """
    from tideline.refine.refine import refine

    started = time.monotonic()
    dataset = deployment.catalog.dataset(landed["dataset_id"])
    manifest, uri = refine(
        dataset,
        landed["raw_manifest_uri"],
        raw=deployment.raw,
        processed=deployment.processed,
        quarantine=deployment.quarantine,
        run_id=run_id,
    )
    seconds = round(time.monotonic() - started, 3)
    details = manifest.details
    log.info(
        "refined %s: %d rows, %d quarantined, %d bytes in %d parts, %.1f s",
        landed["dataset_id"], details["refined"], details["quarantined"],
        manifest.bytes, len(manifest.parts), seconds,
    )  # fmt: skip
    return {**landed, **_refined(manifest, uri), "refine_seconds": seconds}


def merge_dataset(deployment: Deployment, refined: Summary, run_id: str) -> Summary:
    """Parquet → one newest row per key, then the ledger row. Adds what the merge did to refine's summary.

    Raises:
        SchemaEvolutionError: The table would have to change in a way that the warehouse does not allow.
        IntegrityError: The load does not hold the rows that were refined.
    """
    from tideline.merge.merge import merge

    dataset = deployment.catalog.dataset(refined["dataset_id"])
    result = merge(
        dataset,
        refined,
        run_id=run_id,
        raw=deployment.raw,
        processed=deployment.processed,
        warehouse=deployment.open_warehouse(),
    )
    log.info("merged %s: %s", refined["dataset_id"], result.text())
    return {**refined, **result.to_json()}


def settle(
    deployment: Deployment, loads: dict[str, Summary] | None, merged: Iterable[Summary | None]
) -> list[str]:
    """Which planned datasets were not merged; every raw table exists afterwards, so that models can be built.

    Without a plan (it failed itself) every dataset counts as stale.
    """
    from tideline.merge.merge import ensure_target

    planned = set(loads) if loads is not None else {d.dataset_id for d in deployment.catalog.datasets}
    stale = sorted(planned - {summary["dataset_id"] for summary in merged if summary})
    if stale:
        log.warning("stale, the models see what the warehouse held before: %s", ", ".join(stale))
    warehouse = deployment.open_warehouse()
    for dataset in deployment.catalog.datasets:
        ensure_target(dataset, warehouse)
    return stale


def newest_manifest(deployment: Deployment, stage: Stage, dataset_id: str, window: Window | None) -> str:
    """The URI of the newest committed manifest of that window of the dataset.

    Raises:
        SettingsError: No window is given.
        IntegrityError: Nothing is committed for it.
    """
    dataset = deployment.catalog.dataset(dataset_id)
    if window is None:
        raise SettingsError("which window?", remedy="give --start and --end, or --manifest with its URI")
    store = {"raw": deployment.raw, "processed": deployment.processed, "quarantine": deployment.quarantine}[
        stage
    ]
    prefix = keys.window_prefix(dataset.source, dataset.name, window)
    found = [key for key in store.list(prefix) if key.endswith(f"/{keys.MANIFEST}")]
    if not found:
        raise IntegrityError(
            f"nothing is committed in the {stage} stage for {window}",
            source=dataset.source,
            dataset=dataset.name,
            place=store.uri_of(prefix),
            remedy="run the verb before this one first; the window must be the one it was run with",
        )
    return store.uri_of(max(found))


def landed_summary(deployment: Deployment, raw_manifest_uri: str) -> Summary:
    """What `land_dataset` returned, read back from its manifest."""
    manifest = manifests.read(deployment.raw, raw_manifest_uri)
    return {**_landed(manifest, raw_manifest_uri), "land_seconds": 0.0}


def refined_summary(deployment: Deployment, processed_manifest_uri: str) -> Summary:
    """What `refine_dataset` returned, read back from its manifest."""
    manifest = manifests.read(deployment.processed, processed_manifest_uri)
    landed = landed_summary(deployment, manifest.details["raw_manifest"])
    return {**landed, **_refined(manifest, processed_manifest_uri), "refine_seconds": 0.0}


def _landed(manifest: Manifest, uri: str) -> Summary:
    return {
        "dataset_id": f"{manifest.source}.{manifest.dataset}",
        "window": manifest.window.to_json(),
        "mode": manifest.details.get("mode", "exact"),
        "raw_manifest_uri": uri,
        "landed": manifest.records,
        "unchanged_source": manifest.unchanged,
        "parts": len(manifest.parts),
        "raw_bytes": manifest.bytes,
    }


def _refined(manifest: Manifest, uri: str) -> Summary:
    details = manifest.details
    return {
        "processed_manifest_uri": uri,
        "quarantine_manifest_uri": details.get("quarantine_uri"),
        "landed": details["landed"],
        "refined": details["refined"],
        "quarantined": details["quarantined"],
        "processed_bytes": manifest.bytes,
        "drift": sorted(details.get("drift") or {}),
    }


def _land(deployment: Deployment, dataset: AnyDataset, request: LandRequest[Any]) -> tuple[Manifest, str]:
    client = deployment.open_source(deployment.catalog.source_of(dataset))
    if isinstance(dataset, MongoDataset):
        from tideline.land import mongodb

        return mongodb.land(request, client, deployment.raw)
    if isinstance(dataset, CsvDataset):
        from tideline.land import s3_csv
        from tideline.warehouse.ledger import Ledger

        landed = Ledger(deployment.open_warehouse()).landed_objects(dataset)
        return s3_csv.land(request, client, deployment.raw, landed)
    from tideline.land import rest_api

    return rest_api.land(request, client, deployment.raw)


def _previous(deployment: Deployment, load: PlannedLoad) -> Manifest | None:
    dataset = deployment.catalog.dataset(load.dataset_id)
    if load.previous_manifest_uri is None or not isinstance(dataset, HttpDataset):
        return None
    return manifests.read(deployment.raw, load.previous_manifest_uri)
