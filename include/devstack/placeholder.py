"""What JSONPlaceholder answers: json-server 0.17's listings, pages, filters and links, without sockets.

Owns the items and the semantics of a request. `devstack.http_server` puts it on a port.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstack.shop.api_items import Item

_PAGE_SIZE = 10
_PARENTS = {"users": "userId", "posts": "postId", "albums": "albumId"}
"""Resource → the field by which others point to it; makes `/posts/1/comments` work."""


@dataclass(frozen=True)
class Answer:
    """A response, not yet on the wire."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """A weak ETag of the body, in the form that Express gives."""
        digest = base64.b64encode(hashlib.sha1(self.body, usedforsecurity=False).digest())[:27].decode()
        return f'W/"{len(self.body):x}-{digest}"'


class Items:
    """The resources' items, changeable while they are served."""

    def __init__(self, resources: dict[str, list[Item]]) -> None:
        self._lock = threading.Lock()
        self._resources = {name: list(items) for name, items in resources.items()}

    def get(self, resource: str) -> list[Item] | None:
        """All items of a resource as they are now; None for an unknown one."""
        return self._resources.get(resource)

    def replace(self, resource: str, items: Iterable[Item]) -> None:
        """Let the resource hold exactly these."""
        with self._lock:
            self._resources[resource] = list(items)

    def put(self, resource: str, items: Iterable[Item]) -> None:
        """Replace items by `id`, and append those that are new."""
        with self._lock:
            merged = {item["id"]: item for item in self._resources.get(resource, [])}
            merged.update({item["id"]: item for item in items})
            self._resources[resource] = list(merged.values())


def answer(items: Items, target: str, host: str) -> Answer:
    """What `GET target` gives.

    Args:
        items: What is served.
        target: Path and query as in the request line.
        host: The `Host` header, for links.
    """
    parts = urlsplit(target)
    steps = [step for step in parts.path.split("/") if step]
    query = parse_qsl(parts.query, keep_blank_values=True)
    found = items.get(steps[0]) if steps else None
    if found is None:
        return _NOT_FOUND
    match steps:
        case [_]:
            return _listing(found, query, f"http://{host}{target}")
        case [_, number]:
            return _single(found, number)
        case [parent, number, child]:
            children = items.get(child)
            if parent not in _PARENTS or children is None:
                return _NOT_FOUND
            return _listing(children, [(_PARENTS[parent], number), *query], f"http://{host}{target}")
    return _NOT_FOUND


def _single(found: list[Item], number: str) -> Answer:
    return next((_json(item) for item in found if str(item["id"]) == number), _NOT_FOUND)


def _json(value: object) -> Answer:
    return Answer(200, json.dumps(value, indent=2, ensure_ascii=False).encode())


_NOT_FOUND = Answer(404, b"{}")


def _listing(found: list[Item], query: list[tuple[str, str]], url: str) -> Answer:
    controls = {name: value for name, value in query if name.startswith("_")}
    wanted: dict[str, set[str]] = {}
    for name, value in query:
        if not name.startswith("_"):
            wanted.setdefault(name, set()).add(value)
    found = [item for item in found if _fits(item, wanted)]
    if "_sort" in controls:
        found = _sorted(found, controls["_sort"], controls.get("_order", "asc"))
    shown, headers = _sliced(found, controls, url)
    return Answer(200, _json(shown).body, headers)


def _fits(item: Item, wanted: dict[str, set[str]]) -> bool:
    """Filters on fields the item lacks are ignored, as json-server ignores parameters that name no field."""
    return all(_as_text(item[name]) in values for name, values in wanted.items() if name in item)


def _as_text(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _sorted(found: list[Item], name: str, order: str) -> list[Item]:
    return sorted(found, key=lambda item: item.get(name, 0), reverse=order == "desc")


def _sliced(found: list[Item], controls: dict[str, str], url: str) -> tuple[list[Item], dict[str, str]]:
    if not controls.keys() & {"_page", "_limit", "_start", "_end"}:
        return found, {}
    headers = {"X-Total-Count": str(len(found)), "Access-Control-Expose-Headers": "X-Total-Count"}
    if "_page" in controls:
        headers["Access-Control-Expose-Headers"] += ", Link"
        page, size = max(1, _whole(controls["_page"], 1)), _whole(controls.get("_limit"), _PAGE_SIZE)
        link = _links(page, size, len(found), controls["_page"], url)
        return found[(page - 1) * size : page * size], {**headers, **({"Link": link} if link else {})}
    start = _whole(controls.get("_start"), 0)
    end = _whole(controls.get("_end"), start + _whole(controls.get("_limit"), len(found)))
    return found[start:end], headers


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() and int(text) else default


def _links(page: int, size: int, total: int, current: str, url: str) -> str:
    """`Link` as json-server writes it: none on an empty page, none where one page holds everything."""
    if (page - 1) * size >= total or total <= size:
        return ""
    pages = {"first": 1, "prev": page - 1, "next": page + 1, "last": ceil(total / size)}
    if page == 1:
        del pages["prev"]
    if page * size >= total:
        del pages["next"]
    return ", ".join(
        f'<{url.replace(f"_page={current}", f"_page={number}")}>; rel="{name}"'
        for name, number in pages.items()
    )
