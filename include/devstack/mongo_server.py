"""The MongoDB stand-in as a network server: one thread a connection, in this process or its own.

`python -m devstack.mongo_server --port 0` prints `listening 127.0.0.1:<port>`.
Owns sockets; the protocol is `devstack.mongo.wire`'s, the data `devstack.mongo.storage`'s. All in memory.
"""

from __future__ import annotations

import argparse
import logging
import socket
import socketserver
import threading
from typing import TYPE_CHECKING, Self

from devstack.foreground import run
from devstack.mongo.request import Backend, Session
from devstack.mongo.wire import ProtocolError, exchange

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)


class MongoServer(socketserver.ThreadingTCPServer):
    """A server on a loopback port; in tests `with MongoServer() as server: MongoClient(server.uri)`.

    Args:
        port: Where to listen; 0 for any free port.
        credentials: User name and password (SCRAM-SHA-256) that clients must give; None lets everybody in.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int = 0, credentials: tuple[str, str] | None = None) -> None:
        self.backend = Backend(credentials=credentials)
        self._connections: set[socket.socket] = set()
        self._thread: threading.Thread | None = None
        super().__init__(("127.0.0.1", port), _Connection)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self.socket.getsockname()
        return host, port

    @property
    def uri(self) -> str:
        """The connection string, without credentials."""
        return "mongodb://{}:{}".format(*self.address)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            _hang_up(connection)

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """Remember the connection, so that stopping the server ends it."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Forget the connection."""
        self._connections.discard(request)
        super().shutdown_request(request)


class _Connection(socketserver.StreamRequestHandler):
    """Messages of one client, one after the other."""

    disable_nagle_algorithm = True
    rbufsize = 1 << 20
    server: MongoServer

    def handle(self) -> None:
        session = Session()
        try:
            while (answer := exchange(self.server.backend, session, self.rfile)) is not None:
                self.connection.sendall(answer)
        except ProtocolError as error:
            logger.warning("closing a connection that does not speak MongoDB's protocol: %s", error)
        except OSError as error:
            logger.debug("a client went away: %s", error)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        logger.debug("a client was gone already: %s", error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="devstack.mongo_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args(arguments)
    credentials = (options.user, options.password) if options.user else None
    server = MongoServer(options.port, credentials)
    run(server, server.uri.removeprefix("mongodb://"))


if __name__ == "__main__":
    main()
