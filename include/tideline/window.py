"""Windows: the half-open stretches of UTC time that runs read.

Knows time and nothing else: not which window a run gets (`tideline.plan`), nor where its data goes
(`tideline.lake.keys`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tideline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HOUR = timedelta(hours=1)
CLOCK_SKEW = timedelta(minutes=5)
"""How far a clock may be behind another machine's; behind a broken one windows would lose rows."""


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant; one without an offset is UTC.

    Raises:
        SettingsError: The text is not an ISO 8601 instant.
    """
    try:
        return as_utc(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError, AttributeError):  # the last: no text at all
        raise SettingsError(
            f"{text!r} is not an instant", remedy="write it as 2026-01-31T14:00 or 2026-01-31T14:00:00Z"
        ) from None


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC; a naive one is taken as UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """ISO 8601 in UTC with a trailing Z, microseconds only where there are any."""
    return as_utc(instant).isoformat().replace("+00:00", "Z")


def hour_of(instant: datetime) -> datetime:
    """The full hour that the instant lies in."""
    return as_utc(instant).replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Window:
    """What one run reads: `[start, end)` in UTC. `start=None` has no lower bound (the first run of all).

    Raises:
        SettingsError: Start is not before end.
    """

    start: datetime | None
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", as_utc(self.end))
        if self.start is None:
            return
        object.__setattr__(self, "start", as_utc(self.start))
        if self.start >= self.end:
            raise SettingsError(
                f"the window [{format_instant(self.start)}, {format_instant(self.end)}) is empty",
                remedy="give a start before the end",
            )

    @property
    def window_id(self) -> str:
        """A name that sorts by end and is legal in object keys and table names; no other window has it."""
        start = "origin" if self.start is None else _compact(self.start)
        return f"{_compact(self.end)}_from_{start}"

    @classmethod
    def from_id(cls, window_id: str) -> Window:
        """Undo `window_id`.

        Raises:
            SettingsError: No window has this name.
        """
        end, _, start = window_id.partition("_from_")
        try:
            window = cls(None if start == "origin" else _expand(start), _expand(end))
        except ValueError:
            window = None
        if window is None or window.window_id != window_id:
            raise SettingsError(
                f"{window_id!r} is not the name of a window",
                remedy="write it as 20260131T150000Z_from_20260131T140000Z",
            )
        return window

    def contains(self, instant: datetime) -> bool:
        """Whether the instant lies in the half-open window."""
        return (self.start is None or self.start <= instant) and instant < self.end

    def covers(self, other: Window) -> bool:
        """Whether all of the other lies in the window."""
        return other.end <= self.end and (
            self.start is None or (other.start is not None and self.start <= other.start)
        )

    def to_json(self) -> dict[str, str | None]:
        """`{"start": "…Z" | None, "end": "…Z"}`."""
        return {
            "start": None if self.start is None else format_instant(self.start),
            "end": format_instant(self.end),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, str | None]) -> Window:
        """Undo `to_json`.

        Raises:
            SettingsError: It does not hold a window.
        """
        try:
            start, end = data["start"], data["end"]
        except KeyError as error:
            raise SettingsError(f"a window needs {error}", remedy='give {"start": …, "end": …}') from error
        if end is None:
            raise SettingsError(
                "a window needs an end", remedy="give the instant that the window ends before"
            )
        return cls(None if start is None else parse_instant(start), parse_instant(end))

    def __str__(self) -> str:
        start = "origin" if self.start is None else format_instant(self.start)
        return f"[{start}, {format_instant(self.end)})"


def high_water_mark(committed: Iterable[Window]) -> datetime | None:
    """The end of the gap-free chain of committed windows that begins with a window without lower bound.

    A window elsewhere on the axis (a backfill) moves it only once the gap before it is closed. None while no
    unbounded window is committed: nothing then says that what lies before the first window was ever read.
    """
    mark: datetime | None = None
    for window in sorted(committed, key=lambda w: (w.start is not None, w.start or w.end, w.end)):
        if window.start is None:
            mark = window.end if mark is None else max(mark, window.end)
        elif mark is not None and window.start <= mark:
            mark = max(mark, window.end)
        else:
            break
    return mark


def _compact(instant: datetime) -> str:
    # strftime leaves out the leading zeros of years before 1000.
    text = f"{instant.year:04d}{instant:%m%dT%H%M%S}"
    return f"{text}_{instant.microsecond:06d}Z" if instant.microsecond else f"{text}Z"


def _expand(text: str) -> datetime:
    pattern = "%Y%m%dT%H%M%S_%fZ" if "_" in text else "%Y%m%dT%H%M%SZ"
    return datetime.strptime(text, pattern).replace(tzinfo=UTC)
