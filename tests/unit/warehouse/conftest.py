"""A BigQuery that answers what a test tells it to, under the real client: for what no emulator does."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from requests.adapters import BaseAdapter

from tideline.settings import Settings
from tideline.warehouse.bigquery import Warehouse

URL = "http://bigquery.invalid"


@dataclass
class Request:
    method: str
    path: str
    body: Any

    @property
    def job_id(self) -> str:
        return self.body["jobReference"]["jobId"]


@dataclass
class Script(BaseAdapter):
    """Answers in order: exceptions are raised, the rest is `(status, body)` or a body with status 200."""

    answers: deque[Any] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)

    def send(self, request, **options):
        body = request.body
        if body is not None and (request.headers.get("Content-Type") or "").startswith("application/json"):
            body = json.loads(body)
        self.requests.append(Request(request.method, request.path_url.partition("?")[0], body))
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        if "jobReference" in content:
            asked = body["jobReference"]["jobId"] if isinstance(body, dict) else request.path_url
            job_id = asked.partition("?")[0].rpartition("/")[2]
            content = {**content, "jobReference": {**content["jobReference"], "jobId": job_id}}
        response = requests.Response()
        response.status_code = status
        response._content = json.dumps(content).encode()
        response.headers["Content-Type"] = "application/json"
        response.headers.update(content.get("headers", {}))
        response.request = request
        response.url = request.url
        return response

    def close(self) -> None:
        """Nothing is open."""

    __hash__ = object.__hash__


def job(state: str = "DONE", *, reason: str | None = None, message: str = "no", **configuration: Any) -> dict:
    """A job resource. Without a configuration it is a query `SELECT 1`."""
    status: dict[str, Any] = {"state": state}
    if reason:
        status["errorResult"] = {"reason": reason, "message": message}
    return {
        "jobReference": {"projectId": "p", "jobId": "echo", "location": "EU"},
        "configuration": configuration or {"query": {"query": "SELECT 1"}},
        "status": status,
        "statistics": {},
    }


def error(code: int, reason: str, message: str = "no") -> tuple[int, dict]:
    """An answer of the API that refuses the request."""
    details = [{"reason": reason, "message": message}]
    return code, {"error": {"code": code, "message": message, "errors": details}}


@dataclass
class Bench:
    """A warehouse on a script, with a clock that only sleeping moves."""

    script: Script
    warehouse: Warehouse
    slept: list[float]


@pytest.fixture
def bench() -> Bench:
    script, slept = Script(), []
    session = requests.Session()
    session.mount("http://", script)
    client = bigquery.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=URL),
        _http=session,
    )
    settings = Settings(project="p", location="EU", environment="ci", deadline_seconds=600.0)
    warehouse = Warehouse(client, settings, sleep=slept.append, clock=lambda: sum(slept), dice=lambda: 1.0)
    yield Bench(script, warehouse, slept)
    assert not script.answers, "answers that nobody asked for"


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers of this folder."""
    return SimpleNamespace(job=job, error=error)
