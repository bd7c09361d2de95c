"""Columns read as texts, vector by vector, against the definition, value by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tideline.catalog.model import Column, CsvDataset
from tideline.refine import arrays, csv_arrow, csv_habits
from tideline.refine.contract import arrow_type
from tideline.refine.csv import CsvLimits
from tideline.refine.csv_blocks import BlockLimits
from tideline.refine.csv_bounds import Bounds
from tideline.refine.csv_texts import has_zone, spellings, texts, typed
from tideline.refine.csv_values import BLANKS, converter
from tideline.refine.fields import ConformError, record_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = Column(name="id", type="int64")
COLUMNS = {
    "int64": Column(name="c", type="int64"),
    "integral": Column(name="c", type="int64", integral_doubles=True),
    "float64": Column(name="c", type="float64"),
    "numeric": Column(name="c", type="numeric(12,2)"),
    "fraction": Column(name="c", type="numeric(3,3)"),
    "whole": Column(name="c", type="numeric(5,0)"),
    "bignumeric": Column(name="c", type="bignumeric"),
    "bool": Column(name="c", type="bool"),
    "date": Column(name="c", type="date"),
    "timestamp": Column(name="c", type="timestamp"),
    "json": Column(name="c", type="json"),
    "bytes": Column(name="c", type="bytes"),
}
DIGITS = st.text("0123456789", min_size=1, max_size=22)
SIGN = st.sampled_from(["", "", "", "-", "+", "--"])
BLANK = st.sampled_from(["", "", "", " ", "\t", "  ", "\n", "\xa0"])
NUMBERS = st.builds(
    lambda *parts: "".join(parts),
    BLANK, SIGN, st.one_of(DIGITS, st.just("")),
    st.one_of(st.just(""), st.just("."), DIGITS.map(".{}".format), st.just(".00"),
    st.just(".5000000000000000000")),
    st.sampled_from(["", "", "", "e3", "E-2", "e400", "e", "x1", "f"]), BLANK,
)  # fmt: skip
DATES = st.builds(
    "{:04d}-{:02d}-{:02d}".format,
    st.sampled_from([0, 1, 1969, 2023, 2024, 9999, 10000]), st.integers(0, 13), st.integers(0, 32),
)  # fmt: skip
CLOCKS = st.one_of(
    st.just(""),
    st.builds(
        lambda separator, hour, rest: f"{separator}{hour:02d}{rest}",
        st.sampled_from(["T", " ", "t", "  "]), st.integers(0, 25),
        st.sampled_from(["", ":30", ":30:15", ":60", ":30:60", ":30:15.5", ":30:15.123456",
        ":30:15.12345600", ":30:15.1234567", ":30:15."]),
    ),
)  # fmt: skip
ZONES = st.sampled_from(
    ["", "", "Z", " Z", "UTC", " UTC", "+01", "-0530", " +01:00", "+23:59", "+24:00", "z", "  Z", "+01:60"]
)
INSTANTS = st.builds(lambda *parts: "".join(parts), BLANK, DATES, CLOCKS, ZONES, BLANK)
WORDS = st.sampled_from(
    [
        "true",
        "FALSE",
        "Yes",
        "n",
        "T",
        "0",
        "1",
        " no ",
        "on",
        "",
        "NULL",
        "tr\u0075e",
        "\u017f",
        "inf",
        "NaN",
        "-Infinity",
        "{}",
        "[1,",
        '"x"',
        "YQ==",
        "YQ",
        "null",
    ]
)
TEXTS = st.one_of(NUMBERS, INSTANTS, WORDS, st.text(max_size=8))


def by_definition(column: Column, text: str, nulls: tuple[str, ...]) -> tuple[bool, Any]:
    """(conforms, the value in an Arrow array of one)."""
    if text in nulls or not text.strip(BLANKS):
        return True, None
    try:
        value = converter(column)(text)
    except ConformError:
        return False, None
    record = record_of(
        CsvDataset(name="d", source="s", bucket="bucket", prefix="d/", key=("id",), columns=(KEY, column))
    )
    return True, arrays.record_arrays(record, [[0, value]])[1][0]


PLAIN = {"int64": "-7", "timestamp": "2026-01-31T14:05:06.5+01:00", "bool": "true", "date": "2024-01-31"}
"""What needs no more than a cast; of the numbers, 0.5 or 5."""


@pytest.mark.parametrize("kind", COLUMNS)
@settings(max_examples=150, deadline=None)
@given(
    found=st.lists(TEXTS, min_size=1, max_size=20),
    nulls=st.sampled_from([("",), ("NULL",), ("0", "-"), ("-7", "true")]),
    plain=st.sampled_from([0, 200]),
)
def test_takes_only_what_the_definition_takes_and_as_the_same(
    kind: str, found: list[str], nulls: tuple[str, ...], plain: int
) -> None:
    """Few odd values among many plain ones are picked out; without plain ones, all are odd."""
    column = COLUMNS[kind]
    found += [PLAIN.get(kind, "5" if kind in ("integral", "whole") else "0.5")] * plain
    values, doubtful = typed(column, texts(found), texts(nulls))
    assert values.type == arrow_type(column)
    assert not doubtful.null_count
    for text, value, doubt in list(zip(found, values, doubtful, strict=True))[:21]:
        conforms, expected = by_definition(column, text, nulls)
        if not doubt.as_py() and not beyond(column, value):
            assert conforms, text
            assert equal(value, expected), text


def beyond(column: Column, value: pa.Scalar) -> bool:
    """What `tideline.refine.csv_bounds` finds afterwards."""
    array = pa.array([value], value.type)
    return any(found[0].as_py() for found in Bounds.of(column).beyond(array))


def equal(one: pa.Scalar, other: pa.Scalar | None) -> bool:
    return not one.is_valid if other is None else bool(one.equals(other))


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("int64", ["+5", " 7\t", "-1", "007"]),
        ("integral", ["5.0", "5.", "+5.000"]),
        ("float64", ["1", "+.5", "1e300", "5."]),
        ("numeric", ["1", "-12.50", "+3.1", "1.5000"]),
        ("fraction", [".125", "0.5"]),
        ("whole", ["12", "12.000"]),
        ("bignumeric", ["1.5", "12345678901234567890123456789012345678.5"]),
        ("bool", ["TRUE", "no", " y "]),
        ("date", ["2024-01-31", "1900-02-28"]),
        (
            "timestamp",
            [
                "2026-01-31",
                "2026-01-31 14",
                "2026-01-31T14:05:06.1234560Z",
                "2026-01-31 14:05 +01:00",
                "2026-01-31 14:05 UTC",
            ],
        ),
        ("json", ["{}", "[1]"]),
        ("bytes", ["YQ==", ""]),
    ],
)
def test_is_certain_of_what_is_common(kind: str, found: list[str]) -> None:
    values, doubtful = typed(COLUMNS[kind], texts(found), texts([""]))
    assert doubtful.to_pylist() == [False] * len(found)
    for text, value in zip(found, values, strict=True):
        assert equal(value, by_definition(COLUMNS[kind], text, ("",))[1]), text


@pytest.mark.parametrize("kind", ["int64", "integral", "numeric", "whole", "fraction"])
def test_is_not_certain_of_what_may_overflow(kind: str) -> None:
    found = ["9" * 19, "9" * 30, "-" + "9" * 400, "1" + "0" * 18 + ".0"]
    values, doubtful = typed(COLUMNS[kind], texts(found), texts([""]))
    assert (values.null_count, doubtful.true_count) == (4, 4)


def test_nulls_of_the_parser_are_nulls() -> None:
    values, doubtful = typed(COLUMNS["int64"], arrays.variable(texts([""]).type, [None, b"1"]), texts([""]))
    assert (values.to_pylist(), doubtful.to_pylist()) == ([None, 1], [False, False])


@pytest.mark.parametrize(
    ("text", "zoned"),
    [
        ("2026-01-31T14:05Z", True),
        ("2026-01-31 14:05:06 +01 ", True),
        ("2026-01-31", False),
        ("2026-01-31 14:05", False),
    ],
)
def test_has_zone(text: str, zoned: bool) -> None:
    assert has_zone(text) is zoned


def test_spellings_are_all_mixtures() -> None:
    assert spellings(["no", "1"]) == ["1", "NO", "No", "nO", "no"]


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the blocks that were parsed."""
    sizes: list[int] = []
    read = csv_arrow.csv.read_csv

    def counted(data: pa.Buffer, **options: Any) -> pa.Table:
        sizes.append(data.size)
        return read(data, **options)

    monkeypatch.setattr(csv_arrow.csv, "read_csv", counted)
    return sizes


