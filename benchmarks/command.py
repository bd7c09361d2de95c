"""What every benchmark's command does around its measurements."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.harness import RunError, alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.goals import Findings

WIDTH = 110
"""Columns where there is no terminal to ask."""


def run(
    name: str, measure: Callable[[Console], Findings], publish: Callable[[Console, Findings], None]
) -> int:
    """Measure, while no other benchmark does, and publish.

    Returns:
        Exit code 1 when Tideline itself failed, 2 without any measurement; a missed goal is no failure.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    try:
        with alone():
            found = measure(console)
    except RunError as error:
        console.print(f"[bold red]{name}:[/] {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    publish(console, found)
    return int(any(series.is_product and series.failure for series in found.series.values()))
