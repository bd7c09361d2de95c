"""`tideline recover`: what was landed and is in no load of the ledger goes through: a lost or an old ledger.

Unlike a replay it is about single loads: one that does not go through is reported, the others go on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tideline import pipeline
from tideline.catalog.loader import fingerprint
from tideline.errors import ContractError, IntegrityError, OtherKeyError
from tideline.lake import manifest as manifests
from tideline.lake.listing import committed
from tideline.lake.store import here
from tideline.replay.book import read_book
from tideline.replay.landings import whole_uri
from tideline.replay.select import unrecorded
from tideline.replay.work import Outcome, merge_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment, Summary
    from tideline.replay.span import Span
    from tideline.replay.work import Item

log = logging.getLogger(__name__)


def recover(
    deployment: Deployment,
    datasets: Iterable[AnyDataset],
    span: Span,
    run_id: str,
    *,
    dry_run: bool = False,
    step: Callable[[str], None] = log.debug,
) -> Outcome:
    """Bring every landing of the span that the ledger does not know into warehouse and ledger.

    In the order in which the source was read, each with the mode of the run that read it, so that high-water
    marks are what they were. What was refined under the present catalog is not refined again, and its counts
    are those of its last merge.

    Args:
        deployment: The lake and the warehouse; no source is opened.
        datasets: Of which.
        span: Windows that end in it.
        run_id: The run that asks, for the ledger.
        dry_run: Only say what would be done.
        step: Is told of each.

    Returns:
        What was (or would be) merged; what was not, and why. Passed over are also those that are refused and
        whose window was read again later, and that read merged.
    """
    outcome = Outcome()
    for dataset in datasets:
        items = unrecorded(deployment, dataset, span, outcome.skipped).items
        refined = _refined_before(deployment, dataset, span, items)
        refused: list[tuple[Item, str]] = []
        for item in items:
            step(f"{dataset.dataset_id} {item.landing.window_id}")
            if dry_run:
                outcome.done.append({**item.landing.to_json(), "refine": _uri(item) not in refined})
                continue
            try:
                outcome.done.append(_recover(deployment, item, refined.get(_uri(item)), run_id))
            except OtherKeyError as error:
                log.warning("%s is passed over: %s", _uri(item), error)
                outcome.passed_over[_uri(item)] = str(error)
            except ContractError as error:
                refused.append((item, str(error)))
            except IntegrityError as error:
                log.warning("%s is not recovered: %s", _uri(item), error)
                outcome.skipped[_uri(item)] = str(error)
        _tell_apart(deployment, dataset, refused, outcome)
    return outcome


def _recover(deployment: Deployment, item: Item, processed_uri: str | None, run_id: str) -> Summary:
    summary = (
        pipeline.refined_summary(deployment, processed_uri)
        if processed_uri
        else _refine(deployment, item, run_id)
    )
    return merge_live(deployment, {**summary, "mode": item.mode}, run_id)


def _tell_apart(
    deployment: Deployment, dataset: AnyDataset, refused: list[tuple[Item, str]], outcome: Outcome
) -> None:
    """Enter the refused by whether a later read was merged; this recovery itself may have merged it."""
    if not refused:
        return
    book = read_book(deployment, dataset)
    for item, why in refused:
        log.warning("%s is not recovered: %s", _uri(item), why)
        if book.has_read_again(item.landing):
            outcome.passed_over[_uri(item)] = f"its window was read again and merged: {why}"
        else:
            outcome.skipped[_uri(item)] = why


def _refine(deployment: Deployment, item: Item, run_id: str) -> Summary:
    landed = pipeline.landed_summary(deployment, whole_uri(deployment.raw, item.landing))
    return pipeline.refine_dataset(deployment, landed, run_id)


def _refined_before(
    deployment: Deployment, dataset: AnyDataset, span: Span, items: Iterable[Item]
) -> dict[str, str]:
    """Raw manifest → the newest processed manifest that was made of it under the present catalog."""
    windows = {item.landing.window_id for item in items}
    found = {}
    store, now = deployment.processed, fingerprint(dataset)
    for key, window in committed(store, dataset.source, dataset.name, span.after, span.until):
        if window.window_id in windows:
            try:
                manifest = manifests.read(store, store.uri_of(key))
            except IntegrityError as error:
                log.warning("its landing is refined again: %s", error)
                continue
            if manifest.catalog_fingerprint == now and not manifest.details.get("range"):
                found[here(deployment.raw, str(manifest.details.get("raw_manifest")))] = store.uri_of(key)
    return found


def _uri(item: Item) -> str:
    return item.landing.raw_manifest_uri
