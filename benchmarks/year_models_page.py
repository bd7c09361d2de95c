"""The year of builds as a page. Knows the figures of `benchmarks.year_models`, not how they came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.plots import Line, lines
from benchmarks.year_page import DOCS, human

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = DOCS / "bench-year-models.md"
PLOT = "bench-year-models.svg"
MARK = "<!-- from here on written by `make bench-year-models` -->"
FLAT = 1.05
TESTS = "data tests"


def table(found: Mapping[str, Any]) -> str:
    """Every node, the dearest of the large shop first."""
    small, large = found["shops"]
    nodes = sorted(large["year"], key=lambda node: -large["year"][node])
    rows = [
        f"| model | {small['shop']}: a year | {large['shop']}: a year | an hour, first week | last week "
        "| last / first | flat | a year, if it read touched months only |",
        "|---|--:|--:|--:|--:|--:|---|--:|",
        _row("**all**", small, large, nodes),
        _row("models", small, large, [node for node in nodes if node != TESTS]),
    ]
    rows += [_row(f"`{node}`" if node != TESTS else node, small, large, [node]) for node in nodes]
    return "\n".join(rows)


def _row(label: str, small: Mapping[str, Any], large: Mapping[str, Any], nodes: list[str]) -> str:
    before, after = (sum(large["weeks"][week].get(node, 0) for node in nodes) for week in (0, -1))
    in_small, in_large = (sum(shop["year"][node] for node in nodes) for shop in (small, large))
    least = sum(large["least"][node] for node in nodes)
    grown = growth(large, nodes)
    return (
        f"| {label} | {human(in_small)} | {human(in_large)} | {human(before)} | {human(after)} "
        f"| {grown:.2f} | {'yes' if grown <= FLAT else 'no'} | {human(least)} |"
    )


def growth(shop: Mapping[str, Any], nodes: list[str]) -> float:
    """An hour of the last week over one of the first."""
    first, last = (sum(shop["weeks"][week].get(node, 0) for node in nodes) for week in (0, -1))
    return float(last / first)


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
                (float(number + 1), sum(size for node, size in week.items() if (node == TESTS) is are_tests))
                for number, week in enumerate(shop["weeks"])
            ]
            drawn.append(Line(f"{label}, {shop['shop']}", points, dashed=are_tests))
    return lines("Billed for one hourly build", "week of the year", "bytes", drawn, human)
