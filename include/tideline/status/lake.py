"""What the lake holds that the ledger does not: reads not merged, and evidence above the threshold.

Lists a few days of each dataset, by the day on which windows end. Knows keys and manifests, never writes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from tideline.lake import keys, listing
from tideline.lake import manifest as manifests
from tideline.status.model import Drift, Pending, Refused
from tideline.warehouse.drift import drift_items

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store

DAYS = 3
"""How many days of windows are listed."""
MANIFESTS = 2_000
"""The most committed folders of one dataset that are looked at."""
EVIDENCE = 50
"""The most manifests of evidence that are read, the newest first."""
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A committed folder of a store, as its key says."""

    dataset_id: str
    window_id: str
    attempt_id: str
    uri: str


def committed(store: Store, datasets: Iterable[Dataset], now: datetime, days: int = DAYS) -> list[Found]:
    """The manifests of windows that ended in the last days, and of those that a fast clock has ended."""
    after, until = now - timedelta(days=days), now + timedelta(days=1)

    def of(dataset: Dataset) -> list[Found]:
        found = listing.committed(store, dataset.source, dataset.name, after, until)
        return [
            Found(dataset.dataset_id, *named, store.uri_of(key))
            for key, _ in islice(found, MANIFESTS)
            if (named := keys.attempt_of(key))
        ]

    with ThreadPoolExecutor(_THREADS) as pool:
        return [found for some in pool.map(of, datasets) for found in some]


def pending(found: Iterable[Found], known: set[str]) -> list[Pending]:
    """The reads among them that no load was made from, newest window first."""
    reads = list(found)
    merged = {(read.dataset_id, read.window_id) for read in reads if read.uri in known}
    waiting = [read for read in reads if read.uri not in known]
    return [
        Pending(
            read.dataset_id,
            read.window_id,
            read.attempt_id,
            read.uri,
            (read.dataset_id, read.window_id) in merged,
        )
        for read in sorted(waiting, key=lambda read: (read.window_id, read.attempt_id), reverse=True)
    ]


def unmerged_evidence(
    quarantine: Store, processed: Store, found: Iterable[Found], known: set[str]
) -> list[Refused]:
    """Reads of which so much was refused that nothing was kept, newest first, by their evidence.

    One that was refined again later and merged is over, one with rows that are not merged yet is on its way,
    and of several evidences of a read the newest counts.
    """
    newest = sorted((one for one in found if one.uri not in known), key=_by_attempt, reverse=True)[:EVIDENCE]

    def refused(one: Found) -> Refused | None:
        # evidence lies under the name of the rows that were kept beside it; listed: some may not read them
        if any(processed.list(quarantine.key_of(one.uri))):
            return None
        return _refused(one, manifests.read(quarantine, one.uri))

    by_raw: dict[str, Refused] = {}
    with ThreadPoolExecutor(_THREADS) as pool:
        for one in pool.map(refused, newest):
            if one is not None and one.raw_manifest_uri not in known:
                by_raw.setdefault(one.raw_manifest_uri, one)
    return list(by_raw.values())


def _by_attempt(found: Found) -> str:
    return found.attempt_id


def _refused(found: Found, manifest: Manifest) -> Refused:
    details = manifest.details
    return Refused(
        dataset_id=found.dataset_id,
        load_id=None,
        raw_manifest_uri=str(details.get("raw_manifest", "")),
        quarantine_uri=found.uri,
        landed=int(details.get("landed", 0)),
        quarantined=int(details.get("quarantined", 0)),
        reasons={str(reason): int(count) for reason, count in (details.get("reasons") or {}).items()},
        extracted_at=manifest.extracted_at,
        drift=tuple(
            Drift(
                dataset_id=found.dataset_id,
                kind=entry["kind"],
                path=entry["path"],
                example=entry["example"],
                records=entry["count"],
                loads=1,
                first_seen=manifest.extracted_at,
                last_seen=manifest.extracted_at,
            )
            for entry in drift_items(details.get("drift"))
        ),
    )
