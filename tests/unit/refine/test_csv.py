"""Good CSV records end to end: what is taken, as what, from which place, in which dialect."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tideline.catalog.model import CsvDialect
from tideline.refine.contract import decoded_schema
from tideline.refine.csv import CsvLimits
from tideline.refine.csv_blocks import BlockLimits
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


def test_types(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset(TYPED)
    (decoded,) = decode(dataset, HEADER + GOOD).batches
    assert decoded.batch.schema == decoded_schema(dataset)
    assert decoded.batch.to_pylist() == [
        {
            "id": 1, "title": "Shirt", "price": Decimal("12.50"), "rate": 0.25, "is_new": True,
            "launched_on": date(2026, 1, 31), "updated_at": datetime(2026, 1, 31, 14, 5, 6, tzinfo=UTC),
            "tags": '{"a":1}', "blob": b"a", "big": Decimal("1.5"), "count": 7,
            "_extra": None, "_raw_position": 1,
        }
    ]  # fmt: skip


def test_empty_is_null_except_in_strings(csv_dataset: Make, decode: Decode) -> None:
    for row in (b"1,,,,,,,,,,\n", b'1,"","","","","","","","","",""\n'):
        (found,) = decode(csv_dataset(TYPED), HEADER + row).rows
        assert found.pop("title") == ""
        assert {name for name, value in found.items() if value is not None} == {"id", "_raw_position"}


@pytest.mark.parametrize("text", ["n/a", "NULL", "nan", " ", "None", "0x1F", "-", "ä€😀", "\ufeffx"])
def test_strings_are_kept_exactly(csv_dataset: Make, decode: Decode, text: str) -> None:
    assert decode(csv_dataset(), f"id,name\n1,{text}\n".encode()).values("name") == [text]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"id,name\r\n1,a\r\n2,b\r\n", [(1, "a"), (2, "b")]),
        (b"id,name\r1,a\r2,b", [(1, "a"), (2, "b")]),
        (b"id,name\n1,a\r\n2,b\r3,c\n", [(1, "a"), (2, "b"), (3, "c")]),
        (
            b'id,name\n1,"two\nlines"\n2,"two\r\nlines"\r\n3,"\r"\n',
            [(1, "two\nlines"), (2, "two\r\nlines"), (3, "\r")],
        ),
        (b'id,name\n1,"say ""hi"", she"\n2,""""\n', [(1, 'say "hi", she'), (2, '"')]),
        (b'"id","name"\n"1","a, b"\n', [(1, "a, b")]),
        (b"name,id\na,1\n", [(1, "a")]),
        (b"\xef\xbb\xbfid,name\n1,a\n", [(1, "a")]),
        (b'\xef\xbb\xbf"id",name\n1,a\n', [(1, "a")]),
        (b"\n\nid,name\n\n1,a\n\r\n\n2,b\n\n", [(1, "a"), (2, "b")]),
        (b"id,name\n1,", [(1, "")]),
        (b'id,name\n1,"a"', [(1, "a")]),
        ("id,name\n1,ʞ\n2,日本\n".encode(), [(1, "ʞ"), (2, "日本")]),
        (b'id,name\n1,"{""type"": ""Point"", ""at"": [1,2]}"\n', [(1, '{"type": "Point", "at": [1,2]}')]),
        (b"id,name\n", []),
        (b"id,name", []),
        (b"id,name\n\xef\xbb\xbf1,a\n2,b\n", [(2, "b")]),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("limits", [CsvLimits(), TINY], ids=["one block", "tiny blocks"])
def test_records(
    csv_dataset: Make,
    decode: Decode,
    body: bytes,
    rows: list[Any],
    pack: Callable[[bytes], bytes],
    limits: CsvLimits,
) -> None:
    found = decode(csv_dataset(), pack(body), limits=limits)
    assert [(row["id"], row["name"]) for row in found.rows] == rows


def test_positions_count_records_and_lines_count_lines(csv_dataset: Make, decode: Decode) -> None:
    body = b'id,name\n1,"a\nb"\n\nx,c\n3,d\ny,"e\n\nf"\nz,g\n'
    found = decode(csv_dataset(), body)
    assert [(row["id"], row["_raw_position"]) for row in found.rows] == [(1, 1), (3, 3)]
    assert [(reject.position, reject.line) for reject in found.rejects] == [(2, 5), (4, 7), (5, 10)]
    assert found.rejects[1].raw == b'y,"e\n\nf"'


