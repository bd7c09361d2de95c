"""The only speller of keys in the lake. Knows names and windows, not buckets or clients.

`<source>/<dataset>/dt=YYYY-MM-DD/hour=HH/<window_id>/<attempt_id>/part-00000.<ext>`, the same in all buckets.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from tideline.window import as_utc, hour_of

if TYPE_CHECKING:
    from tideline.window import Window

MANIFEST = "_manifest.json"
COUNTS = "_counts.json"
_ENDING = re.compile(r"/([^/]+/[^/]+/dt=[\d-]+/hour=\d\d/[^/]+/[^/]+/[^/]+)$")


def new_attempt_id(now: datetime) -> str:
    """A name that no other attempt has, sorting by time: `20260131T140502123456Z-9f2c4e1a7b30`."""
    return f"{_stamp(now)}-{secrets.token_hex(6)}"


def new_range_attempt_id(planned_at: datetime, number: int, now: datetime) -> str:
    """The same for a range of a load: sorts as its ranges do, then by time.

    So the URIs of a load's parts are in the order in which they would be if one attempt had landed them all.
    """
    return f"{_stamp(planned_at)}-{number:05d}-{new_attempt_id(now)}"


def _stamp(instant: datetime) -> str:
    return f"{as_utc(instant):%Y%m%dT%H%M%S%f}Z"


def dataset_prefix(source: str, dataset: str) -> str:
    """The folder of one dataset, with a trailing slash."""
    return f"{source}/{dataset}/"


def window_prefix(source: str, dataset: str, window: Window) -> str:
    """The folder of one window of a dataset, with a trailing slash; filed under the window's last hour."""
    last_hour = hour_of(window.end - timedelta(microseconds=1))
    return f"{source}/{dataset}/dt={last_hour:%Y-%m-%d}/hour={last_hour:%H}/{window.window_id}/"


def day_prefix(source: str, dataset: str, day: date) -> str:
    """The folder of all windows of a dataset that end within that day, with a trailing slash."""
    return f"{source}/{dataset}/dt={day:%Y-%m-%d}/"


def attempt_of(key: str) -> tuple[str, str] | None:
    """Window id and attempt id of a manifest's key; None for the key of anything else."""
    *_, window_id, attempt_id, name = ("", "", *key.split("/"))
    return (window_id, attempt_id) if name == MANIFEST and window_id and attempt_id else None


def key_in(uri: str) -> str | None:
    """The key that a URI ends with, whatever bucket and folder it lies in; None where it ends with none."""
    found = _ENDING.search(uri)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Folder:
    """One attempt's folder in one stage; exists for readers once its manifest does."""

    source: str
    dataset: str
    window: Window
    attempt_id: str

    @property
    def prefix(self) -> str:
        """The folder, with a trailing slash."""
        return f"{window_prefix(self.source, self.dataset, self.window)}{self.attempt_id}/"

    @property
    def manifest(self) -> str:
        """The key whose presence commits the folder."""
        return self.prefix + MANIFEST

    @property
    def counts(self) -> str:
        """The key of what a merge counted before it changed the table."""
        return self.prefix + COUNTS

    def part(self, number: int, extension: str) -> str:
        """The key of one part, `number` counting from 0, `extension` without a leading dot."""
        return f"{self.prefix}part-{number:05d}.{extension}"
