"""Single values: what is read from an unquoted text, what is refused, and how a message shows it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tideline.catalog import scalars
from tideline.catalog.scalars import Duration, Flag, Plain, Share, Whole, did_you_mean, listed, short, shown


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        (Flag, True, True),
        (Flag, Plain("NO"), False),
        (Whole, 7, 7),
        (Whole, Plain("-12"), -12),
        (Whole, Plain("0"), 0),
        (Share, 1, 1.0),
        (Share, Plain("5e-2"), 0.05),
        (Share, Plain(".5"), 0.5),
        (Duration, "90 m", timedelta(minutes=90)),
        (Duration, Plain("366d"), timedelta(days=366)),
        (Duration, timedelta(seconds=1), timedelta(seconds=1)),
        (Duration, Plain("0s"), timedelta(0)),
    ],
)
def test_values_that_are_read(kind: object, given_value: object, expected: object) -> None:
    value = TypeAdapter(kind).validate_python(given_value)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "refused"),
    [
        (Flag, "true"),
        (Flag, 1),
        (Flag, Plain("1")),
        (Flag, None),
        (Whole, True),
        (Whole, 1.0),
        (Whole, "1"),
        (Whole, Plain("1_000")),
        (Whole, Plain("0x1F")),
        (Whole, Plain("\u0661")),
        (Whole, Plain("9" * 19)),
        (Share, False),
        (Share, "0.5"),
        (Share, Plain("nan")),
        (Share, Plain("1.1")),
        (Share, float("nan")),
        (Duration, 60),
        (Duration, "1w"),
        (Duration, "-1h"),
        (Duration, "1h30m"),
        (Duration, "1h\n"),
        (Duration, timedelta(days=-1)),
        (Duration, timedelta(days=367)),
        (Duration, []),
    ],
)
def test_values_that_are_refused(kind: object, refused: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(refused)


@pytest.mark.parametrize(
    ("text", "count"), [("1KB", 1000), ("20 MB", 20_000_000), ("2GB", 2 * 10**9), (7, 7)]
)
def test_sizes_are_decimal(text: object, count: int) -> None:
    assert TypeAdapter(scalars.ByteSize).validate_python(text) == count


@pytest.mark.parametrize("text", ["", "5", "0MB", "1.5GB", "1gb", "-1MB", 0, True, None, "1GB\n"])
def test_sizes_that_are_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="write a size above 0 as 500MB or 2GB"):
        TypeAdapter(scalars.ByteSize).validate_python(text)


def test_every_pattern_says_what_to_write_instead() -> None:
    patterns = {
        value for name, value in vars(scalars).items() if name.isupper() and str(value).startswith("^")
    }
    assert patterns - {scalars.DURATION, scalars.SIZE} == set(scalars.ADVICE)


def test_the_advice_for_a_bucket_says_how_long_its_name_is() -> None:
    adapter: TypeAdapter[str] = TypeAdapter(scalars.BucketName)
    said = re.search(r"(\d+) to (\d+) letters, digits", scalars.ADVICE[scalars.BUCKET_NAME])
    assert said is not None
    shortest, longest = int(said[1]), int(said[2])
    for size in (shortest, longest):
        assert adapter.validate_python("b" * size)
    for size in (shortest - 1, longest + 1):
        with pytest.raises(ValidationError):
            adapter.validate_python("b" * size)


@pytest.mark.parametrize(
    ("kind", "fine", "refused"),
    [
        (scalars.Name, ["a", "order_items", "x" * 63], ["", "A", "1a", "_a", "a-b", "x" * 64, "a\n", "ä"]),
        (scalars.ColumnName, ["_id", "A1", "x" * 300], ["", "1a", "a.b", "..", "a b", 'a"', "x" * 301, "é"]),
        (scalars.ConnectionId, ["a.b-c_D"], ["", "a b", "s3://x", "a\n"]),
        (
            scalars.DatabaseName,
            ["shop", "größe", "x" * 63],
            ["", "a/b", "a.b", "a b", "$x", "x" * 64, "a\0"],
        ),
        (scalars.CollectionName, ["a.b", "a b", "ö"], ["", "a$b", "a\0"]),
        (scalars.BucketName, ["abc", "my.bucket-1", "A_b"], ["ab", "-abc", "a b", "a/b", "s3://abc"]),
        (scalars.Prefix, ["", "a/", "dt=2026/", "ö/"], ["/a", "a\nb", "\x00"]),
        (scalars.Suffix, ["", ".csv", ".csv.gz"], ["csv", "*.csv", ". csv", "./a"]),
        (scalars.HttpPath, ["/", "/a", "/v1/users/"], ["", "a", "//host/a", "/a?b", "/a#b", "/a b"]),
        (scalars.Parameter, ["page", "filter[x]"], ["", "a=b", "a&b", "a b"]),
        (
            scalars.CsvCharacter,
            [",", ";", "|", "\t", " ", "\x01", "'"],
            ["", "a", "1", "\n", "\r", ",,", "§"],
        ),
    ],
)
def test_patterns(kind: object, fine: list[str], refused: list[str]) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    pattern = adapter.json_schema()["pattern"]
    assert [adapter.validate_python(text) for text in fine] == fine
    assert all(re.search(pattern, text) for text in fine)
    for text in refused:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("", '""'),
        (Plain("no"), "no"),
        ("no", '"no"'),
        (5, "5"),
        ({}, "an empty mapping"),
        ({"a": 1, "b": 2}, "a mapping (a, b)"),
        ([], "an empty list"),
        ((1, 2), "a list of 2"),
        ("a\nb\x1b[31m\ud800", r'"a\nb\x1b[31m\ud800"'),
        ("x" * 100, '"' + "x" * 80 + '…"'),
        ("mongodb://me:secret@host/x", '"mongodb://***@host/x"'),
        ("mongodb://me:sec@ret@host", '"mongodb://***@host"'),
    ],
)
def test_how_a_value_is_shown(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.text())
def test_what_is_shown_is_short_printable_and_on_one_line(text: str) -> None:
    assert short(text).isprintable()
    assert len(short(text)) <= 80 * 10 + 1


@pytest.mark.parametrize(
    ("found", "hint"),
    [("kye", " (did you mean key?)"), ("COLUMNS", " (did you mean columns?)"), ("zzz", ""), ("", "")],
)
def test_what_was_meant(found: str, hint: str) -> None:
    assert did_you_mean(found, ("key", "columns")) == hint


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(map(str, range(81))).endswith(" 79, …")
    assert listed(map(str, range(80))).endswith(" 79")
