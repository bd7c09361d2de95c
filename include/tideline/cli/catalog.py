"""`tideline catalog | version`: what is declared, and by what."""

from __future__ import annotations

from rich.table import Table

from tideline import __version__, settings
from tideline.catalog.loader import load_catalog
from tideline.cli.console import app, console


@app.command()
def catalog() -> None:
    """Check the catalog and list its datasets."""
    table = Table(
        "dataset", "kind", "key", "change column", "columns", "connection", box=None, header_style="bold"
    )
    loaded = load_catalog(settings.from_environment().catalog_dir)
    for dataset in loaded.datasets:
        connection = loaded.source_of(dataset).connection
        key, columns = ", ".join(dataset.key), str(len(dataset.columns))
        table.add_row(
            dataset.dataset_id, dataset.kind, key, dataset.change_column or "-", columns, connection
        )
    console.print(table)


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__, highlight=False)
