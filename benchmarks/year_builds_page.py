"""The seconds of the year's builds, as a part of a page. Knows the figures, not how they came."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchmarks.year_models_page import PAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN = "<!-- the seconds, written by `make bench-year-builds` -->"
END = "<!-- the end of the seconds -->"


def table(found: Mapping[str, Any]) -> str:
    """One line for each age of the shop; the last column is its median over that of the first."""
    rows = [
        "| the shop's year | orders before the hour | `dbt build`, median | of these dbt's CPU "
        "| the warehouse's CPU | all builds | / the first day's |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    first = statistics.median(found["ages"][0]["wall_seconds"])
    for age in found["ages"]:
        wall, dbt, warehouse = (
            statistics.median(age[f"{name}_seconds"]) for name in ("wall", "dbt_cpu", "warehouse_cpu")
        )
        runs = " ".join(f"{seconds:.1f}" for seconds in sorted(age["wall_seconds"]))
        rows.append(
            f"| day {age['days']} | {age['orders']:,} | {wall:.1f} s | {dbt:.1f} s | {warehouse:.1f} s "
            f"| {runs} | {wall / first:.2f} |"
        )
    return "\n".join(rows)


def write(found: Mapping[str, Any]) -> None:
    """Its part of the page."""
    cores, foreign = found["machine"]["cores"], max(age["foreign_cores"] for age in found["ages"])
    printed = (
        f"Printed on {datetime.now(UTC):%Y-%m-%d}, `SCALE={found['scale']:g}`, {cores} cores; "
        f"others kept {foreign:.1f} of them busy at most."
    )
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{printed}\n\n{table(found)}\n\n{END}{tail}")
