"""A small year: the rules of billing on statements written by hand, and a two_days of generated ones."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pytest

from benchmarks import plots, year, year_page
from benchmarks import year_rules as rules
from tideline.merge.sql import Merge
from tideline.warehouse.schema import Field

TABLE = rules.Partitions(date(2026, 1, 1), np.array([5, 5, 5, 5, 1]))
"""Four days, and the partition of NULL."""


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("t.d >= DATE '2026-01-02' AND t.d < DATE '2026-01-04'", [0, 1, 1, 0, 0]),
        ("t.d = DATE '2026-01-02' OR t.d IS NULL", [0, 1, 0, 0, 1]),
        ("t.d > DATE '2026-01-02'", [0, 0, 1, 1, 0]),
        ("t.d <= DATE '2026-01-02'", [1, 1, 0, 0, 0]),
        ("t.id = s.id AND (t.d < DATE '2026-01-02')", [1, 0, 0, 0, 0]),
        ("t.id = s.id OR t.d < DATE '2026-01-02'", [1, 1, 1, 1, 1]),
        ("t.d = s.d", [1, 1, 1, 1, 1]),
        ("t.d IN (SELECT d FROM touched)", [1, 1, 1, 1, 1]),
        ("NOT t.d < DATE '2026-01-02'", [1, 1, 1, 1, 1]),
        ("t.other >= DATE '2026-01-04'", [1, 1, 1, 1, 1]),
        (None, [1, 1, 1, 1, 1]),
    ],
)
def test_only_constants_on_the_partition_column_leave_partitions_out(condition, wanted):
    assert rules.scanned(condition, "t", "d", TABLE).astype(int).tolist() == wanted


def test_a_merge_that_updates_is_billed_all_columns_beside_those_it_names():
    sql = "MERGE p.d.x AS t USING p.d.y AS s ON t.id = s.id WHEN MATCHED THEN {}"
    (updating,) = rules.scans(sql.format("UPDATE SET v = s.v"), "x")
    assert (updating.updates, updating.columns) == (True, {"id"})
    inserting = rules.scans(sql.replace("MATCHED", "NOT MATCHED").format("INSERT (id) VALUES (s.id)"), "x")[0]
    assert not inserting.updates
    large = rules.Partitions(TABLE.first, TABLE.rows * 10**7)
    sizes = {"id": 8, "v": 100}
    megabytes = [
        rules.billed(scan, large.everything, large, sizes) / rules.MEGABYTE for scan in (updating, inserting)
    ]
    rows = 21 * 10**7 / rules.MEGABYTE
    assert megabytes == pytest.approx([rows * 116, rows * 8], abs=1)


def test_every_table_counts_ten_megabytes_at_least():
    scan = rules.Scan(None, "t", frozenset({"id"}), updates=False)
    assert rules.billed(scan, TABLE.everything, TABLE, {"id": 8}, [1]) == 2 * rules.LEAST_BYTES


def test_a_second_mention_of_the_table_is_a_scan_of_its_own():
    found = rules.scans("SELECT t.a, (SELECT MAX(u.b) FROM p.d.x AS u) FROM p.d.x AS t WHERE t.d = s.d", "x")
    assert sorted((scan.alias, scan.condition) for scan in found) == [("t", "t.d = s.d"), ("u", None)]


def test_sizes_of_types():
    record = Field("r", "RECORD", "REPEATED", fields=(Field("a", "INT64"), Field("_row_hash", "STRING")))
    assert rules.column_bytes(record) == rules.ITEMS * (8 + 34)
    assert rules.column_bytes(Field("n", "NUMERIC")) == 16


@pytest.fixture(scope="module")
def two_days():
    return {shop.name: year.simulate(shop, 30) for shop in year.SHOPS}


def test_two_days_are_billed_what_it_touches(two_days):
    for shop in year.SHOPS:
        found = year.summary(shop, two_days[shop.name])
        assert found["partitions_ratio"] <= year.GOAL
        assert found["bytes_ratio"] <= year.GOAL
        assert found["worst_window"] <= year.GOAL
        assert found["full_scans"] == 0
        assert found["touched_mean"] > 5


def test_without_a_predicate_it_would_be_found(monkeypatch):
    monkeypatch.setattr(Merge, "pruned", property(lambda _: "TRUE"))
    found = year.summary(year.SHOPS[1], year.simulate(year.SHOPS[1], 24))
    assert found["full_scans"] == 24
    assert found["worst_window"] > year.GOAL


def test_a_statement_that_is_not_like_the_others_is_not_passed_over(monkeypatch):
    written = Merge.sql.fget
    calls = iter(range(100))

    def other(merge):
        return written(merge) + ("\n-- another" if next(calls) == 5 else "")

    monkeypatch.setattr(Merge, "sql", property(other))
    with pytest.raises(RuntimeError, match="not like those before"):
        year.simulate(year.SHOPS[0], 8)


def test_the_page_says_what_was_found(two_days, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "bench-year.md").write_text(f"# Head\n\n{year_page.MARK}\nsuperseded\n")
    monkeypatch.setattr(year_page, "DOCS", tmp_path)
    monkeypatch.setattr(year_page, "PAGE", tmp_path / "bench-year.md")
    monkeypatch.setattr(year, "HISTORIES", (60, 120))
    runs = {60: "small", 120: "large"}  # billed as if it grew with the table
    monkeypatch.setattr(
        year, "simulate", lambda shop, hours: two_days[runs.get(shop.history_days, shop.name)][:hours]
    )
    found = year.measure(30, 5)
    year_page.write(found)
    page = (tmp_path / "bench-year.md").read_text()
    assert page.startswith("# Head")
    assert "superseded" not in page
    assert (page.count("| reached |"), page.count("| not reached |")) == (3, 1)
    for image in re.findall(r"\(images/([^)]+)\)", page):
        assert (tmp_path / "images" / image).read_text().startswith("<svg")


def test_bars_are_as_long_as_their_values():
    svg = plots.bars("t", [("a", 10.0, True), ("b", 5.0, False)], str)
    widths = [float(found) for found in re.findall(r'width="([\d.]+)" height="18"', svg)]
    assert widths[0] == 2 * widths[1]
