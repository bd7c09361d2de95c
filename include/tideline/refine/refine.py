"""Refine: one committed raw manifest → typed Parquet and quarantine, each committed by its own manifest.

Every attempt writes under an attempt id of its own; the processed manifest is the commit, and is written
last. The evidence of what was refused is committed before it, and also where so much was refused that nothing
else is. Knows stores and manifests. Does not know source formats (`tideline.refine.parts`) or the warehouse.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tideline import __version__
from tideline.catalog.loader import fingerprint
from tideline.errors import ContractError, IntegrityError
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Manifest
from tideline.refine import events
from tideline.refine.contract import SEMANTICS
from tideline.refine.moved import MovedKeys
from tideline.refine.parquet import ParquetLimits, PartWriter
from tideline.refine.parts import decoded_parts, engine_for
from tideline.refine.processed import ProcessedWriter
from tideline.refine.quarantine import QuarantineWriter
from tideline.refine.refused import RefusedKeys
from tideline.refine.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline import settings
    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Part, Stage
    from tideline.lake.store import Store

ENGINE = "python"
DEFAULT_LIMITS = ParquetLimits()


def utc_now() -> datetime:
    """The clock that names attempts."""
    return datetime.now(UTC)


def refine(
    dataset: AnyDataset,
    raw_manifest_uri: str,
    *,
    raw: Store,
    processed: Store,
    quarantine: Store,
    run_id: str,
    now: Callable[[], datetime] = utc_now,
    limits: ParquetLimits = DEFAULT_LIMITS,
    object_bytes: int | None = None,
    decoder: settings.Decoder = "auto",
) -> tuple[Manifest, str]:
    """Refine what one landing committed.

    Args:
        dataset: Its declaration.
        raw_manifest_uri: The landing's manifest.
        raw: The store that has it.
        processed: Where Parquet goes.
        quarantine: Where refused records go.
        run_id: Of the run that asks.
        now: The clock that names the attempt.
        limits: When row groups and parts are full.
        object_bytes: What a compressed object of the source may inflate to; None for the default.
        decoder: Which engine decodes documents; `auto` takes the compiled one where it is installed.

    Returns:
        The committed processed manifest and its URI.

    Raises:
        ContractError: Too large a share of the records was refused (the evidence is committed then), or an
            object as a whole does not fit the contract.
        IntegrityError: Raw bytes are not what their manifest says, or counts do not add up.
        SettingsError: The engine that was asked for is not there.
    """
    started = time.monotonic()
    landed = manifests.read(raw, raw_manifest_uri)
    _check_landed(landed, dataset, raw_manifest_uri)
    attempt = _Attempt(dataset, landed, raw_manifest_uri, run_id, keys.new_attempt_id(now()))
    if landed.details.get("kind") == events.KIND:
        return _refine_events(attempt, raw, processed, limits)
    engine = engine_for(dataset, decoder)
    tally = Tally(dataset, landed.extracted_at, is_range=bool(attempt.range))
    refused_keys, moved_keys = RefusedKeys(dataset), MovedKeys(dataset, len(landed.parts))
    refused = QuarantineWriter(attempt.folder, attempt.part_writer(quarantine, limits))
    with (
        ProcessedWriter(dataset, attempt.part_writer(processed, limits), limits) as rows,
        refused,
        closing(decoded_parts(dataset, landed, raw, object_bytes, engine)) as decoded_batches,
    ):
        for part, decoded in decoded_batches:
            tally.add(decoded)
            rows.add(decoded.batch, part.uri, landed.seen_at(part))
            refused.add(decoded.rejects, part.uri)
            refused_keys.add(decoded.rejects)
            moved_keys.add(decoded.batch, part.uri)
        _check_landed_count(tally, attempt)
        evidence = _commit_evidence(attempt, refused, tally, quarantine)
        _check_threshold(attempt, refused, tally, evidence)
        parts = rows.close()
    _check_written(tally, parts, attempt)
    details = {
        **tally.details(),
        **refused_keys.details(),
        **moved_keys.details(),
        "quarantine_uri": evidence,
        "reasons": dict(refused.reasons.most_common()),
        "raw_manifest": raw_manifest_uri,
        "raw_bytes": landed.bytes,
        "bytes": sum(part.bytes for part in parts),
        "engine": engine,
        "semantics": SEMANTICS,
        "seconds": round(time.monotonic() - started, 3),
        **attempt.range,
    }
    manifest = attempt.manifest("processed", parts, tally.refined, details)
    return manifest, manifests.commit(processed, manifest)


def _refine_events(
    attempt: _Attempt, raw: Store, processed: Store, limits: ParquetLimits
) -> tuple[Manifest, str]:
    """The same for a landing of events, which are typed already."""
    started = time.monotonic()
    writer = attempt.part_writer(processed, limits)
    try:
        parts = events.processed_events(attempt.dataset, attempt.landed, raw, writer)
    finally:
        writer.abandon()
    details = {
        **events.details_of(parts, attempt.landed),
        "raw_manifest": attempt.raw_manifest_uri,
        "raw_bytes": attempt.landed.bytes,
        "bytes": sum(part.bytes for part in parts),
        "engine": ENGINE,
        "semantics": SEMANTICS,
        "seconds": round(time.monotonic() - started, 3),
    }
    manifest = attempt.manifest("processed", parts, details["refined"], details)
    return manifest, manifests.commit(processed, manifest)


@dataclass(frozen=True)
class _Attempt:
    """One go at one landing."""

    dataset: AnyDataset
    landed: Manifest
    raw_manifest_uri: str
    run_id: str
    attempt_id: str

    @property
    def folder(self) -> keys.Folder:
        """Where it writes, in each store."""
        return keys.Folder(self.dataset.source, self.dataset.name, self.landed.window, self.attempt_id)

    @property
    def range(self) -> dict[str, Any]:
        """Which range of a load it is, as the landing says it; nothing for a whole one."""
        return {key: value for key, value in self.landed.details.items() if key == "range"}

    @property
    def where(self) -> dict[str, str]:
        """What every Tideline error takes."""
        return {"source": self.dataset.source, "dataset": self.dataset.name, "place": self.raw_manifest_uri}

    def part_writer(self, store: Store, limits: ParquetLimits) -> PartWriter:
        """A writer into its folder of that store."""
        partition = (self.dataset.partition.column,) if self.dataset.partition else ()
        cursor = (self.dataset.change_column,) if self.dataset.change_column else ()
        return PartWriter(
            self.folder,
            store,
            footer={
                "tideline.source": self.dataset.source,
                "tideline.dataset": self.dataset.name,
                "tideline.window_id": self.landed.window.window_id,
                "tideline.raw_manifest": self.raw_manifest_uri,
                "tideline.code_version": __version__,
            },
            statistics=list(dict.fromkeys((*self.dataset.key, *cursor, *partition))),
            limits=limits,
        )

    def manifest(
        self, stage: Stage, parts: tuple[Part, ...], records: int, details: dict[str, Any]
    ) -> Manifest:
        """What commits its folder of that stage."""
        return Manifest(
            stage=stage,
            source=self.dataset.source,
            dataset=self.dataset.name,
            window=self.landed.window,
            attempt_id=self.attempt_id,
            run_id=self.run_id,
            extracted_at=self.landed.extracted_at,
            parts=parts,
            records=records,
            code_version=__version__,
            catalog_fingerprint=fingerprint(self.dataset),
            unchanged=self.landed.unchanged,
            details=details,
        )


def _check_landed(landed: Manifest, dataset: AnyDataset, uri: str) -> None:
    found = (landed.stage, landed.source, landed.dataset)
    if found != ("raw", dataset.source, dataset.name):
        raise IntegrityError(
            f"expected a raw manifest of {dataset.dataset_id}, found one of {'.'.join(found)}",
            source=dataset.source,
            dataset=dataset.name,
            place=uri,
            remedy="give the manifest that land committed for this dataset",
        )


def _check_landed_count(tally: Tally, attempt: _Attempt) -> None:
    """Refined and quarantined make landed, and that is what the lander counted."""
    counted = attempt.landed.records
    if tally.landed == tally.refined + tally.quarantined and counted in (None, tally.landed):
        return
    raise IntegrityError(
        f"counts do not add up: landed {counted}, decoded {tally.landed}, refined {tally.refined}, "
        f"quarantined {tally.quarantined}",
        remedy="land the window again; if they differ again, this is a defect of the decoder: report it",
        **attempt.where,
    )


def _check_written(tally: Tally, parts: tuple[Part, ...], attempt: _Attempt) -> None:
    written = sum(part.records or 0 for part in parts)
    if written != tally.refined:
        raise IntegrityError(
            f"{tally.refined} rows were refined, but {written} written",
            remedy="this is a defect: report it with this manifest",
            **attempt.where,
        )


def _commit_evidence(
    attempt: _Attempt, refused: QuarantineWriter, tally: Tally, quarantine: Store
) -> str | None:
    """Commit what was refused; the URI of its manifest, or None if nothing was."""
    parts = refused.close()
    if not parts:
        return None
    details = {
        "landed": tally.landed,
        "quarantined": tally.quarantined,
        "reasons": dict(refused.reasons.most_common()),
        "drift": tally.details()["drift"],
        "raw_manifest": attempt.raw_manifest_uri,
        **attempt.range,
    }
    return manifests.commit(quarantine, attempt.manifest("quarantine", parts, tally.quarantined, details))


def _check_threshold(
    attempt: _Attempt, refused: QuarantineWriter, tally: Tally, evidence: str | None
) -> None:
    """Not of a range: the share is the whole load's, and is checked when its ranges are put together.

    Nor of rows that reconciliation picked out: among them are those that were refused before.
    """
    threshold = attempt.dataset.quarantine_threshold
    is_picked = attempt.range or attempt.landed.details.get("partial")
    if is_picked or tally.quarantined <= threshold * tally.landed:
        return
    share = tally.quarantined / tally.landed
    raise ContractError(
        f"{tally.quarantined} of {tally.landed} records ({share:.2%}) were refused, more than "
        f"quarantine_threshold {threshold:.2%} allows: {refused.summary()}",
        source=attempt.dataset.source,
        dataset=attempt.dataset.name,
        place=evidence,
        remedy="look at the evidence there; correct the source or the declared types and run again, or raise "
        "quarantine_threshold in the catalog",
    )
