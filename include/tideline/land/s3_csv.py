"""Land a family of CSV objects: each object byte for byte, gzip kept as gzip, one part an object.

Objects are known by key, ETag and time of writing, never by name or time alone: an overwritten object is
landed again, a late one under an old name is not missed. Knows what to land and what to say about it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tideline.errors import SourceChangedError, SourceRefusedError
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.land.s3_copy import Copied, Copier
from tideline.land.s3_groups import selected, wanted_again
from tideline.land.s3_listing import Identified, ObjectIdentity, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client

    from tideline.catalog.model import CsvDataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.retry import Patience
    from tideline.lake.store import Store
    from tideline.land.request import LandRequest

__all__ = ["ObjectIdentity", "land"]
log = logging.getLogger(__name__)


def land(
    request: LandRequest[CsvDataset],
    client: S3Client,
    store: Store,
    landed: Iterable[Identified],
    *,
    patience: Patience = DEFAULT_PATIENCE,
) -> tuple[Manifest, str]:
    """Land every listed object that no committed load holds; of a group those that are in it.

    A run that names its interval ("exact") also lands again what was written in its window. Parts are
    numbered by time of writing, then key: the order in which they should win. Nothing to land commits a
    manifest without parts.

    Args:
        request: What to land.
        client: A boto3 S3 client of the source.
        store: The raw lake.
        landed: Identities of objects in committed loads, ordered by key; read as a stream.
        patience: How often one call is tried again; the request's deadline takes the place of its own.

    Returns:
        The committed manifest and its URI.

    Raises:
        SourceRefusedError: No such bucket, or the credentials may not read it; or a run that names its
            interval names more objects than a load takes.
        SourceUnavailableError: The server does not answer, or does not give what it promises.
        SourceChangedError: Objects are overwritten faster than they are read.
    """
    dataset = request.dataset
    within = patience.within(request.deadline_seconds)
    attempt = request.begin()
    again = wanted_again(request.mode, request.window)
    selection = selected(client, dataset, landed, again, within, request.part)
    _warn(dataset, selection)
    _check_named(request, selection)
    copied = Copier(client, attempt, store, within).copy_all(selection.wanted)
    _check(dataset, selection, copied)
    source = {"kind": "bytes", "objects": len(copied.parts), "bytes": sum(p.bytes for p in copied.parts)}
    return attempt.commit(
        store,
        copied.parts,
        records=None if copied.parts else 0,
        details={"request": _described(request), "source": source, **_counts(selection, copied)},
    )


def _check_named(request: LandRequest[CsvDataset], selection: Selection) -> None:
    """What a run lands again no later load would take up, were it left."""
    if not selection.left or request.mode != "exact":
        return
    dataset = request.dataset
    raise SourceRefusedError(
        f"{len(selection.wanted) + selection.left} objects are to be landed in one load, which takes "
        f"{len(selection.wanted)}",
        source=dataset.source,
        dataset=dataset.name,
        place=f"s3://{dataset.bucket}/{dataset.prefix}",
        remedy="name shorter intervals, one after another; objects that never were landed need none",
    )


def _check(dataset: CsvDataset, selection: Selection, copied: Copied) -> None:
    """Every object is copied, with the bytes that were listed (`CheckedBody`), or was seen to be gone."""
    if len(copied.parts) + copied.vanished != len(selection.wanted):
        raise SourceChangedError(
            f"{len(selection.wanted)} objects were selected, {len(copied.parts)} copied, "
            f"{copied.vanished} vanished",
            source=dataset.source,
            dataset=dataset.name,
            place=f"s3://{dataset.bucket}/{dataset.prefix}",
            remedy="nothing if the retry agrees; else this is a defect: report it",
        )


def _warn(dataset: CsvDataset, selection: Selection) -> None:
    where = f"s3://{dataset.bucket}/{dataset.prefix}"
    if not selection.listed and not selection.any_landed_before:
        log.warning("%s: there is nothing under %s, and never was", dataset.dataset_id, where)
    if selection.left:
        log.warning(
            "%s: took the %d oldest of %d new objects under %s; the runs that follow take the others",
            dataset.dataset_id, len(selection.wanted), len(selection.wanted) + selection.left, where,
        )  # fmt: skip
    if selection.ignored:
        log.warning(
            "%s: ignored %d objects under %s that end in none of %s, such as %s",
            dataset.dataset_id, selection.ignored, where, ", ".join(dataset.suffixes),
            ", ".join(selection.ignored_examples),
        )  # fmt: skip


def _described(request: LandRequest[CsvDataset]) -> dict[str, Any]:
    dataset = request.dataset
    return {
        "bucket": dataset.bucket,
        "prefix": dataset.prefix,
        "suffixes": list(dataset.suffixes),
        "mode": request.mode,
    }


def _counts(selection: Selection, copied: Copied) -> dict[str, Any]:
    return {
        "listed": selection.listed,
        "selected": len(selection.wanted),
        "landed_before": selection.known,
        **({"left": selection.left} if selection.left else {}),
        "ignored": selection.ignored,
        "ignored_examples": selection.ignored_examples,
        "vanished": copied.vanished,
        "replaced": copied.replaced,
    }
