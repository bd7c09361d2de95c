"""CSV records that cannot conform: each costs itself only, and is named with place, column and reason."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tideline.catalog.model import CsvDialect
from tideline.refine import csv_arrow
from tideline.refine.csv import CsvLimits
from tideline.refine.csv_blocks import BlockLimits
from tideline.refine.csv_misread import FarExponent
from tideline.refine.inflate import InflateLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset

    Make = Callable[..., CsvDataset]
    Decode = Callable[..., Any]

TYPED = {
    "id": "int64",
    "title": "string",
    "price": "numeric(12,2)",
    "rate": "float64",
    "is_new": "bool",
    "launched_on": "date",
    "updated_at": "timestamp",
    "tags": "json",
    "blob": "bytes",
    "big": "bignumeric(50,20)",
    "count": {"type": "int64", "integral_doubles": True},
}
HEADER = ",".join(TYPED).encode() + b"\n"
GOOD = b'1,Shirt,12.50,0.25,true,2026-01-31,2026-01-31T14:05:06Z,"{""a"":1}",YQ==,1.5,7.0\n'
TINY = CsvLimits(BlockLimits(block_bytes=64), InflateLimits(piece_bytes=48))


@pytest.mark.parametrize(
    ("record", "reason", "column"),
    [
        (b"1", "field_count", ""),
        (b"1,a,b", "field_count", ""),
        (b"1,a,", "field_count", ""),
        (b" ", "field_count", ""),
        (b'1,"a', "unterminated_quote", ""),
        (b'1,5" pipe', "stray_quote", ""),
        (b'1, "a"', "stray_quote", ""),
        (b'1,"a" ', "stray_quote", ""),
        (b'1,"a"b"', "stray_quote", ""),
        (b"1,a\0b", "bad_utf8", ""),
        (b"1,\xff", "bad_utf8", ""),
        (b"1,\xed\xa0\x80", "bad_utf8", ""),
        (b"1,\xc0\xaf", "bad_utf8", ""),
        (b"x,a", "bad_number", "id"),
        (b"0x1F,a", "bad_number", "id"),
        (b"1.0,a", "not_integral", "id"),
        (b"9223372036854775808,a", "out_of_range", "id"),
        (b",a", "null_required", "id"),
        (b'"",a', "null_required", "id"),
        (b"  ,a", "null_required", "id"),
        (b"\xef\xbb\xbf1,a", "bad_number", "id"),
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("limits", [CsvLimits(), TINY], ids=["one block", "tiny blocks"])
def test_one_bad_record_costs_itself_only(
    csv_dataset: Make, decode: Decode, record: bytes, reason: str, column: str, limits: CsvLimits
) -> None:
    good = [b"%d,row %d" % (i, i) for i in range(20)]
    body = b"\n".join([b"id,name", *good[:10], record, *good[10:]]) + b"\n"
    found = decode(csv_dataset(), body, limits=limits)
    assert found.values("id") == list(range(20))
    (reject,) = found.rejects
    assert (reject.reason, reject.column, reject.position, reject.line) == (reason, column, 11, 12)
    assert (reject.raw, found.records) == (record, 21)
    assert reject.detail


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("price", "12.345", "decimal_scale"), ("price", "99999999999", "decimal_overflow"),
        ("price", "NaN", "not_finite"), ("price", "$5", "bad_number"), ("price", "999999999999",
        "decimal_overflow"),
        ("rate", "nan", "not_finite"), ("rate", "-inf", "not_finite"), ("rate", "1e400", "out_of_range"),
        ("rate", "abc", "bad_number"), ("is_new", "maybe", "bad_bool"),
        ("launched_on", "2026-02-30", "bad_date"), ("launched_on", "0000-01-01", "out_of_range"),
        ("updated_at", "2026-01-31T25:00", "bad_timestamp"), ("updated_at", "0000-06-01", "out_of_range"),
        ("updated_at", "9999-12-31T23:00:00-05:00", "out_of_range"),
        ("updated_at", "2026-01-31T00:00:00.0000001", "inexact"),
        ("tags", "{", "bad_json"), ("blob", "???", "bad_base64"),
        ("big", "1e45", "decimal_overflow"), ("big", "1e-21", "decimal_scale"), ("count", "1.5",
        "not_integral"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("others", [0, 40])
def test_one_bad_value(
    csv_dataset: Make, decode: Decode, column: str, text: str, reason: str, others: int
) -> None:
    row = {**dict.fromkeys(TYPED, ""), "id": "2", column: text}
    bad = ",".join(row.values()).encode() + b"\n"
    found = decode(csv_dataset(TYPED), HEADER + GOOD + bad + GOOD * others)
    assert len(found.rows) == 1 + others
    assert found.reasons == [(2, reason, column)]


def test_what_the_parser_is_too_strict_for_is_taken(csv_dataset: Make, decode: Decode) -> None:
    odd = b"+1,Shirt,1.5000000000000,1,Y ,2026-01-31, 2026-01-31 14:05:06.0000000 UTC,[],YQ==,+1.5,7\n"
    found = decode(csv_dataset(TYPED), HEADER + GOOD + odd + GOOD)
    assert not found.rejects
    assert found.values("_raw_position") == [1, 2, 3]
    middle = found.rows[1]
    assert (middle["id"], middle["price"], middle["is_new"]) == (1, Decimal("1.50"), True)
    assert middle["updated_at"] == datetime(2026, 1, 31, 14, 5, 6, tzinfo=UTC)


def test_timestamps_with_and_without_offsets_mix(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset({"id": "int64", "at": "timestamp"})
    texts = ["2026-01-31 12:00", "2026-01-31T13:00+01:00", "2026-01-31", "2026-01-31T12:00Z"] * 50
    body = "id,at\n" + "".join(f"{i},{text}\n" for i, text in enumerate(texts))
    found = decode(dataset, body.encode(), limits=TINY)
    noon, midnight = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC)
    assert found.values("at") == [noon, noon, midnight, noon] * 50


def test_a_column_is_given_back_to_the_parser_after_a_while(csv_dataset: Make, decode: Decode) -> None:
    body = b"id,name\nx,bad\n" + b"".join(b"%d,%s\n" % (i, b"n" * 50) for i in range(300)) + b"y,bad\n"
    found = decode(csv_dataset(), body, limits=TINY)
    assert found.values("id") == list(range(300))
    assert [position for position, *_ in found.reasons] == [1, 302]


def test_columns_that_may_not_be_null(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset({"id": "string", "n": {"type": "int64", "nullable": False}})
    found = decode(dataset, b"id,n\na,1\n,2\nc,\n")
    assert found.values("id") == ["a", ""]
    assert found.reasons == [(3, "null_required", "n")]


def test_an_unterminated_quote_at_the_end_is_one_reject(csv_dataset: Make, decode: Decode) -> None:
    found = decode(csv_dataset(), b'id,name\n1,a\n2,"never closed')
    assert found.values("id") == [1]
    assert found.reasons == [(2, "unterminated_quote", "")]


def test_an_unterminated_quote_does_not_swallow_good_rows(csv_dataset: Make, decode: Decode) -> None:
    rest = b"".join(b"%d,row\n" % i for i in range(2, 5000))
    found = decode(csv_dataset(), b'id,name\n1,"never closed\n' + rest)
    assert found.values("id") == list(range(2, 5000))
    assert found.reasons == [(1, "unterminated_quote", "")]


def test_many_bad_rows_of_all_kinds(csv_dataset: Make, decode: Decode) -> None:
    kinds = [b"x,a", b"1", b'1,5"', b"1,\xff", b"1,\0", b'1,"open', b"0x1,a", b"1,a,b"]
    body, expected = [b"id,name"], []
    for i in range(2000):
        bad = i % 5 == 0
        body.append(kinds[i // 5 % len(kinds)] if bad else b'%d,"a ""%d"""' % (i, i))
        expected += [] if bad else [i]
    found = decode(csv_dataset(), b"\n".join(body))
    assert found.values("id") == expected
    assert len(found.rejects) == 400
    assert {reject.raw for reject in found.rejects} == set(kinds)
    assert found.rows[0]["name"] == 'a "1"'


