"""What every lander is told, and how it begins and commits an attempt. Knows no source kind."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import tideline
from tideline.errors import RetriableError
from tideline.lake import manifest as manifests
from tideline.lake.keys import Folder, new_attempt_id, new_range_attempt_id
from tideline.lake.manifest import Manifest, Part
from tideline.window import CLOCK_SKEW, format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tideline.catalog.model import Dataset
    from tideline.lake.ranges import Range
    from tideline.lake.store import Store, Written
    from tideline.window import Window

D = TypeVar("D", bound="Dataset")


def utc_now() -> datetime:
    """The clock that landers use when they are given no other."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class LandRequest(Generic[D]):
    """One window of one dataset to land.

    `mode` is "scheduled" for a run that follows the high-water mark, "exact" for one that names its interval.
    `previous` is the newest committed raw manifest of the dataset, for sources that can answer "as before".
    `part` is the range of the load to land; None for all of it.
    """

    dataset: D
    window: Window
    mode: Literal["scheduled", "exact", "reconcile"]
    run_id: str
    catalog_fingerprint: str
    previous: Manifest | None = None
    part: Range | None = None
    now: Callable[[], datetime] = utc_now
    part_bytes: int = 128 << 20
    deadline_seconds: float = 600.0

    def begin(self) -> Attempt[D]:
        """A new attempt, made just before the source is first read: that instant is its `extracted_at`.

        That of a range is the instant before any range was read: their rows are then ordered among each other
        as if one attempt had read them all.
        """
        now, part, dataset = self.now(), self.part, self.dataset
        if part is None:
            return Attempt(self, Folder(dataset.source, dataset.name, self.window, new_attempt_id(now)), now)
        attempt_id = new_range_attempt_id(part.planned_at, part.number, now)
        folder = Folder(dataset.source, dataset.name, self.window, attempt_id)
        return Attempt(self, folder, part.planned_at)

    def check_over(self) -> None:
        """Refuse to land by a clock that is behind: rows would count as older than those that they replace.

        Raises:
            RetriableError: By the clock of this machine, or of what cut the load into ranges, the window is
                not over.
        """
        clock = self.now() if self.part is None else self.part.planned_at
        if self.window.end <= clock + CLOCK_SKEW:
            return
        raise RetriableError(
            f"the window ends at {format_instant(self.window.end)}, which is not over at "
            f"{format_instant(clock)} by the clock of the machine that reads it",
            source=self.dataset.source,
            dataset=self.dataset.name,
            place=f"host {platform.node()}",
            remedy="set that machine's clock (NTP), or let another one land the window",
        )


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
            details={**details, "mode": request.mode, **self._range()},
        )
        return manifest, manifests.commit(store, manifest)

    def _range(self) -> dict[str, Any]:
        part = self.request.part
        return {} if part is None else {"range": part.to_json()}


def part_of(written: Written, records: int | None, origin: dict[str, Any]) -> Part:
    """The manifest's entry for an object that was written."""
    return Part(written.uri, written.bytes, written.sha256, records, origin)
