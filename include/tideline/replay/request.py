"""What a replay is asked to do, checked before anything is read. Knows neither lake nor warehouse."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tideline.errors import SettingsError
from tideline.replay.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LIVE, SHADOW = "live", "shadow"
KEEP_DAYS = 7


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """A replay.

    Attributes:
        datasets: Ids of what to replay; all where empty, which only refused rows allow.
        span: Which landings: those of windows that end in it.
        into: `live`: merge into the tables as they are. `shadow`: build a table beside, and compare.
        swap: Put the shadow in the live table's place.
        keep_days: After how many days the old table, or a shadow, expires.
        force: Swap although the live table has keys that the shadow has not.
        quarantined: Only landings with open refusals.
        load: Of these, those that this load refused.
        reason: Of these, those with a row refused for it.

    Raises:
        SettingsError: These do not go together.
    """

    datasets: tuple[str, ...] = ()
    span: Span = field(default_factory=Span)
    into: str = LIVE
    swap: bool = False
    keep_days: int = KEEP_DAYS
    force: bool = False
    quarantined: bool = False
    load: str | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        for is_wrong, found, remedy in self._complaints():
            if is_wrong:
                raise SettingsError(found, remedy=remedy)

    def _complaints(self) -> tuple[tuple[bool, str, str], ...]:
        spanned = self.span != Span()
        return (
            (self.into not in (LIVE, SHADOW), f"into is {self.into!r}", "write `live` or `shadow`"),
            (self.keep_days < 1, f"keep days is {self.keep_days}", "keep the old table for 1 day or more"),
            (self.swap and self.into == LIVE, "a swap needs a shadow", "give --into shadow --swap"),
            (self.force and not self.swap, "only a swap can be forced", "leave out --force"),
            (
                self.quarantined and (spanned or self.into == SHADOW),
                "refused rows are replayed into the live table, whenever they were landed",
                "leave out --from, --to and --into, or leave out --quarantined",
            ),
            (
                bool(self.load or self.reason) and not self.quarantined,
                "a load or a reason says which refused rows are meant",
                "give --quarantined too",
            ),
            (
                not self.datasets and not self.quarantined,
                "which dataset?",
                "give --dataset; `tideline catalog` lists them",
            ),
            (
                len(self.datasets) != 1 and self.into == SHADOW,
                f"a shadow is of one table, not of {len(self.datasets)}",
                "give one --dataset",
            ),
        )

    @classmethod
    def from_params(cls, params: Mapping[str, Any], now: datetime) -> ReplayRequest:
        """What a form or a command line was filled with, read at that clock.

        Raises:
            SettingsError: It does not go together, or the range is empty or yet to come.
        """
        return cls(
            datasets=tuple(params.get("datasets") or ()),
            span=Span.parse(params.get("from"), params.get("to"), now),
            into=params.get("into") or LIVE,
            swap=bool(params.get("swap")),
            keep_days=KEEP_DAYS if params.get("keep_days") is None else int(params["keep_days"]),
            force=bool(params.get("force")),
            quarantined=bool(params.get("quarantined")),
            load=params.get("load") or None,
            reason=params.get("reason") or None,
        )
