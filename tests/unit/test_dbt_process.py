"""A process that runs dbt waits for no reply for ever. The adapter is put back: it is the process's own."""

from __future__ import annotations

import socket
import threading

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from requests.adapters import HTTPAdapter

from tideline import dbt_process
from tideline.warehouse.client import bigquery

NO_TABLES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def in_this_test_alone(monkeypatch):
    monkeypatch.setattr(HTTPAdapter, "send", HTTPAdapter.send)
    monkeypatch.setattr(dbt_process.gc, "freeze", lambda: None)
    monkeypatch.setattr(dbt_process, "SILENT_SECONDS", 0.3)


@pytest.fixture
def losing():
    """The address of a server whose first reply is lost; it answers the requests after it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                held.append(client)
                client.recv(1 << 16)
                if len(held) > 1:
                    client.sendall(NO_TABLES)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for client in held:
            client.close()


@pytest.mark.timeout(30)
def test_a_reply_that_is_lost_is_asked_for_again(losing):
    """As dbt lists tables: `list_tables` without a time limit, which BigQuery's client takes for none at all."""
    dbt_process.make_ready()
    options = ClientOptions(api_endpoint=losing)
    client = bigquery.Client(project="p", credentials=AnonymousCredentials(), client_options=options)
    assert list(client.list_tables("p.d", max_results=100_000)) == []
    client.close()


@pytest.mark.timeout(30)
def test_a_limit_that_a_request_has_stays(losing):
    dbt_process.make_ready()
    dbt_process.SILENT_SECONDS = 20.0
    with pytest.raises(requests.Timeout, match=r"0\.2"):
        requests.get(losing, timeout=0.2)


def test_once_is_enough():
    dbt_process.make_ready()
    send = HTTPAdapter.send
    dbt_process.make_ready()
    assert HTTPAdapter.send is send
