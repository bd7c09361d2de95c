"""The parser with its checks against the definition: whatever the bytes, the same rows and rejects."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.catalog.model import Column, CsvDataset, CsvDialect
from tideline.lake.manifest import Part
from tideline.refine import arrays
from tideline.refine.contract import Reject, decoded_schema
from tideline.refine.csv import CsvLimits, decode_csv
from tideline.refine.csv_blocks import BlockLimits
from tideline.refine.csv_exact import ExactReader
from tideline.refine.csv_frame import Marks, frame
from tideline.refine.csv_layout import read_header
from tideline.refine.fields import ConformError, record_of
from tideline.refine.inflate import InflateLimits
from tideline.refine.place import place_of

if TYPE_CHECKING:
    from tideline.catalog.model import CsvDataset as Dataset

KINDS = {
    "id": "int64", "name": "string", "price": "numeric(9,2)", "rate": "float64", "flag": "bool",
    "day": "date", "at": "timestamp", "doc": "json", "big": "bignumeric(50,20)",
}  # fmt: skip
PART = Part("s3://raw/part", 0, "", None, {})
GOOD = {
    "id": ["1", "-7", "0", "12345678901"], "name": ["", "a", "n/a", 'q"q', "two\nlines", "ü",
    "a,b", "ends\r"],
    "price": ["1", "2.50", "-0.01", ""], "rate": ["0.5", "1e3", "-2", ""], "flag": ["true", "F", "no", ""],
    "day": ["2026-01-31", "0001-01-01", ""], "at": ["2026-01-31 14:05:06", "2026-01-31T14:05:06.123456", ""],
    "doc": ["{}", '{"a": "b,c"}', ""], "big": ["1.5", ""], "other": ["", "x", 'y"\\', "tab\t", "ü"],
}  # fmt: skip
ODD = [
    "+1", " 1 ", "0x1F", "007", "1.0", "1e400", "nan", "inf", "-inf", "99999999999", "1.005",
    "1.500000000000", "NaN",
    "TRUE", " yes", "maybe", "0000-01-01", "2026-02-30", "9999-12-31T23:59:59-01:00", "2026-01-31T14:05Z",
    "2026-01-31 14:05 +01:00", "2026-01-31", "2026-01-31T00:00:00.0000000", "0000-05-05 00:00",
    "{", "NA", "-", "\0",
    "1e+-2", "1e0x1", "1e-41", "1e-231", "0e-41", "1e-05", "1e2", "\ufeff", "9223372036854775808", "1e-400", "\x0b1", "1_000", "٣",
]  # fmt: skip
NOISE = [
    b"",
    b"\xff",
    b'"',
    b'x"y',
    b'"open',
    b'"a"b',
    b",,",
    b"0x12",
    b"\xef\xbb\xbf",
    b" ",
    b"\xc3",
    b"\r",
    b"1,2,3",
]


def dataset_of(dialect: CsvDialect) -> Dataset:
    columns = tuple(Column(name=name, type=kind) for name, kind in KINDS.items())
    return CsvDataset(
        name="d", source="s", bucket="bucket", prefix="d/", key=("id",), columns=columns, dialect=dialect
    )


@st.composite
def objects(draw: st.DrawFn, dialect: CsvDialect) -> bytes:
    """A header and records, most of them good."""
    names = draw(st.permutations([*KINDS, *draw(st.sampled_from([[], ["other"]]))]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    odds = draw(st.sampled_from([0, 5, 30]))
    lines = [",".join(names).encode()]
    for _ in range(draw(st.integers(0, 12))):
        if odds and draw(st.integers(0, 99)) < odds // 3:
            lines.append(draw(st.sampled_from(NOISE)))
            continue
        texts = [
            draw(st.sampled_from(ODD if odds and draw(st.integers(0, 99)) < odds // 3 else GOOD[name]))
            for name in names
        ]
        lines.append(",".join(written(draw, text) for text in texts).encode(dialect.encoding, "replace"))
    return end.encode().join(lines) + draw(st.sampled_from([b"", end.encode()]))


def written(draw: st.DrawFn, text: str) -> str:
    if draw(st.integers(0, 9)) and not set(text) & set('",\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def by_definition(dataset: Dataset, body: bytes) -> tuple[list[pa.Array], list[Reject]]:
    marks = Marks(ord(","), ord('"'))
    body = body.removeprefix(b"\xef\xbb\xbf")
    found = frame(body, np.flatnonzero(np.frombuffer(body, np.uint8) == marks.quote), marks)
    texts = [body[start:end] for start, end in zip(found.starts, found.ends, strict=True)]
    reader = ExactReader(read_header(texts[0], dataset, place_of(dataset, PART)), dataset.dialect)
    rows: list[list[Any]] = []
    extras: list[bytes | None] = []
    positions: list[int] = []
    rejects: list[Reject] = []
    for number, text in enumerate(texts[1:], 1):
        try:
            row, extra = reader.row(text)
        except ConformError as error:
            line = int(found.lines[number]) + 1
            rejects.append(Reject(number, error.reason, error.column, error.detail, text, line))
        else:
            rows.append(row)
            extras.append(extra)
            positions.append(number)
    columns = arrays.record_arrays(record_of(dataset), rows)
    return [*columns, arrays.variable(pa.string(), extras), pa.array(positions, pa.int64())], rejects


LIMITS = st.builds(
    lambda block, piece: CsvLimits(BlockLimits(block_bytes=block), InflateLimits(piece_bytes=piece)),
    st.sampled_from([60, 300, 1 << 20]), st.sampled_from([20, 1 << 20]),
)  # fmt: skip


@pytest.mark.parametrize(
    "dialect",
    [
        CsvDialect(),
        CsvDialect(encoding="cp1252"),
        CsvDialect(null_values=("NA", "-"), strings_can_be_null=True),
        CsvDialect(null_values=("", "0", "true")),
        CsvDialect(
            null_values=("", "0", "true", "a", "2.50", "2026-01-31", "2026-01-31 14:05:06"),
            strings_can_be_null=True,
        ),
    ],
    ids=["plain", "cp1252", "nullable strings", "values that mean null", "both"],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), limits=LIMITS)
def test_gives_what_the_definition_gives(dialect: CsvDialect, data: st.DataObject, limits: CsvLimits) -> None:
    dataset = dataset_of(dialect)
    body = data.draw(objects(dialect))
    batches = list(decode_csv(dataset, PART, io.BytesIO(body), limits))
    columns, rejects = by_definition(dataset, body)
    expected = pa.Table.from_arrays(columns, schema=decoded_schema(dataset))
    assert pa.Table.from_batches([each.batch for each in batches]).equals(expected)
    assert [reject for each in batches for reject in each.rejects] == rejects
    assert sum(each.records for each in batches) == expected.num_rows + len(rejects)


@settings(max_examples=100, deadline=None)
@given(noise=st.text(alphabet='1a,"\n\r \0', max_size=60), limits=LIMITS)
def test_gives_what_the_definition_gives_of_noise(noise: str, limits: CsvLimits) -> None:
    columns = (Column(name="id", type="int64"), Column(name="name", type="string"))
    dataset = CsvDataset(name="d", source="s", bucket="bucket", prefix="d/", key=("id",), columns=columns)
    body = b"id,name\n" + noise.encode()
    batches = list(decode_csv(dataset, PART, io.BytesIO(body), limits))
    expected, rejects = by_definition(dataset, body)
    assert pa.Table.from_batches([each.batch for each in batches]).equals(
        pa.Table.from_arrays(expected, schema=decoded_schema(dataset))
    )
    assert [reject for each in batches for reject in each.rejects] == rejects


DECIMALS = [
    "0", "1", "25", "123456789" * 4, "0" * 20, "e", "E", "e-", "+", "-", ".", "0x", " ", "38", "41", "231", "e3",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.lists(st.sampled_from(DECIMALS), max_size=6).map("".join), min_size=1, max_size=4),
    kind=st.sampled_from(["numeric(12,2)", "numeric(38,9)", "bignumeric(38,20)", "int64", "float64"]),
    quoted=st.booleans(),
)
def test_takes_the_numbers_that_the_definition_takes(texts: list[str], kind: str, quoted: bool) -> None:
    columns = (Column(name="id", type="int64"), Column(name="value", type=kind))
    dataset = CsvDataset(name="d", source="s", bucket="bucket", prefix="d/", key=("id",), columns=columns)
    quote = '"' if quoted else ""
    body = "".join(["id,value\n", *(f"{row},{quote}{text}{quote}\n" for row, text in enumerate(texts))])
    batches = list(decode_csv(dataset, PART, io.BytesIO(body.encode())))
    expected, rejects = by_definition(dataset, body.encode())
    assert pa.Table.from_batches([each.batch for each in batches]).equals(
        pa.Table.from_arrays(expected, schema=decoded_schema(dataset))
    )
    assert [reject for each in batches for reject in each.rejects] == rejects
