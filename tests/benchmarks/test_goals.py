from __future__ import annotations

import pytest

from benchmarks.goals import Findings, judge
from benchmarks.harness import Measured
from benchmarks.suite import Series

SECTIONS = ("documents", "csv", "csv_s3", "api", "airflow")


def _series(name: str, *runs: tuple[float, float, int], failure: str | None = None) -> Series:
    measured = [Measured(wall, cpu, peak * 1_000_000, 0.0, {}) for wall, cpu, peak in runs]
    return Series(name, name, 1, is_product=False, runs=measured, failure=failure)


def _findings(*series: Series, **costs: object) -> Findings:
    return Findings({entry.name: entry for entry in series}, costs)


def _verdicts(findings: Findings, *sections: str) -> dict[str, tuple[str, bool | None]]:
    return {goal.wanted: (goal.found, goal.reached) for goal in judge(findings, sections or SECTIONS)}


def test_a_ratio_is_one_of_medians():
    product = _series("documents.tideline", (1, 2.0, 1), (1, 100.0, 1), (1, 1.0, 1))
    peer = _series("documents.dlt", (1, 6.0, 1))
    found = _verdicts(_findings(product, peer))
    assert found["200 k documents: ≥ 3x less CPU than dlt"] == ("3.00x", True)


@pytest.mark.parametrize(("cpu", "reached"), [(1.0, True), (1.01, False)])
def test_no_more_than_bare_pyarrow_means_no_more(cpu: float, reached: bool):
    series = _series("csv.tideline", (1, cpu, 1)), _series("csv.pyarrow", (1, 1.0, 1))
    assert _verdicts(_findings(*series))["1.5 M CSV rows: CPU ≤ 1.0x bare pyarrow"][1] is reached


@pytest.mark.parametrize(
    ("small", "large", "reached"),
    [(200, 220, True), (200, 221, False), (290, 301, False), (200, 150, True)],
)
def test_memory_neither_grows_with_the_input_nor_passes_its_limit(small: int, large: int, reached: bool):
    series = _series("documents.tideline", (1, 1, small)), _series("documents.tideline_1m", (1, 1, large))
    assert (
        _verdicts(_findings(*series), "documents")["…  the same within 10 % at 1 M documents"][1] is reached
    )


def test_what_was_not_measured_is_neither_reached_nor_missed():
    failed = _series("documents.dlt", (1, 99.0, 1), failure="no network")
    found = _verdicts(_findings(_series("documents.tideline", (1, 1.0, 1)), failed, api="it broke"))
    assert found["200 k documents: ≥ 3x less CPU than dlt"] == ("not measured", None)
    assert found["API, 810 rows, warm: land + refine ≤ 1 s"] == ("not measured", None)


def test_seconds_are_held_to_their_limit():
    found = _verdicts(_findings(api=1.0, parse_cold=0.61, parse_warm=0.02), "api", "airflow")
    assert [reached for _, reached in found.values()] == [True, False, True]


def test_the_slowest_page_is_held_to_a_second_and_pages_without_a_filter_to_none():
    pages = {
        "Products": {"first": None, "again": 0.4, "filter": 1.01},
        "API users": {"first": 0.9, "again": 1.0, "filter": None},
    }
    found = _verdicts(_findings(pages=pages), "pages")
    assert list(found.values()) == [("0.90 s", True), ("1.00 s", True), ("1.01 s", False)]
    assert set(_verdicts(_findings(pages="no browser"), "pages").values()) == {("not measured", None)}


def test_the_whole_hour_is_compared_with_pandas_and_cosmos():
    found = _verdicts(_findings(hour_watcher=30.0, hour_one=20.0, hour_pandas=180.0), "hour")
    assert list(found.values()) == [("30.00 s", True), ("20.00 s", False), ("6.00x", True), ("9.00x", True)]
    found = _verdicts(_findings(hour_watcher=30.0, hour_one="it broke", hour_pandas=179.0), "hour")
    assert list(found.values()) == [
        ("30.00 s", True),
        ("not measured", None),
        ("5.97x", False),
        ("not measured", None),
    ]
