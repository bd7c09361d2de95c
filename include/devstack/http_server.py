"""The API stand-in as a network server: JSONPlaceholder's answers, with ETags, on a loopback port.

`python -m devstack.http_server --port 0` prints `listening 127.0.0.1:<port>`. What is answered is
`devstack.placeholder`'s. The shop changes items by `PUT /_admin/<resource>` (all of them) and
`POST /_admin/<resource>` (these, by id), each with a JSON array.
"""

from __future__ import annotations

import argparse
import json
import logging
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from devstack.foreground import run
from devstack.placeholder import Items, answer
from devstack.shop.api_items import SIZES, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstack.shop.api_items import Item

logger = logging.getLogger(__name__)

_ADMIN = "/_admin/"


class PlaceholderServer(ThreadingHTTPServer):
    """A server on a loopback port; in tests `with PlaceholderServer() as server: get(server.url + "/posts")`.

    Args:
        port: Where to listen; 0 for any free port.
        seed: What the items are made from.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, seed: int = 1) -> None:
        self.items = Items(resources(seed))
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The root, without a trailing slash."""
        host, port = self.socket.getsockname()
        return f"http://{host}:{port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    server: PlaceholderServer

    def do_GET(self) -> None:
        found = answer(self.server.items, self.path, self.headers.get("Host", ""))
        known = self.headers.get("If-None-Match", "")
        if found.status == 200 and _matches(known, found.etag):  # noqa: PLR2004
            self._send(304, b"", {"ETag": found.etag, **found.headers})
        else:
            self._send(found.status, found.body, {"ETag": found.etag, **found.headers})

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:
        self._change(self.server.items.replace)

    def do_POST(self) -> None:
        self._change(self.server.items.put)

    def _change(self, apply: Callable[[str, list[Item]], None]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        resource = self.path.removeprefix(_ADMIN)
        if not self.path.startswith(_ADMIN) or resource not in SIZES:
            self._send(404, b"{}", {})
            return
        apply(resource, json.loads(body))
        self._send(204, b"", {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Date", formatdate(usegmt=True))
        self.send_header("Cache-Control", "max-age=43200")
        self.send_header("Vary", "Origin, Accept-Encoding")
        for name, value in headers.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)


def _matches(known: str, etag: str) -> bool:
    """The weak comparison of RFC 9110: `W/` counts for nothing, `*` matches everything there is."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="devstack.http_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    server = PlaceholderServer(options.port, options.seed)
    run(server, server.url.removeprefix("http://"))


if __name__ == "__main__":
    main()
