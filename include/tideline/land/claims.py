"""What a reply says, around its items and in its headers, about whether there are more.

Knows the names under which APIs say so; docs/catalog.md has the list. Does not look into items, and does not
know how pages are asked for.
"""

from __future__ import annotations

import json
import re
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

_EXCERPT_CHARACTERS = 80
_LONGEST_NUMBER = 18
_NOTHING: tuple[object, ...] = (None, False, "", "0", {}, [])
_HELD = 3
"""Levels of objects in an envelope that are looked at."""

# Keys in lower case and without what is no letter; headers also without their X-.
_PREFIX = re.compile("x-(wp-|ms-|pagination-)?")
_THINGS = "items?|elements?|results?|records?|rows?|entry|entries|hits?|objects?|features?"
_MORE = re.compile(
    "next(page)?(url|uri|link|href|cursor|token|marker|id|key|index|start|offset)?"
    "|next(pagenumber|pageparams|continuationtoken|recordsurl)|continue|continuation(token)?|lastevaluatedkey"
    f"|(has)?more(available|(pages?|data|{_THINGS})(available|incollection)?)?|has(next|nextpage|nextlink)"
    "|moretopicsurl"
)
_PARTIAL = re.compile("(is)?truncated|incomplete(results)?|exceededtransferlimit")
_UNFINISHED = re.compile("timedout")
_LAST = re.compile("(is)?last(page)?|done|isend|endofstream")
_CURSOR = re.compile("cursor|after(cursor|url)?")
_OFFSET = re.compile("offset")
_TOTAL = re.compile(
    f"count|total(count|size|found|({_THINGS})(count)?)?|({_THINGS})count|num(ber)?(of)?({_THINGS})"
    "|numfound|found|hits|nbhits|estimatedtotalhits|numbermatched|records(total|filtered)|contentrange"
)
_PAGES = re.compile("pages|totalpages|pages?count|num(ber)?(of)?pages|nbpages|lastpage")
_HOLDERS = re.compile(
    "meta|metadata|paging|pagination|pages?|pageinfo|pagecontext|links?|cursors?|info|resultinfo|resultset"
    "|records|results?|responsemetadata|additionaldata"
)
"""Objects that hold such keys, and lists of links."""
_CONTENT_RANGE = re.compile(r"(?!bytes\b)[^/]*/\s*(\d+)\s*", re.IGNORECASE)


class Claim(NamedTuple):
    """One thing that a reply says."""

    key: str
    """As the reply spells it."""
    text: str
    """With where it stands and what it says: `meta.total: 35`."""
    number: int
    """What a total or a count of pages is; else 0."""


class Claims(NamedTuple):
    """What a reply says; None for what it does not say."""

    flag: Claim | None = None
    """That there are more, as a yes or no: `has_more: true`, `last: false`."""
    lead: Claim | None = None
    """A link or cursor to the next page; some servers give it on the last page too."""
    total: Claim | None = None
    """How many items there are on all pages, at least."""
    pages: Claim | None = None
    """How many pages there are, at least."""


def claims_of(
    envelopes: Iterable[Mapping[str, object]], headers: Mapping[str, str], unrelated: Collection[str]
) -> Claims:
    """What is said around the items of a reply.

    Args:
        envelopes: The objects around the array, without it; whole numbers are texts of their digits.
        headers: By lower-case name.
        unrelated: Names of keys and headers that mean something else, in any case.
    """
    ignored = frozenset(name.lower() for name in unrelated)
    found: dict[str, list[Claim]] = {}
    for envelope in (*envelopes, _telling(headers)):
        for kind, claim in _stated(envelope, ignored):
            found.setdefault(kind, []).append(claim)
    leads = found.get("lead", []) + ([] if "end" in found else found.get("cursor", []))
    return Claims(
        next(iter(found.get("flag", ())), None),
        next(iter(leads), None),
        max(found.get("total", ()), key=attrgetter("number"), default=None),
        max(found.get("pages", ()), key=attrgetter("number"), default=None),
    )


def total_of(headers: Mapping[str, str], unrelated: Collection[str]) -> int | None:
    """What `X-Total-Count` says; None where that is no number that items could be counted with."""
    if "x-total-count" in {name.lower() for name in unrelated}:
        return None
    return _whole(headers.get("x-total-count", ""))


