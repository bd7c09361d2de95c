"""`python -m devstack …`: what the Makefile calls.

run       hours of the shop through the hourly DAG
up        the Airflow UI on the same shop; `down` ends it; `backfill FROM TO` in it
manifest  parse the dbt project
servers-up, servers-down, status: the stand-ins alone, in the background
demo      the stand-ins and the living shop on all addresses; `verify [END]` holds the warehouse against it
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from devstack import background
from devstack.process import StackError
from devstack.stack import ENVIRONMENT_FILE
from devstack.statelock import holder
from tideline.errors import TidelineError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = Path(".tideline")
COMMANDS = (
    "run",
    "up",
    "down",
    "backfill",
    "manifest",
    "servers-up",
    "servers-down",
    "status",
    "keep",
    "demo",
    "verify",
)
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="devstack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args(arguments)
    state = options.state.resolve()
    try:
        if options.command in ("run", "up", "down", "backfill", "manifest"):
            return _run_airflow(options.command, state, options.arguments)
        if options.command in ("demo", "verify"):
            return _run_demo(options.command, state / "demo", options.arguments)
        return _run_servers(options.command, state, offline=options.offline)
    except (StackError, TidelineError) as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("tideline: stopped\n")
        return INTERRUPTED


def _run_airflow(command: str, state: Path, arguments: list[str]) -> int:
    from devstack import airflow_home, run, up

    if command == "run":
        return run.run(state / "run")
    if command == "up":
        return up.up(state / "up")
    if command == "down":
        return up.down(state / "up")
    if command == "backfill":
        return up.backfill(state / "up", arguments)
    airflow_home.build_manifest(state / "logs" / "dbt.log")
    return 0


def _run_demo(command: str, state: Path, arguments: list[str]) -> int:
    from devstack import demo

    if command == "demo":
        state.mkdir(parents=True, exist_ok=True)
        return demo.demo(state)
    return demo.verify(state, arguments[0] if arguments else "")


def _run_servers(command: str, state: Path, *, offline: bool) -> int:
    if command == "keep":
        background.keep(state, offline=offline)
    elif command == "servers-up":
        background.up(state, offline=offline)
        print(f"up; connections are in {state / ENVIRONMENT_FILE}")
    elif command == "servers-down":
        print("down" if background.down(state) else "nothing was up")
    else:
        pid = holder(state)
        print(f"up, kept by process {pid}" if pid else "down")
        return 0 if pid else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
