"""Land an HTTP endpoint: all its pages byte for byte, or nothing where the server says that nothing changed.

An endpoint has no change column, so it is read whole each time; ETags make an unchanged one cheap. Knows what
a landed snapshot consists of. Does not know how pages follow each other, nor HTTP.
"""

from __future__ import annotations

import hashlib
import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tideline.errors import TidelineError
from tideline.land.claims import claims_of, total_of
from tideline.land.link_header import links
from tideline.land.paging import is_beyond_the_end, page_url, walk
from tideline.land.request import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import HttpDataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.land.http import HttpSession
    from tideline.land.http_replies import Answer
    from tideline.land.paging import Page
    from tideline.land.request import Attempt, LandRequest

log = logging.getLogger(__name__)

KEPT_HEADERS = (
    "content-type",
    "content-length",
    "content-encoding",
    "date",
    "age",
    "etag",
    "last-modified",
    "link",
    "x-total-count",
    "x-total",
    "x-total-pages",
    "x-next-page",
    "content-range",
)
"""What is kept of a reply's headers; complete for judging later what was landed, and without cookies."""


def land(request: LandRequest[HttpDataset], session: HttpSession, store: Store) -> tuple[Manifest, str]:
    """Land the endpoint as it is now.

    Where the previous manifest was made by the same declaration and request, and the server answers 304 to
    each of its pages, the manifest has no parts and says `unchanged`. If anything changed all pages are read
    again, so that a landed snapshot is always whole. `details` of every manifest has the pages with their
    ETags, for the next time.

    Returns:
        The committed manifest and its URI.

    Raises:
        SourceUnavailableError: The server does not answer within the deadline, or not with JSON.
        SourceRefusedError: It refuses us, or there is no such endpoint.
        SourceChangedError: The listing changed while it was read.
        ContractError: The body is not an array of objects where the catalog says, or pages repeat.
    """
    attempt = request.begin()
    described = _described(request.dataset, session)
    with _naming(request.dataset):
        before = _reusable_pages(request, described)
        if before and _is_unchanged(request.dataset, session, before):
            details = {
                "request": described,
                "pages": before,
                "source": _counted(request.dataset, []),
                "whole": True,
            }
            return attempt.commit(store, (), records=0, details=details, unchanged=True)
        parts, pages = _land_pages(attempt, session, store)
    return attempt.commit(
        store,
        parts,
        records=sum(part.records or 0 for part in parts),
        details={
            "request": described,
            "pages": pages,
            "source": _counted(request.dataset, parts),
            "whole": True,
        },
    )


def _land_pages(
    attempt: Attempt[HttpDataset], session: HttpSession, store: Store
) -> tuple[list[Part], list[dict[str, Any]]]:
    parts: list[Part] = []
    pages: list[dict[str, Any]] = []
    for page in walk(attempt.request.dataset, session):
        key = attempt.folder.part(len(parts), "json")
        written = store.put_file(key, io.BytesIO(page.answer.body), content_type="application/json")
        parts.append(part_of(written, page.items, _origin(page)))
        pages.append({"url": page.url, "etag": page.answer.headers.get("etag"), "items": page.items})
    return parts, pages


def _counted(dataset: HttpDataset, parts: list[Part]) -> dict[str, Any]:
    """How many items the server says there are; `walk` has held that against what came."""
    totals = (total_of(part.origin["headers"], dataset.unrelated_keys) for part in parts)
    known = next((total for total in totals if total is not None), None)
    return {"kind": "none" if known is None else "total", "count": known}


def _reusable_pages(
    request: LandRequest[HttpDataset], described: dict[str, Any]
) -> list[dict[str, Any]] | None:
    """The pages of the previous manifest, if asking for them again would tell whether anything changed."""
    previous = request.previous
    if previous is None or previous.catalog_fingerprint != request.catalog_fingerprint:
        return None
    pages = previous.details.get("pages")
    if previous.details.get("request") != described or not pages:
        return None
    return pages if all(page.get("etag") for page in pages) else None


def _is_unchanged(dataset: HttpDataset, session: HttpSession, before: list[dict[str, Any]]) -> bool:
    """Whether each page is as before, and no page has come after the last one."""
    for page in before:
        answer = session.get(page["url"], etag=page["etag"])
        if not answer.is_unchanged or _counts_otherwise(dataset, answer, before):
            return False
    # The last page is as it was, and another follows it now.
    if links(answer.headers).get("next") or _leads_on(dataset, answer):
        return False
    if dataset.paging is None and len(before) == 1:
        return True
    return _has_no_more(dataset, session, before)


def _counts_otherwise(dataset: HttpDataset, answer: Answer, before: list[dict[str, Any]]) -> bool:
    """Whether the head of a 304 has another total than came before; most have none."""
    came: int = sum(page["items"] for page in before)
    total = total_of(answer.headers, dataset.unrelated_keys)
    if total is not None:
        return total != came
    stated = claims_of((), answer.headers, dataset.unrelated_keys).total
    return bool(stated and stated.number > came)


def _leads_on(dataset: HttpDataset, answer: Answer) -> bool:
    """Whether the head of a 304 says that there are more, in a way that counts if there is no total."""
    if total_of(answer.headers, dataset.unrelated_keys) is not None:
        return False
    claims = claims_of((), answer.headers, dataset.unrelated_keys)
    return bool(claims.flag or claims.lead)


def _has_no_more(dataset: HttpDataset, session: HttpSession, before: list[dict[str, Any]]) -> bool:
    """A last page may stay as it is when rows are added: they come on a page after it.

    Pages behind links may be of any size; so the last of them is asked for once more, for its links.
    """
    if all(page["url"] == page_url(dataset, session, n) for n, page in enumerate(before)):
        return dataset.paging is not None and is_beyond_the_end(dataset, session, before)
    if before[-1]["items"] >= before[0]["items"]:
        return False
    last = session.get(before[-1]["url"]).headers
    return last.get("etag") == before[-1]["etag"] and not links(last).get("next")


def _described(dataset: HttpDataset, session: HttpSession) -> dict[str, Any]:
    return {
        "base_url": session.base_url,
        **(
            {"base_query_sha256": hashlib.sha256(session.query.encode()).hexdigest()} if session.query else {}
        ),
        "path": dataset.path,
        "parameters": dict(dataset.parameters),
        "records_at": list(dataset.records_at),
        "unrelated_keys": list(dataset.unrelated_keys),
        "paging": dataset.paging.model_dump() if dataset.paging else None,
    }


def _origin(page: Page) -> dict[str, Any]:
    headers = page.answer.headers
    return {
        "url": page.answer.url,
        "status": page.answer.status,
        "etag": headers.get("etag"),
        "headers": {name: headers[name] for name in KEPT_HEADERS if name in headers},
    }


@contextmanager
def _naming(dataset: HttpDataset) -> Iterator[None]:
    """Say in an error which dataset it is about; HTTP does not know."""
    try:
        yield
    except TidelineError as error:
        error.source = error.source or dataset.source
        error.dataset = error.dataset or dataset.name
        raise
