"""Bytes are found wherever pieces begin and end."""

from __future__ import annotations

import pytest

from tideline.refine import csv_scan
from tideline.refine.csv_scan import count_of, has_pair, places_of, places_of_pair

DATA = b"0x,a\n0,x00x"


@pytest.fixture(params=[1, 2, 3, 4, 1000], autouse=True)
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_scan, "PIECE_BYTES", request.param)


@pytest.mark.parametrize("byte", [b"0", b"x", b"\n", b"z"])
def test_places_and_counts(byte: bytes) -> None:
    expected = [place for place in range(len(DATA)) if DATA[place : place + 1] == byte]
    assert places_of(byte[0], DATA).tolist() == expected
    assert count_of(byte[0], DATA) == len(expected)


@pytest.mark.parametrize("pair", [b"0x", b"00", b",a", b"x0", b"xx", b"za", b"az"])
@pytest.mark.parametrize("data", [DATA, DATA[1:], b"", b"0", b"x"])
def test_pairs(pair: bytes, data: bytes) -> None:
    assert has_pair(pair[0], pair[1], data) is (pair in data)
    expected = [place for place in range(len(data)) if data.startswith(pair, place)]
    assert places_of_pair(pair[0], pair[1], data).tolist() == expected
