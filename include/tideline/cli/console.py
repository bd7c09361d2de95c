"""The typer app that every command registers on, the options they share, and how results are shown."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tideline.errors import RetriableError, SettingsError
from tideline.window import Window, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tideline.errors import TidelineError
    from tideline.pipeline import Deployment, Summary

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The DAGs' verbs without a scheduler, through the same functions.",
)
console = Console(width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, width=None if sys.stderr.isatty() else 160)

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


@contextmanager
def open_deployment() -> Iterator[Deployment]:
    """A deployment; what Airflow logs goes to standard error, since standard output is for results."""
    with redirect_stdout(sys.stderr):
        from tideline import connections

        with connections.open_deployment() as deployment:
            yield deployment


def run_id_of(now: datetime) -> str:
    """What the ledger calls a run of the command line."""
    return f"cli__{format_instant(now)}"


def named_window(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    """The window of `--start` and `--end`; None where neither is given.

    Raises:
        SettingsError: Only one is given, or one is no instant.
    """
    if start and end:
        return parse_instant(start), parse_instant(end)
    if start or end:
        raise SettingsError(
            f"only --{'start' if start else 'end'} is given",
            remedy="give both ends of the window, or neither",
        )
    return None


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1e6:,.1f} MB"


def raise_first(failed: Sequence[TidelineError]) -> None:
    """Print the errors of several datasets but for one, and raise it: the first that a person must act on.

    Raises:
        TidelineError: The first such, or the first of all.
    """
    worst = sorted(failed, key=lambda error: isinstance(error, RetriableError))
    for other in worst[1:]:
        errors.print(str(other), markup=False, highlight=False, soft_wrap=True)
    if worst:
        raise worst[0]


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


def show(summaries: list[Summary], *, as_json: bool) -> None:
    """Print what became of loads: as JSON (a single one bare), or a table."""
    if as_json:
        sys.stdout.write(json.dumps(summaries if len(summaries) > 1 else summaries[0], indent=1) + "\n")
        return
    table = Table("dataset", "window", *COUNTS, "seconds", box=None, header_style="bold")
    for row in summaries:
        seconds = sum(row.get(f"{verb}_seconds") or 0 for verb in ("land", "refine", "merge"))
        counts = [f"{row.get(name) or 0:,}" for name in COUNTS]
        table.add_row(row["dataset_id"], str(Window.from_json(row["window"])), *counts, f"{seconds:.1f}")
    console.print(table)