def test_positions_go_on_over_blocks(csv_dataset: Make, decode: Decode) -> None:
    body = b"id,name\n" + b"".join(
        b"%s,row %d\n" % (b"x" if i % 7 == 0 else b"%d" % i, i) for i in range(1, 500)
    )
    found = decode(csv_dataset(), body, limits=TINY)
    assert len(found.batches) > 50
    assert [row["_raw_position"] for row in found.rows] == [i for i in range(1, 500) if i % 7]
    assert [(r.position, r.line) for r in found.rejects] == [(i, i + 1) for i in range(1, 500) if i % 7 == 0]
    assert found.records == 499


def test_every_batch_adds_up(csv_dataset: Make, decode: Decode) -> None:
    body = b"id,name\n" + b'1,a\n2\nx,c\n4,5" d\n5,"open\n6,\xff\n7,\0\n8,h\n' * 30
    for decoded in decode(csv_dataset(), body, limits=TINY).batches:
        assert decoded.records == decoded.batch.num_rows + len(decoded.rejects)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ({"delimiter": ";"}, b'id;name\n1;"a;b,c"\n'),
        ({"delimiter": "\t"}, b'id\tname\n1\t"a;b,c"\n'),
        ({"delimiter": "|", "quote": "'"}, b"id|name\n1|'a;b,c'\n"),
    ],
)
def test_delimiter_and_quote(csv_dataset: Make, decode: Decode, dialect: dict[str, Any], body: bytes) -> None:
    assert decode(csv_dataset(dialect=CsvDialect(**dialect)), body).values("name") == ["a;b,c"]


def test_another_quote_leaves_double_quotes_alone(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset(dialect=CsvDialect(quote="'"))
    assert decode(dataset, b"id,name\n1,5\" pipe\n2,'it''s'\n").values("name") == ['5" pipe', "it's"]


def members_of_a_byte(body: bytes) -> bytes:
    """A gzip stream as of a writer that flushes after each byte."""
    return b"".join(gzip.compress(body[at : at + 1]) for at in range(len(body)))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_encodings(csv_dataset: Make, decode: Decode, encoding: str) -> None:
    columns = {"id": "int64", "size": {"type": "string", "field": "größe"}}
    dataset = csv_dataset(columns, dialect=CsvDialect(encoding=encoding))
    found = decode(dataset, "id,größe\n1,é\n2,plain\nx,ü\n".encode(encoding))
    assert found.values("size") == ["é", "plain"]
    assert found.rejects[0].raw == "x,ü".encode(encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, members_of_a_byte], ids=["plain", "gzip", "members"])
