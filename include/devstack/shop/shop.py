"""The shop as others use it: open it, let hours pass, ask what is true."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from devstack.shop.api_rows import ApiState
from devstack.shop.history import history_bad, write_history
from devstack.shop.hours import plan_hour
from devstack.shop.scope import CHARGES, CUSTOMERS, HISTORY_DAYS, ORDERS, Row, Scope
from devstack.shop.world import DATASETS, HourPlan, Key, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from devstack.shop.bad import BadRow
    from devstack.shop.targets import Targets

_BY_CURSOR = (CUSTOMERS, ORDERS, CHARGES)
_LOOKBACK_HOURS = 1
"""The lookback of the shipped catalog's MongoDB datasets."""


class Shop:
    """A clothing brand's data, living hour by hour; the same for the same seed, scale and anchor.

    Hour `h` is `[anchor + h, anchor + h + 1 h)`. What it changes is stamped in it; late rows are stamped in
    the hour before. All hours that are used must lie before the clock, since Tideline takes the reading clock
    for the version of a row that is stamped later.

    Args:
        seed: What everything is made from.
        scale: 1 is about 10 k orders, 25 k order items, 4 k customers, 12 k charges and 500 products.
        anchor: The beginning of hour 0: a full hour in UTC.
        history_days: How long before it the first order was placed; a longer history has more of
            everything, and its hours change as much.

    Raises:
        ValueError: The anchor is not a full hour in UTC, or the scale or the history not positive.
    """

    def __init__(self, seed: int, scale: float, anchor: datetime, history_days: int = HISTORY_DAYS) -> None:
        self.scope = Scope(seed, scale, anchor, history_days)
        self._world = World(self.scope)
        self._api = ApiState(seed)
        self._history_bad = history_bad(self.scope)

    def open(self, targets: Targets) -> None:
        """Write everything that was there before hour 0; the collections are made anew."""
        write_history(self.scope, targets)

    def advance(self, hour: int, targets: Targets) -> None:
        """Let an hour happen at the targets, after the hours before it; again changes nothing."""
        plan = self._plan(hour)
        for dataset_id, documents in plan.documents.items():
            targets.replace(dataset_id, documents.values())
        for key, body in plan.objects.items():
            targets.put_object(key, body)
        for resource, items in plan.items.items():
            targets.send_items("POST", resource, items)

    def rows(self, dataset_id: str, hour: int) -> Iterator[tuple[Key, Row]]:
        """(key, row) of all that the warehouse must hold after an hour, as a stream; -1: before hour 0.

        A row is column → value: Decimal, aware datetime, date, nested dict or list; a `json` column holds the
        parsed value. Rows that must be quarantined are not among them, nor are undeclared fields
        (`expected_extra`).
        """
        self._reach(hour)
        return ((key, version.row) for key, version in self._world.versions(dataset_id, hour))

    def truth(self, hour: int) -> dict[str, dict[Key, Row]]:
        """Dataset id → key → row, all of `rows` at once."""
        return {dataset_id: dict(self.rows(dataset_id, hour)) for dataset_id in DATASETS}

    def expected_extra(self, hour: int) -> dict[str, dict[Key, dict[str, Any]]]:
        """Dataset id → key → what `_extra` must hold (path → value), of the rows that have any."""
        self._reach(hour)
        return {
            dataset_id: {
                key: version.extra
                for key, version in self._world.versions(dataset_id, hour)
                if version.extra is not None
            }
            for dataset_id in DATASETS
        }

    def bad_rows(self, hour: int) -> list[BadRow]:
        """Every row that cannot be typed and was written up to the end of an hour."""
        self._reach(hour)
        return self._history_bad + [bad for plan in self._world.hours[: hour + 1] for bad in plan.bad]

    def quarantined(self, hour: int) -> dict[str, Counter[str]]:
        """Dataset id → reason → how many rows the scheduled run of an hour must refuse.

        Hour 0 is the first run of all, without lower bound. Later runs read documents from one hour back (the
        catalog's lookback), so that a bad one is refused twice; each CSV object is read once.
        """
        counts: dict[str, Counter[str]] = {dataset_id: Counter() for dataset_id in DATASETS}
        for bad in self.bad_rows(hour):
            if self._is_read(bad, hour):
                counts[bad.dataset_id][bad.reason] += 1
        return counts

    def _is_read(self, bad: BadRow, hour: int) -> bool:
        if bad.until is not None and bad.until <= hour:
            return False
        if hour == 0:
            return True
        if bad.dataset_id in _BY_CURSOR:
            return bad.stamp >= self.scope.start_of(hour - _LOOKBACK_HOURS)
        return bad.since == hour

    def _reach(self, hour: int) -> None:
        while len(self._world.hours) <= hour:
            plan_hour(self._world, self._api)

    def _plan(self, hour: int) -> HourPlan:
        self._reach(hour)
        return self._world.hours[hour]
