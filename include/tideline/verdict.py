"""Whether a run is good: what was planned against the summaries of its merges. Knows no client and no DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tideline.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def judge(
    settled: list[str] | None,
    loads: Mapping[str, Any] | None,
    merged: Iterable[Mapping[str, Any] | None],
    dataset_ids: Iterable[str],
) -> None:
    """Fail unless all that was planned is merged by now, whatever `settle` found when it ran.

    Raises:
        FatalError: A dataset was not merged, or `settle` failed (`settled` is None).
    """
    if stale := unmerged(loads, merged, dataset_ids):
        raise FatalError(f"not merged in this run: {', '.join(stale)}", remedy="see the red tasks")
    if settled is None:
        raise FatalError("settle failed, and no model was built", remedy="clear it with what is downstream")


def unmerged(
    loads: Mapping[str, Any] | None, merged: Iterable[Mapping[str, Any] | None], dataset_ids: Iterable[str]
) -> list[str]:
    """Planned datasets without a merge; without a plan (it failed itself) of all of them.

    One that left the catalog since has no tasks any more, and nothing is wanted of it.
    """
    known = set(dataset_ids)
    planned = known if loads is None else known & set(loads)
    return sorted(planned - {summary["dataset_id"] for summary in merged if summary})