def test_a_field_of_any_length_is_refused_in_bounded_memory(csv_dataset: Make, decode: Decode) -> None:
    limits = CsvLimits(BlockLimits(1 << 12, 1 << 16), InflateLimits(piece_bytes=1 << 12))
    body = b"id,name\n1,a\n2," + b"x" * (1 << 22) + b"\n3,c\n"
    found = decode(csv_dataset(), gzip.compress(body), limits=limits)
    assert found.values("id") == [1, 3]
    (reject,) = found.rejects
    assert (reject.reason, reject.position, reject.line) == ("too_large", 2, 3)
    assert reject.raw.startswith(b"2,xxx")
    assert found.records == 3


def test_hexadecimal_texts_are_texts_and_no_integers(csv_dataset: Make, decode: Decode) -> None:
    body = b"id,name\n1,0xAB\n0x1F,a\n2,0Xab\n0X1F,b\n+3,x0\n"
    found = decode(csv_dataset(), body)
    assert found.values("name") == ["0xAB", "0Xab", "x0"]
    assert found.reasons == [(2, "bad_number", "id"), (4, "bad_number", "id")]


def test_all_records_are_read_one_by_one_where_the_parser_gives_up(
    csv_dataset: Make, decode: Decode, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = csv_arrow.ArrowReader.read

    def refuse(reader: csv_arrow.ArrowReader, data: bytes, **options: Any) -> csv_arrow.Parsed:
        if data:
            raise pa.ArrowInvalid("no")
        return read(reader, data, **options)

    monkeypatch.setattr(csv_arrow.ArrowReader, "read", refuse)
    found = decode(csv_dataset(), b'id,name,x\n1,"a\nb",y\nz,c,\n+3,d,e\n')
    assert [(row["id"], row["name"], row["_extra"]) for row in found.rows] == [
        (1, "a\nb", '{"x":"y"}'), (3, "d", '{"x":"e"}'),
    ]  # fmt: skip
    assert found.reasons == [(2, "bad_number", "id")]


def test_a_parser_that_miscounts_is_not_believed(
    csv_dataset: Make, decode: Decode, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = csv_arrow.ArrowReader.read

    def lose_the_last(reader: csv_arrow.ArrowReader, data: bytes, **options: Any) -> csv_arrow.Parsed:
        return read(reader, data[: data.rstrip(b"\n").rfind(b"\n") + 1], **options)

    monkeypatch.setattr(csv_arrow.ArrowReader, "read", lose_the_last)
    found = decode(csv_dataset(), b"id,name\n1,a\n2,b\nx,c\n")
    assert found.values("id") == [1, 2]
    assert found.reasons == [(3, "bad_number", "id")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[(text, "bad_number") for text in ("1e+-2", "1E+-0", "1e0x1", "1e+0X1", "1.5e+-9999999")],
        *[(text, "bad_number") for text in ("1e", "1e+", "+-1", "--1", ".e1", ".", "1e5.0")],
        *[
            (text, "decimal_scale")
            for text in ("1e-41", "1e-0041", "12345678901E-61", "1.5e-105", "+1.e-231")
        ],
        *[(text, "decimal_scale") for text in ("0.00000000000000000000000000000001e-9", "1e-600930")],
    ],
)
@pytest.mark.parametrize("form", ["%s", '"%s"', " %s "], ids=["bare", "quoted", "blanks"])
@pytest.mark.parametrize(
    "neighbour", [b"", b"3,1.5000000000000000000000000000000000\n"], ids=["", "neighbour"]
)
def test_numbers_that_the_parser_misreads(
    csv_dataset: Make, decode: Decode, text: str, reason: str, form: str, neighbour: bytes
) -> None:
    dataset = csv_dataset({"id": "int64", "price": "numeric(12,2)"})
    found = decode(dataset, b"id,price\n1," + (form % text).encode() + b"\n2,5\n" + neighbour)
    assert found.reasons == [(1, reason, "price")]
    assert found.values("price")[0] == 5


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("numeric", "11000009999999999999999990000000000"),
        ("numeric", "-11000009999999999999999990000000000"),
        ("bignumeric(38,10)", "11000009999999999999999990000000000"),
        ("bignumeric(38,10)", "1e30"),
        ("bignumeric(38,38)", "1"),
    ],
)
def test_decimals_that_overflow_within_the_parser_are_refused(
    csv_dataset: Make, decode: Decode, kind: str, text: str
) -> None:
    found = decode(csv_dataset({"id": "int64", "value": kind}), f"id,value\n1,{text}\n2,0.5\n".encode())
    assert found.reasons == [(1, "decimal_overflow", "value")]
    assert found.values("value") == [Decimal("0.5")]


