"""Which landings a verb is about: those of a span, those that no load has, those with refused rows.

Knows lake and ledger side by side. Does not know what is done with the landings.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tideline.errors import IntegrityError
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.lake.listing import committed
from tideline.lake.store import here
from tideline.replay.book import read_book
from tideline.replay.landings import landings
from tideline.replay.span import Span
from tideline.replay.work import Item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment
    from tideline.replay.book import Book
    from tideline.replay.landings import Landing

log = logging.getLogger(__name__)

EVERYTHING = Span()


@dataclass(frozen=True, slots=True)
class Selection:
    """Landings in the order in which the source was read, and what the ledger knew when they were chosen."""

    items: tuple[Item, ...]
    as_of: datetime


def in_span(deployment: Deployment, dataset: AnyDataset, span: Span) -> Selection:
    """Everything that was landed in the span.

    Raises:
        IntegrityError: Nothing was, or the ledger names landings of the span that the lake does not have.
    """
    book = read_book(deployment, dataset)
    landed = landings(deployment.raw, dataset, span)
    book.check_all_are_there((landing.raw_manifest_uri for landing in landed), span)
    if not landed:
        raise IntegrityError(
            f"nothing was landed in {span}",
            source=dataset.source,
            dataset=dataset.name,
            place=deployment.raw.root,
            remedy="give a range in which windows end: `tideline status` shows what was read",
        )
    return Selection(tuple(Item(one, one.raw_manifest_uri in book) for one in landed), book.as_of)


def unrecorded(deployment: Deployment, dataset: AnyDataset, span: Span, damaged: dict[str, str]) -> Selection:
    """What was landed in the span and is in no load of the ledger; `damaged` takes what is no manifest."""
    book = read_book(deployment, dataset)
    known = book.entries.keys() | book.ranges
    landed = landings(deployment.raw, dataset, span, known=known, damaged=damaged)
    return Selection(tuple(Item(one, recorded=False) for one in landed), book.as_of)


def refused(
    deployment: Deployment, dataset: AnyDataset, *, load_id: str | None = None, reason: str | None = None
) -> Selection:
    """Landings with open refusals: rows that their newest load refused, or a load that failed for them.

    Args:
        deployment: The lake and the warehouse.
        dataset: Whose landings.
        load_id: Only those of this load.
        reason: Only those with a row refused for it.
    """
    book = read_book(deployment, dataset)
    chosen = {
        one.raw_manifest_uri
        for one in (*_in_loads(book), *_in_failed_loads(deployment, dataset, book))
        if load_id in (None, one.load_id) and _is_about(deployment, one, reason)
    }
    windows = {named[0] for uri in chosen if (named := keys.attempt_of(uri))}
    landed = landings(deployment.raw, dataset, EVERYTHING, windows=windows)
    items = (Item(one, one.raw_manifest_uri in book) for one in landed if chosen & _uris(one))
    return Selection(tuple(items), book.as_of)


@dataclass(frozen=True, slots=True)
class _Refusal:
    raw_manifest_uri: str
    load_id: str
    evidence_uri: str | None


def _in_loads(book: Book) -> Iterator[_Refusal]:
    for uri, entry in book.entries.items():
        if entry.quarantined:
            yield _Refusal(uri, entry.load_id, entry.quarantine_manifest_uri)


def _in_failed_loads(deployment: Deployment, dataset: AnyDataset, book: Book) -> Iterator[_Refusal]:
    """So much was refused that nothing else was kept: the evidence is all that there is of them."""
    store = deployment.quarantine
    for key, window in committed(store, dataset.source, dataset.name):
        uri = store.uri_of(key)
        if uri in book.evidence:
            continue
        manifest = manifests.read(store, uri)
        raw_uri = here(deployment.raw, str(manifest.details.get("raw_manifest")))
        if raw_uri not in book and raw_uri not in book.ranges:
            yield _Refusal(raw_uri, f"{dataset.dataset_id}:{window.window_id}:{manifest.attempt_id}", uri)


def _is_about(deployment: Deployment, refusal: _Refusal, reason: str | None) -> bool:
    """It may be where its evidence is gone, which need not be kept for ever; replaying does no harm."""
    if reason is None:
        return True
    if refusal.evidence_uri is None:
        return False
    store = deployment.quarantine
    if not store.exists(store.key_of(refusal.evidence_uri)):
        log.warning("what was refused then may be about %s: %s is gone", reason, refusal.evidence_uri)
        return True
    return reason in manifests.read(store, refusal.evidence_uri).details.get("reasons", {})


def _uris(landing: Landing) -> set[str]:
    return {landing.raw_manifest_uri, *landing.range_uris}
