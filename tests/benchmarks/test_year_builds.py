"""The page of the year's builds: medians, ratios, and a part of a page that leaves the rest alone."""

from __future__ import annotations

from benchmarks import year_builds_page

FOUND = {
    "machine": {"cores": 4},
    "scale": 1.0,
    "ages": [
        {
            "days": days,
            "orders": orders,
            "wall_seconds": [slow, 99.0, slow - 1],
            "dbt_cpu_seconds": [3.0, 1.0, 2.0],
            "warehouse_cpu_seconds": [6.0],
            "foreign_cores": 0.25,
        }
        for days, orders, slow in ((0, 10_000, 10.0), (365, 19_125, 12.0))
    ],
}


def test_a_line_for_each_age_over_the_median_of_the_first():
    first, last = year_builds_page.table(FOUND).splitlines()[2:]
    assert first == "| day 0 | 10,000 | 10.0 s | 2.0 s | 6.0 s | 9.0 10.0 99.0 | 1.00 |"
    assert last == "| day 365 | 19,125 | 12.0 s | 2.0 s | 6.0 s | 11.0 12.0 99.0 | 1.20 |"


def test_only_its_part_of_the_page_is_written(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{year_builds_page.BEGIN}\n\nold\n\n{year_builds_page.END}\nafter\n")
    monkeypatch.setattr(year_builds_page, "PAGE", page)
    for _ in range(2):
        year_builds_page.write(FOUND)
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert text.count("| day 365 |") == 1
        assert "old" not in text
        assert "`SCALE=1`, 4 cores; others kept 0.2 of them busy at most" in text


def test_the_page_has_a_place_for_it():
    text = year_builds_page.PAGE.read_text()
    assert text.index(year_builds_page.BEGIN) < text.index(year_builds_page.END)
