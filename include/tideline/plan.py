"""Which window each dataset of a run gets. Pure: knows the catalog, what was asked and what the ledger says.

Fixed once per run, before anything is read; nothing later asks the clock. Does not know how the ledger is
read (`tideline.warehouse.ledger`) nor what a window means to a source (`tideline.land`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from tideline.catalog.model import HttpDataset
from tideline.errors import SettingsError
from tideline.volume import expectation
from tideline.warehouse.state import DatasetState
from tideline.window import CLOCK_SKEW, HOUR, Window, as_utc, format_instant, hour_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tideline.catalog.model import AnyDataset, Catalog

Kind = Literal["scheduled", "manual", "backfill"]
Mode = Literal["scheduled", "exact", "reconcile"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run was asked to do.

    Attributes:
        run_id: The run's name, for the ledger.
        kind: Who asked: the schedule, a person, or a backfill.
        interval: The run's data interval; None for a manual run without a date.
        datasets: Ids of the datasets wanted; None for all.
        window: A window that a person named, before any other rule.
        catch_up: Read from the high-water mark on, as a scheduled run does.
        now: The clock, read once.
    """

    run_id: str
    kind: Kind
    interval: tuple[datetime, datetime] | None
    datasets: tuple[str, ...] | None
    window: tuple[datetime | None, datetime | None] | None
    catch_up: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """One dataset's share of a run. `mode` is "exact" where the run names its interval."""

    dataset_id: str
    window: Window
    mode: Mode
    previous_manifest_uri: str | None = None
    part: Mapping[str, Any] | None = None
    """Which range of the load (`tideline.lake.ranges`); None for all of it."""
    expected: Mapping[str, Any] | None = None
    """How many records it should have (`tideline.volume`); None where nothing is expected."""

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        optional = {"part": self.part, "expected": self.expected}
        return {
            "dataset_id": self.dataset_id,
            "window": self.window.to_json(),
            "mode": self.mode,
            "previous_manifest_uri": self.previous_manifest_uri,
            **{key: value for key, value in optional.items() if value is not None},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedLoad:
        """Undo `to_json`."""
        window = Window.from_json(data["window"])
        previous = data["previous_manifest_uri"]
        return cls(data["dataset_id"], window, data["mode"], previous, data.get("part"), data.get("expected"))


def plan(
    catalog: Catalog, request: RunRequest, states: Mapping[str, DatasetState]
) -> tuple[PlannedLoad, ...]:
    """The loads of a run, in catalog order.

    A scheduled run, or one that catches up, begins at the high-water mark or at its interval, whichever is
    earlier, less the dataset's lookback; the first of all has no lower bound. Every other run reads exactly
    what it names.

    Args:
        catalog: What can be read.
        request: What was asked for.
        states: What the ledger says, by dataset id; a dataset without an entry was never loaded.

    Raises:
        CatalogError: A dataset is not in the catalog; lists those that are.
        SettingsError: The window is half given, empty, or not over yet.
    """
    start, end, mode = _interval(request)
    start, end = as_utc(start), as_utc(end)
    _check_over(end, as_utc(request.now), CLOCK_SKEW if mode == "scheduled" else timedelta(0))
    return tuple(
        _planned(dataset, (start, end), mode, states.get(dataset.dataset_id, DatasetState()))
        for dataset in _wanted(catalog, request)
    )


def past_wanted(catalog: Catalog, request: RunRequest) -> datetime | None:
    """The instant before which past loads matter to this run; None where no dataset asks about them."""
    asks = any(dataset.volume is not None for dataset in _wanted(catalog, request))
    _, end, mode = _interval(request)
    return as_utc(end) if asks and mode == "scheduled" else None


def _planned(
    dataset: AnyDataset, interval: tuple[datetime, datetime], mode: Mode, state: DatasetState
) -> PlannedLoad:
    start, end = interval
    window, expected = Window(start, end), None
    if mode == "scheduled":
        window = Window(_start(dataset, start, state), end)
        expected = expectation(dataset, window, state.past)
    previous = state.previous_manifest_uri if isinstance(dataset, HttpDataset) else None
    return PlannedLoad(dataset.dataset_id, window, mode, previous, expected=expected)


def _wanted(catalog: Catalog, request: RunRequest) -> tuple[AnyDataset, ...]:
    if request.datasets is None:
        return catalog.datasets
    wanted = {catalog.dataset(dataset_id).dataset_id for dataset_id in request.datasets}
    return tuple(dataset for dataset in catalog.datasets if dataset.dataset_id in wanted)


def _interval(request: RunRequest) -> tuple[datetime, datetime, Mode]:
    if request.window is not None:
        return (*_both(request.window), "exact")
    catches_up = request.kind == "scheduled" or request.catch_up
    if request.interval is not None:
        return (*request.interval, "scheduled" if catches_up else "exact")
    end = hour_of(request.now)
    return end - HOUR, end, "scheduled" if catches_up else "exact"


def _both(window: tuple[datetime | None, datetime | None]) -> tuple[datetime, datetime]:
    start, end = window
    if start is None or end is None:
        given = "start" if end is None else "end"
        raise SettingsError(
            f"only the {given} of the window is given", remedy="give both its ends, or neither"
        )
    return start, end


def _start(dataset: AnyDataset, start: datetime, state: DatasetState) -> datetime | None:
    if state.high_water_mark is None:
        return None
    return min(start, state.high_water_mark) - dataset.lookback


def _check_over(end: datetime, now: datetime, tolerance: timedelta) -> None:
    if end > now + tolerance:
        raise SettingsError(
            f"the window ends at {format_instant(end)}, which is not over at {format_instant(now)}",
            remedy="wait until it is over, or give an earlier end: rows yet to come would count as read",
        )
