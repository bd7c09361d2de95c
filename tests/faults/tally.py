"""Counts faults over all tests and xdist workers, and prints the one line that the suite is judged by.

How to use it in a test of this folder (fixture `faults`, see `conftest.py`):

    def test_something(faults, arena):
        ...                                   # inject ONE fault, let the product recover
        faults.tried()                        # one fault was tried; `faults.tried(64)` for 64 of them
        faults.quarantined(found=3, injected=3)   # where bad records were part of it

Violations (lost, duplicated, regressed) are counted by `invariants`, which takes the tally; a test that
checks by itself says `faults.violated(lost=2)` before its own assert. Knows pytest's hooks and numbers, not
what a fault is. The numbers travel as user properties of test reports, so that a worker that dies costs only
its own test, and the controller of a run without xdist is the same code.

The suite as a whole fails when fewer faults were tried than `minimum.txt` says; that file is raised when
tests are added, and never lowered (`FLOOR` is the issue's own number).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
MINIMUM = FOLDER / "minimum.txt"
FLOOR = 400
PROPERTY = "tideline_faults"
NUMBERS = ("tried", "lost", "duplicated", "regressed", "quarantined", "injected")


class Tally:
    """What one test, or the whole suite, has counted."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()

    def tried(self, faults: int = 1) -> None:
        """So many faults were injected, and what came of them was looked at."""
        self.numbers["tried"] += faults

    def quarantined(self, *, found: int, injected: int) -> None:
        """So many bad records are in quarantine, of those that were injected; they must agree."""
        self.numbers["quarantined"] += found
        self.numbers["injected"] += injected
        assert found == injected, f"{found} records are in quarantine, {injected} were injected"

    def violated(self, *, lost: int = 0, duplicated: int = 0, regressed: int = 0) -> None:
        """So many rows are wrong; the caller fails the test."""
        self.numbers.update(lost=lost, duplicated=duplicated, regressed=regressed)

    def line(self) -> str:
        """The line that the suite is judged by."""
        n = self.numbers
        return (
            f"faults tried={n['tried']} lost={n['lost']} duplicated={n['duplicated']} "
            f"regressed={n['regressed']} quarantined={n['quarantined']}/{n['injected']}"
        )


def minimum() -> int:
    """How many faults a run of the whole suite has to try."""
    return max(FLOOR, int(MINIMUM.read_text().split()[0]))


class Plugin:
    """Adds up what tests counted, prints the line, and fails a whole run that tried too few."""

    def __init__(self, config: pytest.Config) -> None:
        self.total = Tally()
        self.is_whole = is_whole(config)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                self.total.numbers.update(value)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaint() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.total.numbers:
            terminalreporter.write_line(self.total.line(), bold=True)
        if complaint := self.complaint():
            terminalreporter.write_line(complaint, red=True)

    def complaint(self) -> str | None:
        """What is wrong with the numbers; None where nothing is."""
        n = self.total.numbers
        if self.is_whole and n["tried"] < minimum():
            return f"only {n['tried']} faults were tried, {MINIMUM.name} asks for {minimum()}"
        if any(n[name] for name in ("lost", "duplicated", "regressed")) or n["quarantined"] != n["injected"]:
            return f"rows are wrong: {self.total.line()}"
        return None


def is_whole(config: pytest.Config) -> bool:
    """Whether this run was asked for all of this folder, or more."""
    given = [Path(str(arg)) for arg in config.args]
    asked = any("::" not in str(path) and FOLDER.is_relative_to(path.absolute()) for path in given)
    narrowed = config.option.keyword or config.option.markexpr or config.option.collectonly
    return asked and not narrowed and not getattr(config.option, "lf", False)


def counting(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The body of the fixture `faults`."""
    tally = Tally()
    yield tally
    request.node.user_properties.append((PROPERTY, dict(tally.numbers)))