def test_many_timestamps_with_offsets_are_found_out_together(
    csv_dataset: Callable[..., Any], decode: Callable[..., Any], parses: list[int]
) -> None:
    """One by one, each would cost a parse of the block: minutes for hundreds of columns."""
    names = [f"at{number}" for number in range(30)]
    declared = csv_dataset({"id": "int64", **dict.fromkeys(names, "timestamp"), "naive": "timestamp"})
    text = "2026-01-31T14:00:00"
    row = ",".join(["1", *[f"{text}Z"] * 30, text])
    found = decode(declared, f"id,{','.join(names)},naive\n{row}\n".encode())
    assert len(parses) == 2
    assert len({found.rows[0][name] for name in [*names, "naive"]}) == 1


def test_a_column_of_nulls_says_nothing_about_offsets(
    csv_dataset: Callable[..., Any],
    decode: Callable[..., Any],
    parses: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_habits, "STICKY_BLOCKS", 1)
    declared = csv_dataset({"id": "int64", "first": "timestamp", "later": "timestamp"})
    zoned = "2026-01-31T14:00:00Z"
    rows = [*[f"{number},{zoned},\n" for number in range(1000)], *[f"1,{zoned},{zoned}\n"] * 1000]
    body = f"id,first,later\n{''.join(rows)}".encode()
    found = decode(declared, body, limits=CsvLimits(BlockLimits(2000)))
    assert [row["later"] is None for row in found.rows] == [True] * 1000 + [False] * 1000
    assert len(parses) <= len(body) / 2000 + 4


def test_flags_beside_many_fields_are_read_as_texts_alike(csv_dataset: Any, decode: Any) -> None:
    """The parser keeps their spellings for each field: 40 KB, 800 MB with 20,000 fields of three rows."""
    declared = csv_dataset({"id": "int64", "flag": "bool", "second": "bool"})
    flags = ["true", "FALSE", "Yes", "n", "0", "1", "", " t ", '"f"', "maybe", "10", "T\u00e9"]
    rows = [f"{number},{flag},{flags[-number]}" for number, flag in enumerate(flags)] * 3

    def outcome(more: int) -> Any:
        names, cells = "".join(f",x{n}" for n in range(more)), ",y" * more
        body = f"id,flag,second{names}\n" + "".join(f"{row}{cells}\n" for row in rows)
        return decode(declared, body.encode())

    narrow, wide = outcome(1), outcome(csv_arrow._MOST_BESIDE_FLAGS)
    without = [{k: v for k, v in row.items() if k != "_extra"} for row in narrow.rows]
    assert [{k: v for k, v in row.items() if k != "_extra"} for row in wide.rows] == without
    assert wide.reasons == narrow.reasons
    assert {reason for _, reason, _ in wide.reasons} == {"bad_bool"}
