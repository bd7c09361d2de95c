from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.lake import listing
from tideline.lake.keys import Folder
from tideline.lake.listing import committed
from tideline.window import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


class Keys:
    """A store of keys alone, that remembers what was asked for."""

    root = "s3://raw"

    def __init__(self, *keys: str) -> None:
        self.keys, self.asked = keys, []

    def list(self, prefix: str):
        self.asked.append(prefix)
        return iter(sorted(key for key in self.keys if key.startswith(prefix)))


def manifest(window: Window, name: str = "things", attempt: str = "a") -> str:
    return Folder("test", name, window, attempt).manifest


def found(store: Keys, *bounds: datetime | None) -> list[Window]:
    return [window for _, window in committed(store, "test", "things", *bounds)]


def test_only_manifests_of_the_dataset_are_found():
    window = Window(None, NOON)
    part = Folder("test", "things", window, "a").part(0, "bson")
    store = Keys(part, manifest(window), manifest(window, name="things2"), manifest(window, attempt="b"))
    assert list(committed(store, "test", "things")) == [
        (manifest(window), window),
        (manifest(window, attempt="b"), window),
    ]


def test_a_manifest_in_no_windows_folder_is_reported_and_does_not_count(caplog):
    assert found(Keys("test/things/dt=x/hour=y/yesterday/a/_manifest.json")) == []
    assert "yesterday" in caplog.text


@pytest.mark.parametrize("days", [1, listing.MOST_DAYS, listing.MOST_DAYS + 1])
def test_a_short_span_is_listed_day_by_day(days):
    store = Keys(manifest(Window(hour(-1), NOON)))
    assert found(store, NOON - timedelta(days=days), NOON) == [Window(hour(-1), NOON)]
    assert len(store.asked) == (days + 1 if days <= listing.MOST_DAYS else 1)


ENDS = st.lists(st.integers(-72 * 4, 72 * 4), max_size=30)
BOUND = st.none() | st.integers(-72 * 4, 72 * 4)


@given(ENDS, BOUND, BOUND)
def test_a_window_counts_where_it_ends_after_one_bound_and_not_after_the_other(ends, after, until):
    """Quarters of an hour around midnight and beyond; also where the bounds are backwards."""
    windows = [Window(None, hour(end / 4)) for end in ends]
    bounds = [None if bound is None else hour(bound / 4) for bound in (after, until)]
    wanted = {
        window
        for window in windows
        if (bounds[0] is None or window.end > bounds[0]) and (bounds[1] is None or window.end <= bounds[1])
    }
    assert set(found(Keys(*map(manifest, windows)), *bounds)) == wanted
