"""Values found in raw bytes must be those that the driver's own decoder finds, in MongoDB's order."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st

from devstack.mongo.bson_view import (
    MISSING,
    array_slots,
    decode,
    field_keys,
    find_slot,
    identity,
    key_of,
    path_slots,
    split,
    value_at,
)
from devstack.mongo.errors import CommandError

OID = ObjectId("5f00000000000000000000aa")
T = datetime(2026, 1, 1, tzinfo=UTC)
IN_ORDER: list[Any] = [
    MinKey(),
    None,
    float("nan"),
    -math.inf,
    Decimal128("-1.5"),
    0,
    Int64(1),
    1.5,
    Decimal128("2.5"),
    10**15,
    math.inf,
    "",
    "Z",
    "a",
    "é",
    {"a": 1},
    {"a": 2},
    {"b": 1},
    {"a": "x"},
    [1],
    [1, 2],
    Binary(b"ab"),
    Binary(b"abc"),
    OID,
    False,
    True,
    DatetimeMS(-62_135_596_800_001),
    T,
    DatetimeMS(253_402_300_800_000),
    Timestamp(1, 9),
    Timestamp(2, 1),
    Regex("^a", "i"),
    Code("f()"),
    Code("f()", {"x": 1}),
    MaxKey(),
]
documents = st.dictionaries(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=4),
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.binary(max_size=4),
            st.just(OID),
            st.just(T),
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner)),
        max_leaves=5,
    ),
    max_size=5,
)


def test_types_are_ordered_as_mongodb_orders_them() -> None:
    keys = [key_of(value) for value in IN_ORDER]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("same", [(1, Int64(1), 1.0, Decimal128("1.0")), (0.0, -0.0), ("a", "a")])
def test_equal_numbers_of_different_types_are_equal(same: tuple[Any, ...]) -> None:
    assert len({key_of(value) for value in same}) == 1


@given(documents)
def test_every_field_is_found_where_the_decoder_finds_it(document: dict[str, Any]) -> None:
    raw = bson.encode(document)
    for name, value in document.items():
        slot = find_slot(raw, name.encode())
        assert slot is not None
        assert bson.encode({"": value_at(raw, slot)}) == bson.encode({"": value})
        assert field_keys(raw, {name.encode(): 0}, 1) == [key_of(value)]
    assert find_slot(raw, b"no such field") is None
    assert field_keys(raw, {b"no such field": 0}, 1) == [MISSING]


@pytest.mark.parametrize(
    "value", [Regex("a\u0301", "im"), Code("x", {"y": 1}), DBRef("c", OID), Binary(b"", 4)]
)
def test_values_behind_rare_types_are_found(value: Any) -> None:
    raw = bson.encode({"rare": value, "after": 7})
    slot = find_slot(raw, b"after")
    assert slot is not None
    assert value_at(raw, slot) == 7


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b", [1, 2, None]),
        ("a.1.b", [2, None, None, None]),
        ("a.1", [{"b": 2}, None, None, None]),
        ("c.d.e", [5]),
        ("c.x", [None]),
        ("s.x", [None]),
        ("e.x", []),
        ("l", [[1, 2]]),
    ],
)
def test_paths_are_followed_through_arrays(path: str, expected: list[Any]) -> None:
    raw = bson.encode(
        {"a": [{"b": 1}, {"b": 2}, {"x": 3}], "c": {"d": {"e": 5}}, "s": "text", "e": [], "l": [1, 2]}
    )
    found = path_slots(raw, path.encode().split(b"."))
    values = [None if slot is None else value_at(raw, slot) for slot in found]
    assert sorted(map(repr, values)) == sorted(map(repr, expected))


def test_only_arrays_have_items() -> None:
    raw = bson.encode({"l": [1, "x"], "d": {"0": 1}})
    lists, document = find_slot(raw, b"l"), find_slot(raw, b"d")
    assert lists is not None
    assert document is not None
    assert [value_at(raw, item) for item in array_slots(raw, lists)] == [1, "x"]
    assert array_slots(raw, document) == []


@pytest.mark.parametrize("same", [(1, 1.0, Int64(1), Decimal128("1")), (OID, OID), ("1", "1"), (T, T)])
def test_the_same_id_is_the_same_identity(same: tuple[Any, ...]) -> None:
    assert len({identity(bson.encode({"_id": value})) for value in same}) == 1


def test_different_ids_are_different_identities() -> None:
    values = [
        1,
        "1",
        b"1",
        True,
        0,
        False,
        None,
        OID,
        T,
        {"a": 1},
        {"a": 1.5},
        math.nan,
        Binary(b"1", 5),
        "NaN",
    ]
    assert len({identity(bson.encode({"_id": value})) for value in values}) == len(values)


def test_an_id_need_not_come_first() -> None:
    raw = bson.encode(bson.SON([("a", 1), ("_id", 5)]))
    moved = raw[:4] + raw[4:-1].replace(b"\x10_id\0\x05\0\0\0", b"") + b"\x10_id\0\x05\0\0\0\0"
    assert identity(moved) == 5


@pytest.mark.parametrize("value", [[1], Regex("a")])
def test_ids_that_mongodb_refuses_are_refused(value: Any) -> None:
    with pytest.raises(CommandError, match="cannot be an array, a regex"):
        identity(bson.encode({"_id": value}))


def test_a_document_without_id_has_no_identity() -> None:
    with pytest.raises(CommandError, match="without _id"):
        identity(bson.encode({"a": 1}))


def test_documents_in_a_row_are_split() -> None:
    rows = [bson.encode({"_id": n, "x": "y" * n}) for n in range(5)]
    assert split(b"".join(rows)) == rows
    assert split(b"") == []


@pytest.mark.parametrize(
    "payload", [b"\x00", b"\x04\0\0\0", b"\xff\0\0\0" + b"\0" * 9, bson.encode({"a": 1}) + b"\x05\0"]
)
def test_frames_that_do_not_fit_are_refused(payload: bytes) -> None:
    with pytest.raises(CommandError, match="does not fit its message") as error:
        split(payload)
    assert error.value.code == 22


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (b"\x02a\0\xff\0\0\0x\0", "a value of 259 bytes does not fit"),
        (b"\x02a\0\xff\xff\xff\xffx\0", "a value of 3 bytes does not fit"),
        (b"\x20a\0", "unknown BSON type 0x20"),
    ],
)
def test_values_that_do_not_fit_are_refused(element: bytes, message: str) -> None:
    raw = (len(element) + 5).to_bytes(4, "little") + element + b"\0"
    with pytest.raises(CommandError, match=message):
        find_slot(raw, b"b")


def test_what_is_no_document_does_not_decode() -> None:
    assert decode(bson.encode({"a": DatetimeMS(253_402_300_800_000)})) == {
        "a": DatetimeMS(253_402_300_800_000)
    }
    with pytest.raises(CommandError, match="invalid BSON"):
        decode(b"\x05\0\0\0\1")
