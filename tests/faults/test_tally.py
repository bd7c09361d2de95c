"""The tally adds up over reports, prints its line, and fails a whole run that tried too few or lost a row."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import tally


def config(*args: str, keyword: str = "") -> SimpleNamespace:
    return SimpleNamespace(
        args=list(args), option=SimpleNamespace(keyword=keyword, markexpr="", collectonly=False)
    )


def report(when: str = "teardown", **numbers: int) -> SimpleNamespace:
    return SimpleNamespace(when=when, user_properties=[("other", 1), (tally.PROPERTY, numbers)])


def whole_run(*reports: SimpleNamespace) -> tally.Plugin:
    plugin = tally.Plugin(config(str(tally.FOLDER)))
    for each in reports:
        plugin.pytest_runtest_logreport(each)
    return plugin


def test_adds_up_and_prints_the_line():
    plugin = whole_run(
        report(tried=300), report("call", tried=300), report(tried=200, quarantined=3, injected=3)
    )
    assert plugin.total.line() == "faults tried=500 lost=0 duplicated=0 regressed=0 quarantined=3/3"


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ({"tried": 10**6}, None),
        ({"tried": tally.minimum() - 1}, "only"),
        ({"tried": 10**6, "lost": 1}, "rows are wrong"),
        ({"tried": 10**6, "duplicated": 1}, "rows are wrong"),
        ({"tried": 10**6, "regressed": 1}, "rows are wrong"),
        ({"tried": 10**6, "quarantined": 1, "injected": 2}, "rows are wrong"),
    ],
)
def test_fails_a_run_whose_numbers_are_wrong(numbers, complaint):
    plugin = whole_run(report(**numbers))
    session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    plugin.pytest_sessionfinish(session)
    assert (plugin.complaint() or "").startswith(complaint or "")
    assert (session.exitstatus == pytest.ExitCode.OK) == (complaint is None)


@pytest.mark.parametrize(
    ("given", "is_whole"),
    [
        (config("tests/faults"), True),
        (config(str(tally.FOLDER.parent)), True),
        (config("tests/faults/test_tally.py"), False),
        (config("tests/faults", keyword="kill"), False),
        (config(f"{tally.FOLDER}::x"), False),
    ],
    ids=["folder", "parent", "file", "keyword", "test"],
)
def test_only_a_whole_run_has_a_minimum(monkeypatch, given, is_whole):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert tally.is_whole(given) == is_whole


def test_the_minimum_is_not_below_the_issues_own():
    assert tally.minimum() >= tally.FLOOR == 400


def test_a_quarantine_that_misses_a_record_fails_its_test():
    numbers = tally.Tally()
    with pytest.raises(AssertionError, match="1 were injected"):
        numbers.quarantined(found=0, injected=1)
    assert numbers.line().endswith("quarantined=0/1")
