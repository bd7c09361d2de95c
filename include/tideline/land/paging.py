"""Walk all pages of an endpoint, so that what is read is the whole listing or an error.

Knows page numbers, and what follows from what a reply says. Does not know what happens to a page.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tideline.errors import ContractError, SourceChangedError, SourceRefusedError
from tideline.land.claims import Claim, Claims, claims_of, total_of
from tideline.land.http_replies import Answer, MissingError, NoContentError, RejectedError
from tideline.land.json_shape import Items, ShapeError, items_in
from tideline.land.link_header import links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import HttpDataset
    from tideline.land.http import HttpSession

log = logging.getLogger(__name__)

MOST_PAGES = 10_000
_REMEDY_CIRCLE = "correct the page parameters in the catalog; the server may ignore them"
_REMEDY_LAST = (
    "the server may give its last page again behind it, and nothing says that it was the last: declare "
    "another page size in the catalog, with which it is not full"
)
_PAGING_RELS = frozenset({"first", "prev", "previous", "next", "last"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it came: the URL that was asked for, the answer, how many items, what it says of others."""

    url: str
    answer: Answer
    items: int
    sha256: str
    """Of what pages are told apart by (`json_shape.Items`)."""
    total: int | None
    """What `X-Total-Count` says."""
    claims: Claims


def page_url(dataset: HttpDataset, session: HttpSession, number: int) -> str:
    """The URL of a page by its place in the walk, from 0; without paging there is only the first."""
    parameters = dict(dataset.parameters)
    if paging := dataset.paging:
        parameters[paging.page_parameter] = str(paging.first + number)
        parameters[paging.size_parameter] = str(paging.size)
    return session.url_of(dataset.path, parameters)


def walk(dataset: HttpDataset, session: HttpSession) -> Iterator[Page]:
    """All pages that have items, in order; ends only where it is certain that there are no more.

    A `Link: rel="next"` is followed where one is given. Otherwise pages are counted up until `X-Total-Count`
    is reached or, where there is none, until one is empty or unknown to the server; one that says in another
    way that there are more is not the last. A page after the first is also empty where it is a 204, or has
    null for its items. Of the page after a short one a 4xx, another shape, or a page that was read before, is
    an end too; a short page alone is none: servers cap the page size, or leave out of a page what we may not
    see. After a full page they are where the reply says so: a page that was read before where a total is just
    what was read, on two pages and more, and a 4xx where a header has the number of pages.

    Raises:
        ContractError: A page comes twice, there are too many, or its shape is not the declared one.
        SourceChangedError: The total changes while we read, or is not what was read.
        SourceUnavailableError: A page cannot be had.
        SourceRefusedError: The server refuses a page.
    """
    return _Walk(dataset, session).pages()


def is_beyond_the_end(dataset: HttpDataset, session: HttpSession, before: list[dict[str, Any]]) -> bool:
    """Whether the page after these has nothing, is one of them by its ETag, or is refused as not being there.

    A page that cannot be had for another reason may be there.
    """
    try:
        page = _ask(dataset, session, page_url(dataset, session, len(before)), is_later=True)
    except (RejectedError, ShapeError) as error:
        log.debug("%s: there is no page %d (%s)", dataset.dataset_id, len(before) + 1, error)
        return True
    except (SourceRefusedError, ContractError):
        return False
    return page.items == 0 or page.answer.headers.get("etag") in [known["etag"] for known in before]


