"""Columns: types, decimals, records, names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from tideline.catalog.column import METADATA_COLUMNS, RESERVED_PREFIXES, Column, MisdeclaredError, refuse


def column(**keys: Any) -> Column:
    return Column.model_validate({"name": "x", "type": "string", **keys})


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("numeric", ("numeric", 38, 9)),
        ("numeric(12)", ("numeric", 12, 0)),
        (" NUMERIC ( 12 , 2 ) ", ("numeric", 12, 2)),
        ("numeric(38, 9)", ("numeric", 38, 9)),
        ("numeric(9, 9)", ("numeric", 9, 9)),
        ("bignumeric", ("bignumeric", 76, 38)),
        ("bignumeric(38, 0)", ("bignumeric", 38, 0)),
        ("bignumeric(76,38)", ("bignumeric", 76, 38)),
        ("String", ("string", None, None)),
    ],
)
def test_types(type_: str, expected: tuple[str, int | None, int | None]) -> None:
    read = column(type=type_)
    assert (read.type, read.precision, read.scale) == expected


@pytest.mark.parametrize(
    "type_",
    [
        "numeric(0)",
        "numeric(30, 0)",
        "numeric(39, 9)",
        "numeric(12, 10)",
        "numeric(2, 3)",
        "numeric(0, 0)",
        "bignumeric(39)",
        "bignumeric(77, 38)",
        "bignumeric(76, 39)",
        "date(3)",
        "string(0)",
        "record(1)",
    ],
)
def test_digits_that_bigquery_refuses(type_: str) -> None:
    with pytest.raises(ValidationError, match="found "):
        column(type=type_, columns=[column()] if type_.startswith("record") else [])


@pytest.mark.parametrize(
    "type_", ["", "numeric(", "numeric(12", "numeric(a, b)", "numeric(99999, 2)", "int", 7, None]
)
def test_types_that_are_none(type_: object) -> None:
    with pytest.raises(ValidationError, match="Input should be"):
        column(type=type_)


@pytest.mark.parametrize(
    "keys",
    [
        {"type": "numeric", "scale": 2},
        {"type": "numeric", "precision": 12, "scale": -1},
        {"type": "string", "precision": 3},
        {"type": "record"},
        {"type": "string", "columns": [{"name": "a", "type": "string"}]},
        {"type": "float64", "integral_doubles": True},
        {"repeated": True, "nullable": False},
        {"type": "record", "columns": [{"name": "a", "type": "date"}, {"name": "A", "type": "date"}]},
        {"field": ""},
        {"surprise": 1},
    ],
    ids=repr,
)
def test_keys_that_do_not_go_together(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        column(**keys)


def test_digits_given_apart_are_those_of_python_code() -> None:
    assert column(type="numeric", precision=12).decimal == (12, 0)
    with pytest.raises(TypeError, match="x is string, not a decimal"):
        _ = column().decimal


def test_the_field_is_the_name_where_it_is_not_given() -> None:
    assert (column().field, column(field="weird.$name \u00e9").field) == ("x", "weird.$name \u00e9")


@pytest.mark.parametrize("prefix", RESERVED_PREFIXES)
def test_reserved_names_in_any_case(prefix: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"begin with {prefix}")):
        column(name=f"{prefix.upper()}x")


@pytest.mark.parametrize("name", ["_l", "_S", "_t", "_item0", "_Offset12"])
def test_names_of_tables_in_a_merge(name: str) -> None:
    with pytest.raises(ValidationError, match="call a table so"):
        column(name=name)


@pytest.mark.parametrize("name", ["l", "s", "t", "_table", "item0", "_item", "_offset_0", "__t"])
def test_names_that_are_like_them_are_free(name: str) -> None:
    assert column(name=name).name == name


def test_a_nested_column_may_be_called_as_a_metadata_column_is() -> None:
    nested = column(type="record", columns=[column(name=name) for name in METADATA_COLUMNS])
    assert nested.size == 1 + len(METADATA_COLUMNS)


def test_depth_and_size_count_what_is_nested() -> None:
    inner = column(type="record", columns=[column(), column(name="y")])
    outer = column(name="z", type="record", columns=[inner])
    assert [(each.depth, each.size) for each in (column(), inner, outer)] == [(0, 1), (1, 3), (2, 4)]


def test_a_column_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        column().name = "y"  # type: ignore[misc]
    assert (column().nullable, column().required().nullable) == (True, False)


def test_findings_are_raised_together() -> None:
    refuse([])
    with pytest.raises(MisdeclaredError, match=r"a\.0: one; b: two"):
        refuse([(("a", 0), "one"), (("b",), "two")])