def test_an_object_with_a_byte_order_mark_is_utf_8_whatever_is_declared(
    csv_dataset: Make, decode: Decode, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    columns = {"id": "int64", "size": {"type": "string", "field": "größe"}}
    dataset = csv_dataset(columns, dialect=CsvDialect(encoding=encoding))
    found = decode(
        dataset, pack("\ufeffid,größe\n1,Müller €\nx,ü\n3,\udcff\n".encode(errors="surrogateescape"))
    )
    assert found.values("size") == ["Müller €"]
    assert found.reasons == [(2, "bad_number", "id"), (3, "bad_utf8", "")]


def test_bytes_that_the_encoding_does_not_have_are_refused(csv_dataset: Make, decode: Decode) -> None:
    body = b"id,name\n1,\x80\n2,\x81\n3,\xe9\n"
    found = decode(csv_dataset(dialect=CsvDialect(encoding="cp1252")), body)
    assert (found.values("name"), found.reasons) == (["€", "é"], [(2, "bad_utf8", "")])
    assert "0x81" in found.rejects[0].detail


def test_null_values(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset(
        {"id": "int64", "name": "string", "n": "int64"}, dialect=CsvDialect(null_values=("NA", "-"))
    )
    found = decode(dataset, b'id,name,n\n1,NA,NA\n2,-,-\n3,,\n4,x,"NA"\n5,x,na\n6,x, - \n')
    assert found.values("name") == ["NA", "-", "", "x"]
    assert found.values("n") == [None, None, None, None]
    assert found.reasons == [(5, "bad_number", "n"), (6, "bad_number", "n")]


@pytest.mark.parametrize("noise", [b"", b"9,x,x\n"], ids=["parser", "one by one"])
def test_strings_can_be_null(csv_dataset: Make, decode: Decode, noise: bytes) -> None:
    dialect = CsvDialect(null_values=("NA",), strings_can_be_null=True)
    dataset = csv_dataset({"id": "int64", "name": "string", "n": "int64"}, dialect=dialect)
    found = decode(dataset, b'id,name,n\n1,NA,NA\n2,"NA","NA"\n3,,\n4,"",""\n' + noise)
    assert found.values("name") == [None, "NA", "", ""]
    assert found.values("n") == [None, None, None, None]


@pytest.mark.parametrize(
    ("kind", "null", "other", "value"),
    [
        ("date", "9999-12-31", "2026-01-31", date(2026, 1, 31)),
        ("int64", "-1", "7", 7),
        ("numeric(9,2)", "0.00", "1.50", Decimal("1.5")),
        ("float64", "-999", "0.5", 0.5),
        ("bool", "f", "true", True),
        ("timestamp", "1970-01-01", "2026-01-31 00:00:00", datetime(2026, 1, 31, tzinfo=UTC)),
        ("string", "-", "x", "x"),
    ],
)
@pytest.mark.parametrize("noise", [b"", b"x,1,1\n"], ids=["parser", "one by one"])
def test_a_quoted_null_text_is_null_in_all_columns_but_string(
    csv_dataset: Make, decode: Decode, kind: str, null: str, other: str, value: object, noise: bytes
) -> None:
    dialect = CsvDialect(null_values=("", null), strings_can_be_null=True)
    dataset = csv_dataset({"id": "int64", "value": kind}, dialect=dialect)
    body = f'id,value\n1,"{null}"\n2,{null}\n3,"{other}"\n4,{other}\n5,\n'.encode()
    quoted = null if kind == "string" else None
    assert decode(dataset, body + noise).values("value") == [quoted, None, value, value, None]


def test_a_quoted_null_text_in_a_key_is_refused(csv_dataset: Make, decode: Decode) -> None:
    dataset = csv_dataset(dialect=CsvDialect(null_values=("0",), strings_can_be_null=True))
    found = decode(dataset, b'id,name\n"0",a\n0,b\n1,"0"\n')
    assert (found.values("id"), found.values("name")) == ([1], ["0"])
    assert found.reasons == [(1, "null_required", "id"), (2, "null_required", "id")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
@pytest.mark.parametrize("before", [b"x", b'"x"', b'"x""y"', b'""', b'"two\nlines"'])
def test_an_empty_last_field_is_null_whatever_is_before_it(
    csv_dataset: Make, decode: Decode, end: bytes, last: bool, before: bytes
) -> None:
    columns = {"id": "int64", "name": "string", "note": "string", "other": "date"}
    dataset = csv_dataset(columns, dialect=CsvDialect(strings_can_be_null=True))
    body = end.join([b"id,name,other,note", b"1," + before + b",,", b'2,x,"",']) + end * last
    assert decode(dataset, body).values("note") == [None, None]
    body = end.join([b"other,id,name,note", b",1," + before + b","]) + end * last
    found = decode(dataset, body)
    assert found.values("note") == [None]
    assert (found.records, found.rejects) == (1, [])


@pytest.mark.parametrize("tail", [b'2,"a', b'2,"a"b', b'2,"a,'])
def test_a_quoted_field_cut_at_the_end_costs_its_record(
    csv_dataset: Make, decode: Decode, tail: bytes
) -> None:
    dataset = csv_dataset(dialect=CsvDialect(strings_can_be_null=True))
    found = decode(dataset, b'id,name\n1,"x"\n' + tail)
    assert found.values("name") == ["x"]
    assert [(reject.line, reject.raw) for reject in found.rejects] == [(3, tail)]
