"""What is read off a statement's text, as BigQuery would read it."""

from __future__ import annotations

import pytest

from benchmarks.scans import Reader, views

SCHEMA = {
    "raw.orders": {
        "id": "INT64",
        "day": "DATE",
        "amount": "NUMERIC",
        "ship": "struct<city string, kg float64>",
    },
    "marts.sales": {"order_id": "INT64", "day": "DATE", "amount": "NUMERIC", "_merged_at": "TIMESTAMP"},
}
VIEW = '/* {"node": "stg"} */\n\n  create or replace view `p`.`staging`.`stg` as with s as (select * from `p`.`raw`.`orders`) select id as order_id, day, amount, ship.city as city from s'


def scans(sql: str) -> list[tuple[str, set[str], bool]]:
    reader = Reader(SCHEMA, {"raw.orders": "day", "marts.sales": "day"}, views([VIEW]))
    return [(scan.table, set(scan.columns), scan.pruned) for scan in reader.scans(sql)]


def test_only_columns_that_are_used_further_up_are_read_through_a_view():
    sql = "create or replace table p.marts.x as with o as (select * from p.staging.stg), f as (select city, count(*) as n from o group by city) select * from f"
    assert scans(sql) == [("raw.orders", {"ship"}, False)]


@pytest.mark.parametrize(
    ("condition", "pruned"),
    [
        ("day in (date '2026-01-01', date '2026-01-02')", True),
        ("day in (date '2026-01-01') or day is null", True),
        ("amount > 1 and (day = date '2026-01-01')", True),
        ("day in (date '2026-01-01') or amount > 1", False),
        ("date_trunc(day, month) in (date '2026-01-01')", False),
        ("day in (select day from p.marts.sales)", False),
        ("day between date '2020-01-01' and date '2026-01-02'", False),
        ("amount in (1, 2)", False),
        ("day >= date '2026-01-01' and day < date '2026-02-01'", True),
        (
            "(day >= date '2026-01-01' and day < date '2026-02-01') or (day >= date '2026-05-01' and day < date '2026-06-01')",
            True,
        ),
        (
            "(day is null or (day >= date '2026-01-01' and day < date '2026-02-01')) and not (day >= date '2026-01-03' and day < date '2026-01-04')",
            True,
        ),
        ("(day >= date '2026-01-01' and day < date '2026-02-01') or amount > 1", False),
        ("not (day >= date '2026-01-01' and day < date '2026-02-01')", False),
        ("day >= date '2026-01-01'", False),
        ("day < date '2026-01-01'", False),
    ],
)
def test_only_constants_on_the_bare_column_prune(condition, pruned):
    found = {
        table: is_pruned for table, _, is_pruned in scans(f"select id from p.raw.orders where {condition}")
    }
    assert found["raw.orders"] is pruned


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("day >= date_sub(current_date(), interval 92 day)", 92),
        ("(day >= date_sub(current_date(), interval 92 day) or day is null) and amount > 1", 92),
        ("day >= date_sub(current_date(), interval 92 day) or amount > 1", None),
        ("amount >= date_sub(current_date(), interval 92 day)", None),
        ("day < date_sub(current_date(), interval 92 day)", None),
        ("day >= date_sub(day, interval 92 day)", None),
        ("day >= date '2026-01-01'", None),
    ],
)
def test_what_reaches_back_from_today_reads_so_many_days(condition, days):
    reader = Reader(SCHEMA, {"raw.orders": "day"}, {})
    (scan,) = reader.scans(f"select id from p.raw.orders where {condition}")
    assert (scan.pruned, scan.recent_days) == (False, days)


def test_a_condition_on_a_view_prunes_the_table_below_it():
    sql = "with o as (select * from p.staging.stg where day in (date '2026-01-01')) select order_id from o where amount > 1"
    assert scans(sql) == [("raw.orders", {"id", "day", "amount"}, True)]
    sql = "select order_id from p.staging.stg as s left join (select 1 as one) as t on s.day in (date '2026-01-01')"
    assert scans(sql) == [("raw.orders", {"id", "day"}, False)]


def test_a_merge_reads_key_and_partition_of_its_target_and_its_temporary_table_is_no_other():
    sql = """merge into `p`.`marts`.`sales` as DBT_INTERNAL_DEST
    using (select * from `p`.`marts`.`sales__dbt_tmp123456`) as DBT_INTERNAL_SOURCE
    on (DBT_INTERNAL_DEST.day in (date '2026-01-01')) and ((DBT_INTERNAL_SOURCE.order_id = DBT_INTERNAL_DEST.order_id))
    when matched then update set `amount` = DBT_INTERNAL_SOURCE.`amount`
    when not matched then insert (`order_id`) values (`order_id`)"""
    assert scans(sql) == [("marts.sales", {"order_id", "day"}, True)]
    assert scans(sql.replace("DBT_INTERNAL_DEST.day in (date '2026-01-01')", "true"))[0][2] is False
    assert scans("select day from p.marts.sales__dbt_tmp123456") == [("marts.sales__dbt_tmp", {"day"}, False)]


def test_a_merge_that_replaces_months_reads_what_it_deletes():
    sql = """merge into `p`.`marts`.`sales` as DBT_INTERNAL_DEST
    using (select * from `p`.`marts`.`sales__dbt_tmp123456`) as DBT_INTERNAL_SOURCE
    on false
    when not matched by source and (DBT_INTERNAL_DEST.day is null or (DBT_INTERNAL_DEST.day >= date '2026-01-01' and DBT_INTERNAL_DEST.day < date '2026-02-01')) then delete
    when not matched then insert (`order_id`) values (`order_id`)"""
    assert scans(sql) == [("marts.sales", {"day"}, True)]
    everything = sql.replace(sql[sql.index("(DBT_INTERNAL_DEST.day is") : sql.index(" then delete")], "true")
    assert scans(everything) == [("marts.sales", set(), False)]
    assert "by source and true then delete" in everything


def test_making_a_view_reads_nothing():
    assert scans(VIEW) == []
