"""URLs: what is sound, what is secret, and who is the same party as whom. Knows no sockets."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus, urljoin, urlsplit, urlunsplit

from tideline.errors import SettingsError, SourceRefusedError

_DOORS = {"http": 80, "https": 443}


def without_user(url: str) -> tuple[str, tuple[str, str] | None]:
    """A base URL without user and password, and those two.

    Raises:
        SettingsError: It is no URL of an HTTP server.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _DOORS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise SettingsError(
            f"{url.rpartition('@')[2]!r} is not the URL of an API",
            remedy="set the connection's host to https://host/optional-path",
        )
    place = parts.netloc.rpartition("@")[2]
    bare = urlunsplit(parts._replace(netloc=place))
    if parts.username is None:
        return bare, None
    return bare, (unquote(parts.username), unquote(parts.password or ""))


def apart(url: str) -> tuple[str, str]:
    """A base URL without its query, which may be a key, and the query; a fragment is for no server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="", fragment="")), parts.query


def with_query(url: str, query: str) -> str:
    """The URL with those parameters of the query before its own that it does not name itself."""
    parts = urlsplit(url)
    named = {_name(pair) for pair in parts.query.split("&")}
    added = [pair for pair in query.split("&") if pair and _name(pair) not in named]
    return urlunsplit(parts._replace(query="&".join(filter(None, [*added, parts.query]))))


def without_pairs(url: str, query: str) -> str:
    """The URL without the parameters that are in the query, where they have the same value."""
    parts = urlsplit(url)
    known = {unquote_plus(pair) for pair in query.split("&") if pair}
    kept = [pair for pair in parts.query.split("&") if unquote_plus(pair) not in known]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def joined(base: str, target: str) -> str:
    """Where a link or redirect leads from `base`.

    Raises:
        SourceRefusedError: Nowhere, as it is no URL.
    """
    try:
        url = urljoin(base, target)
        urlsplit(url).port  # noqa: B018 - looking at it is what checks it
    except ValueError as error:
        raise SourceRefusedError(
            f"the server leads to {target!r}, which is no URL: {error}", place=base, remedy="report it there"
        ) from error
    return url


def is_http(url: str) -> bool:
    """Whether it is a web server's."""
    return urlsplit(url).scheme in _DOORS


def is_same_party(base: str, url: str) -> bool:
    """The same host and port, or the same host's encrypted door."""
    here, there = urlsplit(base), urlsplit(url)
    if here.hostname != there.hostname:
        return False
    before, after = here.port or _DOORS[here.scheme], there.port or _DOORS.get(there.scheme)
    if here.scheme == there.scheme:
        return before == after
    return (here.scheme, before, there.scheme, after) == ("http", 80, "https", 443)


def without_query(url: str) -> str:
    """The URL without what may be secret in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
