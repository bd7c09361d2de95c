"""What the task bodies hand on: small JSON summaries, made from manifests or read back from them.

Knows where manifests are found. Does not know what lands, refines or merges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tideline.errors import IntegrityError, SettingsError
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.lake.ranges import range_of

if TYPE_CHECKING:
    from tideline.lake.manifest import Manifest, Stage
    from tideline.lake.store import Store
    from tideline.pipeline import Deployment
    from tideline.window import Window

Summary = dict[str, Any]


def landed_as(manifest: Manifest, uri: str) -> Summary:
    """What landing says of its manifest, but for the seconds."""
    part, kind = range_of(manifest), manifest.details.get("kind")
    return {
        "dataset_id": f"{manifest.source}.{manifest.dataset}",
        "window": manifest.window.to_json(),
        "mode": manifest.details.get("mode", "exact"),
        "raw_manifest_uri": uri,
        "landed": manifest.records,
        "unchanged_source": manifest.unchanged,
        "parts": len(manifest.parts),
        "raw_bytes": manifest.bytes,
        **({} if part is None else {"range": [part.number, part.of]}),
        **({} if kind is None else {"kind": kind}),
    }


def refined_as(manifest: Manifest, uri: str) -> Summary:
    """What refining adds, but for the seconds."""
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


def landed_summary(deployment: Deployment, raw_manifest_uri: str) -> Summary:
    """What `land_dataset` returned, read back from its manifest."""
    manifest = manifests.read(deployment.raw, raw_manifest_uri)
    return {**landed_as(manifest, raw_manifest_uri), "land_seconds": 0.0}


def refined_summary(deployment: Deployment, processed_manifest_uri: str) -> Summary:
    """What `refine_dataset` returned, read back from its manifest."""
    manifest = manifests.read(deployment.processed, processed_manifest_uri)
    landed = landed_summary(deployment, manifest.details["raw_manifest"])
    return {**landed, **refined_as(manifest, processed_manifest_uri), "refine_seconds": 0.0}


def newest_manifest(deployment: Deployment, stage: Stage, dataset_id: str, window: Window | None) -> str:
    """The URI of the newest committed manifest of that window of the dataset.

    Raises:
        SettingsError: No window is given.
        IntegrityError: Nothing is committed for it.
    """
    store, found = _committed(deployment, stage, dataset_id, window)
    return store.uri_of(found[-1])


def newest_manifests(
    deployment: Deployment, stage: Stage, dataset_id: str, window: Window | None
) -> list[str]:
    """The same; where the newest is a range of a load, the newest of each range of that load.

    Ranges that are not there are not noticed here: merging notices them.
    """
    store, found = _committed(deployment, stage, dataset_id, window)
    newest = range_of(manifests.read(store, store.uri_of(found[-1])))
    if newest is None:
        return [store.uri_of(found[-1])]
    each: dict[int, str] = {}
    for key in found:
        part = range_of(manifests.read(store, store.uri_of(key)))
        if part is not None and part.split_id == newest.split_id:
            each[part.number] = store.uri_of(key)
    return [each[number] for number in sorted(each)]


def _committed(
    deployment: Deployment, stage: Stage, dataset_id: str, window: Window | None
) -> tuple[Store, list[str]]:
    """The keys of the manifests of that window, oldest first."""
    dataset = deployment.catalog.dataset(dataset_id)
    if window is None:
        raise SettingsError("which window?", remedy="give --start and --end, or --manifest with its URI")
    stores = {"raw": deployment.raw, "processed": deployment.processed, "quarantine": deployment.quarantine}
    prefix = keys.window_prefix(dataset.source, dataset.name, window)
    found = sorted(key for key in stores[stage].list(prefix) if key.endswith(f"/{keys.MANIFEST}"))
    if not found:
        raise IntegrityError(
            f"nothing is committed in the {stage} stage for {window}",
            source=dataset.source,
            dataset=dataset.name,
            place=stores[stage].uri_of(prefix),
            remedy="run the verb before this one first; the window must be the one it was run with",
        )
    return stores[stage], found
