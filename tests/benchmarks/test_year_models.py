"""What a year of builds costs, on statements small enough to be added up by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import year, year_models, year_models_page
from benchmarks.scans import Scan
from benchmarks.year_models import Read, Statement, Table
from benchmarks.year_rules import LEAST_BYTES, MEGABYTE

SHOP = replace(year.SHOPS[1], history_days=60, corrections_per_day=0)
HOURS = 3 * 7 * 24
TABLES = {
    "fct": Table("order", 2.0, {"order_id": 8}, "month"),
    "rpt": Table("day", 5, {"x": 8}, "month"),
    "seed": Table("fixed", 3, {"x": 8}),
}


@pytest.fixture(scope="module")
def found():
    asked = [
        Statement("whole", (Read("fct", 100, False),)),
        Statement("touched", (Read("fct", 100, True),)),
        Statement("recent", (Read("fct", 100, False, 30),)),
        Statement("daily", (Read("seed", 8, False), Read("fct__dbt_tmp", 8, False)), 24),
        Statement("tiny", (Read("seed", 8, False), Read("fct__dbt_tmp", 8, False))),
    ]
    return year_models.simulate(SHOP, HOURS, asked, TABLES)


def test_what_reads_a_whole_table_grows_with_it_and_what_reads_touched_partitions_does_not(
    found, monkeypatch
):
    monkeypatch.setattr(year_models_page, "QUARTER", 1)
    assert year_models_page.growth(found, ["whole"]) == pytest.approx((60 + 17.5) / (60 + 3.5), rel=0.02)
    first, last = (found["weeks"][week]["touched"] for week in (0, -1))
    assert last < found["weeks"][-1]["whole"]
    assert last < 1.7 * first  # months begin and end; there are never more than three or four


def test_what_reads_the_newest_days_does_not_grow(found):
    rows = 2.0 * 24 * SHOP.orders_per_hour * 30.5  # half of today, in the mean
    for week in found["weeks"]:
        assert week["recent"] == pytest.approx(100 * rows, rel=0.03)


def test_every_table_of_a_statement_counts_ten_megabytes_at_least(found):
    assert found["weeks"][0]["tiny"] == 2 * LEAST_BYTES
    assert found["year"]["tiny"] == HOURS * 2 * LEAST_BYTES
    assert found["year"]["whole"] % MEGABYTE == 0


def test_the_first_week_of_the_whole_table_by_hand(found):
    rows = 2.0 * 24 * SHOP.orders_per_hour * (60 + 3.5)
    assert found["weeks"][0]["whole"] == pytest.approx(100 * rows, rel=0.02)


def test_a_table_that_is_named_twice_in_a_statement_is_billed_once():
    captured = {
        "statements": [
            ("model.tideline.fct_x", "select a.id from p.raw_shop_mongodb.orders as a inner join p.raw_shop_mongodb.orders as b on a.id = b.day"),
            ("model.tideline.fct_x", "select id from p.raw_shop_mongodb.orders where false and current_timestamp() = current_timestamp()"),
            ("master", "select 1"),
        ],
        "tables": {
            year_models.ORDERS: {
                "types": {"id": "INT64", "day": "INT64"}, "bytes": {"id": 8, "day": 8}, "partition": None,
                "granularity": None, "rows": 10,
            },
        },
        "datasets": 11,
    }  # fmt: skip
    (statement,), tables = year_models.statements(captured)
    assert statement == Statement("fct_x", (Read(year_models.ORDERS, 16, False),))
    assert tables[year_models.ORDERS].rows == 1.0


def test_of_a_table_read_whole_and_in_part_each_column_counts_once():
    table = Table("order", 1.0, {"a": 1, "b": 10, "c": 100}, "month")
    scans = [Scan("x", frozenset("ab"), True), Scan("x", frozenset("bc"), False)]
    reads = year_models._reads(scans, {"x": table})
    assert set(reads) == {Read("x", 1, True), Read("x", 110, False)}
    size = year_models._billed(Statement("x", reads), lambda _, pruned, __: 1e6 if pruned else 1e7)
    assert size == pytest.approx(1e6 + 110e7, abs=MEGABYTE)


def test_what_is_done_once_a_day_is_billed_once_a_day(found):
    assert found["year"]["daily"] == HOURS / 24 * 2 * LEAST_BYTES
    asked = {
        "statements": [("test.x.a", "select 1 from p.d.t")],
        "daily": [("test.x.a", "select 1 from p.d.t")],
    }
    table = {"types": {"x": "INT64"}, "bytes": {"x": 8}, "partition": None, "granularity": None, "rows": 1}
    tables = {"tables": {"d.t": table, year_models.ORDERS: table}, "datasets": 1}
    labels = [(one.node, one.every_hours) for one in year_models.statements(asked | tables)[0]]
    assert labels == [("data tests", 1), ("data tests, once a day", 24)]


def test_the_page_says_what_is_flat(found, monkeypatch):
    monkeypatch.setattr(year_models_page, "QUARTER", 1)
    both = {"date": "2026-01-01", "statements": 3, "shops": [found, found, found]}
    lines = year_models_page.table(both).splitlines()
    assert "| no |" in next(line for line in lines if "`whole`" in line)
    assert found["least"]["whole"] == found["year"]["touched"]
    assert "| yes |" in next(line for line in lines if "`tiny`" in line)
