"""What a text becomes in each column type, and what it is refused as."""

from __future__ import annotations

import base64
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.catalog.model import Column
from tideline.refine.contract import micros
from tideline.refine.csv_values import FIRST_INSTANT, LAST_INSTANT, converter
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from decimal import Decimal


def convert(kind: str, text: str, **fields: Any) -> Any:
    return converter(Column(name="c", type=kind, **fields))(text)


def reason(kind: str, text: str, **fields: Any) -> str:
    with pytest.raises(ConformError) as caught:
        convert(kind, text, **fields)
    assert len(caught.value.detail) <= 200
    return caught.value.reason


def outcome(kind: str, text: str) -> Any:
    """The value, or the reason why there is none."""
    try:
        return convert(kind, text)
    except ConformError as error:
        return error.reason


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("0", 0), ("-0", 0), ("+7", 7), (" 12\t", 12), ("007", 7), ("9007199254740993", 9007199254740993)],
        *[("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("0" * 5000 + "5", 5)],
    ],
)
def test_int64(text: str, value: int) -> None:
    assert convert("int64", text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [("9223372036854775808", "out_of_range"), ("-9223372036854775809", "out_of_range")]
    + [("1" * 5000, "out_of_range"), ("1.0", "not_integral"), ("1e3", "not_integral"), ("1.", "not_integral")]
    + [
        (text, "bad_number")
        for text in ("0x1F", "1_000", "1,000", "\u0663", "\uff15", "--1", "1 2", "abc", "\v1", "\xa01")
    ],
)
def test_int64_refuses(text: str, why: str) -> None:
    assert reason("int64", text) == why


def test_int64_takes_whole_doubles_where_declared() -> None:
    assert convert("int64", "5.000", integral_doubles=True) == 5
    assert convert("int64", "-5.", integral_doubles=True) == -5
    assert reason("int64", "5.5", integral_doubles=True) == "not_integral"
    assert reason("int64", "1e3", integral_doubles=True) == "not_integral"


@pytest.mark.parametrize(
    "text", ["0", "-0.0", ".5", "5.", "1E+5", "+1e-5", " 2.5 ", "1e-400", "0.1", "1.7e308"]
)
def test_float64(text: str) -> None:
    assert convert("float64", text) == float(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [(text, "not_finite") for text in ("nan", "NaN", "-inf", "+Infinity", "INF")]
    + [("1e400", "out_of_range"), ("-1e309", "out_of_range")]
    + [(text, "bad_number") for text in ("", ".", "1e", "0x1p3", "1_0", "1,5", "nan(1)", "e5", "$1", "5%")],
)
def test_float64_refuses(text: str, why: str) -> None:
    assert reason("float64", text) == why


@pytest.mark.parametrize(
    ("text", "unscaled"),
    [
        *[
            ("1", 100),
            ("-12.50", -1250),
            ("+.5", 50),
            ("5.", 500),
            ("1.5000000000000000000000000000000", 150),
        ],
        *[("9999999999.99", 999999999999), ("1e2", 10000), ("125E-2", 125), ("0e99999999999999999999", 0)],
        *[("-0", 0), ("0" * 5000 + "1.1", 110), (" 1 ", 100)],
    ],
)
def test_numeric(text: str, unscaled: int) -> None:
    assert convert("numeric(12,2)", text) == unscaled


@pytest.mark.parametrize(
    ("text", "why"),
    [("1.005", "decimal_scale"), ("1e-3", "decimal_scale"), ("10000000000", "decimal_overflow")]
    + [("1e99999999999999999999", "decimal_overflow"), ("9" * 5000, "decimal_overflow")]
    + [("1e-99999999999999999999", "decimal_scale"), ("NaN", "not_finite"), ("Infinity", "not_finite")]
    + [(text, "bad_number") for text in ("", ".", "$5", "1,5", "1_0", "0x10", "sNaN", "\uff11")],
)
def test_numeric_refuses(text: str, why: str) -> None:
    assert reason("numeric(12,2)", text) == why


def test_bignumeric_is_exact_to_its_last_digit() -> None:
    text = "1" * 38 + "." + "2" * 37 + "3"
    assert convert("bignumeric", text) == int(text.replace(".", ""))
    assert reason("bignumeric", text + "1") == "decimal_scale"


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(1, 38), st.integers(0, 9))
def test_numeric_is_what_decimal_says(number: Decimal, precision: int, scale: int) -> None:
    precision = max(min(precision, 29 + scale), scale, 1)
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    whole = int("".join(map(str, digits)))
    shift = exponent + scale
    exact = whole * 10**shift if shift >= 0 else whole // 10**-shift
    fits = (shift >= 0 or whole % 10**-shift == 0) and exact < 10**precision
    found = outcome(f"numeric({precision},{scale})", str(number))
    assert found == (-exact if sign else exact) if fits else found in ("decimal_scale", "decimal_overflow")


@pytest.mark.parametrize("word", ["true", "TRUE", "True", "tRuE", "t", "T", "yes", "Yes", "y", "1", " true "])
def test_bool_true(word: str) -> None:
    assert convert("bool", word) is True


@pytest.mark.parametrize("word", ["false", "FALSE", "f", "no", "N", "0", "\tf"])
def test_bool_false(word: str) -> None:
    assert convert("bool", word) is False


