"""What the landers' tests talk to: a lake on moto, a MongoDB whose wire breaks, an HTTP server that fails."""

from __future__ import annotations

import json
import os
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import boto3
import bson
import pymongo
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tideline.lake.retry import Patience
from tideline.lake.s3 import S3Store
from tideline.land import http_pools
from tideline.land.http import HttpSession
from tideline.land.request import LandRequest
from tideline.window import Window

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
CLOCK = END + timedelta(minutes=5)
_buckets = count(1)


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once():
    """Reading the system's authorities took a fifth of these tests' time; where it matters, they name others."""
    read, common = http_pools.tls_context, cache(http_pools.tls_context)

    def tls_context(verify):
        is_common = verify is True and not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys()
        return (common if is_common else read)(verify)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_pools, "tls_context", tls_context)
        yield


@pytest.fixture(scope="session")
def s3():
    """A boto3 client of a moto server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.get_host_and_port()[1]}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16),
    )
    server.stop()


@pytest.fixture
def bucket(s3):
    """A fresh bucket of the source."""
    name = f"drops-{next(_buckets)}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(s3):
    """A fresh raw lake."""
    name = f"raw-{next(_buckets)}"
    s3.create_bucket(Bucket=name)
    return S3Store(f"s3://{name}/lake", s3)


@pytest.fixture
def naps():
    """The pauses that were asked for; nobody really sleeps."""
    return []


@pytest.fixture
def patience(naps):
    return Patience(attempts=4, sleep=naps.append, chance=lambda: 0.0)


@pytest.fixture
def request_for():
    """Makes requests for the hour before noon, read five minutes after it."""

    def make(dataset, *, start=END - timedelta(hours=1), end=END, mode="scheduled", **options):
        options.setdefault("now", lambda: CLOCK)
        return LandRequest(dataset, Window(start, end), mode, "run-1", "fingerprint-1", **options)

    return make


@pytest.fixture
def assert_nothing_committed(store):
    """A check that no folder of the lake has a manifest."""

    def check():
        assert [key for key in store.list("") if key.endswith("_manifest.json")] == []

    return check


@dataclass
class Wire:
    """A scripted MongoDB: what `find` and each `getMore` give.

    A step is a list of raw documents, a dict (an error reply), "hang up", "silence", or bytes (a reply).
    """

    uri: str
    steps: list = field(default_factory=list)
    collections: tuple = ("things",)
    commands: list = field(default_factory=list)
    listing: dict | None = None
    replication: dict = field(default_factory=dict)
    """What `hello` says besides."""
    quiet: threading.Event = field(default_factory=threading.Event)

    def sent(self, name):
        return [command for command in self.commands if name in command]


class _WireHandler(socketserver.BaseRequestHandler):
    def handle(self):
        while head := self._exactly(16):
            size, request_id, _, op_code = struct.unpack("<iiii", head)
            body = self._exactly(size - 16)
            answer = self._answer(op_code, body)
            if answer is None:
                return
            self._send(op_code, request_id, answer)

    def _send(self, op_code, request_id, answer):
        if op_code == 2004:
            payload, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, 1
        else:
            payload, kind = struct.pack("<I", 0) + b"\0" + answer, 2013
        self.request.sendall(struct.pack("<iiii", 16 + len(payload), 0, request_id, kind) + payload)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.request.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data

    def _answer(self, op_code, body):
        wire = self.server.wire
        start = body.index(b"\0", 4) + 9 if op_code == 2004 else 5
        length = struct.unpack_from("<i", body, start)[0]
        command = bson.decode(body[start : start + length])
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            hello = {"isWritablePrimary": True, "ismaster": True, "maxWireVersion": 21, "minWireVersion": 0}
            limits = {
                "maxBsonObjectSize": 1 << 24,
                "maxMessageSizeBytes": 48000000,
                "maxWriteBatchSize": 1000,
            }
            return bson.encode({**hello, **limits, **wire.replication, "helloOk": True, "ok": 1.0})
        wire.commands.append(command)
        if name == "listCollections":
            found = [{"name": known, "type": "collection"} for known in wire.collections]
            reply = {"cursor": {"firstBatch": found, "id": bson.Int64(0), "ns": "d.$cmd.l"}, "ok": 1.0}
            return bson.encode(wire.listing or reply)
        if name == "listIndexes":
            return bson.encode({"cursor": {"firstBatch": [], "id": bson.Int64(0), "ns": "d.c"}, "ok": 1.0})
        if name in ("find", "getMore"):
            return self._step(wire, "firstBatch" if name == "find" else "nextBatch")
        return bson.encode({"ok": 1.0})

    def _step(self, wire, batch_name):
        step = wire.steps.pop(0)
        if step == "hang up":
            return None
        if step == "silence":
            wire.quiet.wait(30)
            return None
        if isinstance(step, bytes):
            return step
        if isinstance(step, dict):
            return bson.encode({"ok": 0.0, "errmsg": "scripted", **step})
        return cursor_reply(batch_name, step, 7 if wire.steps else 0)


def cursor_reply(batch_name, documents, cursor_id):
    """A reply to find or getMore, put together by hand so that documents go out byte for byte."""
    elements = b"".join(
        b"\x03" + str(number).encode() + b"\0" + document for number, document in enumerate(documents)
    )
    array = struct.pack("<i", len(elements) + 5) + elements + b"\0"
    cursor = b"\x04" + batch_name.encode() + b"\0" + array
    cursor += b"\x12id\0" + struct.pack("<q", cursor_id) + b"\x02ns\0" + struct.pack("<i", 4) + b"d.c\0"
    cursor = struct.pack("<i", len(cursor) + 5) + cursor + b"\0"
    reply = b"\x03cursor\0" + cursor + b"\x01ok\0" + struct.pack("<d", 1.0)
    return struct.pack("<i", len(reply) + 5) + reply + b"\0"


class _WireServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def wire():
    server = _WireServer(("127.0.0.1", 0), _WireHandler)
    server.wire = Wire(f"mongodb://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server.wire
    server.wire.quiet.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def wire_client(wire):
    with pymongo.MongoClient(wire.uri, serverSelectionTimeoutMS=2000, retryReads=False) as client:
        yield client


@dataclass
class Reply:
    """One scripted reply. `raw` writes these bytes to the socket instead of anything well-formed."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict = field(default_factory=dict)
    raw: bytes | None = None
    claim: int | None = None
    """A Content-Length that is not the body's."""
    trickle: bytes = b""
    """Sent byte by byte, until the client has gone."""


