"""Stretches of time that a verb is asked for, checked against the clock. Knows time and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tideline.errors import SettingsError
from tideline.window import as_utc, format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Windows that end in `(after, until]`; None is without bound on that side."""

    after: datetime | None = None
    until: datetime | None = None

    @classmethod
    def parse(cls, after: str | None, until: str | None, now: datetime) -> Span:
        """Read what a person gave.

        Raises:
            SettingsError: An end is no instant or is yet to come, or nothing lies between them.
        """
        span = cls(_instant("--from", after, now), _instant("--to", until, now))
        if span.after is not None and span.until is not None and span.after >= span.until:
            raise SettingsError(
                f"the range {span} is empty", remedy="give a --from before --to; windows that end in it count"
            )
        return span

    def __str__(self) -> str:
        after = "origin" if self.after is None else format_instant(self.after)
        return f"({after}, {'now' if self.until is None else format_instant(self.until)}]"


def _instant(option: str, text: str | None, now: datetime) -> datetime | None:
    if not text:
        return None
    instant = parse_instant(text)
    if instant > as_utc(now):
        raise SettingsError(
            f"{option} is {format_instant(instant)}, which is yet to come at {format_instant(now)}",
            remedy=f"give an earlier {option}, or leave it out",
        )
    return instant
