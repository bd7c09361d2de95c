"""`python -m devstack up | down | status [--state DIR] [--offline]`: a stack in the background."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from devstack import background
from devstack.process import StackError
from devstack.stack import ENVIRONMENT_FILE
from devstack.statelock import holder

if TYPE_CHECKING:
    from collections.abc import Sequence

STATE = Path(".tideline")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="devstack", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "keep"))
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--offline", action="store_true")
    options = parser.parse_args(arguments)
    state = options.state.resolve()
    try:
        return _run(options.command, state, offline=options.offline)
    except StackError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1


def _run(command: str, state: Path, *, offline: bool) -> int:
    if command == "keep":
        background.keep(state, offline=offline)
    elif command == "up":
        background.up(state, offline=offline)
        print(f"up; connections are in {state / ENVIRONMENT_FILE}")
    elif command == "down":
        print("down" if background.down(state) else "nothing was up")
    else:
        pid = holder(state)
        print(f"up, kept by process {pid}" if pid else "down")
        return 0 if pid else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