def is_nothing(value: object) -> bool:
    """Whether a value of an envelope says nothing: null, false, 0, empty."""
    return value in _NOTHING


def _telling(headers: Mapping[str, str]) -> dict[str, object]:
    """The headers that may say something, as an envelope."""
    told: dict[str, object] = {name: text for name, text in headers.items() if name.startswith("x-")}
    if whole := _CONTENT_RANGE.fullmatch(headers.get("content-range", "")):
        told["content-range"] = whole[1]
    if "x-pagination" in headers:
        told["x-pagination"] = _loaded(headers["x-pagination"])
    return told


def _loaded(text: str) -> object:
    try:
        return json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return text


def _stated(
    envelope: Mapping[str, object], ignored: frozenset[str], levels: int = _HELD, above: str = ""
) -> Iterator[tuple[str, Claim]]:
    for name, value in envelope.items():
        if name.lower() in ignored:
            continue
        key = _plain(name)
        if key == "after" and _has_before(envelope):
            continue
        for names, kind_of in _RULES:
            if names.fullmatch(key) and (kind := kind_of(value)):
                yield kind, Claim(name, f"{above}{name}: {_shown(value)}", _whole(_counted(value)) or 0)
        if levels and _HOLDERS.fullmatch(key):
            yield from _stated(_held(value), ignored, levels - 1, f"{above}{name}.")


def _plain(name: str) -> str:
    """What a key is looked up by."""
    return re.sub("[^a-z]", "", _PREFIX.sub("", name.rpartition(".")[2].lower(), count=1))


def _has_before(envelope: Mapping[str, object]) -> bool:
    """Whether a `before` says something too: then both are the ends of this page, as Facebook has them."""
    return any(_plain(name) == "before" and not is_nothing(value) for name, value in envelope.items())


def _held(value: object) -> dict[str, object]:
    """The members of an object; of a list of links, their targets by relation."""
    if isinstance(value, dict):
        return value
    links = [link for link in value if isinstance(link, dict)] if isinstance(value, list) else []
    return {relation: link.get("href", link.get("url")) for link in links for relation in _relations(link)}


def _relations(link: Mapping[str, object]) -> list[str]:
    told = link.get("rel", link.get("relation"))
    if isinstance(told, list):
        return [name for name in told if isinstance(name, str)]
    return told.split() if isinstance(told, str) else []


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    """A number of items; ints are texts here, so that no number is too long to be read."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER:
        return int(value)
    return None


def _counted(value: object) -> object:
    """Elasticsearch has its total in an object."""
    return value.get("value") if isinstance(value, dict) else value


def _shown(value: object) -> str:
    return str(value) if _whole(value) is not None else json.dumps(value)[:_EXCERPT_CHARACTERS]


def _more(value: object) -> str:
    flag = _flag(value)
    if flag is not None:
        return "flag" if flag else "end"
    return "" if is_nothing(value) else "lead"


def _partial(value: object) -> str:
    return {True: "flag", False: "end", None: ""}[_flag(value)]


def _unfinished(value: object) -> str:
    """Elasticsearch's; that it had time enough does not say that this is all."""
    return "flag" if _flag(value) else ""


def _last(value: object) -> str:
    return {True: "end", False: "flag", None: ""}[_flag(value)]


def _cursor(value: object) -> str:
    return "cursor" if isinstance(value, str) and not is_nothing(value) else ""


def _offset(value: object) -> str:
    """Airtable's cursor; elsewhere the number that was asked for."""
    return "" if _whole(value) is not None else _cursor(value)


def _total(value: object) -> str:
    return "total" if _whole(_counted(value)) else ""


def _pages(value: object) -> str:
    return "pages" if _whole(value) else ""


_RULES: tuple[tuple[re.Pattern[str], Callable[[object], str]], ...] = (
    (_MORE, _more),
    (_PARTIAL, _partial),
    (_UNFINISHED, _unfinished),
    (_LAST, _last),
    (_CURSOR, _cursor),
    (_OFFSET, _offset),
    (_TOTAL, _total),
    (_PAGES, _pages),
)
"""Names, and what kind of claim a value under them is; empty for none."""
