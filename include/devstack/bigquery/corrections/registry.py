"""Which corrections there are."""

from __future__ import annotations

# ruff: noqa: ANN401 - these replace functions of a library that is not installed where types are checked
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CORRECTIONS: dict[str, Callable[[], None]] = {}
"""By name, in the order in which they are installed."""

DUCKDB_DIGITS = 38
BIGNUMERIC = f"DECIMAL({DUCKDB_DIGITS}, {DUCKDB_DIGITS // 2})"
"""What a BIGNUMERIC without digits becomes: 19 before the point and 19 after it."""


def correction(install: Callable[[], None]) -> Callable[[], None]:
    """Register a function that installs one correction and whose first line names the fault."""
    CORRECTIONS[install.__name__] = install
    return install


def module(name: str) -> Any:
    """A module of the emulator."""
    return importlib.import_module(f"bqemulator.{name}")
