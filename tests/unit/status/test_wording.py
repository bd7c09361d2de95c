"""Words and numbers, and that bytes are shown as nothing but text."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.status import wording
from tideline.window import Window

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_spans(seconds, text):
    assert wording.span(timedelta(seconds=seconds)) == text
    assert wording.ago(NOON - timedelta(seconds=seconds), NOON) == f"{text} ago"


def test_what_is_not_there():
    assert [wording.span(None), wording.instant(None), wording.ago(None, NOON), wording.window(None)] == [
        "-"
    ] * 4
    assert wording.ago(NOON + timedelta(hours=1), NOON) == "0 s ago"


def test_windows():
    assert wording.window(Window(None, NOON)) == "everything up to 2026-03-14 12:00"
    assert wording.window(Window(NOON - timedelta(hours=1), NOON)) == "2026-03-14 11:00 … 12:00"
    assert wording.window(Window(NOON - timedelta(days=1), NOON)) == "2026-03-13 12:00 … 2026-03-14 12:00"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3.2e6, "3.2 MB"), (5e15, "5000.0 TB")],
)
def test_sizes(count, text):
    assert wording.size(count) == text


def test_reasons_by_frequency():
    assert wording.reasons({"b": 1, "a": 1, "c": 3000}) == "c 3,000, a 1, b 1"
    assert wording.reasons({"b": 1, "a": 1, "c": 2, "d": 1}).endswith(", …")
    assert "evidence" in wording.reasons({})


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\nb", "a\nb"),
        (b"\x1b[31m\x00\r\t\x7f", "\\x1b[31m\\x00\\r\\t\\x7f"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\u202egnp.exe".encode(), "\\u202egnp.exe"),
        ("\u200bé\ufeff\U000e0041".encode(), "\\u200bé\\ufeff\\U000e0041"),
        (b"<b>&\"'", "<b>&\"'"),
    ],
)
def test_bytes_as_text(raw, text):
    assert wording.printable(raw) == text


@given(st.binary(max_size=200))
def test_no_bytes_get_through_as_anything_but_text(raw):
    shown = wording.printable(raw)
    assert all(character.isprintable() or character == "\n" or character.isspace() for character in shown)
    assert not set(shown) & set("\x1b\x00\r\t\x7f\u202e\u200b\u2028\ufeff")
