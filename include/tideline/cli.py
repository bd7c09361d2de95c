"""`tideline …`: the DAG's verbs without a scheduler, through the same functions."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import progress as bars
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from tideline import __version__, pipeline, settings
from tideline.catalog.loader import load_catalog
from tideline.errors import RetriableError, SettingsError, TidelineError
from tideline.plan import RunRequest
from tideline.window import Window, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.pipeline import Deployment, Summary

TEMPORARY_FAILURE = 75
"""Exit code for errors that may pass by themselves (`EX_TEMPFAIL` of sysexits.h); all others exit with 1."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
console = Console(width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True)

DatasetOption = Annotated[
    list[str] | None,
    typer.Option("--dataset", "-d", help="source.dataset; may be given again. All if left out."),
]
OneDataset = Annotated[str, typer.Option("--dataset", "-d", help="source.dataset")]
StartOption = Annotated[
    str | None, typer.Option("--start", help="First instant of the window, ISO 8601, UTC.")
]
EndOption = Annotated[str | None, typer.Option("--end", help="First instant after the window.")]
ManifestOption = Annotated[str | None, typer.Option("--manifest", help="This manifest, not the newest.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summaries as JSON.")]


def main() -> None:
    """Run the command line; an error on purpose is one message on standard error, never a traceback."""
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)]
    )
    try:
        app()
    except TidelineError as error:
        errors.print(f"[bold red]{type(error).__name__}[/] ", end="")
        errors.print(str(error), markup=False, highlight=False)
        sys.exit(TEMPORARY_FAILURE if isinstance(error, RetriableError) else 1)


@app.command()
def run(
    dataset: DatasetOption = None,
    start: StartOption = None,
    end: EndOption = None,
    *,
    catch_up: Annotated[
        bool,
        typer.Option("--catch-up", help="Read from the high-water mark to --end (or to the last full hour)."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Land, refine and merge the datasets: exactly the window named, or the last full hour."""
    now = datetime.now(UTC)
    request = RunRequest(
        run_id=_run_id(now),
        kind="manual",
        interval=_catch_up_interval(end, now) if catch_up else None,
        datasets=tuple(dataset) if dataset else None,
        window=None if catch_up else _window(start, end),
        catch_up=catch_up,
        now=now,
    )
    with _deployment() as deployment:
        loads = pipeline.plan_run(deployment, request)
        done = [_run_one(deployment, load, request.run_id, step) for load, step in _each(loads)]
    _show(done, as_json=as_json)


@app.command()
def land(
    dataset: OneDataset, start: StartOption = None, end: EndOption = None, as_json: JsonOption = True
) -> None:
    """Source → raw: prints where the raw manifest is."""
    now = datetime.now(UTC)
    request = RunRequest(
        _run_id(now), "manual", None, (dataset,), _window(start, end), catch_up=False, now=now
    )
    with _deployment() as deployment:
        load = pipeline.plan_run(deployment, request)[dataset]
        landed = pipeline.land_dataset(deployment, load, request.run_id)
    _show([landed], as_json=as_json)


@app.command()
def refine(
    dataset: OneDataset,
    start: StartOption = None,
    end: EndOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = True,
) -> None:
    """Raw → Parquet and quarantine, for the newest raw manifest of the window or the one given."""
    with _deployment() as deployment:
        uri = manifest or pipeline.newest_manifest(deployment, "raw", dataset, _named(start, end))
        landed = pipeline.landed_summary(deployment, uri)
        refined = pipeline.refine_dataset(deployment, landed, _run_id(datetime.now(UTC)))
    _show([refined], as_json=as_json)


@app.command()
def merge(
    dataset: OneDataset,
    start: StartOption = None,
    end: EndOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = True,
) -> None:
    """Parquet → warehouse and ledger, for the newest processed manifest of the window or the one given."""
    with _deployment() as deployment:
        uri = manifest or pipeline.newest_manifest(deployment, "processed", dataset, _named(start, end))
        refined = pipeline.refined_summary(deployment, uri)
        merged = pipeline.merge_dataset(deployment, refined, _run_id(datetime.now(UTC)))
    _show([merged], as_json=as_json)


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


@contextmanager
def _deployment() -> Iterator[Deployment]:
    """A deployment; what Airflow logs goes to standard error, since standard output is for results."""
    with redirect_stdout(sys.stderr):
        from tideline import connections

        with connections.open_deployment() as deployment:
            yield deployment


def _each(loads: dict[str, Summary]) -> Iterator[tuple[Summary, Any]]:
    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=18),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[note]}"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=errors, transient=True) as progress:
        for dataset_id, load in loads.items():
            task = progress.add_task(dataset_id, total=3, note="")
            yield load, lambda note, task=task: progress.update(task, advance=1, note=note)


def _run_one(deployment: Deployment, load: Summary, run_id: str, step: Any) -> Summary:  # noqa: ANN401  a callback
    landed = pipeline.land_dataset(deployment, load, run_id)
    step(f"landed {_size(landed['raw_bytes'])}")
    refined = pipeline.refine_dataset(deployment, landed, run_id)
    step(f"refined {refined['refined']:,} rows, {_size(refined['processed_bytes'])}")
    merged = pipeline.merge_dataset(deployment, refined, run_id)
    step(f"merged {merged['refined']:,} rows")
    return merged


def _run_id(now: datetime) -> str:
    return f"cli__{format_instant(now)}"


def _window(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    if start and end:
        return parse_instant(start), parse_instant(end)
    if start or end:
        raise SettingsError(
            f"only --{'start' if start else 'end'} is given",
            remedy="give both ends of the window, or neither",
        )
    return None


def _catch_up_interval(end: str | None, now: datetime) -> tuple[datetime, datetime]:
    from tideline.window import HOUR, hour_of

    last = parse_instant(end) if end else hour_of(now)
    return last - HOUR, last


def _named(start: str | None, end: str | None) -> Window | None:
    window = _window(start, end)
    return Window(*window) if window else None


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


COUNTS = (
    "landed",
    "refined",
    "quarantined",
    "inserted",
    "updated",
    "unchanged",
    "revived",
    "stale",
    "duplicates",
)


def _show(summaries: list[Summary], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(summaries if len(summaries) > 1 else summaries[0], indent=1) + "\n")
        return
    table = Table("dataset", "window", *COUNTS, "seconds", box=None, header_style="bold")
    for row in summaries:
        seconds = sum(row.get(f"{verb}_seconds") or 0 for verb in ("land", "refine", "merge"))
        counts = [f"{row.get(name) or 0:,}" for name in COUNTS]
        table.add_row(row["dataset_id"], str(Window.from_json(row["window"])), *counts, f"{seconds:.1f}")
    console.print(table)
