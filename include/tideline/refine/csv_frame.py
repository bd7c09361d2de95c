"""Where the records of a stretch of CSV bytes begin and end. Knows quotes and line ends, not fields.

A record ends at LF, CR LF or CR outside quotes. Quoting is as RFC 4180 has it; a quoted field may hold line
ends. A record whose quoting is malformed (a quote that never closes, closes before something other than a
delimiter or line end, or stands inside an unquoted field) is its first physical line and nothing more:
reading goes on with the next line, so that one stray quote cannot swallow the good rows after it. Such a line
alone is malformed as well. Lines without any byte are no records.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Positions = NDArray[np.int64]
    Flags = NDArray[np.bool_]
    Bytes = NDArray[np.uint8]

LF, CR = 10, 13


class Marks(NamedTuple):
    """The bytes that structure a record."""

    delimiter: int
    quote: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The records of a stretch of bytes, one entry each."""

    starts: Positions
    ends: Positions
    """Where the content ends, before the line end."""
    stops: Positions
    """Where the next record may begin, after the line end."""
    lines: Positions
    """Physical line on which it begins, counted from 0."""
    malformed: Flags


def frame(data: bytes, quotes: Positions, marks: Marks) -> Frame:
    """The records of an object's bytes from the beginning of a record to the end of one."""
    view = np.frombuffer(data, np.uint8)
    ends = line_ends(view)
    if is_tidy(view, quotes, marks, final=True):
        real = np.searchsorted(quotes, ends) % 2 == 0
        return _bounds(view, ends, real, ())
    walk = _walk(view, ends, quotes, marks, final=True)
    return _bounds(view, ends, walk.real, walk.malformed)


def last_stop(data: bytes, quotes: Positions, marks: Marks) -> int:
    """Where the last record ends that certainly is complete, whatever follows these bytes; 0 for none.

    For bytes whose quoting is not tidy; `tideline.refine.csv_blocks` knows a shorter way for the others.
    """
    view = np.frombuffer(data, np.uint8)
    ends = line_ends(view, final=False)
    walk = _walk(view, ends, quotes, marks, final=False)
    closed = np.flatnonzero(walk.real[: walk.pending])
    return int(ends[closed[-1]]) + 1 if len(closed) else 0


def line_ends(view: Bytes, *, final: bool = True) -> Positions:
    """The last byte of every line end: LF, or a CR without LF; one at the very end counts if `final`."""
    feeds = np.flatnonzero(view == LF)
    if not (view == CR).any():
        return feeds
    returns = np.flatnonzero(view == CR)
    following = np.append(view[1:], 0 if final else LF)[returns]
    return np.sort(np.concatenate([feeds, returns[following != LF]]))


def is_tidy(view: Bytes, quotes: Positions, marks: Marks, *, final: bool) -> bool:
    """Whether every quote opens at the start of a field or closes before its end: they pair up then."""
    if not len(quotes):
        return True
    if final and len(quotes) % 2:
        return False
    border = _table(marks.delimiter, LF, CR, marks.quote)
    opening, closing = quotes[0::2], quotes[1::2]
    opening = opening[1:] if opening[0] == 0 else opening
    closing = closing[:-1] if len(closing) and closing[-1] == len(view) - 1 else closing
    return bool(border[view[opening - 1]].all() and border[view[closing + 1]].all())


def _table(*members: int) -> Flags:
    table = np.zeros(256, np.bool_)
    table[list(members)] = True
    return table


def _bounds(view: Bytes, lines: Positions, real: Flags, malformed: Sequence[int]) -> Frame:
    """Records from the line ends that end one."""
    numbers = np.flatnonzero(real)
    last = lines[numbers]
    if not len(last) or last[-1] + 1 < len(view):  # the object's last record may lack its line end
        last, numbers = np.append(last, len(view)), np.append(numbers, len(lines))
    starts = np.concatenate([np.zeros(1, np.int64), last[:-1] + 1])
    first_lines = np.concatenate([np.zeros(1, np.int64), numbers[:-1] + 1])
    ends = last - _before_feed(view, starts, last)
    keep = ends > starts
    bad = np.isin(first_lines, np.asarray(malformed, np.int64))
    stops = np.minimum(last + 1, len(view))
    return Frame(starts[keep], ends[keep], stops[keep], first_lines[keep], bad[keep])


def _before_feed(view: Bytes, starts: Positions, last: Positions) -> Flags:
    """Which records end with CR LF."""
    if not len(view):
        return np.zeros(len(last), np.bool_)
    inside = last > starts
    feed = view[np.minimum(last, len(view) - 1)] == LF
    flags: Flags = inside & feed & (view[np.maximum(last - 1, 0)] == CR)
    return flags


class _Walked(NamedTuple):
    real: Flags
    """Which line ends end a record."""
    malformed: list[int]
    """Physical lines that are malformed records."""
    pending: int
    """The physical line where a record begins that these bytes do not decide; those before are decided."""


def _walk(view: Bytes, ends: Positions, quotes: Positions, marks: Marks, *, final: bool) -> _Walked:
    """Follow the quotes one by one, for stretches where they do not simply pair up."""
    quote = _Quotes.of(view, ends, quotes, marks, final=final)
    real = np.ones(len(ends), np.bool_)
    malformed: list[int] = []
    begin = (
        closed
    ) = -1  # the line on which the record of the last quoted field begins, and where that field ends
    at = 0
    while at < len(quote.line):
        if quote.line[at] != closed:
            begin = quote.line[at]
        close = quote.close_of(at) if quote.opens[at] else None
        if close is None:  # malformed: back to the next line
            real[begin : quote.line[at]] = True
            malformed.append(begin)
            at, closed = bisect_left(quote.line, begin + 1), -1
        elif close < len(quote.line):
            closed = quote.line[close]
            real[quote.line[at] : closed] = False
            at = close + 1
        else:
            return _Walked(real, malformed, begin)
    return _Walked(real, malformed, len(ends))


@dataclass(frozen=True, slots=True)
class _Quotes:
    """What a walk asks about each quote."""

    line: list[int]
    opens: list[bool]
    doubled: list[bool]
    """Another quote follows at once."""
    closes: list[bool]
    decided: int
    """How many of them are known with the byte that follows."""
    final: bool

    @classmethod
    def of(cls, view: Bytes, ends: Positions, quotes: Positions, marks: Marks, *, final: bool) -> _Quotes:
        edge = np.full(1, LF, np.uint8)
        padded = np.concatenate([edge, view, edge])
        border = _table(marks.delimiter, LF, CR)
        following = padded[quotes + 2]
        cut = not final and len(quotes) > 0 and quotes[-1] == len(view) - 1
        return cls(
            line=np.searchsorted(ends, quotes).tolist(),
            opens=border[padded[quotes]].tolist(),
            doubled=(following == marks.quote).tolist(),
            closes=border[following].tolist(),
            decided=len(quotes) - int(cut),
            final=final,
        )

    def close_of(self, opening: int) -> int | None:
        """The closing quote; the number of quotes where later bytes will tell; None if malformed."""
        at = opening + 1
        while at < self.decided and self.doubled[at]:
            at += 2
        if at < self.decided:
            return at if self.closes[at] else None
        return None if self.final else len(self.line)
