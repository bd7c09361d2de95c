"""CSV objects as a whole: headers, undeclared columns, gzip, emptiness, and what is left behind on errors."""

from __future__ import annotations

import gzip
import io
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tideline.catalog.model import CsvDialect
from tideline.errors import ContractError
from tideline.lake.manifest import Part
from tideline.refine.csv import EMPTY_OBJECT, CsvLimits, decode_csv
from tideline.refine.csv_blocks import BlockLimits
from tideline.refine.inflate import InflateLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset

    Make = Callable[..., CsvDataset]
    Decode = Callable[..., Any]


def test_undeclared_columns_are_kept_and_reported(csv_dataset: Make, decode: Decode) -> None:
    body = 'id,colour,name,"a ""b"""\n1,red,x,"say ""hi""\\"\n2,,y,"tab\there"\nz,blue,y,\n3,ü,z,\n'.encode()
    found = decode(csv_dataset(), body)
    assert [json.loads(text) for text in found.values("_extra")] == [
        {"colour": "red", 'a "b"': 'say "hi"\\'},
        {"colour": "", 'a "b"': "tab\there"},
        {"colour": "ü", 'a "b"': ""},
    ]
    assert found.values("_extra")[2] == '{"colour":"ü","a \\"b\\"":""}'
    assert found.drift == {"colour": (3, "red"), 'a "b"': (3, 'say "hi"\\')}


def test_undeclared_texts_are_escaped(csv_dataset: Make, decode: Decode) -> None:
    found = decode(csv_dataset(), b'id,name,x\n1,a,C:\\dir\n2,b,"say ""hi"""\n3,c,"\\"""\n')
    assert [json.loads(text)["x"] for text in found.values("_extra")] == ["C:\\dir", 'say "hi"', '\\"']


def test_undeclared_columns_that_can_be_null(csv_dataset: Make, decode: Decode) -> None:
    dialect = CsvDialect(null_values=("NA",), strings_can_be_null=True)
    found = decode(csv_dataset(dialect=dialect), b"id,name,x\n1,a,NA\n+2,b,NA\n3,c,1\n")
    assert found.values("_extra") == ['{"x":null}', '{"x":null}', '{"x":"1"}']


def test_undeclared_columns_of_a_file_without_rows_are_reported(csv_dataset: Make, decode: Decode) -> None:
    found = decode(csv_dataset(), b"id,name,colour\n")
    assert (found.records, found.drift) == (0, {"colour": (0, "")})


def test_long_examples_are_cut(csv_dataset: Make, decode: Decode) -> None:
    found = decode(csv_dataset(), b"id,name,x\n1,a," + b"y" * 500 + b"\n")
    assert found.drift == {"x": (1, "y" * 60 + "…")}


def test_undeclared_columns_are_refused_where_the_dataset_says_so(csv_dataset: Make, decode: Decode) -> None:
    with pytest.raises(ContractError, match="undeclared columns: 'colour'") as caught:
        decode(csv_dataset(unknown_columns="refuse"), b"id,name,colour\n1,a,red\n")
    assert "items/0.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message", "remedy"),
    [
        (
            b"name",
            "lacks declared columns: 'id'; expected 'id', 'name' in any order, found 'name'",
            "written",
        ),
        (b"id,Name", "lacks declared columns: 'name'", "spells 'name' as 'Name'"),
        (b"id, name", "lacks declared columns: 'name'", "spells 'name' as ' name'"),
        (b"ID,NAME", "lacks declared columns: 'id', 'name'", "spells 'id' as 'ID'"),
        (b"1,Shirt", "lacks declared columns: 'id', 'name'", "is a header"),
        (b"id;name", "lacks declared columns", "delimiter"),
        (b"id,name,name", "names 'name' more than once", "once"),
        (b"id,name,", "column 3 of the header has no name", "delimiter at the end"),
        (b'id,"",name', "column 2 of the header has no name", "named"),
        (b'id,na"me', "header cannot be read", "dialect"),
        (b'"id,name', "header cannot be read", "dialect"),
        (b"id,n\xffme", "header cannot be read: bad_utf8", "dialect"),
        (b"i\0d\0,\0n", "header cannot be read: bad_utf8", "dialect"),
    ],
)
def test_headers_that_do_not_fit(
    csv_dataset: Make, decode: Decode, header: bytes, message: str, remedy: str
) -> None:
    with pytest.raises(ContractError) as caught:
        decode(csv_dataset(), header + b"\n1,a\n")
    error = caught.value
    assert message in error.message
    assert remedy in str(error.remedy) or remedy in error.message
    assert (error.source, error.dataset) == ("shop", "items")
    assert error.place == "items/0.csv, landed as s3://raw/part-00000.csv"


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("gro\u0308ße in cm", '"gro\\u0308\\u00dfe in cm"'),
        ("größe\u00a0in cm", '"gr\\u00f6\\u00dfe\\u00a0in cm"'),
        ("\u200bgröße in cm", '"\\u200bgr\\u00f6\\u00dfe in cm"'),
        ("größe  in cm", '"gr\\u00f6\\u00dfe  in cm"'),
        ("GRO\u0308SSE in cm", "'GRO\u0308SSE in cm'"),
    ],
)
def test_a_header_that_only_looks_like_the_declared_one_is_named(
    csv_dataset: Make, decode: Decode, name: str, spelt: str
) -> None:
    """As an undeclared one it would make the column NULL in each row, also where it was not."""
    dataset = csv_dataset({"id": "int64", "size": {"type": "string", "field": "größe in cm"}})
    with pytest.raises(ContractError, match="lacks declared columns: 'größe in cm'") as caught:
        decode(dataset, f"id,{name}\n1,a\n".encode())
    assert f"`field: {spelt}`" in str(caught.value.remedy)
    assert yaml.safe_load(spelt) == name
    assert decode(dataset, f"id,größe in cm,{name}\n1,a,b\n".encode()).values("size") == ["a"]


