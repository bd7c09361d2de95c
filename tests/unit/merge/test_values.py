from __future__ import annotations

import pytest
import sqlglot

from tideline.merge.values import converted
from tideline.warehouse.schema import Field


def record(*fields, mode="NULLABLE"):
    return Field("r", "RECORD", mode, fields=fields)


A, B = Field("a", "STRING"), Field("b", "INT64")
TEXT, JSON = Field("j", "STRING"), Field("j", "JSON")


@pytest.mark.parametrize(
    "field", [A, Field("a", "STRING", "REPEATED"), record(A, B), record(A, mode="REPEATED")]
)
def test_what_is_the_same_is_taken_as_it_is(field):
    assert converted("l.`x`", field, field) == "l.`x`"


def test_names_are_compared_without_case():
    assert converted("l.`x`", record(A), record(Field("A", "STRING"))) == "l.`x`"


def test_json_is_parsed_exactly_or_kept_as_its_text():
    assert converted("l.`j`", TEXT, JSON) == (
        "IF(l.`j` IS NULL, NULL, COALESCE("
        "SAFE.PARSE_JSON(l.`j`, wide_number_mode => 'exact'), TO_JSON(l.`j`)))"
    )


def test_record_takes_the_tables_order():
    assert converted("l.`r`", record(A, B), record(B, A)) == (
        "IF(l.`r` IS NULL, NULL, STRUCT(l.`r`.`b` AS `b`, l.`r`.`a` AS `a`))"
    )


def test_field_that_left_the_catalog_is_null_of_its_type():
    gone = Field("gone", "RECORD", "REPEATED", fields=(Field("n", "NUMERIC", precision=9, scale=2),))
    assert converted("l.`r`", record(A), record(A, gone)) == (
        "IF(l.`r` IS NULL, NULL, STRUCT(l.`r`.`a` AS `a`, "
        "CAST(NULL AS ARRAY<STRUCT<`n` NUMERIC>>) AS `gone`))"
    )


def test_array_keeps_its_order():
    assert converted("l.`r`", record(A, B, mode="REPEATED"), record(B, A, mode="REPEATED")) == (
        "ARRAY(SELECT AS STRUCT _item0.`b` AS `b`, _item0.`a` AS `a` "
        "FROM UNNEST(l.`r`) AS _item0 WITH OFFSET AS _offset0 ORDER BY _offset0)"
    )


def test_arrays_inside_arrays_have_items_of_their_own():
    inner = Field("deep", "RECORD", "REPEATED", fields=(TEXT,))
    wanted = Field("deep", "RECORD", "REPEATED", fields=(JSON,))
    text = converted("l.`r`", record(inner, mode="REPEATED"), record(wanted, mode="REPEATED"))
    assert "UNNEST(_item0.`deep`) AS _item1 WITH OFFSET AS _offset1" in text
    sqlglot.parse_one(f"SELECT {text} AS r FROM l", read="bigquery")


def test_record_inside_a_record_may_be_null():
    text = converted("l.`r`", record(record(A, B)), record(record(B, A)))
    assert "IF(l.`r`.`r` IS NULL, NULL, STRUCT(l.`r`.`r`.`b`" in text
