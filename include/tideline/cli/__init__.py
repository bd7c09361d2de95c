"""`tideline …`: the DAGs' verbs without a scheduler. Each module registers its commands on one app."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from rich.logging import RichHandler

from tideline.cli import catalog, promote, reconcile, replay, run, status
from tideline.cli.console import app, errors
from tideline.errors import RetriableError, TidelineError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEMPORARY_FAILURE", "app", "catalog", "main", "promote", "reconcile", "replay", "run", "status"]

TEMPORARY_FAILURE = 75
"""Exit code for errors that may pass by themselves (`EX_TEMPFAIL` of sysexits.h); all others exit with 1."""

QUIET = {
    "airflow.configuration": logging.WARNING,  # where it reads its configuration
    "airflow.settings": logging.WARNING,  # its time zone
    "airflow._shared.secrets_masker.secrets_masker": logging.ERROR,  # that a password is too short to mask
    "airflow.sdk._shared.secrets_masker.secrets_masker": logging.ERROR,
}
"""From which level on loggers of Airflow's are heard."""


def main() -> None:
    """Run the command line; an error on purpose is one message on standard error, never a traceback."""
    _quiet_airflow()
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)]
    )
    try:
        app()
    except TidelineError as error:
        errors.print(f"[bold red]{type(error).__name__}[/] ", end="")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(TEMPORARY_FAILURE if isinstance(error, RetriableError) else 1)


def _quiet_airflow() -> None:
    """No talk of Airflow's about itself, and no folder for logs of tasks: there are none."""
    os.environ.setdefault("AIRFLOW__LOGGING__BASE_LOG_FOLDER", tempfile.gettempdir())
    os.environ.setdefault("AIRFLOW__LOGGING__NAMESPACE_LEVELS", "airflow.providers=WARNING")
    for name, level in QUIET.items():  # Airflow's set-up forgets levels, not filters
        logging.getLogger(name).addFilter(_heard_from(level))


def _heard_from(level: int) -> Callable[[logging.LogRecord], bool]:
    return lambda record: record.levelno >= level
