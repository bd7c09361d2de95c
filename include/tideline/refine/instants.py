"""ISO 8601 text → microseconds since 1970, exactly. Knows calendars and offsets; knows no columns."""

from __future__ import annotations

import re
from datetime import MAXYEAR, MINYEAR, UTC, date, time, timedelta

from tideline.refine.fields import ConformError, shorten

DAY_MICROSECONDS = 86_400_000_000
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what BigQuery can hold."""
_UNIX_EPOCH = date(1970, 1, 1).toordinal()
_INSTANT = re.compile(
    r"(?P<year>[+-]?[0-9]{4,9})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def microseconds(text: str, reason: str) -> int:
    """The instant of a date, or of a date and a time; without an offset it is UTC.

    Args:
        text: `2026-01-31`, `2026-01-31T14:05:02.123456+01:00`, …
        reason: Why a text that is none of these is refused.

    Raises:
        ConformError: `reason`; `out_of_range` outside the years 1 to 9999; `inexact` beyond microseconds.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ConformError(reason, f"{shorten(text)!r} is not ISO 8601")
    year = int(match["year"])
    if not MINYEAR <= year <= MAXYEAR:
        raise _out_of_range(text)
    try:
        days = date(year, int(match["month"]), int(match["day"])).toordinal() - _UNIX_EPOCH
        clock = time(
            int(match["hour"] or 0), int(match["minute"] or 0), int(match["second"] or 0), tzinfo=UTC
        )
        ahead = _ahead(match["zone"])
    except ValueError as error:
        raise ConformError(reason, f"{shorten(text)!r}: {error}") from None
    seconds = clock.hour * 3600 + clock.minute * 60 + clock.second - ahead
    instant = days * DAY_MICROSECONDS + seconds * 1_000_000 + _fraction(match["fraction"] or "")
    if not _FIRST <= instant <= _LAST:
        raise _out_of_range(text)
    return instant


def _out_of_range(text: str) -> ConformError:
    return ConformError("out_of_range", f"{shorten(text)} is outside the years 1 to 9999")


def _ahead(zone: str | None) -> int:
    """Seconds by which a zone's clock is ahead of UTC."""
    if zone is None or zone in "Zz":
        return 0
    offset = time(int(zone[1:3]), int(zone[3:].lstrip(":") or 0), tzinfo=UTC)
    ahead = timedelta(hours=offset.hour, minutes=offset.minute)
    return int(ahead.total_seconds()) * (-1 if zone[0] == "-" else 1)


def _fraction(digits: str) -> int:
    if digits[6:].strip("0"):
        raise ConformError("inexact", f"more than microseconds: .{shorten(digits)}")
    return int(digits[:6].ljust(6, "0"))
