"""A CSV object's plain bytes → blocks of whole records, in bounded memory whatever a record's length.

Knows quotes and line ends. Does not know the header, fields or values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from tideline.refine.csv_frame import LF, is_tidy, last_stop, line_ends
from tideline.refine.csv_scan import count_of, places_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tideline.refine.csv_frame import Marks, Positions

BOM = b"\xef\xbb\xbf"
EVIDENCE_BYTES = (1 << 20) + 1
"""How much of a refused record is kept: a byte more than quarantine writes, so that it knows of the rest."""
_MOST_BLOCKS = 4
NO_QUOTES = np.zeros(0, np.int64)
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """How much of an object is held at a time."""

    block_bytes: int = 1 << 20
    """Larger ones are a little quicker: threads wait less for the interpreter. 1.5 MiB take 20 MB more."""
    record_bytes: int = 32 << 20
    """How long a record is waited for. BigQuery refuses Parquet rows above 50 MB."""


@dataclass(frozen=True, slots=True)
class Block:
    """A contiguous stretch of an object: whole records with their line ends (its very last may lack one)."""

    data: bytes
    line: int
    """Physical line on which it begins, counted from 1."""
    lines: int
    """How many physical lines end in it."""
    quotes: Positions
    """Where its quote characters are."""
    tidy: bool
    """Every one of them is known to open or close a field: they pair up."""
    refused: str = ""
    """If it is not whole records but the beginning of one that is too long to hold: the reason."""


DEFAULT_LIMITS = BlockLimits()
WIDE_COLUMNS = 100
_MOST_BYTES = 3 << 20


def limits_for(columns: int) -> BlockLimits:
    """Longer blocks for wide tables: each costs a column the same, whatever it holds.

    500 columns take half the CPU seconds of blocks of 1 MiB, and 25 MB more; of 12 MiB, it would be 65 MB.
    """
    wanted = (columns // WIDE_COLUMNS) << 20
    return BlockLimits(max(DEFAULT_LIMITS.block_bytes, min(wanted, _MOST_BYTES)))


def without_mark(chunks: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether the bytes begin with a UTF-8 byte order mark, and the bytes without it."""
    data, tail, _ = _gather(b"", chunks, len(BOM))
    head = data + tail
    return head.startswith(BOM), chain(filter(None, [head.removeprefix(BOM)]), chunks)


def split_blocks(
    chunks: Iterator[bytes], marks: Marks, limits: BlockLimits = DEFAULT_LIMITS
) -> Generator[Block, None, None]:
    """Blocks in order."""
    data, tail, ended = _gather(b"", chunks, limits.block_bytes)
    line = 1
    while data:
        found = _first_block(data, line, marks, limits, final=ended)
        if found is not None:
            block, rest = found, data[len(found.data) :] + tail
        elif tail:
            data, tail = data + tail, b""
            continue
        elif len(data) > limits.record_bytes:
            block, rest = _oversized(data, line, chunks)
        else:
            more = min(max(limits.block_bytes, len(data)), limits.record_bytes + 1 - len(data))
            data, tail, ended = _gather(data, chunks, len(data) + more)
            continue
        yield block
        line += block.lines
        data, tail, ended = _gather(rest, chunks, limits.block_bytes)


def _first_block(data: bytes, line: int, marks: Marks, limits: BlockLimits, *, final: bool) -> Block | None:
    """Whole records from the beginning; all there are, unless that is far more than a block."""
    if len(data) > _MOST_BLOCKS * limits.block_bytes:
        block = _block(data[: limits.block_bytes], line, marks, final=False)
        if block is not None:
            return block
    return _block(data, line, marks, final=final)


def _block(data: bytes, line: int, marks: Marks, *, final: bool) -> Block | None:
    """All whole records from the beginning; None where not one is certain to be whole."""
    quotes = quotes_in(data, marks)
    tidy = is_tidy(np.frombuffer(data, np.uint8), quotes, marks, final=final)
    size = len(data) if final else (_last_end if tidy else last_stop)(data, quotes, marks)
    if not size:
        return None
    records = data[:size]
    inside = quotes[: int(np.searchsorted(quotes, size))]
    return Block(records, line, count_lines(records), inside, tidy)


def _gather(rest: bytes, chunks: Iterator[bytes], size: int) -> tuple[bytes, bytes, bool]:
    """Append chunks until there are `size` bytes: up to the last LF, what is left then, whether they ended.

    A block mostly is all there is up to a line end: it need not be copied once more. Where they ended,
    nothing is left.
    """
    pieces, have = [rest], len(rest)
    while have < size:
        piece = next(chunks, None)
        if piece is None:
            return b"".join(pieces), b"", True
        pieces.append(piece)
        have += len(piece)
    end = pieces[-1].rfind(b"\n") + 1
    if not end:
        return b"".join(pieces), b"", False
    tail = pieces[-1][end:]
    pieces[-1] = pieces[-1][:end]
    return b"".join(pieces), tail, False


def quotes_in(data: bytes, marks: Marks) -> Positions:
    """Where the quote characters are."""
    return places_of(marks.quote, data) if marks.quote in data else NO_QUOTES


def _last_end(data: bytes, quotes: Positions, _: Marks) -> int:
    """The end of the last record where quotes pair up: the last line end with an even number before it."""
    mark = b"\n" if b"\n" in data else b"\r"
    limit = len(data) - (mark == b"\r")  # a CR at the very end may be half of CR LF
    while (end := data.rfind(mark, 0, limit)) >= 0:
        before = int(np.searchsorted(quotes, end))
        if before % 2 == 0:
            return end + 1
        limit = int(quotes[before - 1])
    return 0


def count_lines(data: bytes) -> int:
    """How many physical lines end in these bytes."""
    if b"\r" in data:
        return len(line_ends(np.frombuffer(data, np.uint8)))
    return count_of(LF, data)


def _oversized(data: bytes, line: int, chunks: Iterator[bytes]) -> tuple[Block, bytes]:
    """The first physical line of a record that does not end within the limit, and what follows that line.

    If the line itself ends within these bytes, then a quote opened in it and did not close: as anywhere, only
    the line is refused. If it does not, its remainder is read and let go.
    """
    found = _first_line_end(data)
    reason = "unterminated_quote" if found else "too_large"
    evidence = data[: min(found.start() if found else EVIDENCE_BYTES, EVIDENCE_BYTES)]
    while found is None:
        chunk = next(chunks, None)
        if chunk is None:
            lines = int(data.endswith(b"\r"))
            return Block(evidence, line, lines, NO_QUOTES, tidy=False, refused=reason), b""
        data = data[-1:] + chunk
        found = _first_line_end(data)
    return Block(evidence, line, 1, NO_QUOTES, tidy=False, refused=reason), data[found.end() :]


def _first_line_end(data: bytes) -> re.Match[bytes] | None:
    """A CR at the very end is none yet: it may be half of CR LF. `in` is much faster than the pattern."""
    if b"\n" not in data and b"\r" not in data:
        return None
    found = _LINE_END.search(data)
    return None if found and found[0] == b"\r" and found.end() == len(data) else found
