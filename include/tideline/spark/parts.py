"""One raw part refined by itself, and all of them put together: what runs on executors and on the driver.

A part is refined by `tideline.refine`, as a range of the load (`tideline.lake.ranges`), under an attempt id
of its own. An executor that dies leaves at most a range that nobody names. Does not know Spark.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tideline.catalog.loader import fingerprint
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.lake.ranges import Range
from tideline.lake.whole import commit_evidence, commit_whole
from tideline.refine.refine import refine
from tideline.splitting import check_threshold
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store
    from tideline.spark.order import Order, Stages

ENGINE = "spark"


def parts_of(landed: Manifest, raw_manifest_uri: str, planned_at: datetime) -> Iterator[Manifest]:
    """The landing's parts, each as the landing of a range.

    Args:
        landed: What was landed.
        raw_manifest_uri: Where that is committed.
        planned_at: The clock of the job, which tells its ranges from those of another.
    """
    named = f"{raw_manifest_uri} {format_instant(planned_at)}"
    split_id = hashlib.sha256(named.encode()).hexdigest()[:16]
    for number, part in enumerate(landed.parts):
        share = Range(split_id, number, len(landed.parts), None, None, planned_at)
        details = {**landed.details, "range": share.to_json()}
        yield replace(landed, parts=(part,), records=part.records, details=details)


def refine_part(order: Order, landed: Manifest, stages: Stages) -> tuple[Manifest, str]:
    """Refine the landing of one part; the manifest of that range, and its URI.

    Raises:
        TidelineError: As `tideline.refine.refine` does.
    """
    return refine(
        order.dataset,
        order.raw_manifest_uri,
        raw=cast("Store", _Landing(stages.raw, order.raw_manifest_uri, landed)),
        processed=stages.processed,
        quarantine=stages.quarantine,
        run_id=order.run_id,
        object_bytes=order.object_bytes,
        decoder=order.decoder,
    )


def gather(order: Order, refined: Sequence[tuple[Manifest, str]], stages: Stages) -> tuple[Manifest, str]:
    """Commit the evidence of all parts, then all their rows as one load.

    Raises:
        IntegrityError: A part is missing, or there twice.
        ContractError: Of all parts together more rows were refused than the dataset's threshold allows.
    """
    evidence = None
    named = (manifest.details["quarantine_uri"] for manifest, _ in refined)
    if refused := [(manifests.read(stages.quarantine, uri), uri) for uri in named if uri]:
        each = [manifest for manifest, _ in refined]
        _, evidence = commit_evidence(stages.quarantine, refused, each)
    if not manifests.read(stages.raw, order.raw_manifest_uri).details.get("partial"):
        check_threshold(order.dataset, [manifest.details for manifest, _ in refined], evidence)
    return commit_whole(stages.processed, refined, quarantine_uri=evidence, distributed=ENGINE)


def find(processed: Store, landed: Manifest, order: Order) -> str | None:
    """The newest manifest that a job committed for this order; None where none did.

    One of another run does not count, nor of another declaration: its rows are not what was asked for.
    """
    wanted = (ENGINE, order.raw_manifest_uri, order.run_id, fingerprint(order.dataset))
    prefix = keys.window_prefix(landed.source, landed.dataset, landed.window)
    found = sorted(key for key in processed.list(prefix) if key.endswith(f"/{keys.MANIFEST}"))
    for uri in map(processed.uri_of, reversed(found)):
        manifest = manifests.read(processed, uri)
        said = (manifest.details.get("distributed"), manifest.details.get("raw_manifest"))
        if (*said, manifest.run_id, manifest.catalog_fingerprint) == wanted:
            return uri
    return None


class _Landing:
    """The raw stage, but for one manifest: it says that there is one part only."""

    def __init__(self, raw: Store, uri: str, landed: Manifest) -> None:
        self._raw, self._key, self._landed = raw, raw.key_of(uri), landed

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        return self._landed.to_bytes() if key == self._key else self._raw.read(key)

    def __getattr__(self, name: str) -> object:
        return getattr(self._raw, name)
