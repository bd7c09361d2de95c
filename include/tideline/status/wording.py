"""Short words for what a report holds, the same on the command line and on the page. Pure."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from tideline.window import Window

KINDS = {
    "vanished_field": "vanished",
    "missing_column": "missing column",
    "new_field": "new field",
    "changed_type": "changed type",
    "empty_object": "empty object",
}
"""The kinds of differences, those first that lose something."""
SHOWN = 50
"""How many entries a list shows."""
NOTHING = "-"
_TOP_REASONS = 3


def instant(moment: datetime | None) -> str:
    """`2026-01-31 14:00`, UTC."""
    return NOTHING if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def span(length: timedelta | None) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    if length is None:
        return NOTHING
    seconds = int(length.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago that was; a clock that runs ahead of ours says `0 s ago`."""
    return NOTHING if moment is None else f"{span(max(now - moment, now - now))} ago"


def window(read: Window | None) -> str:
    """`everything up to 15:00` or `2026-01-31 13:00 … 15:00`."""
    if read is None:
        return NOTHING
    if read.start is None:
        return f"everything up to {instant(read.end)}"
    is_one_day = read.start.date() == read.end.date()
    return f"{instant(read.start)} … {f'{read.end:%H:%M}' if is_one_day else instant(read.end)}"


def size(count: int | None) -> str:
    """`812 B`, `1.4 kB`, `3.2 MB`."""
    number, units = float(count or 0), ["B", "kB", "MB", "GB", "TB"]
    while number >= 1000 and len(units) > 1:  # noqa: PLR2004 - SI steps
        number, units = number / 1000, units[1:]
    return f"{number:.0f} B" if units[0] == "B" else f"{number:.1f} {units[0]}"


def reasons(counts: dict[str, int]) -> str:
    """The most frequent first: `bad_number 3, too_deep 1`."""
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{reason} {count:,}" for reason, count in top[:_TOP_REASONS])
    return f"{named}, …" if len(top) > _TOP_REASONS else named or "the load's evidence says"


def printable(raw: bytes) -> str:
    """Bytes as text that no terminal and no browser takes for anything else.

    What is not UTF-8 and every control, format, surrogate or private character is spelt as an escape, so that
    neither colours nor reversed writing nor invisible letters get through.
    """
    return safe(raw.decode("utf-8", "backslashreplace"))


def safe(text: str) -> str:
    """The same for text that came from a source."""
    return "".join(character if _is_plain(character) else _escaped(character) for character in text)


def _is_plain(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in (
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Cn",
        "Zl",
        "Zp",
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
