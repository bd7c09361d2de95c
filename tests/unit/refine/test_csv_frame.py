"""Record boundaries against a state machine that looks at one byte at a time."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.csv_frame import Marks, frame, last_stop

MARKS = Marks(ord(","), ord('"'))
Record = tuple[int, int, int, bool]
MESSY = st.text(alphabet='ab,"\n\r', max_size=60).map(str.encode)


def reference(data: bytes) -> list[Record]:
    """(start, end, line, malformed) of every record, by the letter of the module's docstring."""
    lines = [
        (m.start(), m.end("text"), m.end()) for m in re.finditer(rb"(?P<text>[^\r\n]*)(?:\r\n|\r|\n|$)", data)
    ]
    records: list[Record] = []
    number = 0
    while number < len(lines):
        start = lines[number][0]
        end = end_of_record(data, start)
        if end is None:
            records.append((start, lines[number][1], number, True))
            number += 1
            continue
        if end > start:
            records.append((start, end, number, False))
        number = (
            next(n for n, line in enumerate(lines) if line[1] == end and line[0] <= end and n >= number) + 1
        )
    return records


def end_of_record(data: bytes, position: int) -> int | None:
    """Where the record that begins here ends; None if its quoting is malformed."""
    while True:
        if data[position : position + 1] == b'"':
            position += 1
            while data[position : position + 1] != b'"' or data[position : position + 2] == b'""':
                if position >= len(data):
                    return None
                position += 2 if data[position : position + 2] == b'""' else 1
            position += 1
        else:
            while position < len(data) and data[position] not in b',"\r\n':
                position += 1
        if position >= len(data) or data[position] in b"\r\n":
            return position
        if data[position] != MARKS.delimiter:
            return None
        position += 1


def records_of(data: bytes) -> list[Record]:
    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == MARKS.quote)
    found = frame(data, quotes, MARKS)
    return list(
        zip(
            found.starts.tolist(),
            found.ends.tolist(),
            found.lines.tolist(),
            found.malformed.tolist(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"\n\r\n\r\n", []),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\rc\n\nd\n", [b"a", b"b", b"c", b"d"]),
        (b'1,"x\ny"\n2,"\r\n"\r\n', [b'1,"x\ny"', b'2,"\r\n"']),
        (b'"a""b","",""""\nc', [b'"a""b","",""""', b"c"]),
        (b'5" pipe\nc', [b'5" pipe', b"c"]),
        (b'1,"open\n2,b\n3,c\n', [b'1,"open', b"2,b", b"3,c"]),
        (b'1,"open\n2,"b"\n3,c\n', [b'1,"open', b'2,"b"', b"3,c"]),
        (b'1,"a\nb" x\n2,c\n', [b'1,"a', b'b" x', b"2,c"]),
        (b'"a\nb",c"d\ne\n', [b'"a', b'b",c"d', b"e"]),
        (b'1,"a"b\n"c\nd"\n', [b'1,"a"b', b'"c\nd"']),
        (b'a, "b"\nc\n', [b'a, "b"', b"c"]),
        (b'"', [b'"']),
        (b'""', [b'""']),
        (b'"""', [b'"""']),
    ],
)
def test_examples(data: bytes, texts: list[bytes]) -> None:
    assert [data[start:end] for start, end, _, _ in records_of(data)] == texts


def test_lines_count_physical_lines() -> None:
    assert [line for _, _, line, _ in records_of(b'a\n\n"b\r\nc\rd"\re\n5"\nf')] == [0, 2, 5, 6, 7]


def test_a_stray_quote_is_one_malformed_line() -> None:
    assert [bad for _, _, _, bad in records_of(b'a\n5" x\nb\n')] == [False, True, False]


@given(MESSY)
def test_equals_the_reference(data: bytes) -> None:
    assert records_of(data) == reference(data)


@given(MESSY)
def test_a_malformed_record_is_malformed_alone(data: bytes) -> None:
    for start, end, _, malformed in records_of(data):
        alone = records_of(data[start:end])
        assert alone == [(0, end - start, 0, True)] if malformed else all(not bad for *_, bad in alone)


@given(MESSY, st.data())
def test_a_certain_end_stays_one_whatever_follows(data: bytes, draws: st.DataObject) -> None:
    cut = draws.draw(st.integers(0, len(data)))
    head = data[:cut]
    quotes = np.flatnonzero(np.frombuffer(head, np.uint8) == MARKS.quote)
    stop = last_stop(head, quotes, MARKS)
    before = records_of(head[:stop])
    assert records_of(data)[: len(before)] == before
    shift = [(start + stop, end + stop, bad) for start, end, _, bad in records_of(data[stop:])]
    assert [(start, end, bad) for start, end, _, bad in records_of(data)[len(before) :]] == shift
