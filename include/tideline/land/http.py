"""GET over HTTP with bounded patience: keep-alive, retries bounded by number and total time, capped bodies.

Knows HTTP. Does not know what is in a body: whoever asks hands over a function that looks at it, so that a
body that turns out to be broken is asked for again. Proxies and certificates: `tideline.land.http_pools`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from tideline.errors import ContractError, RetriableError, SettingsError, SourceRefusedError
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.land import http_replies as replies
from tideline.land import http_urls as urls
from tideline.land.http_digest import check_digest
from tideline.land.http_pools import Pools, cut_after
from tideline.land.http_replies import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from urllib3.response import BaseHTTPResponse

    from tideline.lake.retry import Budget, Patience

T = TypeVar("T")

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
BODY_LIMIT_BYTES = 256 << 20
_MOST_REDIRECTS = 3
_BLOCK_BYTES = 1 << 16
_SHORTEST_SECONDS = 0.001
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Cache-Control": "no-cache",  # a cache on the way may have one page from before and the next from now
    "User-Agent": "tideline",
}
"""Sent where the connection says nothing else."""
_HEADER_TEXT = re.compile(r"[\x20-\x7e\xa0-\xff\t]*")


class HttpSession:
    """Requests to one API, over kept-alive connections; several threads may share it.

    Args:
        base_url: Scheme, host and path that requests are relative to. User and password in it serve as
            `auth`; its query, such as a key, is sent with each request to that host, and shown nowhere.
        headers: Sent with each request, such as an API key. They and `auth` never leave the API's own host.
        auth: User and password for basic authentication.
        deadline_seconds: How long one request may take with all its retries and redirects.
        patience: How often to try, and how to pause; its deadline gives way to `deadline_seconds`.
        verify: Whether to check certificates, or the file of authorities to check them against instead of the
            system's (SSL_CERT_FILE and SSL_CERT_DIR count as such).
        proxies: URL per scheme as `urllib.request.getproxies` gives them, which is what None stands for.
        connect_seconds: Time-out of connecting.
        read_seconds: Time-out between bytes, and for the head of a reply as a whole.
        body_limit_bytes: Size above which a body is refused.

    Raises:
        SettingsError: `base_url`, a header or `verify` is malformed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        deadline_seconds: float = 600.0,
        patience: Patience = DEFAULT_PATIENCE,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        body_limit_bytes: int = BODY_LIMIT_BYTES,
    ) -> None:
        bare, user = urls.without_user(base_url)
        self.base_url, self.query = urls.apart(bare)
        self._headers = _request_headers(headers or {}, auth or user)
        self._is_private = bool(headers or auth or user)
        self._patience = patience.within(deadline_seconds)
        self._pools = Pools(verify, proxies)
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._body_limit_bytes = body_limit_bytes

    def close(self) -> None:
        """Let go of all connections."""
        self._pools.close()

    def url_of(self, path: str, parameters: Mapping[str, str] | None = None) -> str:
        """The absolute URL of a path of this API, with query parameters added to the path's."""
        base, (way, _, own) = urlsplit(self.base_url), path.partition("?")
        joined = f"{base.path.rstrip('/')}/{way.lstrip('/')}" if way else base.path
        query = "&".join(text for text in (own, urlencode(parameters or {})) if text)
        return urlunsplit(base._replace(path=joined, query=query))

    def get(self, url: str, *, etag: str | None = None) -> Answer:
        """The answer at an absolute URL, whatever is in its body; see `fetch`."""
        return self.fetch(url, lambda _: None, etag=etag)[0]

    def fetch(
        self, url: str, look: Callable[[Answer], T], *, etag: str | None = None
    ) -> tuple[Answer, T | None]:
        """Ask until a good answer comes; returns it with what `look` makes of it.

        Args:
            url: Absolute.
            look: Called with each answer that has a body; where it raises a `RetriableError`, the body counts
                as broken and is asked for again.
            etag: Sent as `If-None-Match`; an answer that is "as before" has status 304 and is not looked at.

        Raises:
            SourceUnavailableError: Attempts or time are used up. A wait that the server asks for by
                `Retry-After` is kept as far as the deadline allows.
            SourceRefusedError: The server refuses us or the URL (401, 403, 404, 410 and other 4xx), redirects
                too often or to where our credentials must not go.
            ContractError: The body is larger than the limit.
        """
        budget = self._patience.begin()
        while True:
            try:
                answer = self._follow(url, etag, budget)
                return answer, None if answer.is_unchanged else look(answer)
            except RetriableError as error:
                self._pools.close()  # a kept connection may be what is broken
                budget.pause(error, replies.asked_wait(error))

    def link(self, base: str, target: str) -> str:
        """The absolute URL of a link that the server gave at `base`, made safe to ask for.

        One to this API's own host keeps the scheme and port that we use: servers behind proxies have others.

        Raises:
            SourceRefusedError: It leads to another host, where our credentials must not go.
        """
        url = urls.joined(base, target)
        here, there = urlsplit(self.base_url), urlsplit(url)
        if there.hostname == here.hostname:
            return self._bare(urlunsplit(there._replace(scheme=here.scheme, netloc=here.netloc, fragment="")))
        return self._checked(base, url)

    def _follow(self, url: str, etag: str | None, budget: Budget) -> Answer:
        for _ in range(_MOST_REDIRECTS + 1):
            with self._opened(url, etag, budget) as response:
                target = replies.redirect_of(response)
                if target is None:
                    return self._answer(url, etag, response, budget)
                response.close()
            url = self._checked(url, self._bare(urls.joined(url, target)))
        raise SourceRefusedError(
            f"more than {_MOST_REDIRECTS} redirects", place=url, remedy="correct the path in the catalog"
        )

    def _checked(self, base: str, url: str) -> str:
        """The URL, where our credentials may go with it."""
        if urls.is_http(url) and (not self._is_private or urls.is_same_party(base, url)):
            return url
        raise SourceRefusedError(
            f"the server leads to {urls.without_query(url)}, where our credentials must not go",
            place=base,
            remedy="make that the base URL of the connection, if it is the right one",
        )

    def _bare(self, url: str) -> str:
        """The URL as it is shown: without the base URL's query."""
        return urls.without_pairs(url, self.query) if urls.is_same_party(self.base_url, url) else url

    def _complete(self, url: str) -> str:
        """The URL as it is sent: with that query, which never leaves the API's own host."""
        return urls.with_query(url, self.query) if urls.is_same_party(self.base_url, url) else url

    @contextmanager
    def _opened(self, url: str, etag: str | None, budget: Budget) -> Iterator[BaseHTTPResponse]:
        headers = {**self._headers, "If-None-Match": etag} if etag else self._headers
        left = max(budget.seconds_left, _SHORTEST_SECONDS)
        timeout = Timeout(connect=min(self._connect_seconds, left), read=min(self._read_seconds, left))
        with replies.speaking(url):
            response = self._pools.of(url).request(
                "GET",
                self._complete(url),
                headers=headers,
                timeout=timeout,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                with _in_time(url, response, budget.seconds_left):
                    yield response
            except BaseException:
                response.close()
                raise
            response.release_conn()

    def _answer(self, url: str, etag: str | None, response: BaseHTTPResponse, budget: Budget) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        replies.check(url, response, headers, conditional=etag is not None)
        body = self._body(url, response, budget)
        if response.status != replies.NOT_MODIFIED:
            check_digest(url, headers, body)
        return Answer(url, response.status, headers, body)

    def _body(self, url: str, response: BaseHTTPResponse, budget: Budget) -> bytes:
        body = bytearray()
        while chunk := response.read1(_BLOCK_BYTES):
            body += chunk
            if len(body) > self._body_limit_bytes:
                raise ContractError(
                    f"the body is larger than {self._body_limit_bytes} bytes",
                    place=url,
                    remedy="declare paging or smaller pages in the catalog, or raise TIDELINE_BODY_BYTES",
                )
            if budget.seconds_left <= 0:
                raise replies.too_slow(url, len(body))
        return bytes(body)


@contextmanager
def _in_time(url: str, response: BaseHTTPResponse, seconds: float) -> Iterator[None]:
    """Fail where a reply is not read within the seconds, in whichever part of it the server trickles."""
    with cut_after(seconds, response.shutdown) as cut:
        try:
            yield
        except HTTPError as error:
            if not cut.is_set():
                raise
            raise replies.too_slow(url, response.tell()) from error
        if cut.is_set():
            raise replies.too_slow(url, response.tell())


def _encoded(user: str) -> bytes:
    """User and password as servers expect them: Latin-1 as ever, UTF-8 (RFC 7617) for what that has not."""
    try:
        return user.encode("latin-1")
    except UnicodeEncodeError:
        return user.encode()


def _request_headers(given: Mapping[str, str], auth: tuple[str, str] | None) -> dict[str, str]:
    named = {name.lower() for name in given}
    headers = {name: text for name, text in _HEADERS.items() if name.lower() not in named} | dict(given)
    if auth:
        headers |= {"Authorization": f"Basic {b64encode(_encoded(':'.join(auth))).decode()}"}
    for name, value in headers.items():
        if not name.isascii() or not _HEADER_TEXT.fullmatch(name) or not _HEADER_TEXT.fullmatch(value):
            raise SettingsError(
                f"the header {name!r} of the connection has characters that HTTP does not allow",
                remedy="look for line breaks and typographic characters in it",
            )
    return headers
