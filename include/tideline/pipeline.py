"""The three task bodies, land ▶ refine ▶ merge, and nothing between them but small JSON summaries.

Knows which room does what. Does not know Airflow, nor how a client is made.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tideline import plan as planning
from tideline import spark, volume
from tideline.catalog.loader import fingerprint
from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.errors import IntegrityError, SchemaEvolutionError, TidelineError
from tideline.lake import manifest as manifests
from tideline.lake.ranges import Range
from tideline.land.request import LandRequest
from tideline.plan import PlannedLoad
from tideline.splitting import split_load, whole_load
from tideline.summaries import (
    Summary,
    landed_as,
    landed_summary,
    newest_manifest,
    newest_manifests,
    refined_as,
    refined_summary,
)
from tideline.verdict import unmerged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tideline.catalog.model import AnyDataset, Catalog, Source
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.plan import RunRequest
    from tideline.settings import Settings
    from tideline.spark.order import Order
    from tideline.warehouse.bigquery import Warehouse

__all__ = [
    "Deployment",
    "Summary",
    "land_dataset",
    "landed_summary",
    "merge_dataset",
    "newest_manifest",
    "newest_manifests",
    "plan_ranges",
    "plan_run",
    "refine_dataset",
    "refined_summary",
    "settle",
    "split_load",
]
log = logging.getLogger(__name__)


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
    submit_spark: Callable[[Order], None] | None = None
    """Runs a Spark job and waits for its end; None where there is no Spark."""


def plan_run(deployment: Deployment, request: RunRequest) -> dict[str, Summary]:
    """Read the ledger once and fix the windows of the run; dataset id → planned load as JSON."""
    from tideline.warehouse.ledger import Ledger

    ledger = Ledger(deployment.open_warehouse())
    ledger.ensure()
    past_at = planning.past_wanted(deployment.catalog, request)
    loads = planning.plan(deployment.catalog, request, ledger.state(past_at))
    for load in loads:
        log.info("planned %s %s (%s)", load.dataset_id, load.window, load.mode)
    return {load.dataset_id: load.to_json() for load in loads}


def plan_ranges(deployment: Deployment, request: RunRequest, dataset_id: str) -> list[Summary]:
    """The planned load of one dataset, cut into ranges where it is big; none where the run leaves it out."""
    if request.datasets is not None and dataset_id not in request.datasets:
        return []
    (planned,) = plan_run(deployment, replace(request, datasets=(dataset_id,))).values()
    return split_load(deployment, planned)


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
        part=None if load.part is None else Range.from_json(load.part),
        part_bytes=deployment.settings.part_bytes,
        deadline_seconds=deployment.settings.deadline_seconds,
    )
    request.check_over()
    manifest, uri = _land(deployment, dataset, request)
    seconds = round(time.monotonic() - started, 3)
    log.info(
        "landed %s %s%s: %s records, %d bytes in %d parts%s, %.1f s, as %s",
        load.dataset_id, load.window, f" ({request.part})" if request.part else "",
        "?" if manifest.records is None else manifest.records,
        manifest.bytes, len(manifest.parts), " (unchanged)" if manifest.unchanged else "", seconds, uri,
    )  # fmt: skip
    expected = {"expected": load.expected} if load.expected else {}
    return {**landed_as(manifest, uri), **expected, "land_seconds": seconds}


def refine_dataset(deployment: Deployment, landed: Summary, run_id: str) -> Summary:
    """Raw → typed Parquet and quarantine. Adds the processed manifest's URI and counts to land's summary.

    Raises:
        ContractError: More rows than the dataset's threshold were refused; the evidence is in quarantine.
        IntegrityError: Raw bytes are not what their manifest says, or counts do not add up.
        SparkError: The dataset goes to Spark, and the job was lost there.
    """
    started = time.monotonic()
    dataset = deployment.catalog.dataset(landed["dataset_id"])
    if spark.wanted(dataset, landed):
        manifest, uri = spark.refine_on_spark(deployment, dataset, landed["raw_manifest_uri"], run_id)
    else:
        manifest, uri = _refine_here(deployment, dataset, landed["raw_manifest_uri"], run_id)
    seconds = round(time.monotonic() - started, 3)
    details = manifest.details
    log.info(
        "refined %s: %d rows, %d quarantined, %d bytes in %d parts, %.1f s",
        landed["dataset_id"], details["refined"], details["quarantined"],
        manifest.bytes, len(manifest.parts), seconds,
    )  # fmt: skip
    return {**landed, **refined_as(manifest, uri), "refine_seconds": seconds}


def _refine_here(
    deployment: Deployment, dataset: AnyDataset, raw_manifest_uri: str, run_id: str
) -> tuple[Manifest, str]:
    from tideline.refine.refine import refine

    return refine(
        dataset,
        raw_manifest_uri,
        raw=deployment.raw,
        processed=deployment.processed,
        quarantine=deployment.quarantine,
        run_id=run_id,
        object_bytes=deployment.settings.object_bytes,
        decoder=deployment.settings.decoder,
    )


def merge_dataset(deployment: Deployment, refined: Summary | Sequence[Summary], run_id: str) -> Summary:
    """Parquet → one newest row per key, then the ledger row. Adds what the merge did to refine's summary.

    Takes the summaries of all ranges of a load that was split: they are merged as one load.

    Raises:
        ContractError: The load has suspiciously many or few records, and the catalog says to stop then.
        SchemaEvolutionError: The table would have to change in a way that the warehouse does not allow.
        IntegrityError: The load does not hold the rows that were refined.
    """
    from tideline.merge.merge import merge

    summary = whole_load(deployment, refined)
    dataset = deployment.catalog.dataset(summary["dataset_id"])
    summary = {**summary, **_notes(dataset, summary)}
    result = merge(
        dataset,
        summary,
        run_id=run_id,
        raw=deployment.raw,
        processed=deployment.processed,
        warehouse=deployment.open_warehouse(),
    )
    log.info("merged %s: %s", summary["dataset_id"], result.text())
    return {**summary, **result.to_json()}


def _notes(dataset: AnyDataset, summary: Summary) -> Summary:
    """What is suspicious about a load; stops it where the catalog says so."""
    found = volume.outside(dataset, summary.get("landed") or 0, summary.get("expected"))
    if found is None or dataset.volume is None:
        return {}
    if dataset.volume.outside == "stop":
        raise volume.stopped(dataset, found, summary["processed_manifest_uri"])
    log.warning("%s: %s", dataset.dataset_id, found)
    return {"notes": found}


def settle(
    deployment: Deployment, loads: dict[str, Summary] | None, merged: Iterable[Summary | None]
) -> list[str]:
    """Which planned datasets were not merged; every raw table exists afterwards, so that models can be built.

    One that is gone is left so: models of an empty table would say that there is nothing. Without a plan (it
    failed itself) every dataset counts as stale.
    """
    from tideline.merge.merge import ensure_target

    stale = unmerged(loads, merged, [dataset.dataset_id for dataset in deployment.catalog.datasets])
    if stale:
        log.warning("stale, the models see what the warehouse held before: %s", ", ".join(stale))
    warehouse = deployment.open_warehouse()
    for dataset in deployment.catalog.datasets:
        try:
            ensure_target(dataset, warehouse)
        except (IntegrityError, SchemaEvolutionError) as error:  # its merge has said so
            log.warning("%s stays as it is: %s", dataset.dataset_id, error)
    return stale


def _land(deployment: Deployment, dataset: AnyDataset, request: LandRequest[Any]) -> tuple[Manifest, str]:
    try:
        client = deployment.open_source(deployment.catalog.source_of(dataset))
    except TidelineError as error:  # a connection knows no dataset
        error.source, error.dataset = dataset.source, dataset.name
        raise
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
    try:
        return manifests.read(deployment.raw, load.previous_manifest_uri)
    except IntegrityError as error:  # raw need not be kept for ever; without it everything is read
        log.warning("%s is read whatever it was before: %s", load.dataset_id, error)
        return None
