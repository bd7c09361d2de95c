"""`make bench-year`: a year of hourly windows against the MERGE that `tideline.merge.sql` writes for each.

Which rows a window has is drawn from the distributions of `Shop`; which partitions its statements scan, and
what they are billed, comes from the statements' own text by BigQuery's published rules (`year_rules`).
Nothing is executed: neither a warehouse nor an emulator says anything about bytes billed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from benchmarks import year_rules as rules
from benchmarks.paths import CACHE, ROOT
from tideline.catalog.loader import load_catalog
from tideline.merge.sql import Merge
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import load_fields, raw_layout
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from tideline.catalog.model import AnyDataset

Days: TypeAlias = "npt.NDArray[np.int64]"
"""Numbers of partitions, one for each row."""

HOURS = 365 * 24
DATASET = "shop_mongodb.orders"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = TableName("tideline", "raw_shop_mongodb", "orders")
LOAD = TableName("tideline", "tideline_load", "orders_load")
RESULT = CACHE / "year.json"
SEED = 20260131
GOAL = 1.2


@dataclass(frozen=True)
class Shop:
    """How the source changes. All counts are Poisson."""

    name: str
    label: str
    orders_per_hour: float
    """New rows; a third more at noon, a third fewer at midnight."""
    updates_per_order: float = 4.0
    update_days: float = 2.0
    """The mean of the exponential distribution of an update's distance from the order."""
    return_share: float = 0.05
    """The share of updates that come 7 to 45 days after the order, evenly."""
    late_share: float = 0.005
    """The share of new rows that become visible late: by 6 hours in the median, log-normal with sigma 1.5."""
    corrections_per_day: float = 1.0
    """Occasions on which somebody corrects 20 orders of any age."""
    sweeps: int = 0
    """Orders of any age that a job changes at once, in the night of each month's first day."""
    history_days: int = 365
    """How much the table holds before the year begins."""


SHOPS = (
    Shop("small", "40 orders an hour", 40),
    Shop("large", "4,000 orders an hour", 4_000),
    Shop(
        "sweeps",
        "the same after 9 years, a job changes 400 old orders a month",
        4_000,
        sweeps=400,
        history_days=3285,
    ),
)
HISTORIES = (60, 365, 3 * 365, 9 * 365)
"""Days that a table holds beforehand, for the slope over its size."""
SLOPE_HOURS = 28 * 24


@dataclass(frozen=True)
class Hour:
    """What one window costs. Bytes are those of the MERGE, but for `counts_bytes`."""

    touched: int
    """Partitions that hold a row of the load."""
    scanned: int
    there: int
    """Partitions of the table that hold rows."""
    table_bytes: int
    least_bytes: int
    """What the rules bill for a MERGE that scans the touched partitions and no other."""
    billed_bytes: int
    counts_bytes: int
    """Of the query that counts what the MERGE will do."""
    whole_bytes: int
    """What the same MERGE costs without its predicate."""


