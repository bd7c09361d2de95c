"""What a replay merges into live tables: as they are, or made again where they are gone.

One that is gone is filled beside its name, which it gets once it is whole: until then loads and models fail
as they did before, instead of taking a part for all of it. Does not know how landings are chosen.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tideline.merge.merge import ensure_target
from tideline.replay.shadow import Shadow, merge_into
from tideline.replay.work import merge_all, merge_live, record_live
from tideline.warehouse.leases import leased
from tideline.warehouse.names import beside, raw_table
from tideline.warehouse.schema import raw_layout
from tideline.warehouse.state import ORIGIN
from tideline.warehouse.tables import set_expiry
from tideline.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment, Summary
    from tideline.replay.work import Outcome

log = logging.getLogger(__name__)


def merge_refined(
    deployment: Deployment,
    plan: Mapping[str, Any],
    refined: Outcome,
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Outcome:
    """Merge what was refined, in its order, into the tables of its datasets and the ledger.

    Args:
        deployment: The lake and the warehouse.
        plan: Of the replay: `datasets` of which a range or all is replayed, whether `is_whole`, its clock and
            `keep_days`.
        refined: All of it.
        run_id: The run that asks.
        step: Is told of each.

    Raises:
        IntegrityError: A table is gone, and only some of its landings are replayed.
    """
    gone = _begun(deployment, plan)

    def merge(summary: Summary) -> Summary:
        table = gone.get(summary["dataset_id"])
        if table is None:
            return merge_live(deployment, summary, run_id)
        return merge_into(deployment, table, summary, run_id)

    outcome = merge_all(refined, merge, step)
    for dataset_id, table in gone.items():
        of_it = [summary for summary in outcome.done if summary["dataset_id"] == dataset_id]
        others = [summary for summary in outcome.done if summary["dataset_id"] != dataset_id]
        outcome.done = [*others, *_finish(deployment, table, of_it, run_id)]
    return outcome


def _begun(deployment: Deployment, plan: Mapping[str, Any]) -> dict[str, Shadow]:
    """Dataset id → the table that is to take the place of one that is gone."""
    warehouse, begun = deployment.open_warehouse(), {}
    now, days = parse_instant(plan["now"]), plan["keep_days"]
    for dataset in map(deployment.catalog.dataset, plan["datasets"]):
        table = _begin(deployment, dataset, now, days) if plan["is_whole"] else None
        if table is None:
            ensure_target(dataset, warehouse)
        else:
            begun[dataset.dataset_id] = table
    return begun


def _begin(deployment: Deployment, dataset: AnyDataset, now: datetime, days: int) -> Shadow | None:
    """Make the table that is to become the dataset's; None where it has one.

    Again under the same clock it is the same one. One that is never finished expires after so many days.
    """
    warehouse = deployment.open_warehouse()
    live = raw_table(dataset, warehouse.settings)
    if warehouse.tables.get(live) is not None:
        return None
    table = beside(live, "anew", now)
    warehouse.tables.create(table, raw_layout(dataset))
    set_expiry(warehouse, table, now + timedelta(days=days))
    log.info("%s is gone; it is made again as %s", live, table)
    return Shadow(dataset.dataset_id, table, ORIGIN)


def _finish(deployment: Deployment, anew: Shadow, merged: Sequence[Summary], run_id: str) -> list[Summary]:
    """Give the table its name, and enter what was merged into it into the ledger; the merges, as it has them.

    Where one of that name came meanwhile (a whole read makes one), all is merged into that one.
    """
    dataset = deployment.catalog.dataset(anew.dataset_id)
    warehouse = deployment.open_warehouse()
    live = raw_table(dataset, warehouse.settings)
    with leased(warehouse, live, str(anew.table)):
        came = warehouse.tables.get(live) is not None
        if not came:
            set_expiry(warehouse, anew.table, None)  # the copy may carry it
            warehouse.copy(anew.table, live, key=f"{anew.table} as {live}", replace=False)
    warehouse.run(f"DROP TABLE IF EXISTS {anew.table.sql}", kind="drop", key=str(anew.table))
    enter = merge_live if came else record_live
    return [enter(deployment, summary, run_id) for summary in merged]
