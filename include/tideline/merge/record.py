"""A merge as the ledger records it: its name, what must agree before it, and its row. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tideline.errors import IntegrityError
from tideline.lake.ranges import describe
from tideline.warehouse.drift import drift_text, names_text, reasons_text
from tideline.warehouse.ledger import LedgerRow
from tideline.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.merge.counts import Counts


NO_PARTITIONS = "{}"
"""What the ledger says of a load that changes nothing."""
_PRECISIONS = {"year": "2026", "month": "2026-03", "day": "2026-03-01", "hour": "2026-03-01T05"}


def load_id_of(manifest: Manifest) -> str:
    """The name of the load that a processed manifest is: `<source>.<dataset>:<window_id>:<attempt_id>`."""
    return f"{manifest.source}.{manifest.dataset}:{manifest.window.window_id}:{manifest.attempt_id}"


def check(dataset: Dataset, manifest: Manifest, uri: str) -> None:
    """Refuse a manifest that is not one of this dataset's processed stage, or whose numbers do not agree.

    Raises:
        IntegrityError: Says which.
    """
    details = manifest.details
    in_parts = sum(part.records or 0 for part in manifest.parts)
    for fits, complaint in (
        (manifest.stage == "processed", f"this is a manifest of the {manifest.stage} stage"),
        (
            (manifest.source, manifest.dataset) == (dataset.source, dataset.name),
            f"this is a manifest of {manifest.source}.{manifest.dataset}",
        ),
        (
            manifest.records == details.get("refined") == in_parts,
            f"refined are {details.get('refined')}, records {manifest.records}, rows in the parts {in_parts}",
        ),
        ("range" not in details, f"this is {describe(manifest)} of a load, which is merged with the others"),
        (
            details.get("landed") == in_parts + details.get("quarantined", 0),
            f"landed are {details.get('landed')}, refined {in_parts}, "
            f"quarantined {details.get('quarantined')}",
        ),
    ):
        if not fits:
            raise IntegrityError(
                complaint,
                source=dataset.source,
                dataset=dataset.name,
                place=uri,
                remedy="give the URI of a processed manifest of this dataset, or refine the window again",
            )


def ledger_row(
    manifest: Manifest,
    raw_manifest: Manifest,
    counts: Counts,
    *,
    load_id: str,
    run_id: str,
    uri: str,
    summary: Mapping[str, Any],
    merge_seconds: float,
    partitions: str | None = None,
) -> LedgerRow:
    """The row that commits the load. From `summary`, the refine step's: mode and seconds.

    `partitions` is what `partitions_of` says, or None where more than the load's rows changed.
    """
    details = manifest.details
    cursor = details.get("cursor") or {}
    return LedgerRow(
        load_id=load_id,
        run_id=run_id,
        source=manifest.source,
        dataset=manifest.dataset,
        window_start=manifest.window.start,
        window_end=manifest.window.end,
        window_id=manifest.window.window_id,
        attempt_id=manifest.attempt_id,
        mode=str(summary.get("mode", "exact")),
        raw_manifest_uri=str(details["raw_manifest"]),
        processed_manifest_uri=uri,
        quarantine_manifest_uri=details.get("quarantine_uri"),
        landed=details["landed"],
        refined=details["refined"],
        quarantined=details["quarantined"],
        **asdict(counts),
        kind=str(details.get("kind", "rows")),
        cursor_min=_instant(cursor.get("min")),
        cursor_max=_instant(cursor.get("max")),
        null_changes=cursor.get("null"),
        future_changes=cursor.get("future"),
        raw_bytes=raw_manifest.bytes,
        processed_bytes=manifest.bytes,
        land_seconds=summary.get("land_seconds"),
        refine_seconds=summary.get("refine_seconds"),
        merge_seconds=merge_seconds,
        drift=drift_text(details.get("drift")),
        reasons=reasons_text(details.get("reasons")),
        empty_columns=names_text(details.get("empty_columns")),
        catalog_fingerprint=raw_manifest.catalog_fingerprint,
        code_version=manifest.code_version,
        unchanged_source=raw_manifest.unchanged,
        extracted_at=raw_manifest.extracted_at,
        raw_manifest_uris=tuple(raw_manifest.details.get("ranges") or ()),
        reason=summary.get("reason"),
        actor=summary.get("actor"),
        source_count=_source_count(raw_manifest, details["landed"]),
        ranges=len(raw_manifest.details.get("ranges") or ()) or None,
        notes=summary.get("notes"),
        partitions=partitions,
    )


def partitions_of(dataset: Dataset, manifest: Manifest, raw_manifest: Manifest) -> str | None:
    """The partitions of the raw table that a load changes, as its ledger row has them; None where not known.

    They are those of its rows only where none comes from another (the column is immutable) and none
    vanishes.

    Returns:
        JSON: the partition column and the starts of its partitions, as precise as these are: `2026`,
        `2026-03`, `2026-03-01` or `2026-03-01T05`, and null for NULL. An empty object where nothing changes.
    """
    if not manifest.records and (raw_manifest.unchanged or not dataset.shows_absence):
        return NO_PARTITIONS
    partition = dataset.partition
    if partition is None or not partition.immutable or dataset.shows_absence:
        return None
    starts = manifest.details.get("partitions")
    length = len(_PRECISIONS[partition.granularity])
    said = {partition.column: [text and text[:length] for text in starts or ()]}
    return json.dumps(said) if starts else None


def _source_count(raw_manifest: Manifest, landed: int) -> int | None:
    """How many records the source has by its own account; None where it did not say.

    Of objects every byte is compared with the source's, so their records are the source's.
    """
    source = raw_manifest.details.get("source") or {}
    return landed if source.get("kind") == "bytes" else source.get("count")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)
