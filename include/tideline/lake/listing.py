"""Which folders of a stage are committed: told by their keys alone, without reading a manifest."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from tideline.errors import SettingsError
from tideline.lake import keys
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tideline.lake.store import Store

log = logging.getLogger(__name__)

MOST_DAYS = 62
"""Up to so many days each is listed by itself; above, everything of the dataset is."""
_TICK = timedelta(microseconds=1)


def committed(
    store: Store, source: str, dataset: str, after: datetime | None = None, until: datetime | None = None
) -> Iterator[tuple[str, Window]]:
    """The keys of all manifests whose windows end in `(after, until]`, ascending, each with its window.

    Args:
        store: The stage.
        source: Its source system.
        dataset: The dataset of that source.
        after: Windows that end at it or before are left out; None for no such bound.
        until: Windows that end after it are left out; None for no such bound.
    """
    for prefix in _prefixes(source, dataset, after, until):
        for key in store.list(prefix):
            window = _window_of(key)
            if window is None or (after is not None and window.end <= after):
                continue
            if until is None or window.end <= until:
                yield key, window


def _prefixes(source: str, dataset: str, after: datetime | None, until: datetime | None) -> Iterator[str]:
    if after is None or until is None or until - after > timedelta(days=MOST_DAYS):
        yield keys.dataset_prefix(source, dataset)
        return
    day, last = after.date(), (until - _TICK).date()  # a window is filed under its last instant's day
    while day <= last:
        yield keys.day_prefix(source, dataset, day)
        day += timedelta(days=1)


def _window_of(key: str) -> Window | None:
    found = keys.attempt_of(key)
    if found is None:
        return None
    try:
        return Window.from_id(found[0])
    except SettingsError:
        log.warning("%s looks like a manifest but lies in no window's folder; it does not count", key)
        return None
