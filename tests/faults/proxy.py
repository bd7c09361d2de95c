"""A real network proxy that breaks on demand: TCP connections, one message at a time, between us and a server.

How to use it:

    with Proxy(arena.servers.s3, HTTP) as proxy:            # proxy.url takes the server's place
        proxy.fail("GET /fault-drops/", cut, times=2)       # the next two such messages; the rest goes through
        ...
        assert proxy.failed == ["GET /fault-drops/a.csv"] * 2

A message is named by its method and target (`GET /path?query`), on MongoDB's wire by its command and collection
(`getMore things`). A fault sees the request, may forward it, and does to the client's socket what it wants. Knows
how messages of HTTP/1.1 and of MongoDB are framed, and nothing else.
"""

from __future__ import annotations

import re
import select
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import bson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BLOCK = 1 << 16


class GoneError(Exception):
    """The other side hung up, or the fault has dealt with the connection: nothing more is to be said on it."""


@dataclass(frozen=True)
class Message:
    """One request or reply as it came over the wire."""

    name: str
    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body


class Wire(Protocol):
    """How messages are framed."""

    def request(self, sock: Socket) -> Message: ...
    def reply(self, sock: Socket, request: Message) -> Message: ...


class Socket:
    """A connection that is read by what is wanted, not by what comes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._read = b""

    def until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            self._more()
        end = self._read.index(mark) + len(mark)
        found, self._read = self._read[:end], self._read[end:]
        return found

    def exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        found, self._read = self._read[:size], self._read[size:]
        return found

    def rest(self) -> bytes:
        try:
            while True:
                self._more()
        except GoneError:
            found, self._read = self._read, b""
            return found

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            raise GoneError from None

    def hang_up(self) -> None:
        self.sock.close()
        raise GoneError

    def reset(self) -> None:
        """RST instead of FIN: the other side sees "connection reset by peer"."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hang_up()

    def _more(self) -> None:
        try:
            piece = self.sock.recv(BLOCK)
        except OSError:
            piece = b""
        if not piece:
            raise GoneError
        self._read += piece


