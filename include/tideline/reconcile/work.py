"""What a reconciliation was asked to do, and the last two of its steps, which are those of an hourly run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tideline.errors import SettingsError
from tideline.pipeline import merge_dataset, refine_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.pipeline import Deployment, Summary

MERGED = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates", "deleted")
"""The counts of a merge."""


def utc_now() -> datetime:
    """The clock that is read before a source is asked."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Reconciliation:
    """One run over one dataset.

    Attributes:
        deployment: Where everything is.
        run_id: The run's name, for the ledger.
        dry_run: Compare and report; write nothing but a load table that is dropped again.
        max_delete_ratio: The share of live rows that may be deleted; the catalog's where None.
        now: The clock.

    Raises:
        SettingsError: The ratio is not between 0 and 1.
    """

    deployment: Deployment
    run_id: str
    dry_run: bool = False
    max_delete_ratio: float | None = None
    now: Callable[[], datetime] = field(default=utc_now)

    def __post_init__(self) -> None:
        ratio = self.max_delete_ratio
        if ratio is not None and not 0 <= ratio <= 1:
            raise SettingsError(f"the maximum ratio is {ratio}", remedy="give a share between 0 and 1")

    def refine_and_merge(self, landed: Summary) -> Summary:
        """Bring what was landed into the table; the merge's summary."""
        refined = refine_dataset(self.deployment, landed, self.run_id)
        most = {} if self.max_delete_ratio is None else {"max_delete_ratio": self.max_delete_ratio}
        return merge_dataset(self.deployment, {**refined, **most}, self.run_id)


def merged_counts(*merged: Summary) -> Summary:
    """The counts of merges, together."""
    return {name: sum(int(each.get(name) or 0) for each in merged) for name in MERGED}
