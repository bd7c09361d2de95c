from __future__ import annotations

from dataclasses import replace

import pytest
import sqlglot

from tideline.errors import SchemaEvolutionError
from tideline.warehouse.evolution import evolve
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import Field, Layout

TABLE = TableName("p", "d", "t")
KEY = Field("id", "INT64", "REQUIRED")


def change(current, wanted, **layout):
    return evolve(current, Layout(tuple(wanted), **layout), TABLE)


def record(*fields, name="r", mode="NULLABLE"):
    return Field(name, "RECORD", mode, fields=fields)


def numeric(precision=None, scale=None, name="n", kind="NUMERIC"):
    return Field(name, kind, precision=precision, scale=scale)


def test_same_schema_changes_nothing():
    fields = (KEY, Field("a", "STRING", description="A."), record(Field("x", "STRING")))
    evolution = change(fields, fields)
    assert (evolution.fields, evolution.changes, evolution.statements(TABLE)) == (fields, (), ())


@pytest.mark.parametrize("mode", ["NULLABLE", "REPEATED"])
def test_column_is_added_at_the_end(mode):
    evolution = change((KEY, Field("z", "STRING")), (KEY, Field("new", "DATE", mode), Field("z", "STRING")))
    assert [field.name for field in evolution.fields] == ["id", "z", "new"]
    assert evolution.fields[-1].mode == mode
    assert evolution.statements(TABLE) == ()


def test_required_column_is_added_nullable():
    assert change((KEY,), (KEY, Field("new", "STRING", "REQUIRED"))).fields[-1].mode == "NULLABLE"


def test_field_is_added_inside_records_at_their_end():
    current = record(Field("x", "STRING"), record(Field("deep", "STRING"), name="inner", mode="REPEATED"))
    wanted = record(
        Field("new", "STRING"),
        record(Field("deeper", "INT64"), Field("deep", "STRING"), name="inner", mode="REPEATED"),
        Field("x", "STRING"),
    )
    (evolved,) = change((current,), (wanted,)).fields
    assert [field.name for field in evolved.fields] == ["x", "inner", "new"]
    assert [field.name for field in evolved.fields[1].fields] == ["deep", "deeper"]
    assert change((current,), (wanted,)).statements(TABLE) == ()


def test_required_is_relaxed_and_never_tightened():
    relaxed = change((KEY,), (Field("id", "INT64"),))
    assert (relaxed.fields[0].mode, relaxed.changes) == ("NULLABLE", ("relax id",))
    assert change((Field("id", "INT64"),), (KEY,)).changes == ()


def test_column_that_left_the_catalog_stays_and_may_be_null():
    evolution = change((KEY, Field("gone", "STRING", "REQUIRED"), record(Field("x", "STRING"))), (KEY,))
    assert [(field.name, field.mode) for field in evolution.fields] == [
        ("id", "REQUIRED"),
        ("gone", "NULLABLE"),
        ("r", "NULLABLE"),
    ]


def test_names_are_compared_without_case_and_kept():
    evolution = change((Field("Id", "INT64"),), (Field("ID", "INT64"),))
    assert (evolution.fields[0].name, evolution.changes) == ("Id", ())


def test_description_is_updated_and_never_removed():
    old = Field("a", "STRING", description="Old.")
    assert change((old,), (Field("a", "STRING", description="New."),)).fields[0].description == "New."
    assert change((old,), (Field("a", "STRING"),)).changes == ()


WIDER = [
    (Field("n", "INT64"), numeric()),
    (Field("n", "INT64"), numeric(19, 0)),
    (Field("n", "INT64"), numeric(kind="BIGNUMERIC")),
    (Field("n", "INT64"), Field("n", "FLOAT64")),
    (numeric(), numeric(kind="BIGNUMERIC")),
    (numeric(), Field("n", "FLOAT64")),
    (numeric(12, 2), numeric()),
    (numeric(12, 2), numeric(13, 2)),
    (numeric(12, 2), numeric(14, 4)),
    (numeric(12, 2), numeric(40, 20, kind="BIGNUMERIC")),
    (numeric(40, 20, kind="BIGNUMERIC"), numeric(kind="BIGNUMERIC")),
]


@pytest.mark.parametrize(("old", "new"), WIDER, ids=lambda field: field.type_sql)
def test_type_is_widened_by_a_statement(old, new):
    evolution = change((KEY, old), (KEY, new))
    assert evolution.fields[1] == new
    (statement,) = evolution.statements(TABLE)
    assert statement == f"ALTER TABLE `p`.`d`.`t` ALTER COLUMN `n` SET DATA TYPE {new.type_sql}"


def test_nested_type_is_widened_with_its_whole_column():
    evolution = change(
        (record(numeric(5, 1), Field("x", "STRING"), mode="REPEATED"),),
        (record(numeric(7, 1), mode="REPEATED"),),
    )
    assert evolution.statements(TABLE) == (
        "ALTER TABLE `p`.`d`.`t` ALTER COLUMN `r` SET DATA TYPE ARRAY<STRUCT<`n` NUMERIC(7, 1), `x` STRING>>",
    )


