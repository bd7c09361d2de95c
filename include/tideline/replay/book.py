"""What the ledger says of the landings of one dataset. Read once for each step of a verb."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tideline.errors import IntegrityError
from tideline.lake.store import here
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.state import CHAIN_MODES, ORIGIN
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.pipeline import Deployment
    from tideline.replay.landings import Landing
    from tideline.replay.span import Span
    from tideline.warehouse.ledger import LedgerRow

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest load of one raw manifest."""

    load_id: str
    quarantined: int
    quarantine_manifest_uri: str | None
    window_end: datetime
    committed_at: datetime


@dataclass
class Book:
    """Raw manifests that were merged, each with its newest load.

    Attributes:
        dataset: Whose they are.
        entries: By the manifest's URI.
        ranges: Manifests of ranges that were merged together.
        evidence: Quarantine manifests of loads that were merged, whatever they refused.
        reads: Windows that were read whole and merged, each with the clock just before it was read.
        as_of: When the newest row was committed, by the warehouse's clock.
    """

    dataset: Dataset
    entries: dict[str, Entry] = field(default_factory=dict)
    ranges: set[str] = field(default_factory=set)
    evidence: set[str] = field(default_factory=set)
    reads: set[tuple[Window, datetime]] = field(default_factory=set)
    as_of: datetime = ORIGIN

    def take(self, rows: Iterable[LedgerRow]) -> None:
        """Enter rows, in the order of their commits."""
        for row in rows:
            committed_at = row.committed_at or ORIGIN
            self.as_of = max(self.as_of, committed_at)
            entry = Entry(
                row.load_id, row.quarantined, row.quarantine_manifest_uri, row.window_end, committed_at
            )
            self.ranges.update(row.raw_manifest_uris)
            if row.quarantine_manifest_uri is not None:
                self.evidence.add(row.quarantine_manifest_uri)
            if row.raw_manifest_uri is not None:
                self.entries[row.raw_manifest_uri] = entry
            if row.mode in CHAIN_MODES:
                self.reads.add((Window(row.window_start, row.window_end), row.extracted_at))

    def __contains__(self, raw_manifest_uri: str) -> bool:
        return raw_manifest_uri in self.entries

    def has_read_again(self, landing: Landing) -> bool:
        """Whether a later read of all of the landing's window was merged."""
        window = Window.from_id(landing.window_id)
        return landing.mode in CHAIN_MODES and any(
            read_at > landing.extracted_at and merged.covers(window) for merged, read_at in self.reads
        )

    def until(self, instant: datetime) -> frozenset[str]:
        """The raw manifests whose newest load was committed by then."""
        return frozenset(uri for uri, entry in self.entries.items() if entry.committed_at <= instant)

    def check_all_are_there(self, uris: Iterable[str], span: Span) -> None:
        """Refuse to go on where the lake does not have what the ledger names.

        Raises:
            IntegrityError: Raw manifests of the span are missing.
        """
        there = set(uris)
        missing = sorted(
            uri
            for uri, entry in self.entries.items()
            if uri not in there
            and (span.after is None or entry.window_end > span.after)
            and (span.until is None or entry.window_end <= span.until)
        )
        if missing:
            raise IntegrityError(
                f"the ledger names {len(missing)} raw manifests of {span} that the lake does not have, "
                f"{', '.join(missing[:_SHOWN])}{', …' if len(missing) > _SHOWN else ''}",
                source=self.dataset.source,
                dataset=self.dataset.name,
                remedy="restore the raw bucket, or give a range in which everything is there",
            )


def read_book(deployment: Deployment, dataset: Dataset) -> Book:
    """Read the ledger's rows of the dataset."""
    ledger = Ledger(deployment.open_warehouse())
    ledger.ensure()
    book = Book(dataset)
    book.take(_here(deployment, row) for row in ledger.history(dataset.source, dataset.name))
    return book


def _here(deployment: Deployment, row: LedgerRow) -> LedgerRow:
    """The row with its manifests where they lie today."""
    raw_uri, evidence_uri = row.raw_manifest_uri, row.quarantine_manifest_uri
    return replace(
        row,
        raw_manifest_uri=raw_uri and here(deployment.raw, raw_uri),
        raw_manifest_uris=tuple(here(deployment.raw, uri) for uri in row.raw_manifest_uris),
        quarantine_manifest_uri=evidence_uri and here(deployment.quarantine, evidence_uri),
    )
