"""Servers that the store's tests talk to: moto behind a front that can fail, and a small GCS that can too."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import google_crc32c
import pytest
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.server import ThreadedMotoServer

from tideline.lake.gcs import GcsStore
from tideline.lake.retry import Patience
from tideline.lake.s3 import S3Store


@dataclass
class Fault:
    """What happens once to the next request that matches: `status`, or how the reply gets lost.

    `refuse`: the connection breaks before anything is done. `lose`: it is done, but no reply arrives.
    `cut`: the reply's body breaks off in its middle. `half`: only half of the request's body arrives.
    """

    method: str
    pattern: str
    action: int | str
    body: bytes = b""
    headers: dict = field(default_factory=dict)


@dataclass
class Front:
    """What a test sees of a server that can fail: its address, the faults ahead, the requests so far."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    objects: dict = field(default_factory=dict)

    def fail(self, method, pattern, action, body=b"", headers=None, times=1):
        self.faults += [Fault(method, pattern, action, body, headers or {}) for _ in range(times)]

    def take(self, method, path):
        self.requests.append((method, path))
        for fault in self.faults:
            if fault.method == method and re.search(fault.pattern, path):
                self.faults.remove(fault)
                return fault
        return None

    def count(self, method, pattern=""):
        return sum(1 for m, p in self.requests if m == method and re.search(pattern, p))


class FaultyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def _handle(self):
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = front.take(self.command, self.path)
        action = fault.action if fault else None
        if action == "refuse":
            return self._hang_up()
        if isinstance(action, int):
            return self._reply(action, {"Content-Type": "application/xml", **fault.headers}, fault.body)
        if action == "half":
            body = body[: len(body) // 2]
        status, headers, reply = self.server.respond(self.command, self.path, self.headers, body)
        if action == "lose":
            return self._hang_up()
        return self._reply(status, headers, reply, cut=action == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815

    def handle_expect_100(self):
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _hang_up(self):
        self.close_connection = True

    def _reply(self, status, headers, body, cut=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), FaultyHandler)
        self.front = Front(f"http://127.0.0.1:{self.server_address[1]}")
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that hung up on purpose is no news."""

    def stop(self):
        self.shutdown()
        self.server_close()


class MotoFront(FaultyServer):
    """Passes requests on to moto."""

    def __init__(self, port):
        self.port = port
        super().__init__()

    def respond(self, method, path, headers, body):
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "expect", "connection")}
        upstream = HTTPConnection("127.0.0.1", self.port, timeout=20)
        upstream.request(method, path, body=body, headers=kept)
        reply = upstream.getresponse()
        data = reply.read()
        upstream.close()
        dropped = ("connection", "transfer-encoding", "date", "server")
        return reply.status, {k: v for k, v in reply.getheaders() if k.lower() not in dropped}, data


class TinyGcs(FaultyServer):
    """The JSON API's uploads, reads and lists, creation conditional on absence, one bucket named `lake`."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sessions = {}
        self.numbers = count(1)
        super().__init__()

    def respond(self, method, path, headers, body):
        url = urlsplit(path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        with self.lock:
            if url.path.startswith("/upload/"):
                return self._upload(method, url.path, query, headers, body)
            match = re.fullmatch(r"(/download)?/storage/v1/b/([^/]+)/o(?:/(.+))?", url.path)
            if match is None or match[2] != "lake":
                return self._error(404)
            if match[3] is None:
                return self._list(query)
            return self._object(unquote(match[3]), query, headers)

    def _upload(self, method, path, query, headers, body):
        if "/b/lake/" not in path:
            return self._error(404)
        if query["uploadType"] == "multipart":
            boundary = re.search(r'boundary="?([^";]+)', headers["Content-Type"])[1].encode()
            _, meta, data, _ = body.split(b"--" + boundary)
            meta = json.loads(meta.split(b"\r\n\r\n", 1)[1])
            return self._create(meta, data.split(b"\r\n\r\n", 1)[1][: -len(b"\r\n")], query)
        if method == "POST":
            number = str(next(self.numbers))
            self.sessions[number] = [json.loads(body), b"", query]
            return 200, {"Location": f"{self.front.url}{path}?uploadType=resumable&upload_id={number}"}, b""
        return self._chunk(query["upload_id"], headers, body)

    def _chunk(self, number, headers, body):
        session = self.sessions[number]
        span = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", headers["Content-Range"])
        if span[1] and int(span[1]) == len(session[1]):
            session[1] += body
        if span[3] == "*":
            return 308, {"Range": f"bytes=0-{len(session[1]) - 1}"}, b""
        return self._create(session[0], session[1], session[2])

    def _create(self, meta, data, query):
        if query.get("ifGenerationMatch") == "0" and meta["name"] in self.front.objects:
            return self._error(412)
        self.front.objects[meta["name"]] = (meta, data)
        return self._json(self._resource(meta["name"]))

    def _object(self, name, query, headers):
        if name not in self.front.objects:
            return self._error(404)
        data = self.front.objects[name][1]
        if query.get("alt") != "media":
            return self._json(self._resource(name))
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("Range") or "bytes=0-")
        first, last = int(span[1]), int(span[2] or len(data))
        if first >= len(data):
            return 416, {}, b""
        return 206, {"Content-Range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]

    def _resource(self, name):
        meta, data = self.front.objects[name]
        crc = base64.b64encode(google_crc32c.Checksum(data).digest()).decode()
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        size = str(meta.get("sizeClaimed", len(data)))
        return {**meta, "bucket": "lake", "generation": "1", "size": size, "crc32c": crc, "md5Hash": md5}

    def _list(self, query):
        names = sorted(name for name in self.front.objects if name.startswith(query.get("prefix", "")))
        start = int(query.get("pageToken", 0))
        page = {"items": [self._resource(name) for name in names[start : start + 2]]}
        if start + 2 < len(names):
            page["nextPageToken"] = str(start + 2)
        return self._json(page)

    @staticmethod
    def _json(value):
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()

    @staticmethod
    def _error(status):
        return status, {"Content-Type": "application/json"}, json.dumps({"error": {"code": status}}).encode()


@pytest.fixture(scope="session")
def moto_port():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def front(moto_port):
    server = MotoFront(moto_port)
    yield server.front
    server.stop()


@pytest.fixture
def s3_client(front):
    return make_s3_client(front.url)


def make_s3_client(url):
    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10, max_pool_connections=32
    )
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=config,
    )


_buckets = count(1)


@pytest.fixture
def bucket(s3_client):
    name = f"lake-{next(_buckets)}"
    s3_client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def naps():
    """The pauses that were asked for; nobody really sleeps."""
    return []


@pytest.fixture
def patience(naps):
    return Patience(attempts=4, sleep=naps.append, chance=lambda: 0.0)


@pytest.fixture
def s3_store(s3_client, bucket, patience):
    return S3Store(f"s3://{bucket}/some/root", s3_client, patience=patience)


@pytest.fixture
def gcs_front():
    server = TinyGcs()
    yield server.front
    server.stop()


@pytest.fixture
def gcs_client(gcs_front):
    client = storage.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": gcs_front.url}
    )
    yield client
    client.close()


@pytest.fixture
def gcs_store(gcs_client, patience):
    return GcsStore("gs://lake/some/root", gcs_client, patience=patience)


@pytest.fixture(params=["s3", "gcs"])
def store(request):
    """The same test on both kinds of store."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def store_front(store, request):
    """The front of the store under test."""
    return request.getfixturevalue("gcs_front" if isinstance(store, GcsStore) else "front")
