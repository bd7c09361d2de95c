"""A shadow: a table built beside a live one from raw, caught up with it, and put in its place in one step.

While it is built, loads go on into the live table. So before it is compared it takes the loads that were
committed since. After it has taken the live table's place, every landing that it does not have is merged into
it, whether the ledger knows of it or not: the MERGE of a load in flight may have met the old table. Landings
are committed before they are merged, so none escapes; and merging twice does no harm.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tideline.errors import IntegrityError
from tideline.merge import merge as merging
from tideline.replay.book import read_book
from tideline.replay.landings import landings
from tideline.replay.select import EVERYTHING
from tideline.replay.work import (
    Item,
    Outcome,
    full_summary,
    merge_all,
    merge_live,
    record_live,
    refine_items,
)
from tideline.warehouse.leases import leased
from tideline.warehouse.names import TableName, beside, instant_beside, raw_table
from tideline.warehouse.schema import raw_layout
from tideline.warehouse.tables import check_partitioning, describe, set_expiry
from tideline.window import CLOCK_SKEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment, Summary
    from tideline.replay.compare import Comparison
    from tideline.replay.select import Selection
    from tideline.warehouse.bigquery import Warehouse

log = logging.getLogger(__name__)

SWAPPING = "The table before a swap that has not ended yet: the new one may lack what was merged meanwhile."
"""What an old table says of itself until its swap is settled."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A table beside the live one.

    Attributes:
        dataset_id: Whose table it shadows.
        table: Its name, in the live table's BigQuery dataset.
        as_of: What the ledger had by then is in it, or among what it was built from.
    """

    dataset_id: str
    table: TableName
    as_of: datetime


def begin(
    deployment: Deployment, dataset: AnyDataset, selection: Selection, now: datetime, *, days: int, copy: bool
) -> Shadow:
    """Make the table; again under the same clock it is the same one.

    Args:
        deployment: The warehouse.
        dataset: Whose table is shadowed.
        selection: What it will be built from.
        now: The clock, which names it.
        days: After how many days it expires.
        copy: Begin with the rows of the live table instead of none.

    Raises:
        IntegrityError: The live table is gone: there is nothing to compare with.
        SchemaEvolutionError: The live table is partitioned otherwise; BigQuery would not replace it.
    """
    warehouse = deployment.open_warehouse()
    live = raw_table(dataset, warehouse.settings)
    layout = raw_layout(dataset)
    table = warehouse.tables.get(live)
    if table is None:
        merging.refuse_lost(dataset, warehouse)
        table = warehouse.tables.create(live, layout)
    check_partitioning(table, live, layout)
    shadow = beside(live, "shadow", now)
    if copy:
        warehouse.copy(live, shadow, key=str(shadow), replace=False)
    else:
        warehouse.tables.create(shadow, layout)
    set_expiry(warehouse, shadow, now + timedelta(days=days))
    # what was committed since a swap began that never ended need not be in the live table
    begun = [at - CLOCK_SKEW for at in _open_swaps(warehouse, live).values()]
    return Shadow(dataset.dataset_id, shadow, min([selection.as_of, *begun]))


def merge_into(deployment: Deployment, shadow: Shadow, handed_over: Summary, run_id: str) -> Summary:
    """Merge one refined landing into the shadow; the ledger does not hear of it."""
    summary = full_summary(deployment, handed_over)
    result = merging.merge(
        deployment.catalog.dataset(shadow.dataset_id),
        summary,
        run_id=run_id,
        raw=deployment.raw,
        processed=deployment.processed,
        warehouse=deployment.open_warehouse(),
        target=shadow.table,
    )
    return {**handed_over, "merge_seconds": result.row.merge_seconds}


def catch_up(
    deployment: Deployment,
    shadow: Shadow,
    items: Iterable[Item],
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Outcome:
    """Bring into the shadow what was committed since it was begun.

    Args:
        deployment: The lake and the warehouse.
        shadow: Which shadow.
        items: What it was built from.
        run_id: The run that asks.
        step: Is told of each.
    """
    missing = [item for item in _missing(deployment, shadow, items) if item.recorded]
    refined = refine_items(deployment, missing, run_id, step)
    return merge_all(refined, lambda summary: merge_into(deployment, shadow, summary, run_id), step)


def swap(
    deployment: Deployment,
    shadow: Shadow,
    comparison: Comparison,
    now: datetime,
    *,
    keep_days: int,
    force: bool = False,
) -> TableName:
    """Put the shadow in the live table's place in one job, and keep the old one beside it.

    Args:
        deployment: The warehouse.
        shadow: What takes its place.
        comparison: What was found when they were compared.
        now: The clock, which names the old table.
        keep_days: After how many days the old table expires.
        force: Also where the live table has keys that the shadow has not.

    Returns:
        The old table: `<dataset>__before_<instant>`.

    Raises:
        IntegrityError: The live table has keys that the shadow has not.
    """
    dataset = deployment.catalog.dataset(shadow.dataset_id)
    warehouse = deployment.open_warehouse()
    live = raw_table(dataset, warehouse.settings)
    if comparison.only_live and not force:
        raise IntegrityError(
            f"{comparison.only_live} keys of the live table are not in its shadow, such as "
            f"{', '.join(comparison.examples)}; nothing was swapped",
            source=dataset.source,
            dataset=dataset.name,
            place=f"table {shadow.table}",
            remedy="see whether raw has lost landings; if these rows may go, swap with --force",
        )
    before = beside(live, "before", now)
    with leased(warehouse, live, str(shadow.table)):
        warehouse.copy(live, before, key=str(before), replace=False)
        set_expiry(warehouse, before, now + timedelta(days=keep_days))
        describe(warehouse, before, SWAPPING)
        set_expiry(
            warehouse, shadow.table, None
        )  # a swap that ends halfway leaves no live table that expires
        warehouse.copy(shadow.table, live, key=f"{shadow.table} as {live}", replace=True)
    set_expiry(warehouse, live, None)
    log.info("%s took the place of %s; what was there is kept as %s", shadow.table, live, before)
    return before


def settle(
    deployment: Deployment,
    shadow: Shadow,
    items: Iterable[Item],
    merged: Iterable[Summary],
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Outcome:
    """After the swap: enter what the shadow was built from into the ledger, merge what it does not have.

    A landing that nobody has merged yet, and whose bytes are damaged, holds nothing up: it was not in the old
    table either.

    Args:
        deployment: The lake and the warehouse.
        shadow: Which shadow.
        items: What it was built from.
        merged: What was merged into it, also when it was caught up.
        run_id: The run that asks.
        step: Is told of each.
    """
    done = list(merged)
    have = {summary["raw_manifest_uri"] for summary in done}
    missing = [
        item for item in _missing(deployment, shadow, items) if item.landing.raw_manifest_uri not in have
    ]
    late = _merge_late(deployment, [item for item in missing if item.recorded], run_id, step)
    for summary in done:
        record_live(deployment, dict(summary), run_id)
    outcomes = [late.to_json()]
    for item in missing:
        if not item.recorded:
            try:
                outcomes.append(_merge_late(deployment, [item], run_id, step).to_json())
            except IntegrityError as error:
                uri = item.landing.raw_manifest_uri
                log.warning("%s is not merged, as before: %s", uri, error)
                outcomes.append(Outcome(skipped={uri: str(error)}).to_json())
    return Outcome.joined(outcomes)


def close(deployment: Deployment, shadow: Shadow, expires: datetime) -> None:
    """Once it is settled: let the shadow go, and those of swaps before it that ended halfway."""
    warehouse = deployment.open_warehouse()
    live = raw_table(deployment.catalog.dataset(shadow.dataset_id), warehouse.settings)
    for before, begun_at in _open_swaps(warehouse, live).items():
        set_expiry(warehouse, beside(live, "shadow", begun_at), expires)
        describe(warehouse, before, None)


def _open_swaps(warehouse: Warehouse, live: TableName) -> dict[TableName, datetime]:
    """The old tables of swaps that were begun and not settled, each with the clock by which it is named."""
    instants = (instant_beside(live, "before", name) for name in warehouse.tables.names_beside(live))
    kept = {beside(live, "before", at): at for at in instants if at is not None}
    found = {before: warehouse.tables.get(before) for before in kept}
    return {before: at for before, at in kept.items() if (t := found[before]) and t.description == SWAPPING}


def _merge_late(
    deployment: Deployment, items: list[Item], run_id: str, step: Callable[[str], None]
) -> Outcome:
    refined = refine_items(deployment, items, run_id, step)
    return merge_all(refined, lambda summary: merge_live(deployment, summary, run_id), step)


def _missing(deployment: Deployment, shadow: Shadow, items: Iterable[Item]) -> list[Item]:
    """Landings that the shadow neither began with nor was built from."""
    dataset = deployment.catalog.dataset(shadow.dataset_id)
    book = read_book(deployment, dataset)
    known = book.until(shadow.as_of) | {item.landing.raw_manifest_uri for item in items}
    landed = landings(deployment.raw, dataset, EVERYTHING, known=known | book.ranges)
    return [Item(one, one.raw_manifest_uri in book) for one in landed]
