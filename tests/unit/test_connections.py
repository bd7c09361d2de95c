"""Airflow connections as clients: what they are told beyond what the connection says."""

from __future__ import annotations

import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tideline import connections
from tideline.errors import StoreUnavailableError
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.settings import Settings

pytestmark = pytest.mark.airflow


def connection(**extra: Any) -> str:
    return json.dumps({"conn_type": "aws", "login": "key", "password": "secret", "extra": extra})


def client(monkeypatch: Any, **extra: Any) -> Any:
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_LAKE", connection(region_name="us-east-1", **extra))
    return connections._lake_s3()


def test_s3_clients_do_not_retry_by_themselves(monkeypatch: Any) -> None:
    config = client(monkeypatch).meta.config

    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (10, 60)


def test_what_the_connection_says_is_kept(monkeypatch: Any) -> None:
    kwargs = {"s3": {"addressing_style": "path"}, "read_timeout": 7}
    config = client(monkeypatch, config_kwargs=kwargs).meta.config

    assert config.s3["addressing_style"] == "path"
    assert config.read_timeout == 7
    assert config.retries["total_max_attempts"] == 1


class _Busy(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_lake_that_stays_busy_is_asked_as_often_as_patience_says(monkeypatch: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    server.requests = 0  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    quick = replace(DEFAULT_PATIENCE, attempts=3, sleep=lambda _: None)
    monkeypatch.setattr("tideline.lake.store.DEFAULT_PATIENCE", quick)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    extra = {"endpoint_url": url, "config_kwargs": {"proxies": {}, "s3": {"addressing_style": "path"}}}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_LAKE", connection(region_name="us-east-1", **extra))

    settings = Settings(raw_uri="s3://lake/raw")
    with connections.open_deployment(settings) as deployment, pytest.raises(StoreUnavailableError):
        deployment.raw.put("k", b"body")
    server.shutdown()
    server.server_close()

    assert server.requests == 3  # type: ignore[attr-defined]
