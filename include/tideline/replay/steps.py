"""The steps of a replay, plan ▶ refine ▶ merge ▶ compare ▶ swap, with small JSON between them.

The command line takes them one after another, the DAG as tasks. No step opens a source. Each may run twice.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tideline.errors import CatalogError, IntegrityError, SettingsError
from tideline.replay import live
from tideline.replay import shadow as shadows
from tideline.replay.compare import Comparison, compare
from tideline.replay.request import SHADOW
from tideline.replay.select import EVERYTHING, in_span, refused
from tideline.replay.work import Item, Outcome, merge_all, refine_items
from tideline.warehouse.names import TableName, raw_table
from tideline.window import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment, Summary
    from tideline.replay.request import ReplayRequest
    from tideline.replay.select import Selection
    from tideline.replay.shadow import Shadow

log = logging.getLogger(__name__)

MOST_BATCHES = 100
"""Tasks that refine at once or wait for it; Airflow's default limit on mapped tasks is 1024."""


def plan_replay(deployment: Deployment, request: ReplayRequest, now: datetime) -> Summary:
    """Choose the landings; for a shadow, make its table.

    Returns:
        `batches` of landings in the order of their reading, what was asked for, and `shadow`.

    Raises:
        CatalogError: There is no such dataset.
        SettingsError: There is nothing to replay.
        IntegrityError: Nothing was landed in the range, or something of it is missing.
    """
    datasets = datasets_of(deployment, request.datasets or _dataset_of(request.load))
    chosen = [(dataset, _select(deployment, dataset, request)) for dataset in datasets]
    items = [item for _, selection in chosen for item in selection.items]
    if not items:
        raise SettingsError(
            f"no refused rows are open{_described(request)}",
            remedy="`tideline status` shows what is open, and why",
        )
    shadow = None
    if request.into == SHADOW:
        (dataset, selection), copy = chosen[0], request.span.after is not None
        shadow = shadows.begin(deployment, dataset, selection, now, days=request.keep_days, copy=copy)
    log.info("replaying %d landings of %s", len(items), ", ".join(d.dataset_id for d in datasets))
    size = -(-len(items) // MOST_BATCHES)
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    return {
        "now": format_instant(now),
        "batches": [[item.to_json() for item in batch] for batch in batches],
        "shadow": None if shadow is None else _to_json(shadow),
        "swap": request.swap,
        "keep_days": request.keep_days,
        "force": request.force,
        "datasets": [] if request.quarantined else [dataset.dataset_id for dataset in datasets],
        "is_whole": request.span == EVERYTHING,
    }


def refine_batch(
    deployment: Deployment, batch: Iterable[Summary], run_id: str, step: Callable[[str], None] = log.debug
) -> Summary:
    """Refine landings of the plan anew; nothing is visible to anybody by it.

    Raises:
        ContractError: One that was merged before is refused now.
        IntegrityError: Raw bytes are not what their manifest says.
    """
    return refine_items(deployment, [Item.from_json(item) for item in batch], run_id, step).to_json()


def merge_refined(
    deployment: Deployment,
    plan: Summary,
    refined: Iterable[Summary],
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Summary:
    """Merge what all batches refined, in the order of reading: into the live tables, or into the shadow.

    Raises:
        IntegrityError: A batch is missing, or a table is gone and only some of its landings are replayed.
    """
    joined, shadow = Outcome.joined(refined), _shadow(plan)
    _check_all_refined(plan, joined)
    if shadow is None:
        return live.merge_refined(deployment, plan, joined, run_id, step).to_json()
    merge = partial(shadows.merge_into, deployment, shadow, run_id=run_id)
    return {**merge_all(joined, merge, step).to_json(), "shadow": str(shadow.table)}


def compare_shadow(
    deployment: Deployment,
    plan: Summary,
    merged: Summary,
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Summary:
    """Let the shadow catch up with the live table, then hold the two against each other.

    Returns:
        `comparison`, `merged`: all that is in the shadow by now, and `shadow`: its name.

    Raises:
        SettingsError: What was merged went into another shadow.
    """
    shadow = _needed_shadow(plan, merged)
    late = shadows.catch_up(deployment, shadow, _items(plan), run_id, step)
    dataset = deployment.catalog.dataset(shadow.dataset_id)
    warehouse = deployment.open_warehouse()
    found = compare(dataset, raw_table(dataset, warehouse.settings), shadow.table, warehouse)
    log.info(
        "%s: %d rows, its shadow %d; keys only there %d, only in the shadow %d; columns that differ: %s",
        shadow.dataset_id, found.live_rows, found.shadow_rows, found.only_live, found.only_shadow,
        ", ".join(f"{c.name} ({c.differing})" for c in found.columns if c.differing) or "none",
    )  # fmt: skip
    done = [*merged["done"], *late.done]
    return {"comparison": found.to_json(), "merged": done, "shadow": str(shadow.table)}


def swap_shadow(
    deployment: Deployment,
    plan: Summary,
    compared: Summary,
    run_id: str,
    step: Callable[[str], None] = log.debug,
) -> Summary:
    """Put the shadow in the live table's place, and the ledger in step with it.

    Returns:
        `before`: the old table. `late`: loads that were merged into the new one afterwards.

    Raises:
        IntegrityError: The live table has keys that the shadow has not.
        SettingsError: Another shadow was compared.
    """
    shadow, now = _needed_shadow(plan, compared), parse_instant(plan["now"])
    before = shadows.swap(
        deployment,
        shadow,
        Comparison.from_json(compared["comparison"]),
        now,
        keep_days=plan["keep_days"],
        force=plan["force"],
    )
    late = shadows.settle(deployment, shadow, _items(plan), compared["merged"], run_id, step)
    shadows.close(deployment, shadow, now + timedelta(days=plan["keep_days"]))
    return {"before": str(before), "late": late.to_json()}


def datasets_of(deployment: Deployment, dataset_ids: Sequence[str]) -> tuple[AnyDataset, ...]:
    """The datasets of these ids, or all.

    Raises:
        CatalogError: There is no such dataset; lists those that are.
    """
    if not dataset_ids:
        return deployment.catalog.datasets
    return tuple(deployment.catalog.dataset(dataset_id) for dataset_id in dict.fromkeys(dataset_ids))


def _dataset_of(load_id: str | None) -> list[str]:
    """The dataset that a load id begins with, if one is given."""
    if load_id is None:
        return []
    dataset_id, colon, _ = load_id.partition(":")
    if not colon:
        raise CatalogError(
            f"{load_id!r} is not the id of a load", remedy="write it as <source>.<dataset>:<window>:<attempt>"
        )
    return [dataset_id]


def _select(deployment: Deployment, dataset: AnyDataset, request: ReplayRequest) -> Selection:
    if request.quarantined:
        return refused(deployment, dataset, load_id=request.load, reason=request.reason)
    return in_span(deployment, dataset, request.span)


def _described(request: ReplayRequest) -> str:
    of = f" of {', '.join(request.datasets)}" if request.datasets else ""
    load = f" in load {request.load}" if request.load else ""
    return of + load + (f" for {request.reason}" if request.reason else "")


def _check_all_refined(plan: Mapping[str, Any], joined: Outcome) -> None:
    """Without a batch, such as one that was marked as success by hand, newest versions may be missing."""
    planned = len(_items(plan))
    found = len(joined.done) + len(joined.skipped) + len(joined.passed_over)
    if found != planned:
        raise IntegrityError(
            f"{planned} landings are to be replayed, and {found} were refined",
            remedy="clear the batches that were not done, with everything downstream",
        )


def _items(plan: Mapping[str, Any]) -> list[Item]:
    return [Item.from_json(item) for batch in plan["batches"] for item in batch]


def _to_json(shadow: Shadow) -> dict[str, Any]:
    return {
        "dataset_id": shadow.dataset_id,
        "table": asdict(shadow.table),
        "as_of": format_instant(shadow.as_of),
    }


def _shadow(plan: Mapping[str, Any]) -> Shadow | None:
    data = plan["shadow"]
    if data is None:
        return None
    return shadows.Shadow(data["dataset_id"], TableName(**data["table"]), parse_instant(data["as_of"]))


def _needed_shadow(plan: Mapping[str, Any], so_far: Mapping[str, Any]) -> Shadow:
    """The plan's shadow, which the step before has to have been about: a plan made anew has an empty one."""
    shadow = _shadow(plan)
    if shadow is None:
        raise SettingsError("this replay goes into the live table", remedy="give --into shadow")
    if so_far["shadow"] != str(shadow.table):
        raise SettingsError(
            f"the step before was about {so_far['shadow']}, the plan is about {shadow.table}",
            remedy="clear the plan with everything downstream",
        )
    return shadow
