"""`make up`: the Airflow UI with a scheduler over the living shop, until Ctrl-C or `make down`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from devstack import airflow_home, background, environment
from devstack.process import StackError, port_number, require_free
from devstack.run import check_models, check_settings, fresh_home, open_shop, whole_number
from devstack.stack import ENVIRONMENT_FILE, Stack
from devstack.statelock import holder
from devstack.stopping import stoppable
from tideline.errors import SettingsError
from tideline.window import HOUR, format_instant, hour_of, parse_instant

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from devstack.shop.shop import Shop
    from devstack.shop.targets import Targets

READY = "ready.json"
EXAMPLE = "make backfill FROM=2026-01-31T10:00 TO=2026-01-31T12:00"
LEAD = timedelta(minutes=2)
"""How long before the end of an hour the shop makes its changes: they are there when its run begins."""


def up(state: Path) -> int:
    """Serve until told to stop; the exit code. Nothing that was started is left behind."""
    console = Console()
    _refuse_a_second(state)
    port = port_number(os.environ.get(airflow_home.UI_PORT) or "8080", airflow_home.UI_PORT)
    require_free(port, "the Airflow UI", airflow_home.UI_PORT)
    hours = whole_number("HOURS", 3)
    check_settings()
    anchor = hour_of(datetime.now(UTC)) - timedelta(hours=hours)
    console.print("starting servers, filling the shop, starting Airflow …", style="dim")
    check_models(state)
    with stoppable() as stop, Stack(state) as stack, stack.targets() as targets:
        shop = open_shop(anchor, targets)
        for hour in range(hours):
            shop.advance(hour, targets)
        home = fresh_home(state)
        env = airflow_home.environment(home, stack.environment, "watcher")
        env["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] = "False"
        airflow_home.migrate(env, state / "logs" / "airflow.log")
        airflow = airflow_home.start_standalone(env, home, port)
        try:
            ready = {"url": airflow.url, "user": airflow.user, "password": airflow.password}
            (home / READY).write_text(json.dumps(ready))
            console.print(
                f"Airflow: [bold]{airflow.url}[/]  user {airflow.user}, password {airflow.password}"
            )
            console.print(
                "The hourly DAG is on; the shop goes on living. Ctrl-C or `make down` ends everything."
            )
            _live(shop, hours, targets, stop, airflow)
        finally:
            airflow.stop()
    console.print("stopped")
    return 0


def _refuse_a_second(state: Path) -> None:
    if pid := holder(state):
        raise StackError(f"`make up` runs already (process {pid})", remedy="end it with `make down`")


def down(state: Path) -> int:
    """End a running `up`; the exit code. Idempotent."""
    Console().print("stopped" if background.down(state) else "nothing was up")
    return 0


def backfill(state: Path, interval: list[str]) -> int:
    """Backfill the hours that begin from one instant to another, both included; the exit code.

    One after another: hours at once would build the same models, each by what it had seen of the others.

    Raises:
        SettingsError: The interval is not two instants in order, both past, or nothing is up.
    """
    first, last = _interval(interval)
    if not (state / "airflow" / READY).exists():
        raise SettingsError("nothing is up", remedy="run `make up` in another terminal first")
    connections = environment.read_file(state / ENVIRONMENT_FILE)
    command = ["airflow", "backfill", "create", "--dag-id", "tideline_hourly"]
    command += ["--from-date", first, "--to-date", last, "--reprocess-behavior", "completed"]
    command += ["--max-active-runs", "1"]
    command += ["--dag-run-conf", "{}"]  # an hour that was run before would keep its own, such as datasets
    env = airflow_home.environment(state / "airflow", connections, "watcher")
    return subprocess.run([str(airflow_home.BIN / command[0]), *command[1:]], env=env, check=False).returncode


def _interval(texts: list[str]) -> tuple[str, str]:
    if len([text for text in texts if text]) != 2:  # noqa: PLR2004
        raise SettingsError("from when to when?", remedy=EXAMPLE)
    first, last = map(parse_instant, texts)
    if last < first:
        raise SettingsError(f"FROM={texts[0]} is later than TO={texts[1]}", remedy=EXAMPLE)
    if last > datetime.now(UTC):
        raise SettingsError(f"TO={texts[1]} is yet to come", remedy="name hours that are over")
    return format_instant(first), format_instant(last)


def _live(
    shop: Shop, hour: int, targets: Targets, stop: threading.Event, airflow: airflow_home.Standalone
) -> None:
    """Let the shop's hours happen as they come, until told to stop.

    Raises:
        SettingsError: Airflow ended by itself.
    """
    try:
        while not stop.is_set():
            ends = shop.scope.anchor + (hour + 1) * HOUR
            if datetime.now(UTC) >= ends - LEAD:
                shop.advance(hour, targets)
                hour += 1
            if airflow.process.poll() is not None:
                raise SettingsError("Airflow ended", remedy="read .tideline/up/airflow/standalone.log")
            time.sleep(1)
    except KeyboardInterrupt:
        return
