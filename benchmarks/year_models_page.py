"""The year of builds as a page. Knows the figures of `benchmarks.year_models`, not how they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.plots import Line, lines
from benchmarks.year_models import DAILY_TESTS, TESTS
from benchmarks.year_page import DOCS, human

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = DOCS / "bench-year-models.md"
PLOT = "bench-year-models.svg"
MARK = "<!-- from here on written by `make bench-year-models` -->"
FLAT = 1.05
QUARTER = 13
"""Weeks. One week is no measure: it may have three months, or an old order is corrected."""


def table(found: Mapping[str, Any]) -> str:
    """Every node, the dearest of the large shop first."""
    small, large, calm = found["shops"]
    nodes = sorted(large["year"], key=lambda node: -large["year"][node])
    rows = [
        f"| model | {small['shop']}: a year | {large['shop']}: a year "
        "| an hour, first quarter | last quarter | last / first | if old orders are never corrected | flat "
        "| a year, if it read touched months only |",
        "|---|--:|--:|--:|--:|--:|--:|---|--:|",
        _row("**all**", small, large, calm, nodes),
        _row("models", small, large, calm, [node for node in nodes if not _is_test(node)]),
    ]
    rows += [_row(node if _is_test(node) else f"`{node}`", small, large, calm, [node]) for node in nodes]
    return "\n".join(rows)


def _is_test(node: str) -> bool:
    return node in (TESTS, DAILY_TESTS)


def _row(
    label: str, small: Mapping[str, Any], large: Mapping[str, Any], calm: Mapping[str, Any], nodes: list[str]
) -> str:
    before, after = quarters(large, nodes)
    in_small, in_large = (sum(shop["year"][node] for node in nodes) for shop in (small, large))
    least = sum(large["least"][node] for node in nodes)
    return (
        f"| {label} | {human(in_small)} | {human(in_large)} | {human(before)} | {human(after)} "
        f"| {growth(large, nodes):.2f} | {growth(calm, nodes):.2f} "
        f"| {'yes' if growth(calm, nodes) <= FLAT else 'no'} | {human(least)} |"
    )


def quarters(shop: Mapping[str, Any], nodes: list[str]) -> tuple[float, float]:
    """The mean hour of the first quarter, and of the last."""
    weeks = [sum(week.get(node, 0) for node in nodes) for week in shop["weeks"]]
    length = min(QUARTER, len(weeks))
    return sum(weeks[:length]) / length, sum(weeks[-length:]) / length


def growth(shop: Mapping[str, Any], nodes: list[str]) -> float:
    """The second over the first."""
    first, last = quarters(shop, nodes)
    return last / first


def write(found: Mapping[str, Any]) -> None:
    """The page and its plot."""
    (DOCS / "images" / PLOT).write_text(_plot(found))
    head, _, _ = PAGE.read_text().partition(MARK)
    printed = f"Printed on {found['date']}: {found['statements']} statements an hour."
    text = f"{MARK}\n\n{printed}\n\n{table(found)}\n\n"
    PAGE.write_text(f"{head}{text}![Bytes billed for the hourly build over the year](images/{PLOT})\n")


def _plot(found: Mapping[str, Any]) -> str:
    drawn = []
    for shop in found["shops"]:
        for label, are_tests in (("models", False), ("data tests", True)):
            points = [
                (float(number + 1), sum(size for node, size in week.items() if _is_test(node) is are_tests))
                for number, week in enumerate(shop["weeks"])
            ]
            drawn.append(Line(f"{label}, {shop['shop']}", points, dashed=are_tests))
    return lines("Billed for one hourly build", "week of the year", "bytes", drawn, human)
