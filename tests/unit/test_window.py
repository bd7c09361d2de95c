"""Windows: names, order, and the high-water mark against a set of minutes."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tideline.errors import SettingsError
from tideline.window import Window, as_utc, format_instant, high_water_mark, hour_of, parse_instant

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
INSTANTS = st.one_of(
    # Every instant that a datetime can hold, and some that often meet in the same second.
    st.integers(0, (LAST - FIRST) // timedelta(microseconds=1)).map(
        lambda microseconds: FIRST + timedelta(microseconds=microseconds)
    ),
    st.integers(-5, 5).map(lambda half_seconds: EPOCH + timedelta(seconds=half_seconds / 2)),
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    one, two = draw(INSTANTS), draw(INSTANTS)
    if draw(st.booleans()) or one == two:
        return Window(None, one)
    return Window(min(one, two), max(one, two))


def at(minute: int) -> datetime:
    return EPOCH + timedelta(minutes=minute)


@given(windows())
@example(Window(datetime(1, 1, 1, tzinfo=UTC), datetime(999, 12, 31, 23, tzinfo=UTC)))
def test_a_window_comes_back_from_its_name(window: Window) -> None:
    assert Window.from_id(window.window_id) == window


@given(windows(), windows())
def test_names_sort_by_end_and_are_unique(one: Window, two: Window) -> None:
    assert (one.window_id == two.window_id) == (one == two)
    if one.end != two.end:
        assert (one.window_id < two.window_id) == (one.end < two.end)


@given(windows())
def test_names_are_legal_everywhere(window: Window) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]{24,60}", window.window_id)


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        (at(0), at(60), "20260101T010000Z_from_20260101T000000Z"),
        (None, at(60), "20260101T010000Z_from_origin"),
        (at(0), at(0) + timedelta(microseconds=1), "20260101T000000_000001Z_from_20260101T000000Z"),
    ],
)
def test_names_are_pinned(start: datetime | None, end: datetime, name: str) -> None:
    assert Window(start, end).window_id == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "origin",
        "20260101T010000Z",
        "20260101T010000Z_from_",
        "20260101T010000Z_from_20261301T000000Z",
        "20260101T010000Z_from_20260101T000000",
        "20260101T010000_000000Z_from_origin",
        "20260101T010000_5Z_from_origin",
        "2026011T010000Z_from_origin",
        "20260101T010000Z_from_origin/..",
        "origin_from_20260101T010000Z",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(SettingsError, match=r"is not the name of a window.*20260131T150000Z_from_"):
        Window.from_id(name)


def test_a_name_of_an_empty_window_is_refused() -> None:
    with pytest.raises(SettingsError, match="is empty"):
        Window.from_id("20260101T010000Z_from_20260101T010000Z")


@given(windows())
def test_a_window_comes_back_from_json_and_pickle(window: Window) -> None:
    assert Window.from_json(window.to_json()) == window
    assert pickle.loads(pickle.dumps(window)) == window


def test_json_is_pinned() -> None:
    assert Window(at(0), at(60)).to_json() == {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    assert Window(None, at(60)).to_json() == {"start": None, "end": "2026-01-01T01:00:00Z"}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"start": None},
        {"start": None, "end": None},
        {"start": None, "end": "noon"},
        {"start": 5, "end": "2026-01-01"},
        {"end": "2026-01-01"},
        {"start": None, "end": ""},
    ],
)
def test_json_without_a_window(data: dict[str, str | None]) -> None:
    with pytest.raises(SettingsError, match=r"a window needs (an end|'start'|'end')|is not an instant"):
        Window.from_json(data)


@pytest.mark.parametrize("minutes", [0, -1])
def test_a_window_ends_after_it_starts(minutes: int) -> None:
    with pytest.raises(
        SettingsError, match=r"the window \[2026-01-01T01:00:00Z, 2026-01-01T0.*is empty.*before the end"
    ):
        Window(at(60), at(60 + minutes))


def test_a_window_is_in_utc_whatever_it_was_given_in() -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    local = Window(datetime(2026, 1, 1, 5, 30, tzinfo=zone), datetime(2026, 1, 1, 6, 30, tzinfo=zone))
    naive = Window(EPOCH.replace(tzinfo=None), at(60).replace(tzinfo=None))
    assert local == naive == Window(at(0), at(60))
    assert {local, naive} == {Window(at(0), at(60))}
    assert local.end.tzinfo is UTC


@pytest.mark.parametrize(
    ("window", "inside"),
    [(Window(at(10), at(20)), [10, 19]), (Window(None, at(20)), [-500_000, 9, 10, 19])],
)
def test_a_window_is_half_open(window: Window, inside: list[int]) -> None:
    assert [minute for minute in (-500_000, 9, 10, 19, 20, 21) if window.contains(at(minute))] == inside


def test_a_window_reads_as_an_interval() -> None:
    assert str(Window(at(0), at(60))) == "[2026-01-01T00:00:00Z, 2026-01-01T01:00:00Z)"
    assert str(Window(None, at(60))) == "[origin, 2026-01-01T01:00:00Z)"


def test_the_hour_of_an_instant() -> None:
    zone = timezone(timedelta(minutes=-30))
    assert hour_of(datetime(2026, 1, 1, 0, 59, 59, 999_999, tzinfo=zone)) == at(60)


@given(INSTANTS)
def test_an_instant_comes_back_from_its_text(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant
    assert format_instant(instant).endswith("Z")


@pytest.mark.parametrize(
    ("text", "minute"),
    [
        ("2026-01-01", 0),
        (" 2026-01-01T01:00 ", 60),
        ("2026-01-01T01:00:00Z", 60),
        ("2026-01-01 02:00+01:00", 60),
        ("20260101T010000Z", 60),
    ],
)
def test_texts_that_are_instants(text: str, minute: int) -> None:
    assert parse_instant(text) == at(minute)


@pytest.mark.parametrize(
    "text", ["", "noon", "2026-02-30", "2026-01-01T25:00", "0001-01-01T00:00+01:00", "1767225600"]
)
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not an instant.*write it as"):
        parse_instant(text)


def test_a_naive_instant_is_utc() -> None:
    assert as_utc(EPOCH.replace(tzinfo=None)) == at(0)


MINUTES = st.integers(0, 12)
ON_THE_AXIS = st.one_of(
    st.builds(lambda end: Window(None, at(end)), MINUTES),
    st.tuples(MINUTES, MINUTES)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: Window(at(min(pair)), at(max(pair)))),
)


def mark_by_minutes(committed: list[Window]) -> datetime | None:
    """The first minute that no window covers, once the beginning of time is covered."""
    if all(window.start is not None for window in committed):
        return None
    covered = {minute for minute in range(-1, 13) for window in committed if window.contains(at(minute))}
    return at(next(minute for minute in range(-1, 14) if minute not in covered))


@settings(max_examples=1000)
@given(st.lists(ON_THE_AXIS, max_size=8))
@example([])
@example([Window(None, at(3)), Window(at(4), at(5)), Window(at(2), at(6))])
@example([Window(at(0), at(5))])
@example([Window(None, at(5)), Window(at(6), at(7))])
@example([Window(at(5), at(7)), Window(None, at(5))])
def test_the_high_water_mark_against_a_set_of_minutes(committed: list[Window]) -> None:
    assert high_water_mark(committed) == mark_by_minutes(committed)
    assert high_water_mark(reversed(committed)) == high_water_mark(committed)


@given(st.lists(ON_THE_AXIS, min_size=1, max_size=8), ON_THE_AXIS)
def test_a_further_commit_never_lowers_the_mark(committed: list[Window], further: Window) -> None:
    before, after = high_water_mark(committed), high_water_mark([*committed, further])
    assert before is None or (after is not None and after >= before)


def test_a_backfill_elsewhere_counts_once_the_gap_is_closed() -> None:
    first, backfill, gap = Window(None, at(60)), Window(at(120), at(180)), Window(at(50), at(120))
    assert high_water_mark([backfill]) is None
    assert high_water_mark([first, backfill]) == at(60)
    assert high_water_mark([first, backfill, gap]) == at(180)
