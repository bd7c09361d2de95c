"""The text is that of `bson.json_util`, which decodes first; where it cannot, that of the specification."""

import datetime as dt
import json
from decimal import Decimal
from struct import pack

import bson
import pytest
from bson import json_util
from bson.codec_options import DatetimeConversion
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.extended_json import decimal128_text, value_text
from tideline.refine.fields import ConformError

OPTIONS = bson.CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)


def ours(value):
    raw = bson.encode({"x": value})
    text, end = value_text(raw[4], raw, 7, len(raw) - 1, 1)
    assert end == len(raw) - 1
    return text


def theirs(value):
    read = bson.decode(bson.encode({"x": value}), OPTIONS)["x"]
    return json_util.dumps(
        read, json_options=json_util.RELAXED_JSON_OPTIONS, ensure_ascii=False, separators=(",", ":")
    )


def decimal128s():
    digits = st.integers(0, 10**34 - 1)
    finite = st.builds(
        lambda sign, n, e: f"{sign}{n}E{e}", st.sampled_from("+-"), digits, st.integers(-6176, 6111)
    )
    return st.one_of(finite, st.sampled_from(["NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])).map(
        bson.Decimal128
    )


milliseconds = st.integers(-(2**63), 2**63 - 1) | st.integers(-62135596800000, 253402300800000)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
object_ids = st.binary(min_size=12, max_size=12).map(bson.ObjectId)
subtypes = st.sampled_from([0, 2, 3, 4, 5, 6, 128, 255])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(bson.Int64),
    st.floats(),
    texts,
    object_ids,
    decimal128s(),
    milliseconds.map(bson.DatetimeMS),
    st.builds(bson.Binary, st.binary(max_size=16), subtypes),
    st.builds(bson.Regex, names, st.sampled_from(["", "i", "im", "imsx", "u"])),
    st.builds(bson.Code, texts),
    st.builds(bson.Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.sampled_from([bson.MinKey(), bson.MaxKey()]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(names.filter(lambda name: not name.startswith("$")), inner, max_size=4),
        st.builds(bson.Code, texts, st.dictionaries(st.just("scope"), inner, max_size=1)),
    ),
    max_leaves=12,
)


@given(values)
def test_text_is_that_of_json_util(value):
    assert ours(value) == theirs(value)


@given(values)
def test_text_is_json(value):
    json.loads(ours(value))


@given(decimal128s())
def test_decimal_text_is_that_of_bson(number):
    assert json.loads(ours(number)) == {"$numberDecimal": str(number)}


@pytest.mark.parametrize(
    "text", ["0", "-0", "0E+3", "0.000", "0.000001", "1E-7", "1.2E+2", "0.00001234", "1234567"]
)
def test_decimal_text_of_plain_and_scientific_numbers(text):
    sign, digits, exponent = Decimal(text).as_tuple()
    assert decimal128_text(bool(sign), int("".join(map(str, digits))), exponent) == text


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), "1970-01-01T00:00:00Z"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 60_000, tzinfo=dt.UTC), "2026-01-02T03:04:05.060Z"),
        (dt.datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=dt.UTC), "9999-12-31T23:59:59.999Z"),
    ],
)
def test_dates_between_1970_and_9999_are_iso(instant, text):
    assert json.loads(ours(instant)) == {"$date": text}


def element(kind, payload, key=b"x"):
    return bytes([kind]) + key + b"\0" + payload


def frame(*elements):
    body = b"".join(elements)
    return pack("<i", len(body) + 5) + body + b"\0"


EVERY_TYPE = {
    1: pack("<d", 1.5),
    2: pack("<i", 3) + b"ab\0",
    3: frame(element(16, pack("<i", 1))),
    4: frame(element(16, pack("<i", 1))),
    5: pack("<i", 2) + b"\0ab",
    6: b"",
    7: b"0123456789ab",
    8: b"\1",
    9: pack("<q", 5),
    10: b"",
    11: b"a\0i\0",
    12: pack("<i", 2) + b"c\0" + b"0123456789ab",
    13: pack("<i", 2) + b"f\0",
    14: pack("<i", 2) + b"s\0",
    15: pack("<i", 4 + 6 + 5) + pack("<i", 2) + b"f\0" + frame(),
    16: pack("<i", 1),
    17: pack("<q", 1),
    18: pack("<q", 1),
    19: bytes(16),
    127: b"",
    255: b"",
}


@pytest.mark.parametrize("kind", EVERY_TYPE)
def test_every_type_cut_at_every_byte_is_refused(kind):
    payload = EVERY_TYPE[kind]
    assert value_text(kind, payload, 0, len(payload), 1)[1] == len(payload)
    for cut in range(len(payload)):
        with pytest.raises(ConformError) as caught:
            value_text(kind, payload + b"\0rest", 0, cut, 1)
        assert caught.value.reason in {"truncated", "bad_length", "bad_terminator"}


@pytest.mark.parametrize("kind", sorted(set(range(256)) - EVERY_TYPE.keys()))
def test_no_other_type_exists(kind):
    with pytest.raises(ConformError, match="bad_type"):
        value_text(kind, bytes(64), 0, 64, 1)


def test_keys_are_escaped_whatever_their_length():
    for key in ("a", 'quote"', "line\n", "k" * 64, "k" * 65, "é" * 200):
        document = frame(element(10, b"", key.encode()))
        assert (
            value_text(3, document, 0, len(document), 1)[0]
            == "{" + json.dumps(key, ensure_ascii=False) + ":null}"
        )


def test_duplicate_keys_inside_are_kept():
    document = frame(element(8, b"\0"), element(8, b"\1"))
    assert value_text(3, document, 0, len(document), 1)[0] == '{"x":false,"x":true}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (pack("<i", 13) + bytes(20), "bad_length"),
        (pack("<i", -1) + bytes(20), "bad_length"),
        (pack("<i", 16) + pack("<i", 2) + b"f\0" + frame() + b"\0", "bad_length"),
        (pack("<i", 15) + pack("<i", 9) + b"f\0" + frame(), "truncated"),
    ],
)
def test_code_with_scope_whose_lengths_disagree(payload, reason):
    with pytest.raises(ConformError, match=reason):
        value_text(15, payload, 0, len(payload), 1)
