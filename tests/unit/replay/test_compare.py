"""Two tables held against each other on the emulator."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import sqlglot

from tideline.replay.compare import Comparison, compare, comparison_sql
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import METADATA, Field, Layout

FIELDS = (
    Field("id", "INT64", "REQUIRED"),
    Field("part", "STRING"),
    Field("amount", "NUMERIC"),
    Field("r", "RECORD", "REPEATED", fields=(Field("x", "INT64"),)),
)
DATASET = SimpleNamespace(source="test", name="things", key=("id", "part"))
ROWS = "(1, 'a', 1.5, [STRUCT(1)]), (2, 'a', NULL, []), (2, 'b', 3, [STRUCT(2), STRUCT(3)])"


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


@pytest.fixture
def table(warehouse):
    """Makes a table with these rows."""

    def make(name: str, rows: str = ROWS, fields: tuple[Field, ...] = FIELDS) -> TableName:
        made = TableName("local", f"{warehouse.settings.dataset_prefix}raw_test", name)
        warehouse.tables.create(made, Layout((*fields, *METADATA)))
        columns = ", ".join(field.name for field in fields)
        if rows:
            warehouse.run(f"INSERT INTO {made.sql} ({columns}) VALUES {rows}", kind="test", key=str(made))
        return made

    return make


def differing(found: Comparison) -> dict[str, int]:
    return {column.name: column.differing for column in found.columns if column.differing}


def test_tables_that_say_the_same(warehouse, table):
    shuffled = "(2, 'b', 3, [STRUCT(2), STRUCT(3)]), (2, 'a', NULL, []), (1, 'a', 1.5, [STRUCT(1)])"
    found = compare(DATASET, table("live"), table("shadow", shuffled), warehouse)
    assert found.is_same
    assert (found.live_rows, found.shadow_rows, found.only_live, found.only_shadow) == (3, 3, 0, 0)
    assert [column.name for column in found.columns] == ["id", "part", "amount", "r", "_extra"]
    assert all(column.live_checksum == column.shadow_checksum for column in found.columns)
    assert Comparison.from_json(found.to_json()) == found


def test_what_differs_is_counted_for_each_column(warehouse, table):
    changed = "(1, 'a', 1.6, [STRUCT(1)]), (2, 'a', 0, []), (2, 'b', 3, [STRUCT(3), STRUCT(2)])"
    found = compare(DATASET, table("live"), table("shadow", changed), warehouse)
    assert differing(found) == {"amount": 2, "r": 1}
    sums = {column.name: column.live_checksum == column.shadow_checksum for column in found.columns}
    assert sums == {"id": True, "part": True, "amount": False, "r": False, "_extra": True}
    assert not found.is_same


def test_values_that_change_places_do_not_cancel_out(warehouse, table):
    live = table("live", "(1, 'a', 1, []), (2, 'a', 2, [])")
    found = compare(DATASET, live, table("shadow", "(1, 'a', 2, []), (2, 'a', 1, [])"), warehouse)
    amount = next(column for column in found.columns if column.name == "amount")
    assert amount.live_checksum != amount.shadow_checksum


def test_keys_of_one_side_are_counted_and_shown(warehouse, table):
    live = table("live", ", ".join(f"({n}, 'a', 1, [])" for n in range(9)))
    shadow = table("shadow", "(8, 'a', 1, []), (10, 'a', 1, [])")
    found = compare(DATASET, live, shadow, warehouse)
    assert (found.only_live, found.only_shadow) == (8, 1)
    assert list(found.examples) == [f'{{"id":{n},"part":"a"}}' for n in range(5)]
    assert differing(found) == {}


def test_tombstones_are_no_rows(warehouse, table):
    live, shadow = table("live"), table("shadow")
    sql = f"UPDATE {live.sql} SET _deleted_at = CURRENT_TIMESTAMP() WHERE id = 1"
    warehouse.run(sql, kind="test", key=f"delete in {live}")
    found = compare(DATASET, live, shadow, warehouse)
    assert (found.live_rows, found.live_tombstones, found.shadow_tombstones) == (2, 1, 0)
    assert found.only_shadow == 1


def test_columns_of_another_shape_are_named_and_not_compared(warehouse, table):
    shadow_fields = (*FIELDS[:2], replace(FIELDS[2], type="STRING"), Field("more", "STRING"))
    shadow = table("shadow", "(1, 'a', '1.5', 'x')", shadow_fields)
    found = compare(DATASET, table("live", "(1, 'a', 1.5, [])"), shadow, warehouse)
    assert found.reshaped == (
        "amount becomes STRING, was NUMERIC",
        "more STRING is new",
        "r is gone",
    )
    assert [column.name for column in found.columns] == ["id", "part", "_extra"]
    assert not found.is_same


def test_empty_tables_are_the_same(warehouse, table):
    found = compare(DATASET, table("live", ""), table("shadow", ""), warehouse)
    assert found.is_same
    assert {column.live_checksum for column in found.columns} == {None}


def test_hostile_names_are_quoted():
    names = [TableName("p", "d", name) for name in ("a`b", "a\\b")]
    sql = comparison_sql(["se`lect"], ["from", "x\\"], *names)
    assert sqlglot.parse_one(sql, read="bigquery").find(sqlglot.exp.Join)
