"""What every lander is told, and how it begins and commits an attempt. Knows no source kind."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import tideline
from tideline.lake import manifest as manifests
from tideline.lake.keys import Folder, new_attempt_id
from tideline.lake.manifest import Manifest, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tideline.catalog.model import Dataset
    from tideline.lake.store import Store, Written
    from tideline.window import Window

D = TypeVar("D", bound="Dataset")
log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock that landers use when they are given no other."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class LandRequest(Generic[D]):
    """One window of one dataset to land.

    `mode` is "scheduled" for a run that follows the high-water mark, "exact" for one that names its interval.
    `previous` is the newest committed raw manifest of the dataset, for sources that can answer "as before".
    """

    dataset: D
    window: Window
    mode: Literal["scheduled", "exact"]
    run_id: str
    catalog_fingerprint: str
    previous: Manifest | None = None
    now: Callable[[], datetime] = utc_now
    part_bytes: int = 128 << 20
    deadline_seconds: float = 600.0

    def begin(self) -> Attempt[D]:
        """A new attempt, made just before the source is first read: that instant is its `extracted_at`."""
        extracted_at = self.now()
        dataset = self.dataset
        folder = Folder(dataset.source, dataset.name, self.window, new_attempt_id(extracted_at))
        return Attempt(self, folder, extracted_at)


@dataclass(frozen=True)
class Attempt(Generic[D]):
    """One attempt to land a request: its folder, and the clock just before the source was first read."""

    request: LandRequest[D]
    folder: Folder
    extracted_at: datetime

    def commit(
        self,
        store: Store,
        parts: Sequence[Part],
        *,
        records: int | None,
        details: dict[str, Any],
        unchanged: bool = False,
    ) -> tuple[Manifest, str]:
        """Write the manifest, last of all: from now on the folder exists. Returns it and its URI."""
        request = self.request
        manifest = Manifest(
            stage="raw",
            source=request.dataset.source,
            dataset=request.dataset.name,
            window=request.window,
            attempt_id=self.folder.attempt_id,
            run_id=request.run_id,
            extracted_at=self.extracted_at,
            parts=tuple(parts),
            records=records,
            code_version=tideline.__version__,
            catalog_fingerprint=request.catalog_fingerprint,
            unchanged=unchanged,
            details=details,
        )
        uri = manifests.commit(store, manifest)
        log.info(
            "%s %s: committed %d parts, %s records, %d bytes%s as %s",
            request.dataset.dataset_id, request.window, len(manifest.parts),
            "uncounted" if records is None else records, manifest.bytes,
            " (source unchanged)" if unchanged else "", uri,
        )  # fmt: skip
        return manifest, uri


def part_of(written: Written, records: int | None, origin: dict[str, Any]) -> Part:
    """The manifest's entry for an object that was written."""
    return Part(written.uri, written.bytes, written.sha256, records, origin)
