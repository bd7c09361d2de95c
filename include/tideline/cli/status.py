"""`tideline status`: how far every dataset has come, what waits, what was refused, what differs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from tideline.cli.console import DatasetOption, app, console, open_deployment
from tideline.status import wording
from tideline.window import format_instant

if TYPE_CHECKING:
    from tideline.status.model import DatasetStatus, Drift, Pending, Report

_COLOURS = {"current": "green", "late": "yellow", "new": "dim"}


@app.command()
def status(
    dataset: DatasetOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Show how far every dataset has come, what waits, what was refused and what differs. Changes nothing."""
    from tideline.status.report import report

    with open_deployment() as deployment:
        found = report(deployment, datetime.now(UTC), datasets=dataset)
    if as_json:
        sys.stdout.write(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n")
        return
    _show(found)


def _show(found: Report) -> None:
    console.print(_datasets(found))
    if found.is_new:
        console.print("There is no ledger yet: nothing was loaded.", style="dim")
        return
    waiting = [read for one in found.datasets for read in one.waiting]
    for title, table in (
        ("Refused and open", _refused(found) if found.refused else None),
        ("Different from the catalog", _drift(found) if any(one.drift for one in found.datasets) else None),
        ("Landed and not merged", _waiting(waiting) if waiting else None),
    ):
        if table is not None:
            console.print(f"\n[bold]{title}[/]")
            console.print(table)
    console.print(
        f"\n{format_instant(found.now.replace(microsecond=0))}; refused and different: of the last "
        f"{found.days} days; not merged: windows that ended in the last {found.pending_days} days",
        style="dim",
    )


def _table(*columns: str) -> Table:
    return Table(*(Column(name, overflow="fold") for name in columns), box=None, header_style="bold")


def _datasets(found: Report) -> Table:
    table = _table(
        "dataset", "read up to", "lag", "last load", "24 h: loads", "new", "changed", "refused, open"
    )
    for name in ("differs", "waiting", "next run reads"):
        table.add_column(name)
    for one in found.datasets:
        table.add_row(*_cells(one, found))
    return table


def _cells(one: DatasetStatus, found: Report) -> list[str]:
    colour = _COLOURS[one.state]
    counts = [one.counts.get("inserted", 0), one.counts.get("updated", 0) + one.counts.get("revived", 0)]
    return [
        one.dataset_id,
        wording.instant(one.high_water_mark),
        f"[{colour}]{wording.span(one.lag)}[/]",
        wording.ago(one.last.committed_at if one.last else None, found.now),
        f"{one.loads:,}",
        *(f"{count:,}" for count in counts),
        _marked(one.quarantined_open),
        _marked(len(one.drift)),
        _marked(len(one.waiting)),
        wording.window(one.next_reads),
    ]


def _marked(count: int) -> str:
    return f"[yellow]{count:,}[/]" if count else "-"


def _refused(found: Report) -> Table:
    table = _table("dataset", "read at", "refused", "of", "for", "merged", "evidence")
    for one in found.refused[: wording.SHOWN]:
        table.add_row(
            one.dataset_id,
            wording.instant(one.extracted_at),
            f"{one.quarantined:,}",
            f"{one.landed:,}",
            wording.reasons(one.reasons),
            "no: too many" if one.load_id is None else "yes",
            escape(one.quarantine_uri or "-"),
        )
    return table


def _drift(found: Report) -> Table:
    table = _table("dataset", "what", "field", "records", "loads", "first read", "last read", "example")
    differences: list[Drift] = [drift for one in found.datasets for drift in one.drift]
    for drift in differences[: wording.SHOWN]:
        table.add_row(
            drift.dataset_id,
            wording.KINDS.get(drift.kind, drift.kind),
            escape(wording.safe(drift.path)),
            f"{drift.records:,}",
            f"{drift.loads:,}",
            wording.instant(drift.first_seen),
            wording.instant(drift.last_seen),
            escape(wording.safe(drift.example)),
        )
    return table


def _waiting(waiting: list[Pending]) -> Table:
    table = _table("dataset", "window", "raw manifest")
    for read in waiting[: wording.SHOWN]:
        table.add_row(read.dataset_id, read.window_id, escape(read.raw_manifest_uri))
    return table
