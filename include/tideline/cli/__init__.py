"""`tideline …`: the DAGs' verbs without a scheduler. Each module registers its commands on one app."""

from __future__ import annotations

import logging
import sys

from rich.logging import RichHandler

from tideline.cli import catalog, promote, reconcile, replay, run, status
from tideline.cli.console import app, errors
from tideline.errors import RetriableError, TidelineError

__all__ = ["TEMPORARY_FAILURE", "app", "catalog", "main", "promote", "reconcile", "replay", "run", "status"]

TEMPORARY_FAILURE = 75
"""Exit code for errors that may pass by themselves (`EX_TEMPFAIL` of sysexits.h); all others exit with 1."""


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
