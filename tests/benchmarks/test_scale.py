from __future__ import annotations

import pytest

from benchmarks import scale, scale_page

RUN = {"cpu_seconds": 2.0, "wall_seconds": 3.0, "peak_bytes": 2e8, "raw_bytes": 0.0, "processed_bytes": 0.0,
       "foreign_cores": 1.0}  # fmt: skip


def engine(micros: float):
    runs = [
        (size, {**RUN, "cpu_seconds": 1 + size * micros * 1e-6, "raw_bytes": size * 100.0,
                "processed_bytes": size * 50.0})
        for size in (1_000, 200_000, 1_000_000)
    ]  # fmt: skip
    return {"runs": runs, "lines": scale.lines(runs), "bson_bytes": 500.0}


@pytest.fixture
def found():
    runs = [
        (count, {"cold_seconds": 0.5 + count / 100, "warm_seconds": 0.1, "tasks": 3.0 * count + 4})
        for count in (1, 9)
    ]
    return {
        "date": "2026-01-31",
        "machine": {"cpu": "c", "cores": 4, "memory_gib": 8},
        "native": engine(3),
        "python": {"failure": "it broke"},
        "datasets": {"runs": runs, "lines": scale.lines(runs)},
    }


def test_a_line_has_the_price_of_one_more_and_that_of_beginning():
    line = scale.Line.through([(1, 3.0), (2, 5.0), (4, 9.0)])
    assert (line.slope, line.intercept) == (pytest.approx(2), pytest.approx(1))


def test_a_first_load_is_arithmetic_with_the_slopes():
    at = scale_page.at(engine(3.6), 10**9)
    assert at["core_hours"] == pytest.approx(1.0)
    assert at["parquet"] == pytest.approx(5e10)
    assert at["raw_parts"] == pytest.approx(5e11 / (128 << 20))
    assert at["source_hours"] == pytest.approx(5e11 / 200e6 / 3600)


def test_tables_say_costs_limits_and_what_is_missing(found):
    text = scale_page.tables(found)
    assert "| document, compiled decoder: CPU | 3.0 µs | 1.00 s |" in text
    assert "| document, Python's decoder | not measured: it broke | |" in text
    assert "| …  tasks | 3 | 4 |" in text
    assert "37,253: **too many**" in text
    assert "| 3,725 |" in text
    assert "others kept 1.0 cores busy" in text


def test_the_page_keeps_what_a_person_wrote(found, tmp_path, monkeypatch):
    page = tmp_path / "scale.md"
    page.write_text(f"# Mine\n\n{scale_page.MARK}\nsuperseded\n")
    monkeypatch.setattr(scale_page, "PAGE", page)
    scale_page.write(found)
    assert page.read_text().startswith("# Mine")
    assert "superseded" not in page.read_text()
    assert "a first load of" in page.read_text()


def test_a_catalog_has_as_many_datasets_as_are_asked_for(tmp_path):
    from tideline.catalog.loader import load_catalog

    (tmp_path / "many.yaml").write_text(scale._catalog(7))
    assert len(load_catalog(tmp_path).datasets) == 7