@dataclass
class Site:
    """An HTTP server: scripted replies first, then what `answer` gives."""

    url: str
    script: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    answer: object = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self):
        return [path for path, _ in self.requests]


class _SiteHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def do_GET(self):
        site = self.server.site
        site.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        reply = site.script.pop(0) if site.script else site.answer(self.path, self.headers)
        if reply.raw is not None:
            self._raw(reply)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in reply.headers and reply.status != 304:
            self.send_header("Content-Length", str(len(reply.body) if reply.claim is None else reply.claim))
        self.end_headers()
        self.wfile.write(b"" if reply.status == 304 else reply.body)
        self.close_connection = self.close_connection or reply.claim is not None

    def _raw(self, reply):
        self.close_connection = True
        self.connection.sendall(reply.raw)
        try:
            for byte in reply.trickle:
                self.connection.sendall(bytes([byte]))
                if self.server.site.stop.wait(0.01):
                    return
        except OSError:
            return


class _SiteServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hung up on purpose is no news."""


def serve_site():
    server = _SiteServer(("127.0.0.1", 0), _SiteHandler)
    server.site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def site():
    server = serve_site()
    yield server.site
    server.site.stop.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def other_site():
    server = serve_site()
    yield server.site
    server.shutdown()
    server.server_close()


@pytest.fixture
def reply():
    """Makes scripted replies: `reply(items)`, `reply(status=503)`, `reply(raw=b"")`."""

    def make(items=None, **options):
        if items is not None:
            options["body"] = json.dumps(items).encode()
        return Reply(**options)

    return make


@pytest.fixture
def session(site, patience):
    """A session with that server, without credentials."""
    made = HttpSession(site.url, patience=patience, read_seconds=5)
    yield made
    made.close()
