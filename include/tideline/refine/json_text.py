"""JSON bodies as a strict reader sees them: numbers as they are written, duplicate keys seen, items in place.

Knows the grammar of https://www.rfc-editor.org/rfc/rfc8259 and where items begin and end. Knows no columns.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring as quote
from typing import TYPE_CHECKING, Any, NamedTuple

from tideline.refine.fields import ConformError, check_depth

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence


class Integer(str):
    """A number written without fraction and exponent, as it is written."""

    __slots__ = ()


class Real(str):
    """Any other number, as it is written."""

    __slots__ = ()


class Constant(str):
    """NaN, Infinity or -Infinity: Python reads them, JSON does not have them."""

    __slots__ = ()


class Duplicated(list[tuple[str, Any]]):
    """The members of an object in which a key stands twice."""


class Item(NamedTuple):
    """One item of the body's array."""

    start: int
    """Where its text begins in the body's text."""
    end: int
    value: Any
    """Objects are dicts or `Duplicated`, numbers `Integer` or `Real`; `TOO_DEEP` if it cannot be read."""


TOO_DEEP = object()


class NotJsonError(ValueError):
    """The body is not JSON, or not of the shape that is declared; says where."""


def items_of(text: str, path: Sequence[str]) -> Iterator[Item]:
    """The items of the array at `path` inside the body, in order, read one at a time.

    Raises:
        NotJsonError: The text is not JSON, or there is no array at the path.
    """
    position = _space(text, 0)
    for key in path:
        position = _member(text, position, key)
    if text[position : position + 1] != "[":
        raise NotJsonError(f"expected an array at {_place(path)}, found {_excerpt(text, position)}")
    position = yield from _items(text, position)
    for key in reversed(path):
        position = _rest_of_object(text, position, key)
    if _space(text, position) != len(text):
        raise NotJsonError(f"something follows the end of the body: {_excerpt(text, position)}")


def _items(text: str, position: int) -> Generator[Item, None, int]:
    position = _space(text, position + 1)
    if text[position : position + 1] == "]":
        return position + 1
    while True:
        value, end = _value(text, position)
        yield Item(position, end, value)
        position = _space(text, end)
        mark = text[position : position + 1]
        if mark == "]":
            return position + 1
        if mark != ",":
            raise NotJsonError(f"expected ',' or ']' after an item, found {_excerpt(text, position)}")
        position = _space(text, position + 1)


def _member(text: str, position: int, key: str) -> int:
    """Where the value of `key` begins, in the object at `position`."""
    if text[position : position + 1] != "{":
        raise NotJsonError(f"expected an object that holds {key!r}, found {_excerpt(text, position)}")
    position = _space(text, position + 1)
    while text[position : position + 1] != "}":
        name, position = _name(text, position)
        if name == key:
            return position
        _, position = _value(text, position)
        position = _after_member(text, position)
    raise NotJsonError(f"there is no {key!r} in the object before {_excerpt(text, position)}")


def _rest_of_object(text: str, position: int, key: str) -> int:
    """The end of the object whose member `key` ends at `position`; the key must not stand there again."""
    position = _after_member(text, position)
    while text[position : position + 1] != "}":
        name, position = _name(text, position)
        if name == key:
            raise NotJsonError(f"{key!r} stands twice in one object, again at {_excerpt(text, position)}")
        _, position = _value(text, position)
        position = _after_member(text, position)
    return position + 1


def _name(text: str, position: int) -> tuple[Any, int]:
    """A member's name, and where its value begins."""
    if text[position : position + 1] != '"':
        raise NotJsonError(f"expected a key, found {_excerpt(text, position)}")
    name, position = _value(text, position)
    position = _space(text, position)
    if text[position : position + 1] != ":":
        raise NotJsonError(f"expected ':', found {_excerpt(text, position)}")
    return name, _space(text, position + 1)


def _after_member(text: str, position: int) -> int:
    """Where the next member or the object's end is."""
    position = _space(text, position)
    mark = text[position : position + 1]
    following = _space(text, position + 1)
    if mark == "}":
        return position
    if mark != "," or text[following : following + 1] == "}":
        raise NotJsonError(f"expected ',' or '}}', found {_excerpt(text, position)}")
    return following


def _value(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except RecursionError:
        return TOO_DEEP, _skip(text, position)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg}: {_excerpt(text, error.pos)}") from None


def _skip(text: str, position: int) -> int:
    """The end of a value that nests too deep to be read, by its brackets alone."""
    depth = 0
    for token in _BRACKETS.finditer(text, position):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    raise NotJsonError(f"a value does not end: {_excerpt(text, position)}")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any] | Duplicated:
    found = dict(members)
    return found if len(found) == len(members) else Duplicated(members)


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Integer, parse_float=Real, parse_constant=Constant
)
_SPACE = re.compile(r"[ \t\n\r]*+")


def _space(text: str, position: int) -> int:
    """Past the white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _excerpt(text: str, position: int) -> str:
    found = text[position : position + 40]
    return f"{found!r} at character {position}" if found else "the end of the body"


def _place(path: Sequence[str]) -> str:
    return ".".join(path) if path else "the top of the body"


def json_text(value: Any, depth: int) -> str:  # noqa: ANN401 - JSON
    """The compact text of a value: keys in the source's order, numbers as written.

    Args:
        value: As `items_of` gives it.
        depth: How deep an object would be nested if it stood here; 1 directly inside an item.

    Raises:
        ConformError: `bad_json` (NaN, Infinity) or `too_deep`.
    """
    if isinstance(value, str):
        return _string_text(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    check_depth(depth)
    if type(value) is list:
        return "[" + ",".join([json_text(item, depth + 1) for item in value]) + "]"
    members = value if isinstance(value, Duplicated) else value.items()
    return "{" + ",".join([f"{quote(key)}:{json_text(item, depth + 1)}" for key, item in members]) + "}"


def _string_text(value: str) -> str:
    if isinstance(value, Integer | Real):
        return str(value)
    if isinstance(value, Constant):
        raise ConformError("bad_json", f"{value} is not JSON")
    return quote(value)


_WORDS = {None: "null", True: "true", False: "false"}
