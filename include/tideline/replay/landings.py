"""What was landed of a dataset, as raw manifests tell it. Knows the lake, not the ledger.

A load that was cut into ranges is one landing: its ranges together, once they are all there.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tideline.errors import IntegrityError
from tideline.lake import manifest as manifests
from tideline.lake.listing import committed
from tideline.lake.ranges import range_of
from tideline.lake.store import here
from tideline.lake.whole import commit_whole
from tideline.window import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.lake.ranges import Range
    from tideline.lake.store import Store
    from tideline.replay.span import Span

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Landing:
    """One landing, whole.

    Attributes:
        dataset_id: What was landed.
        raw_manifest_uri: Its manifest; of ranges that nobody put together yet, the first one's.
        window_id: The window that was read.
        extracted_at: The clock just before the source was read.
        mode: Of the run that landed it.
        range_uris: The manifests of ranges that nobody put together yet; empty otherwise.
    """

    dataset_id: str
    raw_manifest_uri: str
    window_id: str
    extracted_at: datetime
    mode: str
    range_uris: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        return {
            "dataset_id": self.dataset_id,
            "raw_manifest_uri": self.raw_manifest_uri,
            "window_id": self.window_id,
            "extracted_at": format_instant(self.extracted_at),
            "mode": self.mode,
            "range_uris": list(self.range_uris),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Landing:
        """Undo `to_json`."""
        given = {**data, "extracted_at": parse_instant(data["extracted_at"])}
        return cls(**{**given, "range_uris": tuple(data["range_uris"])})


def landings(
    raw: Store,
    dataset: Dataset,
    span: Span,
    *,
    known: Container[str] = (),
    windows: Container[str] | None = None,
    damaged: dict[str, str] | None = None,
) -> tuple[Landing, ...]:
    """Everything that was landed of the dataset in the span, in the order in which the source was read.

    Args:
        raw: The raw stage.
        dataset: Whose landings.
        span: Those of windows that end in it.
        known: URIs of manifests to leave out; they are not read.
        windows: Ids of the windows to look into; None for all.
        damaged: Takes what looks like a manifest and is none, with why: then it is left out.

    Raises:
        IntegrityError: Something that looks like a manifest is none, and `damaged` is None.
    """
    uris = (
        raw.uri_of(key)
        for key, window in committed(raw, dataset.source, dataset.name, span.after, span.until)
        if raw.uri_of(key) not in known and (windows is None or window.window_id in windows)
    )
    found = [one for uri in uris if (one := _found(raw, uri, damaged)) is not None]
    landed = [*_wholes(found), *_gathered(found)]
    return tuple(sorted(landed, key=lambda landing: (landing.extracted_at, landing.raw_manifest_uri)))


def _found(raw: Store, uri: str, damaged: dict[str, str] | None) -> _Found | None:
    try:
        return _Found.of(manifests.read(raw, uri), uri, raw)
    except IntegrityError as error:
        if damaged is None:
            raise
        damaged[uri] = str(error)
        return None


def whole_uri(raw: Store, landing: Landing) -> str:
    """The manifest of all of the landing; ranges that nobody put together yet are put together by it."""
    if not landing.range_uris:
        return landing.raw_manifest_uri
    return commit_whole(raw, [(manifests.read(raw, uri), uri) for uri in landing.range_uris])[1]


@dataclass(frozen=True, slots=True)
class _Found:
    """What of a manifest is kept: some name a hundred thousand parts."""

    landing: Landing
    range: Range | None
    ranges: frozenset[str]

    @classmethod
    def of(cls, manifest: Manifest, uri: str, raw: Store) -> _Found:
        landing = Landing(
            dataset_id=f"{manifest.source}.{manifest.dataset}",
            raw_manifest_uri=uri,
            window_id=manifest.window.window_id,
            extracted_at=manifest.extracted_at,
            mode=str(manifest.details.get("mode", "exact")),
        )
        ranges = (here(raw, each) for each in manifest.details.get("ranges") or ())
        return cls(landing, range_of(manifest), frozenset(ranges))


def _wholes(found: Iterable[_Found]) -> Iterator[Landing]:
    return (one.landing for one in found if one.range is None)


def _gathered(found: list[_Found]) -> Iterator[Landing]:
    """Ranges that are all there and that nobody put together; of a range landed twice, the newer one."""
    taken = frozenset[str]().union(*(one.ranges for one in found))
    splits: dict[str, dict[int, _Found]] = {}
    used = set()
    for one in sorted(found, key=lambda one: one.landing.raw_manifest_uri):
        if one.range is not None:
            splits.setdefault(one.range.split_id, {})[one.range.number] = one
            used |= {one.range.split_id} if one.landing.raw_manifest_uri in taken else set()
    for split_id, numbered in splits.items():
        if split_id not in used and _is_complete(numbered):
            uris = tuple(numbered[number].landing.raw_manifest_uri for number in sorted(numbered))
            yield replace(numbered[0].landing, range_uris=uris)


def _is_complete(numbered: Mapping[int, _Found]) -> bool:
    any_one = next(iter(numbered.values()))
    wanted = any_one.range.of if any_one.range else 0
    if len(numbered) == wanted:
        return True
    log.warning(
        "%s %s: only %d of %d ranges were landed; they do not count",
        any_one.landing.dataset_id, any_one.landing.window_id, len(numbered), wanted,
    )  # fmt: skip
    return False