def test_a_statement_that_widens_inside_a_record_adds_nothing_to_it():
    """BigQuery adds fields to records through its API only."""
    inner = record(numeric(5, 1), name="inner", mode="REPEATED")
    wider = record(Field("new", "STRING"), numeric(7, 1), name="inner", mode="REPEATED")
    evolution = change((record(inner),), (record(Field("first", "DATE"), wider),))
    assert evolution.statements(TABLE) == (
        "ALTER TABLE `p`.`d`.`t` ALTER COLUMN `r` SET DATA TYPE "
        "STRUCT<`inner` ARRAY<STRUCT<`n` NUMERIC(7, 1)>>>",
    )
    assert evolution.fields == (
        record(
            record(numeric(7, 1), Field("new", "STRING"), name="inner", mode="REPEATED"),
            Field("first", "DATE"),
        ),
    )
    assert evolution.changes == (
        "widen r.inner.n from NUMERIC(5, 1) to NUMERIC(7, 1)",
        "add r.inner.new STRING",
        "add r.first DATE",
    )


REFUSED = [
    (Field("n", "STRING"), Field("n", "INT64")),
    (Field("n", "INT64"), Field("n", "STRING")),
    (Field("n", "INT64"), numeric(18, 0)),
    (Field("n", "FLOAT64"), numeric()),
    (numeric(), numeric(12, 2)),
    (numeric(12, 2), numeric(12, 3)),
    (numeric(12, 2), numeric(13, 4)),
    (numeric(kind="BIGNUMERIC"), numeric()),
    (numeric(kind="BIGNUMERIC"), Field("n", "FLOAT64")),
    (Field("n", "DATE"), Field("n", "TIMESTAMP")),
    (Field("n", "STRING"), Field("n", "STRING", "REPEATED")),
    (Field("n", "STRING", "REPEATED"), Field("n", "STRING")),
    (Field("n", "JSON"), record(Field("x", "STRING"), name="n")),
    (record(Field("x", "STRING"), name="n"), record(Field("x", "INT64"), name="n")),
]


@pytest.mark.parametrize(("old", "new"), REFUSED, ids=lambda field: field.type_sql)
def test_anything_else_is_refused_with_the_statement_a_person_would_run(old, new):
    with pytest.raises(SchemaEvolutionError) as caught:
        change((KEY, old), (KEY, new), partition_column="id", granularity="day", clustering=("id",))
    error = caught.value
    assert "`n`" in str(error)
    assert error.place == "table p.d.t"
    statement = error.remedy.partition("or run: ")[2].partition(";")[0]
    assert statement.startswith(
        "CREATE OR REPLACE TABLE `p`.`d`.`t` PARTITION BY INT64_TRUNC(`id`, DAY) CLUSTER BY `id`"
    )
    sqlglot.parse_one(statement, read="bigquery")
    assert "replay" in error.remedy


@pytest.mark.parametrize("kind", ["STRING", "JSON"])
def test_a_table_whose_key_gets_another_type_is_put_aside(kind):
    """A row whose key cannot be cast would be there for ever, under no key."""
    with pytest.raises(SchemaEvolutionError) as caught:
        change((KEY,), (replace(KEY, type=kind),), key=("ID",), clustering=("id",))
    assert "run: ALTER TABLE `p`.`d`.`t` RENAME TO `t__old`; then replay" in caught.value.remedy


def test_statement_casts_scalars_and_drops_the_rest():
    def statement(old, new):
        with pytest.raises(SchemaEvolutionError) as caught:
            change((old,), (new,))
        return caught.value.remedy

    exact = "SAFE_CAST(SAFE_CAST(`n` AS INT64) AS STRING) = `n`"
    assert f"* REPLACE (IF({exact}, SAFE_CAST(`n` AS INT64), NULL) AS `n`)" in statement(
        Field("n", "STRING"), Field("n", "INT64")
    )
    assert "* EXCEPT (`n`)" in statement(Field("n", "STRING"), Field("n", "STRING", "REPEATED"))
    assert "* EXCEPT (`n`)" in statement(Field("n", "STRING"), numeric(12, 2))
    for old, new in [
        ("STRING", "JSON"),
        ("JSON", "STRING"),
        ("INT64", "DATE"),
        ("BOOL", "FLOAT64"),
        ("BYTES", "INT64"),
    ]:
        assert "* EXCEPT (`n`)" in statement(Field("n", old), Field("n", new)), "BigQuery has no such cast"
    for old, new in [
        ("BOOL", "INT64"),
        ("DATE", "TIMESTAMP"),
        ("BYTES", "STRING"),
        ("FLOAT64", "BIGNUMERIC"),
    ]:
        assert "* REPLACE (IF(SAFE_CAST(" in statement(Field("n", old), Field("n", new))
    exact = "SAFE_CAST(SAFE_CAST(`n` AS INT64) AS NUMERIC) = `n`"
    assert f"* REPLACE (IF({exact}," in statement(numeric(12, 2), Field("n", "INT64"))
