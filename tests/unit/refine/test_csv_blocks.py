"""Blocks: whole records in bounded memory, however the bytes arrive and however long a record is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.csv_blocks import (
    EVIDENCE_BYTES,
    Block,
    BlockLimits,
    limits_for,
    split_blocks,
    without_mark,
)
from tideline.refine.csv_frame import Marks, frame, is_tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS = Marks(ord(","), ord('"'))
MESSY = st.text(alphabet='ab,"\n\r', max_size=80).map(str.encode)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def blocks_of(data: bytes, *, size: int = 7, block: int = 16, record: int = 1 << 20) -> list[Block]:
    return list(split_blocks(pieces(data, size), MARKS, BlockLimits(block, record)))


def records_of(data: bytes) -> list[tuple[bytes, int]]:
    found = frame(data, np.flatnonzero(np.frombuffer(data, np.uint8) == MARKS.quote), MARKS)
    return [
        (data[a:b], int(line) + 1) for a, b, line in zip(found.starts, found.ends, found.lines, strict=True)
    ]


@given(MESSY, st.integers(1, 20), st.integers(1, 40))
def test_blocks_hold_the_same_records_whatever_the_sizes(data: bytes, size: int, block: int) -> None:
    found = blocks_of(data, size=size, block=block)
    assert b"".join(each.data for each in found) == data
    records = [(text, line + each.line - 1) for each in found for text, line in records_of(each.data)]
    assert records == records_of(data)


@given(MESSY, st.integers(1, 20), st.integers(1, 40))
def test_blocks_say_what_they_hold(data: bytes, size: int, block: int) -> None:
    line = 1
    for each in blocks_of(data, size=size, block=block):
        view = np.frombuffer(each.data, np.uint8)
        assert each.quotes.tolist() == np.flatnonzero(view == MARKS.quote).tolist()
        assert each.line == line
        assert not each.tidy or is_tidy(view, each.quotes, MARKS, final=True)
        assert not each.refused
        line += each.lines


def test_nothing_gives_no_block() -> None:
    assert blocks_of(b"") == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("rest", [b"", b"\n", b"a,b\n\xef\xbb\xbfc,d\n", b"\xef\xbb\xbfa,b\n"])
def test_the_byte_order_mark_is_left_out_at_the_beginning_only(rest: bytes, size: int) -> None:
    is_marked, chunks = without_mark(pieces(b"\xef\xbb\xbf" + rest, size))
    assert (is_marked, b"".join(chunks)) == (True, rest)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize("data", [b"", b"\xef\xbb", b"\n\n", b"a\n\xef\xbb\xbfb"])
def test_without_a_byte_order_mark_everything_is_there(data: bytes, size: int) -> None:
    is_marked, chunks = without_mark(pieces(data, size))
    assert (is_marked, b"".join(chunks)) == (False, data)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_blocks_end_with_line_ends(end: bytes) -> None:
    rows = [b'%d,"a %d"' % (i, i) for i in range(200)]
    found = blocks_of(end.join(rows) + end)
    assert len(found) > 100
    assert all(block.data.endswith(end) and block.tidy for block in found)


def test_blocks_are_of_the_size_asked_for() -> None:
    found = blocks_of(b"1234567\n" * 1000, size=100, block=800)
    assert {len(block.data) for block in found[:-1]} == {800}


class Counted:
    """Chunks without end, or almost; knows how many were taken."""

    def __init__(self, chunk: bytes, count: int, *, before: bytes = b"", after: bytes = b"") -> None:
        self.taken = 0
        self._chunks = (chunk, count, before, after)

    def __iter__(self) -> Iterator[bytes]:
        chunk, count, before, after = self._chunks
        yield before
        for _ in range(count):
            self.taken += 1
            yield chunk
        yield after


def oversized(chunks: Counted, record: int = 1 << 16) -> list[Block]:
    return list(split_blocks(iter(chunks), MARKS, BlockLimits(4096, record)))


def test_a_line_that_is_too_long_is_one_refusal_with_its_beginning() -> None:
    chunks = Counted(b"x" * 4096, 1000, before=b"1,a\n2,", after=b"\r\n3,c\n")
    first, refused, rest = oversized(chunks)
    assert (first.data, rest.data, rest.line) == (b"1,a\n", b"3,c\n", 3)
    assert (refused.refused, refused.line, refused.lines) == ("too_large", 2, 1)
    assert refused.data.startswith(b"2,xxx")
    assert len(refused.data) <= EVIDENCE_BYTES


def test_evidence_of_a_line_that_is_too_long_is_bounded() -> None:
    chunks = Counted(b"x" * (1 << 18), 40)
    (refused,) = oversized(chunks, record=3 << 20)
    assert (refused.refused, len(refused.data), refused.lines) == ("too_large", EVIDENCE_BYTES, 0)


def test_a_quoted_field_that_is_too_long_on_one_line_is_too_large() -> None:
    chunks = Counted(b'x""y' * 1024, 100, before=b'1,"', after=b'"\n2,b\n')
    refused, rest = oversized(chunks)
    assert (refused.refused, rest.data, rest.line) == ("too_large", b"2,b\n", 2)


def test_a_quote_that_does_not_close_within_the_limit_costs_its_line_only() -> None:
    chunks = Counted(b"2,b\n" * 1024, 100, before=b'1,"open\n')
    found = oversized(chunks)
    assert (found[0].refused, found[0].data, found[0].lines) == ("unterminated_quote", b'1,"open', 1)
    assert b"".join(block.data for block in found[1:]) == b"2,b\n" * 1024 * 100
    assert found[1].line == 2
    assert sum(block.lines for block in found) == 1 + 1024 * 100


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_end_of_a_line_that_is_too_long_may_be_split_between_chunks(size: int) -> None:
    data = b"x" * 50 + b"\r\n" + b"y\n"
    refused, rest = blocks_of(data, size=size, block=4, record=20)
    assert (refused.refused, rest.data, rest.line) == ("too_large", b"y\n", 2)


def test_a_record_within_the_limit_is_kept_whole() -> None:
    data = b'"' + b"a\n" * 500 + b'"\nb\n'
    assert b"".join(block.data for block in blocks_of(data, block=8, record=2000)) == data
    assert not any(block.refused for block in blocks_of(data, block=8, record=2000))


@pytest.mark.parametrize(("columns", "megabytes"), [(1, 1), (199, 1), (200, 2), (500, 3), (10_000, 3)])
def test_wide_tables_come_in_longer_blocks(columns: int, megabytes: int) -> None:
    assert limits_for(columns) == BlockLimits(block_bytes=megabytes << 20)
