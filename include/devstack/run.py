"""`make run`: hours of a living shop through the hourly DAG, one `airflow dags test` each.

Knows the order of things. What is shown is read from the ledger and the marts, not from the generator.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from devstack import airflow_home
from devstack.reports import hour_loads, hour_table, mart_report
from devstack.shop.shop import Shop
from devstack.stack import Stack
from devstack.stopping import stoppable
from tideline.catalog.loader import load_catalog
from tideline.catalog.models import has_models
from tideline.errors import SettingsError
from tideline.settings import from_environment
from tideline.window import format_instant, hour_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from devstack.shop.targets import Targets

SEED = 7
REPORT = "run-report.json"
REPORT_COLUMNS = 150


def run(state: Path) -> int:
    """Run the hours and show them; the exit code. Ctrl-C or SIGTERM ends everything that was started."""
    console = console_of_report()
    hours = whole_number("HOURS", 3)
    check_settings()
    last = hour_of(datetime.now(UTC))
    anchor = last - timedelta(hours=hours)
    started = time.monotonic()
    console.print("starting servers, filling the shop …", style="dim")
    check_models(state)
    with stoppable(), Stack(state) as stack, stack.targets() as targets:
        shop = open_shop(anchor, targets)
        env = airflow_home.environment(fresh_home(state), stack.environment, "local")
        airflow_home.migrate(env, state / "logs" / "airflow.log")
        console.print(f"servers up, shop open, Airflow ready in {time.monotonic() - started:.0f} s")
        reports = [_hour(console, shop, targets, hour, env, state) for hour in range(hours)]
        _write(state.parent / REPORT, reports)
        with as_deployment(env):
            if mart := mart_report():
                console.print(mart)
    _say_what_next(console, state)
    return 0 if all(report["succeeded"] for report in reports) else 1


def check_settings() -> None:
    """Look first at what would stop the DAG, or the shop, only once servers run.

    Raises:
        SettingsError: A variable does not hold what it should.
        CatalogError: The catalog does not load.
    """
    load_catalog(from_environment().catalog_dir)
    scale()


def check_models(state: Path) -> None:
    """Parse the dbt project, and look whether it goes with the catalog: else the DAG does not import.

    Raises:
        SettingsError: It does not, or dbt refuses it.
    """
    airflow_home.build_manifest(state / "logs" / "dbt.log")
    settings = from_environment()
    has_models(settings.dbt_dir, load_catalog(settings.catalog_dir))


def console_of_report() -> Console:
    """Standard output; wide enough for the tables where it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=REPORT_COLUMNS)


def open_shop(anchor: datetime, targets: Targets) -> Shop:
    """The shop at the size that SCALE says, with its history written."""
    shop = Shop(SEED, scale(), anchor)
    shop.open(targets)
    return shop


def scale() -> float:
    """SCALE of the environment; 1 is about 10,000 orders."""
    text = os.environ.get("SCALE") or "1"
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise SettingsError(
            f"SCALE is {text!r}", remedy="set it to a number above 0; 1 is about 10,000 orders"
        )
    return number


def whole_number(name: str, default: int) -> int:
    """A whole number above 0 from the environment."""
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{name} is {text!r}", remedy="set it to a whole number above 0")
    return int(text)


def fresh_home(state: Path) -> Path:
    """An Airflow home that remembers nothing of earlier runs; the servers are new as well."""
    home = state / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    return home


@contextmanager
def as_deployment(env: Mapping[str, str]) -> Iterator[None]:
    """This process sees what the DAG's processes saw, and no more: no configuration of another Airflow."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _hour(
    console: Console, shop: Shop, targets: Targets, hour: int, env: Mapping[str, str], state: Path
) -> dict[str, Any]:
    shop.advance(hour, targets)
    end = shop.scope.anchor + timedelta(hours=hour + 1)
    log = state / "logs" / f"hour-{hour}.log"
    console.print(
        f"\nhour {hour + 1}, until {format_instant(end)}: airflow dags test tideline_hourly …", style="bold"
    )
    started = time.monotonic()
    succeeded = airflow_home.test_run(env, end, {"catch_up": True}, log)
    seconds = round(time.monotonic() - started, 1)
    with as_deployment(env):
        loads = hour_loads(end)
    console.print(hour_table(loads, console))
    verdict = "[green]success[/]" if succeeded else f"[red]failed[/], see {log}"
    console.print(f"DAG run {verdict} in {seconds} s", soft_wrap=True)
    return {
        "hour": hour,
        "end": format_instant(end),
        "succeeded": succeeded,
        "seconds": seconds,
        "loads": loads,
    }


def _write(path: Path, reports: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"hours": reports}, indent=1) + "\n")


def _say_what_next(console: Console, state: Path) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("per dataset and hour", str((state.parent / REPORT).name), "in .tideline/")
    table.add_row("logs of every task", str(state.name) + "/logs", "in .tideline/")
    table.add_row("the Airflow UI on the same shop", "make up", "")
    table.add_row("a dataset of your own", "docs/catalog.md", "")
    console.print("\nWhere to look next", style="bold")
    console.print(table)