OLDER = {"id": "int64", "price": "numeric(12, 2)", "name": "string", "seen_at": "timestamp", "tag": "json"}


def test_a_nullable_column_that_is_missing_is_null_in_every_row_and_reported(
    csv_dataset: Make, decode: Decode
) -> None:
    """Rows that the parser takes, rows that are read one by one and rejects, over several blocks."""
    rows = b"".join(b"%d,n%d,x\n+%d,y,x\nz,bad,x\n" % (n, n, n + 1000) for n in range(40))
    columns = {name: {"type": kind} for name, kind in OLDER.items()}
    columns["price"] = {"type": "numeric", "precision": 12, "scale": 2}

    limits = CsvLimits(BlockLimits(128, 4096), InflateLimits(piece_bytes=64))
    found = decode(csv_dataset(columns), b"id,name,colour\n" + rows, limits=limits)

    assert found.values("id") == [number for n in range(40) for number in (n, n + 1000)]
    assert {(row["price"], row["seen_at"], row["tag"]) for row in found.rows} == {(None, None, None)}
    assert found.values("name")[:2] == ["n0", "y"]
    assert len(found.rejects) == 40
    assert found.drift == {
        "colour": (80, "x"),
        "(missing column) price": (80, ""),
        "(missing column) seen_at": (80, ""),
        "(missing column) tag": (80, ""),
    }


def test_a_missing_column_of_an_object_without_rows_is_reported(csv_dataset: Make, decode: Decode) -> None:
    found = decode(csv_dataset(), b"id\n")
    assert (found.records, found.drift) == (0, {"(missing column) name": (0, "")})


@pytest.mark.parametrize("name", ["id", "name"])
def test_a_required_column_must_be_there(csv_dataset: Make, decode: Decode, name: str) -> None:
    columns = {"id": "int64", "name": {"type": "string", "nullable": False}, "tag": "string"}
    header = ",".join(column for column in columns if column not in (name, "tag")).encode()
    with pytest.raises(ContractError, match=f"lacks declared columns: '{name}'; expected"):
        decode(csv_dataset(columns), header + b"\n1\n")


def test_a_field_that_differs_by_case_from_another_declared_one_is_no_misspelling(
    csv_dataset: Make, decode: Decode
) -> None:
    columns = {"id": "int64", "a": {"type": "string", "field": "x"}, "b": {"type": "string", "field": "X"}}
    found = decode(csv_dataset(columns), b"id,X\n1,large\n")
    assert (found.values("a"), found.values("b")) == ([None], ["large"])


def test_a_header_that_does_not_end_is_an_error(csv_dataset: Make, decode: Decode) -> None:
    limits = CsvLimits(BlockLimits(64, 256), InflateLimits(piece_bytes=64))
    with pytest.raises(ContractError, match="header cannot be read: too_large"):
        decode(csv_dataset(), b"x" * 1000, limits=limits)


def test_many_columns_are_listed_in_part(csv_dataset: Make, decode: Decode) -> None:
    with pytest.raises(ContractError, match="and 40 more"):
        decode(csv_dataset(), ",".join(f"c{i}" for i in range(100)).encode())


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\r\n\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)],
    ids=["nothing", "blank lines", "mark", "gzip"],
)
def test_an_object_without_a_record_is_empty_and_reported(
    csv_dataset: Make, decode: Decode, body: bytes
) -> None:
    found = decode(csv_dataset(), body)
    assert (found.rows, found.rejects, found.records) == ([], [], 0)
    assert found.drift == {EMPTY_OBJECT: (1, "items/0.csv")}


BODY = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i * 7) for i in range(5_000))
PACKED = gzip.compress(BODY)


@pytest.mark.parametrize("sixtyfourth", range(64))
def test_a_cut_gzip_never_passes(csv_dataset: Make, decode: Decode, sixtyfourth: int) -> None:
    before = threading.active_count()
    with pytest.raises(ContractError):
        decode(csv_dataset(), PACKED[: len(PACKED) * sixtyfourth // 64], key="items/0.csv.gz")
    assert threading.active_count() <= before


def test_the_whole_gzip_passes(csv_dataset: Make, decode: Decode) -> None:
    assert decode(csv_dataset(), PACKED, key="items/0.csv.gz").records == 5_000


def test_an_error_of_the_stream_passes_through_and_leaves_no_thread(csv_dataset: Make) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 1_000_000:
                raise ConnectionError("gone")
            return super().read(size)

    before = threading.active_count()
    body = b"id,name\n" + b"1,a\n" * 1_000_000
    with pytest.raises(ConnectionError, match="gone"):
        list(decode_csv(csv_dataset(), Part("s3://raw/p", 0, "", None, {}), Broken(body)))
    assert threading.active_count() <= before


def test_a_consumer_that_stops_leaves_no_thread(csv_dataset: Make) -> None:
    before = threading.active_count()
    batches = decode_csv(csv_dataset(), Part("s3://raw/p", 0, "", None, {}), io.BytesIO(BODY * 200))
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() <= before
