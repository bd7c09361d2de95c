from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import expressions as exp

from tideline.settings import Settings
from tideline.warehouse import names


def test_tables_are_spelt_with_the_deployments_prefix():
    settings = Settings(project="acme", dataset_prefix="dev_")
    assert str(names.ops_table(names.LEDGER, settings)) == "acme.dev_tideline_ops.load_ledger"
    assert names.ops_table("t", settings).sql == "`acme`.`dev_tideline_ops`.`t`"


def test_a_table_beside_another_says_when_it_was_named():
    table, noon = names.TableName("p", "d", "orders"), datetime(2026, 3, 14, 12, 0, 5, 123, tzinfo=UTC)
    before = names.beside(table, "before", noon.astimezone(timezone(timedelta(hours=1))))
    assert before.table == "orders__before_20260314T120005000123Z"
    assert names.instant_beside(table, "before", before.table) == noon
    instant = before.table.removeprefix("orders__before_")
    others = ("orders", f"orders__shadow_{instant}", "orders__before_", "orders__before_x", instant)
    for name in (*others, f"my_{before.table}", f"{before.table}_2"):
        assert names.instant_beside(table, "before", name) is None, name


def test_job_ids_differ_by_everything_that_makes_a_job():
    one = Settings(project="p")
    ids = {
        names.job_id(kind, key, number, settings)
        for kind in ("merge", "load")
        for key in ("a", "b")
        for number in (1, 2)
        for settings in (one, Settings(project="q"), Settings(project="p", dataset_prefix="x_"))
    }
    assert len(ids) == 24
    assert names.job_id("merge", "a", 1, one) == names.job_id("merge", "a", 1, Settings(project="p"))
    assert max(map(len, ids)) < 1024


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40))
def test_literals_and_identifiers_survive_any_text(text):
    (tree,) = sqlglot.parse(f"SELECT {names.literal(text)} AS a", read="bigquery")
    found = tree.find(exp.Literal)
    assert found is not None
    assert found.this == text


@pytest.mark.parametrize("name", ["a`b", "a\\b", "a\\`; DROP TABLE t --", "select", "naïve"])
def test_quoted_identifier_is_one_identifier(name):
    (tree,) = sqlglot.parse(f"SELECT {names.quote(name)} FROM t", read="bigquery")
    (column,) = tree.find_all(exp.Column)
    assert tree.find(exp.Drop) is None
    assert column.table == ""


def test_labels_hold_only_what_labels_may():
    given = {"run": "Scheduled__2026-03-01T00:00:00+00:00", "long": "x" * 100}
    labels = names.labels(Settings(environment="prod"), given)
    assert labels == {
        "app": "tideline",
        "environment": "prod",
        "run": "scheduled__2026-03-01t00_00_00_00_00",
        "long": "x" * 63,
    }


def test_a_table_beside_another_is_named_after_it_and_the_instant_in_utc():
    instant = datetime(2026, 1, 31, 16, 5, 2, 7, tzinfo=timezone(timedelta(hours=2)))
    found = names.beside(names.TableName("p", "d", "orders"), "shadow", instant)
    assert found == names.TableName("p", "d", "orders__shadow_20260131T140502000007Z")
