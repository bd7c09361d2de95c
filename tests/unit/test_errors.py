"""Errors: what they say, and that nothing of it is lost between processes."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline import errors
from tideline.errors import FatalError, RetriableError, TidelineError

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ("message", "source", "dataset", "place", "remedy")


def descendants(kind: type[TidelineError]) -> Iterator[type[TidelineError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


# Other rooms may refine an error for their own use; the tree is what everybody may rely on.
KINDS = [kind for kind in descendants(TidelineError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "no such bucket"),
        ({"source": "shop"}, "shop: no such bucket"),
        ({"source": "shop", "dataset": "orders"}, "shop.orders: no such bucket"),
        ({"dataset": "orders"}, "orders: no such bucket"),
        ({"place": "a.csv:3"}, "no such bucket [at a.csv:3]"),
        ({"remedy": "create it"}, "no such bucket Remedy: create it"),
        (
            {"source": "shop", "dataset": "orders", "place": "s3://x", "remedy": "create it"},
            "shop.orders: no such bucket [at s3://x] Remedy: create it",
        ),
    ],
)
def test_what_an_error_says(keys: dict[str, str], text: str) -> None:
    assert str(TidelineError("no such bucket", **keys)) == text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling(kind: type[TidelineError], protocol: int) -> None:
    error = kind("a\nb", source="s", dataset="d", place="p", remedy="r")
    back = pickle.loads(pickle.dumps(error, protocol))
    assert type(back) is kind
    assert [getattr(back, name) for name in FIELDS] == ["a\nb", "s", "d", "p", "r"]
    assert str(back) == str(error)


@given(st.text(), st.fixed_dictionaries({name: st.none() | st.text() for name in FIELDS[1:]}))
def test_copies_are_whole(message: str, keys: dict[str, str | None]) -> None:
    error = errors.IntegrityError(message, **keys)
    back = copy.copy(error)
    assert [getattr(back, name) for name in FIELDS] == [message, *(keys[name] for name in FIELDS[1:])]


def test_every_error_says_retry_or_stop() -> None:
    for kind in KINDS[1:]:
        assert issubclass(kind, RetriableError) != issubclass(kind, FatalError)


def test_the_drawn_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    drawn = [
        line.split("─ ")[-1].split()
        for line in errors.__doc__.splitlines()
        if "Error" in line.split("─ ")[-1]
    ]
    assert [words[0] for words in drawn] == [kind.__name__ for kind in KINDS]
    public = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert public == {kind.__name__ for kind in KINDS}


def test_names_end_in_error_and_are_described() -> None:
    for kind in KINDS:
        assert kind.__name__.endswith("Error")
        assert kind.__doc__
