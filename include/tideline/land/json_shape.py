"""What an API's body must look like to be landed: JSON text with an array of objects at a declared place.

Knows the shape and nothing of the fields; what is in an object is `tideline.refine`'s. Looks at bytes that
are landed as they are, so what only a record has wrong is left for refine to judge: bytes that are no UTF-8
inside a string, NaN, nesting without measure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tideline.errors import ContractError, SourceUnavailableError
from tideline.land.claims import is_nothing

if TYPE_CHECKING:
    from collections.abc import Collection

_EXCERPT_CHARACTERS = 80
_KEYS_SHOWN = 12
_ERROR = re.compile("errors?", re.IGNORECASE)
_SUCCESS = re.compile("(is_?)?(success(ful)?|ok)", re.IGNORECASE)
_STATUS = re.compile("status", re.IGNORECASE)
_FAILED = frozenset({"error", "fail", "failed", "failure"})
"""JSend's, and what is written for them."""
_CODE = re.compile("(http_?)?status(_?code)?|code", re.IGNORECASE)
_FAILURES = frozenset(str(code) for code in (401, 402, 403, 407, 408, 425, 429, *range(500, 600)))
"""HTTP's that a body has and the head has not. Of the others, such as 404, there being nothing may be all."""
_ERROR_CODE = re.compile("err(or)?_?(code|no|num)", re.IGNORECASE)
"""Of an error: 0 and nothing are none."""
_SHARDS = "_shards"
"""Elasticsearch's: how many parts of an index were asked, and of how many `failed` nothing came."""
_DEEPEST = 200
"""Levels of a body that are looked at if it has more than can be read; refine takes fewer in a record."""
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}"]', re.DOTALL)
"""Brackets, and what they do not count in; a quote alone is a text that is cut off."""


class ShapeError(ContractError):
    """The body is JSON, and has no array of objects at that place."""


class Items(NamedTuple):
    """The array of a body."""

    number: int
    sha256: str
    """Of the array alone: around it a reply may have what is new in each, a time or a request's id."""
    around: tuple[dict[str, Any], ...] = ()
    """The objects that the array is in, outermost first, without what leads to it."""


def items_in(
    body: bytes,
    records_at: tuple[str, ...],
    place: str,
    *,
    null_is_empty: bool = False,
    unrelated: Collection[str] = (),
) -> Items:
    """What is in the array at `records_at` (keys, outermost first).

    With `null_is_empty` a null in its place is an empty array. What is under an `unrelated` key is no error.

    Raises:
        SourceUnavailableError: The body is no JSON: cut off, an HTML page, empty. Or an error is told beside
            the array: there may be more than is in it.
        ShapeError: It is, but there is no array of objects at that place.
        ContractError: It is no UTF-8, or there is an empty array and another under the same keys.
    """
    found = _parsed(body, place)
    around: list[dict[str, Any]] = []
    for depth, key in enumerate(records_at):
        if not isinstance(found, dict) or key not in found:
            _check_told([*around, found], unrelated, place)
            raise _misshapen(f"an object with the key {key!r}", found, records_at[:depth], place)
        around.append({name: value for name, value in found.items() if name != key})
        found = found[key]
    if found is None and null_is_empty:
        found = []
    if not isinstance(found, list) or not (found == [] or any(isinstance(item, dict) for item in found)):
        _check_told([*around, found], unrelated, place)
        raise _misshapen("an array of objects", found, records_at, place)
    _check_told(around, unrelated, place, has_items=bool(found))
    if not found:
        _check_once(body, records_at, place)
    content = _text_of(found, body) if records_at else body
    return Items(len(found), hashlib.sha256(content).hexdigest(), tuple(around))


def _check_told(
    around: list[Any], unrelated: Collection[str], place: str, *, has_items: bool = False
) -> None:
    """Where something went wrong there may be more items than these: GraphQL answers with what it has."""
    ignored = frozenset(name.lower() for name in unrelated)
    envelopes = (envelope for envelope in around if isinstance(envelope, dict))
    for name, value in ((name, value) for envelope in envelopes for name, value in envelope.items()):
        is_told = _tells_an_error(name, value) or (not has_items and _has_failed(name, value))
        if name.lower() not in ignored and is_told:
            said = json.dumps(value[:_EXCERPT_CHARACTERS]) if isinstance(value, str) else _shown(value)
            raise SourceUnavailableError(
                f"the body has {'items' if has_items else 'no items'} and tells an error ({name}: {said})",
                place=place,
                remedy=f"open the URL if it does not pass; if {name} says something else, "
                f"set unrelated_keys: [{name}] in the catalog",
            )


def _tells_an_error(name: str, value: object) -> bool:
    if _SUCCESS.fullmatch(name):
        return value is False or (isinstance(value, str) and value.lower() == "false")
    if _STATUS.fullmatch(name):
        return isinstance(value, str) and value.lower() in _FAILED
    if name == _SHARDS:
        return isinstance(value, dict) and not is_nothing(value.get("failed"))
    return bool(_ERROR.fullmatch(name)) and not is_nothing(value)