@dataclass(slots=True)
class _Walk:
    dataset: HttpDataset
    session: HttpSession
    page_size: int = 0
    by_links: bool = False
    total: int | None = None
    stated: Claim | None = None
    """The highest total that was stated in another way, which may come with fewer items than it counts."""
    read: int = 0
    urls: list[str] = field(default_factory=list)
    bodies: dict[str, int] = field(default_factory=dict)

    def pages(self) -> Iterator[Page]:
        self.page_size = self.dataset.paging.size if self.dataset.paging else 0
        page: Page | None = self._ask(page_url(self.dataset, self.session, 0))
        while page is not None:
            self._note(page)
            if page.items:
                yield page
            page = self._after(page)
        self._check_total()

    def _ask(self, url: str) -> Page:
        if url in self.urls:
            raise self._circle("URL", self.urls.index(url) + 1, url)
        if len(self.urls) >= MOST_PAGES:
            found = f"there are more than {MOST_PAGES} pages"
            raise ContractError(found, place=url, remedy="raise the page size in the catalog")
        self.urls.append(url)
        return _ask(self.dataset, self.session, url, is_later=len(self.urls) > 1)

    def _note(self, page: Page) -> None:
        number = len(self.urls)
        if page.items and self.bodies.setdefault(page.sha256, number) != number:
            raise self._circle("body", self.bodies[page.sha256], page.url)
        self.read += page.items
        self.by_links = self.by_links or not _PAGING_RELS.isdisjoint(links(page.answer.headers))
        self._note_total(page)

    def _note_total(self, page: Page) -> None:
        total, stated = page.total, page.claims.total
        if total is not None and self.total not in (None, total):
            raise self._changed(f"the total changed from {self.total} to {total} while we read", page.url)
        self.total = self.total if total is None else total
        self.stated = max(filter(None, (self.stated, stated)), key=attrgetter("number"), default=None)

    def _after(self, page: Page) -> Page | None:
        target = links(page.answer.headers).get("next")
        if target is not None:
            return self._ask(self.session.link(page.answer.url, target))
        if self._is_last(page):
            return None
        if self._ends_perhaps(page):
            return self._after_short(page)
        return self._following(page)

    def _ends_perhaps(self, page: Page) -> bool:
        """Whether it is short, and nothing says that there are more; what a first one says comes later."""
        said = len(self.urls) > 1 and (self._missing(page) or page.claims.lead or self._uncounted())
        return self.total is None and page.items < self.page_size and not said

    def _following(self, page: Page) -> Page | None:
        """The next page by number; none where the server has no such page but still has this one."""
        missing = self._missing(page)
        try:
            found = self._ask(page_url(self.dataset, self.session, len(self.urls)))
        except RejectedError as error:
            if not isinstance(error, MissingError) and not self._was_last_by_head(page):
                raise
            again = _ask(self.dataset, self.session, page.url, is_later=True)
            if again.sha256 != page.sha256:
                raise self._changed("a page changed while the one after it vanished", page.url) from None
            self._check_claim(missing, page)
            return None
        return None if found.sha256 in self.bodies and not missing and self._is_all(page.claims) else found

    def _was_last_by_head(self, page: Page) -> bool:
        """Whether a header had the number of pages: a body's may be of those only that are ever shown."""
        stated = claims_of((), page.answer.headers, self.dataset.unrelated_keys).pages
        return stated is not None and stated.number == len(self.urls) - 1

    def _is_all(self, claims: Claims) -> bool:
        """Whether a total is just what was read. The first page's may be a count of that page alone."""
        return len(self.bodies) > 1 and claims.total is not None and claims.total.number == self.read

    def _is_last(self, page: Page) -> bool:
        if self.by_links:
            return True
        if self.dataset.paging is None:
            self._check_claim(self._missing(page) or page.claims.lead or self._uncounted(), page)
            return True
        if self.total is not None:
            return self.read >= self.total or not page.items
        return not page.items and not self._missing(page)

    def _missing(self, page: Page) -> Claim | None:
        """What says that a page comes after this, the latest; a link or cursor some give on the last too."""
        pages = page.claims.pages
        return page.claims.flag or (pages if pages and pages.number > len(self.urls) else None)

    def _uncounted(self) -> Claim | None:
        """The total that is more than what was read."""
        return self.stated if self.stated and self.stated.number > self.read else None

    def _check_claim(self, claim: Claim | None, page: Page) -> None:
        """What says itself that it is not the whole is not landed as if it were."""
        if claim and self.total is None:
            raise ContractError(
                f"the reply has {page.items} items and says that there are more ({claim.text})",
                place=page.url,
                remedy="declare paging in the catalog; a cursor inside a body is not followed; "
                f"if {claim.key} says something else, set unrelated_keys: [{claim.key}]",
            )

    def _after_short(self, short: Page) -> Page | None:
        missing, number = self._missing(short), len(self.urls)
        try:
            page = self._ask(page_url(self.dataset, self.session, number))
        except (RejectedError, ShapeError) as error:
            log.debug("%s: there is no page %d (%s)", self.dataset.dataset_id, number + 1, error)
            page = None
        if page is None or page.sha256 in self.bodies:
            self._check_claim(missing or self._uncounted(), short)
            return None
        if not page.items and not self._missing(page):
            return None
        log.warning(
            "%s: the server gives %d items on page %d, where the catalog asks for %d, and goes on after it",
            self.dataset.dataset_id, short.items, number, self.page_size,
        )  # fmt: skip
        self.page_size = short.items if number == 1 else self.page_size
        return page

    def _check_total(self) -> None:
        if self.total is None:
            self._check_stated()
        elif self.total != self.read:
            found = f"the server says that there are {self.total} items, and {self.read} came"
            if self.dataset.paging is None and not self.by_links and self.total > self.read:
                remedy = "declare paging for this dataset in the catalog"
                raise ContractError(found, place=self.urls[-1], remedy=remedy)
            raise self._changed(found, self.urls[-1])

    def _check_stated(self) -> None:
        if claim := self._uncounted():
            raise self._changed(
                f"the server says that there are more items than the {self.read} that came ({claim.text})",
                self.urls[-1],
                f"; if {claim.key} counts something else, set unrelated_keys: [{claim.key}] in the catalog",
            )

    def _changed(self, found: str, url: str, otherwise: str = "") -> SourceChangedError:
        return SourceChangedError(
            found,
            source=self.dataset.source,
            dataset=self.dataset.name,
            place=url,
            remedy="nothing if a repeated read is whole; else read the listing when its writers rest"
            + otherwise,
        )

    def _circle(self, what: str, earlier: int, url: str) -> ContractError:
        return ContractError(
            f"page {len(self.urls) + (what == 'URL')} has the {what} of page {earlier}: "
            "the listing goes round in circles",
            place=url,
            remedy=_REMEDY_LAST if what == "body" and 1 < earlier == len(self.urls) - 1 else _REMEDY_CIRCLE,
        )


def _ask(dataset: HttpDataset, session: HttpSession, url: str, *, is_later: bool) -> Page:
    """The page at a URL; only a later one, not the first, may be nothing where its items should be."""

    def look(answer: Answer) -> Items:
        return items_in(
            answer.body,
            dataset.records_at,
            answer.url,
            null_is_empty=is_later,
            unrelated=dataset.unrelated_keys,
        )

    try:
        answer, items = session.fetch(url, look)
    except NoContentError:
        if not is_later:
            raise
        answer, items = Answer(url, 204, {}, b""), None
    number, sha256, around = items or Items(0, "")
    total = total_of(answer.headers, dataset.unrelated_keys)
    return Page(url, answer, number, sha256, total, claims_of(around, answer.headers, dataset.unrelated_keys))
