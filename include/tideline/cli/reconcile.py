"""`tideline reconcile`: what hourly runs cannot see, found and put right."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tideline.cli.console import (
    DatasetOption,
    JsonOption,
    app,
    console,
    open_deployment,
    raise_first,
    run_id_of,
)
from tideline.errors import TidelineError
from tideline.reconcile.reconcile import reconcile_dataset

if TYPE_CHECKING:
    from tideline.pipeline import Summary

SHOWN = ("relanded", "inserted", "updated", "unchanged", "revived", "deleted")


@app.command()
def reconcile(
    dataset: DatasetOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare and report; change nothing.")] = False,
    max_delete_ratio: Annotated[
        float | None,
        typer.Option(help="Share of a table's live rows that may be deleted; the catalog's if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare source and warehouse: rows that are gone get tombstones, missed ones are landed again."""
    run_id = run_id_of(datetime.now(UTC))
    done: list[Summary] = []
    stopped: list[TidelineError] = []
    with open_deployment() as deployment:
        chosen = [deployment.catalog.dataset(name).dataset_id for name in dataset or ()]
        for dataset_id in chosen or [each.dataset_id for each in deployment.catalog.datasets]:
            try:
                done.append(
                    reconcile_dataset(
                        deployment,
                        dataset_id,
                        run_id=run_id,
                        dry_run=dry_run,
                        max_delete_ratio=max_delete_ratio,
                    )
                )
            except TidelineError as error:
                if error.dataset is None:  # the lake, the warehouse: it would be the same for all
                    raise
                stopped.append(error)
    _show(done, as_json=as_json)
    raise_first(stopped)


def _show(done: list[Summary], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(done, indent=1) + "\n")
        return
    table = Table("dataset", "found", *SHOWN, "seconds", box=None, header_style="bold")
    for row in done:
        found = ", ".join(f"{count:,} {verdict}" for verdict, count in row["found"].items() if count)
        table.add_row(
            row["dataset_id"], found or "-", *(f"{row[name]:,}" for name in SHOWN), f"{row['seconds']:.1f}"
        )
    console.print(table)