def _has_failed(name: str, value: object) -> bool:
    """Whether a code says why there is nothing."""
    if _ERROR_CODE.fullmatch(name):
        return not is_nothing(value)
    return bool(_CODE.fullmatch(name)) and isinstance(value, str) and value in _FAILURES


def _shown(value: object) -> str:
    return "false" if value is False else "…"


def _check_once(body: bytes, records_at: tuple[str, ...], place: str) -> None:
    """What leads to an array without items stands there once: of two, the other may have them.

    Of an array with items refine says so; one without is no part that it would see.
    """
    twice: set[str] = set()

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.update(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return found

    with suppress(RecursionError):
        json.loads(body.decode("utf-8-sig", "surrogateescape"), object_pairs_hook=members, parse_int=str)
    for key in records_at:
        if key in twice:
            raise ContractError(
                f"{key!r} stands twice in one object, and which of them has the rows is unknown",
                place=place,
                remedy="report it to whoever runs the API; nothing of it was taken",
            )


def _text_of(found: list[Any], body: bytes) -> bytes:
    """The array as text, the same for the same items; the whole body where it nests too deeply for that."""
    try:
        return json.dumps(found).encode()
    except RecursionError:
        return body


def _parsed(body: bytes, place: str) -> object:
    encoding = json.detect_encoding(body)
    if encoding not in ("utf-8", "utf-8-sig"):
        raise ContractError(
            f"the body is {encoding}; JSON between systems is UTF-8 (RFC 8259)",
            place=place,
            remedy="ask the API for UTF-8, for instance by an Accept header on the connection",
        )
    try:
        return _loaded(body.decode(encoding, "surrogateescape"))
    except ValueError as error:
        kind, remedy = _meaning(body, error)
        raise SourceUnavailableError(
            f"the body is {kind}: {error}; it begins with {_excerpt(body)}", place=place, remedy=remedy
        ) from error


def _loaded(text: str) -> object:
    """The value; NaN, Infinity and depth are for refine to refuse, with the record that has them alone."""
    try:
        return json.loads(text, parse_int=str)
    except RecursionError:
        return json.loads(_shallow(text), parse_int=str)


def _shallow(text: str) -> str:
    """The text with null for whatever is nested too deeply to be read; cut off where that does not end."""
    kept, start, depth = [], 0, 0
    for token in _BRACKETS.finditer(text):
        if token[0] in "{[":
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(text[start : token.start()])
        elif token[0] in "}]":
            depth -= 1
            if depth == _DEEPEST:
                kept.append("null")
                start = token.end()
        elif token[0] == '"':
            break
    return "".join(kept if depth > _DEEPEST else [*kept, text[start:]])


def _meaning(body: bytes, error: ValueError) -> tuple[str, str]:
    """What a body is that is not one JSON text, and what to do about it."""
    if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data" and _are_objects(error):
        return "JSON lines", (
            "ask the API for one JSON text with an array of objects: by parameters in the catalog, or by an "
            "Accept header on the connection"
        )
    remedy = "open the URL: a proxy, a login page or a fault of the server may stand before the API"
    return _kind_of_text(body), remedy


def _are_objects(error: json.JSONDecodeError) -> bool:
    """Whether the text is an object, and what follows it another."""
    return error.doc.lstrip()[:1] == "{" and error.doc[error.pos] == "{"


def _kind_of_text(body: bytes) -> str:
    start = body.lstrip()[:1]
    if not start:
        return "empty"
    if start == b"<":
        return "HTML or XML, not JSON"
    return "no JSON, or cut off"


def _excerpt(body: bytes) -> str:
    return repr(body[:_EXCERPT_CHARACTERS].decode("utf-8", "replace"))


def _misshapen(expected: str, found: object, path: tuple[str, ...], place: str) -> ShapeError:
    where = f"at {'.'.join(path)}" if path else "at its top"
    return ShapeError(
        f"the body has {_described(found)} {where}, expected {expected}",
        place=place,
        remedy=_remedy(found, path),
    )


def _described(found: object) -> str:
    if isinstance(found, dict):
        return f"an object with the keys {', '.join(list(found)[:_KEYS_SHOWN]) or '(none)'}"
    if isinstance(found, list):
        return f"an array of {len(found)} items, none of them an object,"
    return f"the value {json.dumps(found)[:_EXCERPT_CHARACTERS]}"


def _remedy(found: object, path: tuple[str, ...]) -> str:
    arrays = (
        [key for key, value in found.items() if isinstance(value, list)] if isinstance(found, dict) else []
    )
    if arrays:
        return f"if the rows are there, set records_at: [{', '.join([*path, arrays[0]])}] in the catalog"
    return "correct path, parameters, paging or records_at in the catalog"
