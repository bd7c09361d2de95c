"""Replies whose heads were cut anywhere: never taken for an answer."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from tideline.errors import WarehouseUnavailableError
from tideline.settings import Settings
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.client import bigquery

TABLE = b'{"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}}'
HEADS = {
    "GET": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(TABLE),
    "POST": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLocation: http://h/jobs?uploadType=resumable&upload_id=1\r\n\r\n",
}


@pytest.fixture
def cutting():
    """A server that sends the head of its reply up to `at`, and then the body where all of it was sent."""

    class Cutting(BaseHTTPRequestHandler):
        at = 0

        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            head = HEADS[self.command]
            self.wfile.write(head[: self.at])
            if self.at == len(head) and self.command == "GET":
                self.wfile.write(TABLE)
            self.close_connection = True

        do_GET = do_POST = reply  # noqa: N815 - the names that its base class calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Cutting, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def warehouse(url: str) -> Warehouse:
    client = bigquery.Client(
        project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
    )
    settings = Settings(project="p", location="EU", environment="ci", deadline_seconds=60.0)
    return Warehouse(client, settings, sleep=lambda _: None)


def test_a_table_is_found_where_the_whole_head_came_and_nowhere_else(cutting):
    server, url = cutting
    made = warehouse(url)
    for at in range(len(b"HTTP/1.1 200 OK\r\n"), len(HEADS["GET"]) - len(b"\r\n")):
        server.at = at
        with pytest.raises(WarehouseUnavailableError):
            made.tables.get("p.d.t")
    server.at = len(HEADS["GET"])
    assert made.tables.get("p.d.t").table_id == "t"


def test_an_upload_goes_on_only_where_the_reply_says_how(cutting):
    server, url = cutting
    session = warehouse(url).client._http
    for at in range(len(b"HTTP/1.1 200 OK\r\n"), len(HEADS["POST"]) - len(b"1\r\n\r\n")):
        server.at = at
        with pytest.raises(requests.ConnectionError):
            session.post(f"{url}/upload/bigquery/v2/projects/p/jobs?uploadType=resumable", data=b"{}")
    server.at = len(HEADS["POST"])
    assert session.post(f"{url}/upload?uploadType=resumable", data=b"{}").ok


def test_a_client_is_told_once(cutting):
    made = warehouse(cutting[1])
    Warehouse(made.client, made.settings)
    assert len(made.client._http.hooks["response"]) == 1
