"""Filters on raw documents. What servers have in common is in tests/integration/test_mongo_servers.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, MaxKey, MinKey, Regex
from hypothesis import given
from hypothesis import strategies as st
from mongomock.filtering import filter_applies

from devstack.mongo.errors import CommandError
from devstack.mongo.filters import compile_filter

T = datetime(2026, 1, 1, tzinfo=UTC)
NAN = float("nan")


def matches(query: dict[str, Any], document: dict[str, Any]) -> bool:
    return compile_filter(query)(bson.encode(document))


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        ({}, {}, True),
        ({"$comment": "hello"}, {}, True),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": [None]}, True),
        ({"a": None}, {"a": 0}, False),
        ({"a.b": None}, {"a": []}, False),
        ({"a": {"$gte": None}}, {}, True),
        ({"a": {"$gt": None}}, {}, False),
        ({"a": {"$gt": MinKey()}}, {"a": 1}, True),
        ({"a": {"$gt": MinKey()}}, {}, False),
        ({"a": {"$lt": MaxKey()}}, {"a": "x"}, True),
        ({"a": {"$gte": MaxKey()}}, {"a": "x"}, False),
        ({"a": {"$gte": NAN}}, {"a": NAN}, True),
        ({"a": {"$gte": NAN}}, {"a": 1}, False),
        ({"a": {"$lt": 5}}, {"a": NAN}, False),
        ({"a": {"$gt": 1, "$lt": 2}}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [1, 2]}, True),
        ({"a": [1, 2]}, {"a": [[1, 2]]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": {"x": 1}}, {"a": {"x": Int64(1)}}, True),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, False),
        ({"a": {}}, {"a": {}}, True),
        ({"a": {"$ne": 1}}, {}, True),
        ({"a": {"$ne": 1}}, {"a": [1, 2]}, False),
        ({"a": {"$eq": Decimal128("1.50")}}, {"a": 1.5}, True),
        ({"a": {"$in": [1, None]}}, {}, True),
        ({"a": {"$in": []}}, {"a": 1}, False),
        ({"a": {"$nin": [1, "x"]}}, {"a": [3, "x"]}, False),  # codespell:ignore nin
        ({"a": {"$exists": True}}, {"a": None}, True),
        ({"a": {"$exists": False}}, {"a": None}, False),
        ({"a": {"$not": {"$gte": T}}}, {"a": "2026"}, True),
        ({"a": {"$not": {"$gte": T}}}, {}, True),
        ({"a": {"$not": {"$gte": T}}}, {"a": T}, False),
        ({"a": {"$not": {"$gte": 1, "$lt": 3}}}, {"a": 2}, False),
        ({"a": {"$not": Regex("^x")}}, {"a": "xy"}, False),
        ({"a": {"$in": [Regex("^x"), 5]}}, {"a": "xy"}, True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"b": 2}, True),
        ({"$or": [{"a": 1}, {"a": {"$size": 2}}]}, {"a": [5, 6]}, True),
        ({"$or": [{"$and": [{"a": 1}]}, {"$and": [{"b": 1}]}]}, {"b": 1}, True),
        ({"$or": [{"a": 1, "b": 1}]}, {"a": 1}, False),
        ({"$nor": [{"a": 1}, {"b": 1}]}, {"c": 1}, True),
        ({"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 3}}]}, {"a": 2}, True),
        ({"$expr": {"$eq": ["$a", "$b"]}}, {"a": 1, "b": 1}, True),
    ],
)
def test_a_filter_matches_as_mongodb_does(
    query: dict[str, Any], document: dict[str, Any], expected: bool
) -> None:
    assert matches(query, document) is expected


@pytest.mark.parametrize(
    "query",
    [
        {"$or": []},
        {"$or": {"a": 1}},
        {"$and": ["a"]},
        {"a": {"$in": 1}},
        {"a": {"$not": 1}},
        {"a": {"$gte": Regex("x")}},
        {"a": {"$frobnicate": 1}},
        {"$frobnicate": 1},
    ],
)
def test_a_malformed_filter_is_refused_before_any_document(query: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as error:
        compile_filter(query)
    assert error.value.code == 2


def test_what_even_the_library_cannot_is_said_to_be_unsupported() -> None:
    with pytest.raises(CommandError) as error:
        compile_filter({"$where": "1"})
    assert error.value.code == 115


scalars = st.one_of(st.integers(-3, 3), st.sampled_from(["a", "b", T, T + timedelta(hours=1), None]))
conditions = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne"]), scalars.filter(bool), min_size=1),
    st.fixed_dictionaries({"$in": st.lists(scalars, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
)


@given(
    st.fixed_dictionaries({}, optional={"a": scalars, "b": scalars}),
    st.lists(st.dictionaries(st.sampled_from("ab"), conditions, min_size=1), min_size=1, max_size=3),
    st.sampled_from(["$or", "$and", "$nor"]),
)
def test_our_operators_agree_with_the_library_on_plain_documents(
    document: dict[str, Any], branches: list[dict[str, Any]], logical: str
) -> None:
    query = {logical: branches}
    assert matches(query, document) is bool(filter_applies(query, document))
