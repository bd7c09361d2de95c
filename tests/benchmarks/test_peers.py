from __future__ import annotations

import json
import re
from importlib import metadata

import pytest

from benchmarks import harness, peers, report, suite
from benchmarks.fixtures import Fixture
from benchmarks.goals import Findings
from benchmarks.harness import Measured, RunError, Task
from benchmarks.peers import goals, page, races
from benchmarks.peers.__main__ import _options
from benchmarks.suite import Entrant, Series


def series(name: str, cpu: float, peak: int = 200, failure: str | None = None, ours: bool = False) -> Series:
    runs = [] if failure else [Measured(cpu, cpu, peak * 1_000_000, 0.0, {})]
    return Series(name, name, 1, is_product=ours, runs=runs, failure=failure)


def verdicts(*entries: Series, **costs: object) -> dict[str, tuple[str, bool | None]]:
    found = Findings({entry.name: entry for entry in entries}, costs)
    return {goal.wanted: (goal.found, goal.reached) for goal in goals.judge(found)}


def test_every_goal_has_a_line_even_if_nothing_was_measured():
    found = verdicts()
    assert len(found) == 12
    assert {reached for _, reached in found.values()} == {None}


def test_goals_are_ratios_of_cpu():
    found = verdicts(series("million.native", 2), series("million.dlt", 121), series("million.pandas", 39))
    assert found["1 M documents → raw and Parquet: ≥ 60x dlt's default"] == ("60.50x", True)
    assert found["1 M documents → raw and Parquet: ≥ 20x pandas"] == ("19.50x", False)


@pytest.mark.parametrize(
    ("small", "large", "reached"), [(270, 290, True), (270, 301, False), (200, 230, False)]
)
def test_memory_is_flat_and_below_its_limit(small, large, reached):
    found = verdicts(series("documents.native", 1, small), series("million.native", 1, large))
    assert found["peak RSS ≤ 300 MB, flat from 200 k to 1 M"][1] is reached


def test_seconds_of_the_api():
    assert verdicts(api=0.61)["API, 810 rows, warm: ≤ 0.6 s"] == ("0.61 s", False)
    assert verdicts(api="it broke")["API, 810 rows, warm: ≤ 0.6 s"] == ("not measured", None)


def test_what_is_no_parquet_is_compared_by_its_rows():
    entrant = Entrant("x", "x", Fixture("f", 5), Task("t:t"))
    suite._check(entrant, {"rows": 5})
    with pytest.raises(RunError, match="4 rows, the input holds 5"):
        suite._check(entrant, {"rows": 4})


def test_every_environment_is_pinned_with_hashes():
    for name in ("dlt", "dlt-arrow", "polars", "sling", "ingestr"):
        text = peers._lock(name).read_text()
        assert "--hash=sha256:" in text
        assert "index-url" not in text
    assert races.versions()["sling-linux-amd64"] == "1.4.11"
    assert races.versions()["ingestr"] == "0.14.155"


def test_a_version_in_a_peers_environment_is_not_taken_for_ours():
    ours, theirs = report._versions(), races.versions()
    assert {**ours, **theirs}["pyarrow"] == ours["pyarrow"] == metadata.version("pyarrow")
    assert theirs["pyarrow beside dlt-arrow"] == "25.0.0"


def test_the_page_has_all_that_was_measured_and_what_was_not(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "p.md").write_text(f"# Mine\n\n{page.MARK}\nsuperseded\n")
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "p.md")
    entries = [
        series("csv.tideline", 1, ours=True),
        series("csv.polars", 2),
        series("csv.sling", 0, failure="gone"),
    ]
    found = Findings({entry.name: entry for entry in entries}, {})
    body = {
        "date": "2026-01-31T00:00:00", "repeat": 5, "versions": {"polars": "2"}, "not_compared": {"x": "why"},
        "machine": {"cpu": "c", "cores": 4, "memory_gib": 8, "system": "Linux"},
        "goals": [vars(goal) for goal in goals.judge(found)],
        "series": json.loads(json.dumps([entry.to_json() for entry in entries])),
    }  # fmt: skip
    page.write(body)
    text = (tmp_path / "p.md").read_text()
    assert text.startswith("# Mine")
    assert "superseded" not in text
    assert "| csv.sling | not measured: gone | | |" in text
    assert "- x: why." in text
    (image,) = re.findall(r"\(images/([^)]+)\)", text)
    assert (tmp_path / "images" / image).read_text().count("<rect") == 3


def test_two_benchmarks_do_not_run_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "CACHE", tmp_path)
    with harness.alone(), pytest.raises(RunError, match="another benchmark"), harness.alone():
        pass
    with harness.alone():
        pass


@pytest.mark.parametrize(("more", "writes"), [("", True), ("--only csv", False), ("--peers sling", False)])
def test_some_races_do_not_take_the_place_of_all_on_the_page(more, writes):
    assert _options(["--page", *more.split()]).page is writes
