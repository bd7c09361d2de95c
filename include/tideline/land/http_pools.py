"""Connections: keep-alive pools, certificates, proxies, and limits on how long a reply may take.

Knows sockets. Does not know what is asked for.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass_environment  # type: ignore[attr-defined]

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import make_headers

from tideline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Manager = TypeVar("Manager", bound=urllib3.PoolManager)
log = logging.getLogger(__name__)


class Pools:
    """Connection pools, direct or through the proxy that fits a URL.

    Args:
        verify: Whether to check certificates, or the file of authorities to check them against.
        proxies: URL per scheme, `no` for hosts to reach directly; None for the environment's.

    Raises:
        SettingsError: The file of authorities cannot be read.
    """

    def __init__(self, verify: bool | str, proxies: Mapping[str, str] | None) -> None:
        self._proxies = getproxies() if proxies is None else dict(proxies)
        self._options: dict[str, Any] = {"ssl_context": tls_context(verify), "maxsize": 8}
        self._direct = _watched(urllib3.PoolManager(**self._options))
        self._proxied: dict[str, urllib3.ProxyManager] = {}

    def of(self, url: str) -> urllib3.PoolManager:
        """The pools for a URL."""
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if not proxy or self._is_direct(parts.hostname or ""):
            return self._direct
        if proxy not in self._proxied:
            self._proxied[proxy] = self._through(proxy)
        return self._proxied[proxy]

    def close(self) -> None:
        """Close all connections."""
        for manager in (self._direct, *self._proxied.values()):
            manager.clear()

    def _is_direct(self, host: str) -> bool:
        """This machine is never reached through a proxy, whether NO_PROXY says so or not."""
        return _is_loopback(host) or bool(proxy_bypass_environment(host, self._proxies))

    def _through(self, proxy: str) -> urllib3.ProxyManager:
        url = proxy if "://" in proxy else f"http://{proxy}"
        parts = urlsplit(url)
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        headers = make_headers(proxy_basic_auth=user) if user else None
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return _watched(urllib3.ProxyManager(bare, proxy_headers=headers, **self._options))


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """How to check certificates.

    By default against the system's authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name (OpenSSL
    reads them itself); against certifi's where this Python knows of none, as on a bare macOS.

    Raises:
        SettingsError: The file of authorities cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"the authorities in {verify} cannot be read: {error}",
            remedy="name a PEM file, or leave `verify` to the system's authorities",
        ) from error
    if verify is True and not _system_has_authorities(context):
        context.load_verify_locations(cafile=certifi.where())
    if verify is False:
        _trust_anybody(context)
    return context


def _system_has_authorities(context: ssl.SSLContext) -> bool:
    folder = ssl.get_default_verify_paths().capath
    return context.cert_store_stats()["x509_ca"] > 0 or (folder is not None and any(Path(folder).iterdir()))


def _trust_anybody(context: ssl.SSLContext) -> None:
    log.warning("certificates are not checked: anybody on the way can read and change what is landed")
    urllib3.disable_warnings(InsecureRequestWarning)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _HeadLimit:
    """Cuts a connection whose reply has no complete head within the read time-out.

    A socket's own time-out starts again with every byte, so a server that trickles would hold us for ever.
    """

    sock: socket.socket
    timeout: float | None

    def getresponse(self) -> Any:  # noqa: ANN401 - whatever the connection class gives
        with cut_after(self.timeout or 0.0, partial(self.sock.shutdown, socket.SHUT_RDWR)) as cut:
            try:
                response = super().getresponse()  # type: ignore[misc]
            except (OSError, HTTPException) as error:
                if cut.is_set():
                    raise self._too_slow() from error
                raise
        if cut.is_set():
            response.close()
            raise self._too_slow()
        return response

    def _too_slow(self) -> TimeoutError:
        return TimeoutError(f"the head of the reply took longer than {self.timeout:g} s")


@contextmanager
def cut_after(seconds: float, shut: Callable[[], None]) -> Iterator[threading.Event]:
    """Shuts a connection that is waited for so long; gives what tells whether that was done.

    What asks for the next bytes does not always come back with some: a head, a chunk's header, what follows
    the last chunk and the beginning of a gzip stream may be without end.
    """
    cut = threading.Event()

    def end() -> None:
        cut.set()
        try:
            shut()
        except (OSError, RuntimeError, ValueError) as error:
            log.debug("the reply was read, or its connection closed, already: %s", error)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    finally:
        timer.cancel()


class _HttpConnection(_HeadLimit, HTTPConnection):
    """Plain."""


class _HttpsConnection(_HeadLimit, HTTPSConnection):
    """Encrypted."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _watched(manager: Manager) -> Manager:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