@pytest.mark.parametrize("word", ["on", "off", "2", "-1", "tru", "", "true false", "ja", "1.0"])
def test_bool_refuses(word: str) -> None:
    assert reason("bool", word) == "bad_bool"


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31", " 2026-01-31"]
)
def test_date(text: str) -> None:
    assert convert("date", text) == (date.fromisoformat(text.strip()) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("text", "why"),
    [("0000-01-01", "out_of_range"), ("10000-01-01", "out_of_range"), ("-2020-01-01", "out_of_range")]
    + [
        (text, "bad_date")
        for text in ("2023-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "20260131", "31/01/2026")
    ]
    + [(text, "bad_date") for text in ("2026-01-31T00:00", "2026-01-31Z", "", "2026-W05-6", "2026-031")],
)
def test_date_refuses(text: str, why: str) -> None:
    assert reason("date", text) == why


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-01-31 14", "2026-01-31T14:00:00"),
        ("2026-01-31T14:05", "2026-01-31T14:05:00"),
        ("2026-01-31T14:05:06", "2026-01-31T14:05:06"),
        ("2026-01-31 14:05:06.5", "2026-01-31T14:05:06.500000"),
        ("2026-01-31 14:05:06.123456", "2026-01-31T14:05:06.123456"),
        ("2026-01-31T14:05:06.1234560000Z", "2026-01-31T14:05:06.123456"),
        ("2026-01-31T14:05:06Z", "2026-01-31T14:05:06"),
        ("2026-01-31 14:05:06 UTC", "2026-01-31T14:05:06"),
        ("2026-01-31 14:05:06.25+01:00", "2026-01-31T13:05:06.250000"),
        ("2026-01-31 14:05:06 -0530", "2026-01-31T19:35:06"),
        ("2026-01-31 14:05+02", "2026-01-31T12:05:00"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59.999999", "9999-12-31T23:59:59.999999"),
        ("\t2024-02-29 00:00:00 ", "2024-02-29T00:00:00"),
    ],
)
def test_timestamp(text: str, iso: str) -> None:
    assert convert("timestamp", text) == micros(datetime.fromisoformat(iso).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T14:05:06.1234567", "inexact"),
        ("0000-12-31T23:59:59", "out_of_range"),
        ("10000-01-01T00:00:00Z", "out_of_range"),
        ("0001-01-01T00:00:00+00:01", "out_of_range"),
        ("9999-12-31T23:59:59-00:01", "out_of_range"),
        ("2026-02-29T00:00:00", "bad_timestamp"),
        *[
            (f"2026-01-31T{rest}", "bad_timestamp")
            for rest in ("24:00", "23:60", "23:59:60", "1:00", "", "12:00:00.")
        ],
        *[
            (f"2026-01-31T12:00:00{zone}", "bad_timestamp")
            for zone in ("z", "+24:00", "+01:60", "CET", "  Z", "+1")
        ],
        *[
            (text, "bad_timestamp")
            for text in ("", "1769868306", "31.01.2026 14:05", "20260131T140506", "2026-01-31Z")
        ],
        ("2026-01-31T12:00:00,5", "bad_timestamp"),
    ],
)
def test_timestamp_refuses(text: str, why: str) -> None:
    assert reason("timestamp", text) == why


@given(st.datetimes(timezones=st.timezones(no_cache=True)))
def test_timestamp_reads_every_instant_that_python_writes(instant: datetime) -> None:
    offset = instant.utcoffset()
    assert offset is not None
    if offset.total_seconds() % 60 == 0:
        found = outcome("timestamp", instant.isoformat())
        assert found == (
            micros(instant) if FIRST_INSTANT <= micros(instant) <= LAST_INSTANT else "out_of_range"
        )


@pytest.mark.parametrize(
    "text", ['{"a": [1, 2.5e3, null]}', "[]", '"x"', " 1 ", "true", '{"a":1,"a":2}', '"\\ud83d\\ude00"']
)
def test_json_is_kept_as_it_is(text: str) -> None:
    assert convert("json", text) == text.encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (text, "bad_json")
        for text in ("{", "{'a': 1}", "NaN", "[Infinity]", "1e999", '{"a":1}x', "01", '"\\ud83d"', "")
    ]
    + [
        ("[" * 200 + "]" * 200, "too_deep"),
        ("[" * 200_000, "too_deep"),
        ('{"a":' * 200 + "1" + "}" * 200, "too_deep"),
    ],
)
def test_json_refuses(text: str, why: str) -> None:
    assert reason("json", text) == why


def test_json_counts_depth_not_brackets() -> None:
    text = "[" + ",".join(["[]"] * 500) + "]"
    assert convert("json", text) == text.encode()


@given(st.binary(max_size=100))
def test_bytes_are_base64(content: bytes) -> None:
    assert convert("bytes", f" {base64.b64encode(content).decode()} ") == content


@pytest.mark.parametrize("text", ["a", "YQ", "YQ=", "Y Q=", "YQ==YQ==", "ä", "_-8="])
def test_bytes_refuses(text: str) -> None:
    assert reason("bytes", text) == "bad_base64"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_string_is_kept_as_it_is(text: str) -> None:
    assert convert("string", text) == text.encode()


def test_the_docstring_names_every_type_and_reason() -> None:
    from tideline.refine import csv_values

    text = csv_values.__doc__ or ""
    kinds = {
        "int64",
        "float64",
        "numeric",
        "bignumeric",
        "bool",
        "date",
        "timestamp",
        "json",
        "bytes",
        "string",
    }
    assert kinds <= set(re.findall(r"\w+", text))


def test_the_docs_have_the_same_table() -> None:
    from tideline.refine import csv_values

    def rows(text: str) -> list[list[str]]:
        lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line] for line in lines]

    docs = (Path(__file__).parents[3] / "docs" / "catalog.md").read_text()
    told = rows(docs[docs.index("### Values in a CSV") : docs.index("A timestamp is a date")])
    defined = rows(csv_values.__doc__ or "")
    assert [row[:2] for row in told] == [row[:2] for row in defined]
    for one, other in zip(told, defined, strict=True):
        assert one[2].startswith(other[2].removesuffix(", …"))