class Simulation:
    """One shop through a number of windows, from a table with some history on."""

    def __init__(self, shop: Shop, dataset: AnyDataset, hours: int, seed: int = SEED) -> None:
        self._shop, self._dataset, self._hours = shop, dataset, hours
        self._dice = np.random.default_rng(seed)
        self._fields = raw_layout(dataset).fields
        self._sizes = {field.name: rules.column_bytes(field) for field in self._fields}
        self._load_size = sum(map(rules.column_bytes, load_fields(dataset)))
        first = BEGIN.date() - timedelta(days=shop.history_days)
        rows = np.zeros(shop.history_days + hours // 24 + 2, np.int64)
        rows[: shop.history_days] = int(shop.orders_per_hour * 24)
        rows[-1] = 1  # a tombstone of a key that was never merged has no date
        self._table = rules.Partitions(first, rows)
        self._texts: dict[str, tuple[str, str]] = {}
        self._scans = {
            kind: self._only_scan(getattr(self._merge(0, ()), kind)) for kind in ("sql", "counts_sql")
        }

    def run(self) -> Iterator[Hour]:
        """Each window in order."""
        before = np.zeros(0, np.int64)
        for hour in range(self._hours):
            changed, born = self._changes(hour)
            load = np.concatenate([before, changed])  # the lookback of an hour reads the last window again
            yield self._window(hour, load)
            np.add.at(self._table.rows, born, 1)
            before = changed

    def _window(self, hour: int, load: Days) -> Hour:
        touched = self._table.nothing
        touched[load] = True
        days = tuple((self._table.first + timedelta(days=int(n))).isoformat() for n in np.unique(load))
        merge = self._merge(hour, days)
        scan, counts = self._scans["sql"], self._scans["counts_sql"]
        load_bytes = (len(load) * self._load_size,)
        mask = self._scanned(merge.sql, "sql", hour)
        there = self._table.rows > 0

        def cost(what: rules.Scan, where: np.ndarray) -> int:
            return rules.billed(what, where, self._table, self._sizes, load_bytes)

        return Hour(
            touched=int(touched.sum()),
            scanned=int((mask & (there | touched))[:-1].sum()),
            there=int(there[:-1].sum()),
            table_bytes=int(self._table.rows.sum()) * sum(self._sizes.values()),
            least_bytes=cost(scan, touched),
            billed_bytes=cost(scan, mask),
            counts_bytes=cost(counts, self._scanned(merge.counts_sql, "counts_sql", hour)),
            whole_bytes=cost(scan, self._table.everything),
        )

    def _scanned(self, sql: str, kind: str, hour: int) -> rules.Mask:
        """The partitions that the statement's own text does not leave out."""
        condition = self._condition(sql, kind, hour)
        return rules.scanned(condition, "_t", self._dataset.partition.column, self._table)  # type: ignore[union-attr]

    def _condition(self, sql: str, kind: str, hour: int) -> str:
        """The condition on the target: all else of the text must be what was parsed as a whole before."""
        opening, closing = ("\nON ", "\nWHEN MATCHED") if kind == "sql" else ("\n  WHERE ", "\n),\noutcomes")
        head, _, rest = sql.partition(opening) if kind == "sql" else _last(sql, opening, closing)
        condition, _, tail = rest.partition(closing)
        around = (head.replace(_window(hour).window_id, ""), tail)
        if self._texts.setdefault(kind, around) != around:
            raise RuntimeError(f"the statement of hour {hour} is not like those before it")
        return condition

    def _only_scan(self, sql: str) -> rules.Scan:
        (scan,) = rules.scans(sql, TARGET.table)
        return scan

    def _merge(self, hour: int, days: Sequence[str]) -> Merge:
        window_id = _window(hour).window_id
        days = days or (BEGIN.date().isoformat(),)
        return Merge(self._dataset, TARGET, self._fields, LOAD, window_id, tuple(days))

    def _changes(self, hour: int) -> tuple[Days, Days]:
        """The partitions of the rows that a window's hour changes, and of those among them that are new."""
        shop, dice, now = self._shop, self._dice, self._shop.history_days + hour / 24
        rate = shop.orders_per_hour * (1 - np.cos(2 * np.pi * hour / 24) / 3)
        new = dice.poisson(rate)
        late = np.where(dice.random(new) < shop.late_share, dice.lognormal(np.log(0.25), 1.5, new), 0.0)
        updates = dice.poisson(rate * shop.updates_per_order)
        is_return = dice.random(updates) < shop.return_share
        ages = np.where(is_return, dice.uniform(7, 45, updates), dice.exponential(shop.update_days, updates))
        anywhere = 20 * dice.poisson(shop.corrections_per_day / 24)
        at = BEGIN + timedelta(hours=hour)
        if shop.sweeps and (at.day, at.hour) == (1, 3):
            anywhere += shop.sweeps
        any_age = dice.uniform(0, now, anywhere)
        born = self._days(now - late)
        return np.concatenate([born, self._days(now - np.concatenate([ages, any_age]))]), born

    def _days(self, instants: npt.NDArray[np.float64]) -> Days:
        """Nothing is older than the table."""
        days: Days = np.maximum(instants, 0).astype(np.int64)
        return days


def _last(sql: str, opening: str, closing: str) -> tuple[str, str, str]:
    """What is before and after the opening that is the last one before the closing."""
    head, _, tail = sql.partition(closing)
    before, _, condition = head.rpartition(opening)
    return before, opening, f"{condition}{closing}{tail}"


def _window(hour: int) -> Window:
    start = BEGIN + timedelta(hours=hour)
    return Window(start - timedelta(hours=1), start + timedelta(hours=1))


def summary(shop: Shop, hours: Sequence[Hour]) -> dict[str, Any]:
    """A line of the table."""
    billed, least = (np.array([getattr(h, key) for h in hours]) for key in ("billed_bytes", "least_bytes"))
    touched, scanned = (np.array([getattr(h, key) for h in hours]) for key in ("touched", "scanned"))
    return {
        "shop": asdict(shop),
        "windows": len(hours),
        "touched_mean": float(touched.mean()),
        "scanned_mean": float(scanned.mean()),
        "partitions_ratio": float(scanned.sum() / touched.sum()),
        "bytes_ratio": float(billed.sum() / least.sum()),
        "worst_window": float((billed / least).max()),
        "full_scans": int(sum(h.scanned >= h.there and h.touched < h.there for h in hours)),
        "above_goal": int((billed > GOAL * least).sum()),
        "most_partitions": int(scanned.max()),
        "table_bytes": hours[-1].table_bytes,
        "billed_bytes": int(billed.sum()),
        "counts_bytes": int(sum(h.counts_bytes for h in hours)),
        "unpruned_bytes": int(sum(h.whole_bytes for h in hours)),
        "mean_billed_bytes": float(billed.mean()),
    }


def slope(points: Sequence[dict[str, Any]]) -> float:
    """Bytes billed in a window for one more byte in the table: least squares over tables of several sizes."""
    sizes, billed = ([point[key] for point in points] for key in ("table_bytes", "mean_billed_bytes"))
    return float(np.polyfit(sizes, billed, 1)[0])


def simulate(shop: Shop, hours: int) -> list[Hour]:
    """A shop through that many windows."""
    dataset = load_catalog(ROOT / "include" / "catalog").dataset(DATASET)
    return list(Simulation(shop, dataset, hours).run())


def sample(hours: Sequence[Hour], every: int) -> list[dict[str, Any]]:
    """Means of so many windows each, for the plot."""
    chunks = [hours[n : n + every] for n in range(0, len(hours) - every + 1, every)]
    keys = ("billed_bytes", "least_bytes", "whole_bytes", "table_bytes", "touched", "scanned")
    return [{key: float(np.mean([getattr(h, key) for h in chunk])) for key in keys} for chunk in chunks]


def measure(hours: int, slope_hours: int, say: Any = lambda _: None) -> dict[str, Any]:
    """All shops through the year, and one through a month on tables of several sizes."""
    shops, weeks = [], {}
    for shop in SHOPS:
        say(f"{shop.label}: {hours} windows")
        run = simulate(shop, hours)
        shops.append(summary(shop, run))
        weeks[shop.name] = sample(run, min(168, hours))
    base = replace(SHOPS[1], corrections_per_day=0)
    sizes = []
    for days in HISTORIES:
        say(f"a table of {days} days: {slope_hours} windows")
        sizes.append(_of_size(replace(base, history_days=days), slope_hours))
    return {
        "date": date.today().isoformat(),  # noqa: DTZ011 - of a report
        "shops": shops, "weeks": weeks, "sizes": sizes, "slope": slope(sizes),
    }  # fmt: skip


def _of_size(shop: Shop, hours: int) -> dict[str, Any]:
    return summary(shop, simulate(shop, hours))


def main() -> int:
    """Write `.tideline/bench/year.json`, and with --page the table and the plot in docs/."""
    parser = argparse.ArgumentParser(prog="benchmarks.year", description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help="windows of each shop (default a year)")
    parser.add_argument("--page", action="store_true", help="write docs/bench-year.md and its plot")
    options = parser.parse_args()

    from benchmarks import year_page

    found = measure(options.hours, min(options.hours, SLOPE_HOURS), lambda text: print(text, file=sys.stderr))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(year_page.table(found))
    if options.page:
        year_page.write(found)
    return int(any(line["reached"] is False for line in year_page.goals(found)))


if __name__ == "__main__":
    sys.exit(main())
