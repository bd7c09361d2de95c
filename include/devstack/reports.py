"""What `make run` shows, read from the ledger and the marts."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from google.cloud import bigquery
from rich.table import Table

from tideline import connections
from tideline.warehouse import names
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.console import Console

COUNTS = ("landed", "refined", "quarantined", "inserted", "updated", "unchanged", "stale", "duplicates")
FEW = ("landed", "quarantined", "inserted", "updated", "unchanged")
_COLUMNS = (
    "source", "dataset", "window_start", "window_end", *COUNTS, "revived", "raw_bytes", "processed_bytes",
    "land_seconds", "refine_seconds", "merge_seconds", "raw_manifest_uri", "processed_manifest_uri",
    "quarantine_manifest_uri", "unchanged_source", "drift",
)  # fmt: skip


def hour_loads(end: datetime) -> list[dict[str, Any]]:
    """The committed loads whose window ends then, as JSON-ready rows; none before there is a ledger."""
    with connections.open_deployment() as deployment:
        warehouse = deployment.open_warehouse()
        ledger = names.ops_table(names.LEDGER, warehouse.settings)
        if warehouse.tables.get(ledger) is None:
            return []
        rows = warehouse.rows(
            f"SELECT {', '.join(_COLUMNS)} FROM {ledger.sql} WHERE window_end = @until\n"  # noqa: S608
            "ORDER BY source, dataset, committed_at",
            kind="report",
            parameters=[bigquery.ScalarQueryParameter("until", "TIMESTAMP", end)],
        )
        return [_load(dict(row.items())) for row in rows]


def _load(row: dict[str, Any]) -> dict[str, Any]:
    window = Window(row.pop("window_start"), row.pop("window_end"))
    return {"dataset_id": f"{row.pop('source')}.{row.pop('dataset')}", "window": window.to_json(), **row}


def hour_table(loads: Sequence[Mapping[str, Any]], console: Console) -> Table:
    """Loads to look at: all counts, or the most telling ones where the console is too narrow for all."""
    full = _table(loads, COUNTS, is_full=True)
    unbounded = console.options.update(max_width=sys.maxsize)
    is_too_wide = console.measure(full, options=unbounded).maximum > console.width
    return _table(loads, FEW, is_full=False) if is_too_wide else full


def _table(loads: Sequence[Mapping[str, Any]], counts: Sequence[str], *, is_full: bool) -> Table:
    """`is_full`: with the window's start and the seconds."""
    names = ["dataset", "window from", *counts, "seconds"] if is_full else ["dataset", *counts]
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in table.columns[1:]:
        column.no_wrap = True
    for column in table.columns[2 if is_full else 1 :]:
        column.justify = "right"
    for load in loads:
        note = " (unchanged)" if load["unchanged_source"] else ""
        start = load["window"]["start"] or "the beginning"
        seconds = sum(load[f"{verb}_seconds"] or 0.0 for verb in ("land", "refine", "merge"))
        cells = [f"{load[name]:,}" for name in counts]
        cells = [start, *cells, f"{seconds:.1f}"] if is_full else cells
        table.add_row(f"{load['dataset_id']}{note}", *cells)
    return table


def mart_report() -> Table | None:
    """Revenue of the last days by category, from the shop's daily sales mart; None where it was not built."""
    with connections.open_deployment() as deployment:
        warehouse = deployment.open_warehouse()
        settings = warehouse.settings
        mart = names.TableName(settings.project, f"{settings.dataset_prefix}marts", "rpt_daily_sales")
        if warehouse.tables.get(mart) is None:
            return None
        rows = warehouse.rows(
            "SELECT category, SUM(unit_count) AS units,\n"
            "  SUM(revenue_usd) AS revenue_usd, MAX(order_date) AS last_day\n"
            f"FROM {mart.sql} GROUP BY category ORDER BY revenue_usd DESC LIMIT 8",
            kind="report",
        )
        table = Table(
            "category", "units", "revenue in USD", "last day", title="marts.rpt_daily_sales",
            title_justify="left", box=None, header_style="bold", pad_edge=False,
        )  # fmt: skip
        for column in table.columns[1:3]:
            column.justify = "right"
        for row in rows:
            amounts = [f"{row['units']:,}", f"{row['revenue_usd']:,.2f}"]
            table.add_row(row["category"], *amounts, str(row["last_day"]))
        return table