class _Http:
    """HTTP/1.1 by length, by chunks, or to the end of the connection."""

    def request(self, sock: Socket) -> Message:
        head = sock.until(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        if _header(head, "expect"):
            head = re.sub(rb"(?i)\r\nexpect:[^\r]*", b"", head)
            sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Message(f"{method} {target}", head, self._body(sock, head))

    def reply(self, sock: Socket, request: Message) -> Message:
        head = sock.until(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            return self.reply(sock, request)
        if request.name.startswith("HEAD ") or status in (204, 304):
            return Message(request.name, head, b"")
        framed = _header(head, "content-length") or _header(head, "transfer-encoding")
        return Message(request.name, head, self._body(sock, head) if framed else sock.rest())

    def _body(self, sock: Socket, head: bytes) -> bytes:
        if "chunked" in _header(head, "transfer-encoding").lower():
            return self._chunks(sock)
        return sock.exactly(int(_header(head, "content-length") or 0))

    def _chunks(self, sock: Socket) -> bytes:
        body = b""
        while True:
            line = sock.until(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + (sock.exactly(size + 2) if size else sock.until(b"\r\n"))
            if not size:
                return body


class _Gcs(_Http):
    """The same, where an upload says in its body which object it is."""

    def request(self, sock: Socket) -> Message:
        message = super().request(sock)
        named = re.search(rb'"name": ?"([^"]+)"', message.body[:2000])
        name = f"{message.name} {named[1].decode()}" if named else message.name
        return Message(name, message.head, message.body)


class _Mongo:
    """MongoDB's messages: a length, then so many bytes."""

    def request(self, sock: Socket) -> Message:
        message = self._message(sock)
        return Message(self._name(message.raw), message.head, message.body)

    def reply(self, sock: Socket, request: Message) -> Message:
        return self._message(sock, request.name)

    def _message(self, sock: Socket, name: str = "") -> Message:
        head = sock.exactly(16)
        return Message(name, head, sock.exactly(struct.unpack_from("<i", head)[0] - 16))

    def _name(self, raw: bytes) -> str:
        if struct.unpack_from("<i", raw, 12)[0] != 2013:
            return "hello"
        command = bson.decode(raw[21 : 21 + struct.unpack_from("<i", raw, 21)[0]])
        verb = next(iter(command))
        what = command.get("collection") if verb == "getMore" else command[verb]
        return f"{verb} {what}"


HTTP: Wire = _Http()
GCS: Wire = _Gcs()
MONGO: Wire = _Mongo()


@dataclass
class Exchange:
    """What a fault may use: the client's connection, its request, and the way to the server."""

    client: Socket
    request: Message
    forward: Callable[[bytes], Message]
    """Sends these bytes on and gives the server's reply."""
    stopped: threading.Event

    def done(self) -> Message:
        """The server's reply to the request as it came."""
        return self.forward(self.request.raw)


@dataclass
class _Planned:
    pattern: str
    fault: Callable[[Exchange], None]


@dataclass
class Proxy:
    """Between a client and the server at `upstream` (a URL); a context manager."""

    upstream: str
    wire: Wire
    planned: list[_Planned] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Every message that came, in order."""
    failed: list[str] = field(default_factory=list)
    """Those that met a fault."""
    each: tuple[str, Callable[[Exchange], None]] | None = None

    def __enter__(self) -> Proxy:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server: _Server | None = _Server(self, 0)
        self.port = self._server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.close_door()

    @property
    def url(self) -> str:
        parts = urlsplit(self.upstream)
        return f"{parts.scheme}://127.0.0.1:{self.port}"

    def fail(self, pattern: str, fault: Callable[[Exchange], None], times: int = 1) -> None:
        """Let the next `times` messages whose name has the pattern (a regular expression) meet the fault."""
        with self._lock:
            self.planned += [_Planned(pattern, fault) for _ in range(times)]

    def fail_each(self, fault: Callable[[Exchange], None], pattern: str = "") -> None:
        """Let every message whose name has the pattern meet the fault when that name comes for the first time."""
        with self._lock:
            self.each = (pattern, fault)

    def heal(self) -> None:
        """No more faults, and the door open."""
        with self._lock:
            self.planned.clear()
            self.each = None
        self.open_door()

    def reset(self) -> None:
        """As new, for the next test."""
        self.heal()
        self.names.clear()
        self.failed.clear()

    def count(self, pattern: str) -> int:
        """How many messages came whose name has the pattern."""
        return sum(1 for name in self.names if re.search(pattern, name))

    def close_door(self) -> None:
        """Nobody listens any more: connections are refused, and those that there were are reset."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def open_door(self) -> None:
        """Listen again, on the same port."""
        if self._server is None:
            self._server = _Server(self, self.port)

    def take(self, name: str) -> Callable[[Exchange], None] | None:
        """The fault for this message, if there is one; it is used up."""
        with self._lock:
            is_new = name not in self.names
            self.names.append(name)
            if self.each is not None and is_new and re.search(self.each[0], name):
                self.failed.append(name)
                return self.each[1]
            for planned in self.planned:
                if re.search(planned.pattern, name):
                    self.planned.remove(planned)
                    self.failed.append(name)
                    return planned.fault
        return None

    @property
    def stopped(self) -> threading.Event:
        return self._stopped


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, proxy: Proxy, port: int) -> None:
        self.proxy = proxy
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for sock in list(self.open):
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.open.add(self.request)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._upstream: Socket | None = None
        client = Socket(self.request)
        try:
            while True:
                self._one(client)
        except GoneError:
            pass
        finally:
            self.server.open.discard(self.request)
            if self._upstream is not None:
                self._upstream.sock.close()

    def _one(self, client: Socket) -> None:
        proxy = self.server.proxy
        request = proxy.wire.request(client)
        fault = proxy.take(request.name)

        def forward(raw: bytes) -> Message:
            if self._upstream is None:
                self._upstream = Socket(self._connect())
            self._upstream.send(raw)
            reply = proxy.wire.reply(self._upstream, request)
            if _header(reply.head, "connection").lower() == "close":
                self._upstream.sock.close()
                self._upstream = None
            return reply

        exchange = Exchange(client, request, forward, proxy.stopped)
        (fault or pass_on)(exchange)

    def _connect(self) -> socket.socket:
        parts = urlsplit(self.server.proxy.upstream)
        try:
            sock = socket.create_connection((parts.hostname, parts.port), timeout=60)
        except OSError:
            raise GoneError from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def finish(self) -> None:
        """The socket is closed by `shutdown_request`."""


# --- faults ------------------------------------------------------------------------------------------------


def pass_on(exchange: Exchange) -> None:
    exchange.client.send(exchange.done().raw)


def reset(exchange: Exchange) -> None:
    """Nothing is done, the connection breaks."""
    exchange.client.reset()


def lose(exchange: Exchange) -> None:
    """The work is done, the reply is lost."""
    exchange.done()
    exchange.client.reset()


def halve(exchange: Exchange) -> None:
    """Half of the reply, then a reset."""
    reply = exchange.done()
    exchange.client.send(reply.head + reply.body[: len(reply.body) // 2])
    _drained(exchange.client)
    exchange.client.reset()


def cut(exchange: Exchange) -> None:
    """Half of the reply, then a clean end."""
    reply = exchange.done()
    exchange.client.send(reply.head + reply.body[: len(reply.body) // 2])
    exchange.client.hang_up()


def behead(exchange: Exchange) -> None:
    """The reply ends in the middle of its head."""
    reply = exchange.done()
    exchange.client.send(reply.head[: len(reply.head) // 2])
    exchange.client.hang_up()


def say_nothing(exchange: Exchange) -> None:
    """No answer at all, as long as the client waits."""
    _wait_until_gone(exchange)


def stall(exchange: Exchange) -> None:
    """Half of the reply, then nothing more, as long as the client waits."""
    reply = exchange.done()
    exchange.client.send(reply.head + reply.body[: len(reply.body) // 2])
    _wait_until_gone(exchange)


def trickle(exchange: Exchange) -> None:
    """The reply byte by byte, each in time for any time-out between bytes, and never to its end."""
    reply = exchange.done()
    exchange.client.send(reply.head)
    for byte in reply.body[:-1]:
        exchange.client.send(bytes([byte]))
        if exchange.stopped.wait(0.01):
            raise GoneError
    _wait_until_gone(exchange)


def flip(place: float) -> Callable[[Exchange], None]:
    """One bit of one byte of the reply's body is another; `place` between 0 and 1.

    Checksums that S3 sends along are taken away: older servers and objects have none.
    """

    def fault(exchange: Exchange) -> None:
        reply = exchange.done()
        head = re.sub(rb"(?i)\r\nx-amz-checksum-[^\r]*", b"", reply.head)
        exchange.client.send(head + flipped(reply.body, place))

    return fault


def flip_request(place: float) -> Callable[[Exchange], None]:
    """The same on the way to the server."""

    def fault(exchange: Exchange) -> None:
        request = exchange.request
        reply = exchange.forward(request.head + flipped(request.body, place))
        exchange.client.send(reply.raw)

    return fault


def flipped(body: bytes, place: float) -> bytes:
    """The bytes with the lowest bit of one changed."""
    at = min(int(len(body) * place), len(body) - 1)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def status(
    code: int, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Callable[[Exchange], None]:
    """That answer in place of the server's, which is not asked."""

    def fault(exchange: Exchange) -> None:
        _say(exchange, code, headers or {}, body)

    return fault


def status_after(
    code: int, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Callable[[Exchange], None]:
    """The server does the work, and that answer comes in place of its own."""

    def fault(exchange: Exchange) -> None:
        exchange.done()
        _say(exchange, code, headers or {}, body)

    return fault


def then(do: Callable[[], object], fault: Callable[[Exchange], None] = pass_on) -> Callable[[Exchange], None]:
    """Do something when the message comes, before it is dealt with: a writer that works during a scan."""

    def both(exchange: Exchange) -> None:
        do()
        fault(exchange)

    return both


def _say(exchange: Exchange, code: int, headers: Mapping[str, str], body: bytes) -> None:
    body = b"" if exchange.request.name.startswith("HEAD ") else body
    lines = [f"HTTP/1.1 {code} Said So", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    exchange.client.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def _header(head: bytes, name: str) -> str:
    found = re.search(rf"(?im)^{name}:[ \t]*([^\r\n]*)".encode(), head)
    return found[1].decode("latin-1") if found else ""


def _drained(client: Socket) -> None:
    """Let the client read what was sent: a reset throws away what is still on its way."""
    select.select([client.sock], [], [], 0.05)


def _wait_until_gone(exchange: Exchange) -> None:
    while not exchange.stopped.is_set():
        if select.select([exchange.client.sock], [], [], 0.05)[0]:
            exchange.client._more()
    raise GoneError
