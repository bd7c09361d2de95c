"""Landings through refine and merge again. Knows the two steps' order, not which landings are chosen or why.

Everything is refined before anything is merged: damaged bytes, or a catalog that refuses too much, are found
while nothing has changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tideline import pipeline
from tideline.errors import ContractError, OtherKeyError
from tideline.merge import merge as merging
from tideline.replay.landings import Landing, whole_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tideline.pipeline import Deployment, Summary

log = logging.getLogger(__name__)

REPLAY = "replay"
ALL = 1.0
"""The share of rows that may vanish in a load that was merged before: whether it may was decided then."""


@dataclass(frozen=True, slots=True)
class Item:
    """One landing to go through again."""

    landing: Landing
    recorded: bool
    """Whether the ledger has a load of it. The first load of a landing keeps the mode of the run that read
    it, and so counts for the high-water mark; every other is a replay."""

    @property
    def mode(self) -> str:
        """What the ledger will call the load."""
        return REPLAY if self.recorded else self.landing.mode

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        return {"landing": self.landing.to_json(), "recorded": self.recorded}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Item:
        """Undo `to_json`."""
        return cls(Landing.from_json(data["landing"]), data["recorded"])


@dataclass
class Outcome:
    """What became of landings.

    Attributes:
        done: Summaries of what was refined or merged.
        skipped: Raw manifest → why it did not go through; nothing of it was merged before either.
        passed_over: Raw manifest → why it did not go through, and need not.
    """

    done: list[Summary] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        return {"done": self.done, "skipped": self.skipped, "passed_over": self.passed_over}

    @classmethod
    def joined(cls, outcomes: Iterable[Mapping[str, Any]]) -> Outcome:
        """Undo `to_json` of several, in their order."""
        joined = cls()
        for outcome in outcomes:
            joined.done += outcome["done"]
            joined.skipped |= outcome["skipped"]
            joined.passed_over |= outcome["passed_over"]
        return joined


def refine_items(
    deployment: Deployment, items: Sequence[Item], run_id: str, step: Callable[[str], None] = log.debug
) -> Outcome:
    """Refine the landings anew, in their order; events about another key than the catalog's are passed over.

    Raises:
        ContractError: One that was merged before is refused now.
        IntegrityError: Raw bytes are not what their manifest says.
    """
    outcome = Outcome()
    for item in items:
        uri = whole_uri(deployment.raw, item.landing)
        try:
            refined = pipeline.refine_dataset(deployment, pipeline.landed_summary(deployment, uri), run_id)
        except OtherKeyError as error:
            log.warning("%s is passed over: %s", uri, error)
            outcome.passed_over[uri] = str(error)
            continue
        except ContractError as error:
            _pass_over(item.recorded, uri, error, outcome)
            continue
        step(f"refined {item.landing.window_id}")
        outcome.done.append(_handed_over(refined, item))
    return outcome


def merge_all(
    refined: Outcome, merge: Callable[[Summary], Summary], step: Callable[[str], None] = log.debug
) -> Outcome:
    """Merge what `refine_items` handed over, in its order.

    Args:
        refined: What it returned.
        merge: Merges one, given its summary: into the live table or another.
        step: Is told of each.
    """
    outcome = Outcome(skipped=dict(refined.skipped), passed_over=dict(refined.passed_over))
    for summary in refined.done:
        try:
            outcome.done.append(merge(summary))
        except ContractError as error:
            _pass_over(summary["mode"] == REPLAY, summary["raw_manifest_uri"], error, outcome)
            continue
        step(f"merged {summary['processed_manifest_uri'].rpartition('/')[0]}")
    return outcome


def merge_live(deployment: Deployment, handed_over: Summary, run_id: str) -> Summary:
    """Merge one refined landing into its dataset's own table and the ledger."""
    return pipeline.merge_dataset(deployment, full_summary(deployment, handed_over), run_id)


def record_live(deployment: Deployment, handed_over: Summary, run_id: str) -> Summary:
    """Enter one landing into the ledger whose merge was into a table that has become its dataset's own."""
    summary = full_summary(deployment, handed_over)
    row = merging.record(
        deployment.catalog.dataset(summary["dataset_id"]),
        summary,
        run_id=run_id,
        raw=deployment.raw,
        processed=deployment.processed,
        warehouse=deployment.open_warehouse(),
    )
    return {**summary, **merging.MergeResult(row, repeated=False).to_json()}


def full_summary(deployment: Deployment, handed_over: Summary) -> Summary:
    """What the merge wants to know, from the little that travels."""
    return {**pipeline.refined_summary(deployment, handed_over["processed_manifest_uri"]), **handed_over}


def _handed_over(refined: Summary, item: Item) -> Summary:
    return {
        "dataset_id": refined["dataset_id"],
        "raw_manifest_uri": refined["raw_manifest_uri"],
        "processed_manifest_uri": refined["processed_manifest_uri"],
        "mode": item.mode,
        "refine_seconds": refined["refine_seconds"],
        **({"max_delete_ratio": ALL} if item.recorded else {}),
    }


def _pass_over(recorded: bool, uri: str, error: ContractError, outcome: Outcome) -> None:
    if recorded:
        raise error
    log.warning("%s is not merged, as before: %s", uri, error)
    outcome.skipped[uri] = str(error)
