"""`tideline promote`: declare a field that a source began to send, as a change of the catalog for review."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tideline import settings
from tideline.catalog import promotion
from tideline.catalog.loader import load_catalog
from tideline.catalog.paths import resolve
from tideline.cli.console import OneDataset, app, errors, open_deployment
from tideline.errors import CatalogError

if TYPE_CHECKING:
    from tideline.catalog.model import AnyDataset

TYPE_REMEDY = "give --type with string, int64, float64, numeric(p, s), bool, date, timestamp, bytes or json"


@app.command()
def promote(
    dataset: OneDataset,
    field: Annotated[str, typer.Option("--field", help="The field's path, as `tideline status` shows it.")],
    type_text: Annotated[
        str | None, typer.Option("--type", help="The column's type; from the drift seen where left out.")
    ] = None,
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Change the file; without it, show the diff.")
    ] = False,
) -> None:
    """Propose the catalog change that makes a field a column, as a diff; `--write` makes it."""
    active = settings.from_environment()
    declared = load_catalog(active.catalog_dir).dataset(dataset)
    change = promotion.promote(active.catalog_dir, dataset, field, type_text or _type_of(declared, field))
    if not write:
        sys.stdout.write(change.diff)
        errors.print("Nothing is changed. Apply the diff, or run this again with --write.", style="dim")
        return
    change.write()
    errors.print(
        f"{change.path.name}: {change.column.name} is declared. The next run adds the column; "
        f"`tideline replay --dataset {dataset} --from … --to …` fills its history.",
        markup=False,
    )


def _type_of(dataset: AnyDataset, field: str) -> str:
    """What the values seen suggest.

    Raises:
        CatalogError: The field was not seen, is declared, or its values have no type that takes them all.
    """
    if (column := resolve(dataset.columns, field).column) is not None:
        raise _refusal(
            dataset,
            f"the field {field!r} is declared already, as {column.name}",
            "to change its type, " + TYPE_REMEDY,
        )
    from tideline.status.report import report

    with open_deployment() as deployment:
        (found,) = report(deployment, datetime.now(UTC), datasets=[dataset.dataset_id]).datasets
    seen = {one.path: one.example for one in found.drift if one.kind == "new_field"}
    if field not in seen:
        known = f"; new are {', '.join(sorted(seen))}" if seen else ""
        raise _refusal(dataset, f"no load has seen a new field {field!r}{known}", TYPE_REMEDY)
    suggested = promotion.suggested_type(dataset, seen[field])
    if suggested is None:
        raise _refusal(
            dataset, f"values of {field!r} were of type {seen[field]!r}, which says nothing", TYPE_REMEDY
        )
    return suggested


def _refusal(dataset: AnyDataset, message: str, remedy: str) -> CatalogError:
    return CatalogError(message, source=dataset.source, dataset=dataset.name, remedy=remedy)
