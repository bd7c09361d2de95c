"""What the replies and failures of an HTTP server mean, as our errors. Knows status codes and headers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from urllib3 import exceptions as u3
from urllib3.util.request import ACCEPT_ENCODING

from tideline.errors import SettingsError, SourceRefusedError, SourceUnavailableError, TidelineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from urllib3.response import BaseHTTPResponse

_OK = 200
NOT_MODIFIED = 304
_NO_CONTENT = 204
_FORBIDDEN = 403
_NOT_FOUND = 404
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})
"""Server errors that say the server will never do this."""
_UNREADABLE = frozenset({"br", "zstd", "compress", "x-compress"}) - set(ACCEPT_ENCODING.split(","))
"""Compressions that this urllib3 leaves as they are; other names, such as `aws-chunked`, mean none."""
_EXCERPT_BYTES = 200
_LONGEST_WAIT_SECONDS = 1e9

_REMEDIES = {
    206: "declare paging for this dataset in the catalog: the server gives a part only",
    401: "give the connection the user and password, or the API key header, that this API wants",
    403: "let this connection's user or key read the endpoint",
    404: "correct the path in the catalog or the host of the connection",
    407: "put user and password into HTTPS_PROXY",
    410: "the endpoint is gone for good: correct the path in the catalog",
}


class RejectedError(SourceRefusedError):
    """The server refuses the URL by a 4xx, and not us. Behind a short page that is the listing's end.

    A 401, 402, 403 or 407 is none: whatever is at that URL, we are not given it.
    """


class MissingError(RejectedError):
    """The server says 404: there is nothing at this URL."""


class NoContentError(SourceRefusedError):
    """The server says 204: it has nothing to send. After a page with items that is the listing's end."""


class BusyError(SourceUnavailableError):
    """The server asks for a wait, of `seconds`."""

    seconds: float = 0.0


_REFUSALS = {
    _NO_CONTENT: NoContentError,
    _NOT_FOUND: MissingError,
    **dict.fromkeys((401, 402, _FORBIDDEN, 407), SourceRefusedError),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server gave: its URL after redirects, status, headers by lower-case name, the body as sent."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_unchanged(self) -> bool:
        """Whether it says that the body is still the one whose ETag was sent along."""
        return self.status == NOT_MODIFIED


def asked_wait(error: Exception) -> float:
    """How long the server wants us to wait, in seconds; 0 where it does not say."""
    return error.seconds if isinstance(error, BusyError) else 0.0


def redirect_of(response: BaseHTTPResponse) -> str | None:
    """Where a redirect leads, as the server wrote it; None for any other reply."""
    return response.headers.get("Location") if response.status in _REDIRECTS else None


def check(url: str, response: BaseHTTPResponse, headers: Mapping[str, str], *, conditional: bool) -> None:
    """Return if there is a body to read, or none because nothing changed.

    Raises:
        SourceUnavailableError: 408, 425, 429, a 403 that is a rate limit and the server errors that may pass.
        SourceRefusedError: Any other status but 200, and 304 where it answers a condition; or the body is
            compressed in a way that cannot be undone here.
    """
    status = response.status
    if status == _OK:
        _check_readable(url, headers)
    if status == _OK or (status == NOT_MODIFIED and conditional):
        return
    found = f"status {status}{_excerpt(response)}"
    failed = status >= 500 and status not in _NEVER  # noqa: PLR2004 - server errors
    if status in _TRANSIENT or failed or (status == _FORBIDDEN and _is_limit(headers)):
        error = BusyError(found, place=url, remedy="nothing if it passes; the task retries")
        error.seconds = wait_of(headers)
        raise error
    remedy = _REMEDIES.get(status, "look at what the server says, and at path and parameters in the catalog")
    other = RejectedError if 400 <= status < 500 else SourceRefusedError  # noqa: PLR2004 - about the request
    raise _REFUSALS.get(status, other)(found, place=url, remedy=remedy)


def _check_readable(url: str, headers: Mapping[str, str]) -> None:
    names = [name.strip().lower() for name in headers.get("content-encoding", "").split(",")]
    for name in _UNREADABLE.intersection(names):
        raise SourceRefusedError(
            f"the body is compressed by {name}, which was not asked for (Accept-Encoding: identity)",
            place=url,
            remedy="have the API, or the proxy before it, send this client plain or gzip bodies",
        )


def _is_limit(headers: Mapping[str, str]) -> bool:
    """Whether a 403 says "not now": GitHub's and others' for too many requests."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def wait_of(headers: Mapping[str, str]) -> float:
    """The wait that `Retry-After` asks for, in seconds: a number or a date; 0 for anything else."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT_SECONDS)
    then = _date(text)
    if then is None:
        return 0.0
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (then - now).total_seconds())


def too_slow(url: str, read: int) -> SourceUnavailableError:
    """The error for a body that trickles."""
    return SourceUnavailableError(
        f"the deadline passed after {read} bytes of the body",
        place=url,
        remedy="see whether the server is overloaded, or raise TIDELINE_DEADLINE_SECONDS",
    )


@contextmanager
def speaking(url: str) -> Iterator[None]:
    """Turn urllib3's exceptions into ours."""
    try:
        yield
    except u3.HTTPError as error:
        raise _translated(error, url) from error


def _translated(error: u3.HTTPError, url: str) -> TidelineError:
    if isinstance(error, u3.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return SettingsError(
            f"the server's certificate is not trusted: {error}",
            place=url,
            remedy="point SSL_CERT_FILE to the certificates of your authority",
        )
    if isinstance(error, u3.SSLError):
        return SourceUnavailableError(
            f"no TLS with this server: {error}",
            place=url,
            remedy="if it speaks none, begin the connection's host with http://; else see whether it is up; "
            "the task retries",
        )
    if isinstance(error, (u3.LocationValueError, u3.URLSchemeUnknown)):
        return SettingsError(f"{error}", place=url, remedy="correct the host of the connection")
    if isinstance(error, u3.ProxyError):
        return SourceUnavailableError(
            f"the proxy fails: {error}", place=url, remedy="check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
        )
    return SourceUnavailableError(
        f"{type(error).__name__}: {error}",
        place=url,
        remedy="see whether the server is up and reachable from here; the task retries",
    )


def _excerpt(response: BaseHTTPResponse) -> str:
    """The beginning of what the server says, for the message."""
    text = " ".join(response.read1(_EXCERPT_BYTES).decode("utf-8", "replace").split())
    return f": {text}" if text else ""


def _date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
