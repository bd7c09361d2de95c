"""Batches become parts on document boundaries, and no byte is lost whatever the lengths say."""

from __future__ import annotations

import struct

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.land.framing import Batch, DocumentStream, frame

SMALL = bson.encode({"a": 1})


def parts_of(batches, part_bytes, counts=None):
    """(bytes, records) of each part, read in odd little pieces."""
    found = []
    given = map(Batch, batches, counts or [None] * len(batches))
    for body in DocumentStream(given, part_bytes).parts():
        pieces = []
        while piece := body.read(7):
            pieces.append(piece)
        found.append((b"".join(pieces), body.records))
        assert body.bytes == len(found[-1][0])
    return found


@settings(deadline=None)
@given(
    sizes=st.lists(st.lists(st.integers(0, 60), max_size=8), max_size=6),
    part_bytes=st.integers(1, 300),
    counted=st.booleans(),
)
def test_parts_hold_all_documents_in_order_and_keep_to_their_size(sizes, part_bytes, counted):
    batches = [b"".join(bson.encode({"x": "y" * size}) for size in batch) for batch in sizes]

    parts = parts_of(batches, part_bytes, list(map(len, sizes)) if counted else None)

    assert b"".join(body for body, _ in parts) == b"".join(batches)
    assert sum(records for _, records in parts) == sum(map(len, sizes))
    for body, records in parts:
        assert len(bson.decode_all(body)) == records > 0
        assert len(body) <= part_bytes or records == 1


def test_a_part_is_filled_before_the_next_begins():
    assert [n for _, n in parts_of([SMALL * 5, SMALL * 5], part_bytes=4 * len(SMALL))] == [4, 4, 2]


@pytest.mark.parametrize("batches", [[], [b""], [b"", b"", b""]])
def test_nothing_makes_no_part(batches):
    assert parts_of(batches, 100) == []


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<i", 4) + b"rest",
        struct.pack("<i", -1) + b"rest",
        struct.pack("<i", 1 << 30) + b"rest",
        b"\x01",
        SMALL[:-1],
    ],
    ids=["too short", "negative", "too long", "three bytes missing", "cut off"],
)
def test_a_wrong_length_keeps_the_rest_of_its_batch_as_one_record_and_ends_the_part(bad):
    """So a reader that stops at the wrong length loses nothing of what came in later batches."""
    batches = [SMALL * 2 + bad, SMALL * 3]

    assert parts_of(batches, 10_000) == [(SMALL * 2 + bad, 3), (SMALL * 3, 3)]


def test_a_wrong_length_at_the_start_of_a_part():
    assert parts_of([b"\x00\x00", SMALL], 10_000) == [(b"\x00\x00", 1), (SMALL, 1)]


def test_a_document_larger_than_a_part_is_a_part():
    large = bson.encode({"x": "y" * 500})

    assert [n for _, n in parts_of([SMALL + large + SMALL], part_bytes=100)] == [1, 1, 1]


def test_room_that_is_used_up_takes_nothing_more():
    assert frame(SMALL, 0, 0, at_least_one=False) == (0, 0, True)