@pytest.mark.parametrize("kind", ["numeric", "bignumeric(38,9)", "bignumeric(38,20)"])
def test_the_longest_decimals_are_taken(csv_dataset: Make, decode: Decode, kind: str) -> None:
    scale = 20 if "20" in kind else 9
    texts = ["9" * (38 - scale), "-" + "9" * (38 - scale), f"{'9' * (38 - scale)}.{'9' * scale}", "0.1"]
    body = "".join(f"{row},{text}\n" for row, text in enumerate(texts))
    dataset = csv_dataset({"id": "int64", "value": kind})
    for part in (body, "".join(body.splitlines(keepends=True)[:2])):
        found = decode(dataset, f"id,value\n{part}".encode())
        assert found.values("value") == [Decimal(text) for text in texts][: part.count("\n")]


@pytest.mark.parametrize("text", ["1e-2147483647", "1e+-2147483647", "999999999e-999999999"])
def test_a_far_exponent_does_not_end_the_process(csv_dataset: Make, decode: Decode, text: str) -> None:
    dataset = csv_dataset({"id": "int64", "price": "numeric(12,2)"})
    assert len(decode(dataset, f"id,price\n1,{text}\n".encode()).rejects) == 1


@pytest.mark.parametrize(
    "text",
    [
        *[
            "e-41",
            "one-41",
            "1e-5",
            "1e-05",
            "1.7976931348623157e-22",
            "a1e-41",
            "4-1e-41",
            "1e-41a",
            "1e-41-2",
        ],
        *["1b4e28ba-2fa1-11d2-883e-0016d3cca427", "1e-0000000000000005", "1e-41.5"],
    ],
)
@pytest.mark.parametrize("end", [b"\n", b""])
def test_only_numbers_count_as_far_exponents(text: str, end: bytes) -> None:
    assert not FarExponent(CsvDialect()).is_in(b"id,name\n1," + text.encode() + end)
