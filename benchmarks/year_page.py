"""The year as a page: table, goals, two plots. Knows the figures of `benchmarks.year`, not how they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.paths import ROOT
from benchmarks.plots import Line, lines

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = ROOT / "docs"
PAGE = DOCS / "bench-year.md"
GOAL = 1.2
FLAT = 0.001
"""Bytes billed per window for one more byte in the table; a scan of the whole table has at least 1."""
DAYS_OF_YEAR = 365


def human(size: float) -> str:
    """Bytes in units of 1,000."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} PB"


def goals(found: dict[str, Any]) -> list[dict[str, Any]]:
    """What issue and design ask for, what was found, and whether that is enough."""
    shops = found["shops"]
    ratio = max(shop["bytes_ratio"] for shop in shops)
    worst = max(shop["worst_window"] for shop in shops)
    full = sum(shop["full_scans"] for shop in shops)
    windows = sum(shop["windows"] for shop in shops)
    return [
        _goal(f"billed ≤ {GOAL}x the partitions touched, over the year", f"{ratio:.3f}", ratio <= GOAL),
        _goal(f"…  in the worst of {windows:,} windows", f"{worst:.3f}", worst <= GOAL),
        _goal("no full scan of a table that is not touched everywhere", f"{full}", full == 0),
        _goal(
            "billed per window does not grow with the table",
            f"{found['slope']:+.6f} bytes a byte",
            abs(found["slope"]) <= FLAT,
        ),
    ]


def _goal(wanted: str, value: str, reached: bool) -> dict[str, Any]:
    return {"wanted": wanted, "found": value, "reached": reached}


def table(found: dict[str, Any]) -> str:
    """Everything as Markdown tables."""
    return "\n\n".join((_shops(found["shops"]), _sizes(found["sizes"]), _goals(found)))


def _shops(shops: Sequence[dict[str, Any]]) -> str:
    rows = [
        "| shop | windows | partitions touched, mean (most) | scanned / touched | billed by MERGE | / least "
        "| worst window | by the counting query | MERGE without predicate |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    rows += [
        f"| {shop['shop']['label']} | {shop['windows']:,} "
        f"| {shop['touched_mean']:.1f} ({shop['most_partitions']}) | {shop['partitions_ratio']:.3f} "
        f"| {human(shop['billed_bytes'])} | {shop['bytes_ratio']:.3f} | {shop['worst_window']:.3f} "
        f"| {human(shop['counts_bytes'])} | {human(shop['unpruned_bytes'])} |"
        for shop in shops
    ]
    return "\n".join(rows)


def _sizes(sizes: Sequence[dict[str, Any]]) -> str:
    rows = ["| table before | its bytes | billed per window | without predicate |", "|--:|--:|--:|--:|"]
    rows += [
        f"| {size['shop']['history_days']:,} days | {human(size['table_bytes'])} "
        f"| {human(size['mean_billed_bytes'])} | {human(size['unpruned_bytes'] / size['windows'])} |"
        for size in sizes
    ]
    return "\n".join(rows)


def _goals(found: dict[str, Any]) -> str:
    rows = ["| goal | found | |", "|---|--:|---|"]
    rows += [
        f"| {goal['wanted']} | {goal['found']} | {'reached' if goal['reached'] else 'not reached'} |"
        for goal in goals(found)
    ]
    return "\n".join(rows)


def write(found: dict[str, Any]) -> None:
    """The page and its plots."""
    images = DOCS / "images"
    (images / "bench-year-hours.svg").write_text(_over_year(found))
    (images / "bench-year-sizes.svg").write_text(_over_sizes(found["sizes"]))
    head, _, _ = PAGE.read_text().partition(MARK)
    body = f"{MARK}\n\nPrinted on {found['date']}.\n\n{table(found)}\n\n{PLOTS}\n"
    PAGE.write_text(head + body)


MARK = "<!-- from here on written by `make bench-year` -->"
PLOTS = """\
![Bytes billed per window over the year](images/bench-year-hours.svg)

![Bytes billed per window over the size of the table](images/bench-year-sizes.svg)"""


def _over_year(found: dict[str, Any]) -> str:
    weeks = found["weeks"]["large"]

    def over_weeks(key: str) -> list[tuple[float, float]]:
        return [(float(number + 1), week[key]) for number, week in enumerate(weeks)]

    drawn = [
        Line("MERGE as generated", over_weeks("billed_bytes")),
        Line("without its predicate", over_weeks("whole_bytes")),
        Line("the table", over_weeks("table_bytes"), dashed=True),
    ]
    label = found["shops"][1]["shop"]["label"]
    return lines(f"Billed per hourly window, {label}", "week of the year", "bytes", drawn, human)


def _over_sizes(sizes: Sequence[dict[str, Any]]) -> str:
    tables = [size["table_bytes"] for size in sizes]
    drawn = [
        Line(
            "MERGE as generated",
            [(t, s["mean_billed_bytes"]) for t, s in zip(tables, sizes, strict=True)],
        ),
        Line(
            "without its predicate",
            [(t, s["unpruned_bytes"] / s["windows"]) for t, s in zip(tables, sizes, strict=True)],
        ),
    ]
    return lines("Billed per hourly window, by size of the table", "table", "bytes", drawn, human, log_x=True)
