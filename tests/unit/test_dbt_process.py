"""Neither a process of dbt nor one that watches a build waits for ever. The adapter is put back: it is the process's."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace

import pytest
import requests
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from requests.adapters import HTTPAdapter

from tideline import dbt_process
from tideline.errors import RetriableError
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
    dbt_process.make_ready({"task": object()})
    options = ClientOptions(api_endpoint=losing)
    client = bigquery.Client(project="p", credentials=AnonymousCredentials(), client_options=options)
    assert list(client.list_tables("p.d", max_results=100_000)) == []
    client.close()


@pytest.mark.timeout(30)
def test_a_limit_that_a_request_has_stays(losing):
    dbt_process.make_ready({"task": object()})
    dbt_process.SILENT_SECONDS = 20.0
    with pytest.raises(requests.Timeout, match=r"0\.2"):
        requests.get(losing, timeout=0.2)


@pytest.mark.timeout(30)
def test_an_adapter_that_hands_on_by_place_is_bound_too(losing):
    class Counting(HTTPAdapter):
        def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
            return super().send(request, stream, timeout, verify, cert, proxies)

    dbt_process.make_ready({"task": object()})
    with requests.Session() as session:
        session.mount("http://", Counting())
        with pytest.raises(requests.Timeout, match=r"0\.3"):
            session.get(losing)


def test_once_is_enough():
    dbt_process.make_ready({"task": object()})
    send = HTTPAdapter.send
    dbt_process.make_ready({"task": object()})
    assert HTTPAdapter.send is send


class Watcher:
    """As Cosmos has it: it asks whether there is word of its model, every two seconds."""

    producer_task_id = "models.build"

    def __init__(self, words):
        self.words = iter(words)

    def poke(self, context):
        return next(self.words)


def watching(words, states):
    """What a watcher says at each look, and what state its build is in at each of those."""
    asked = iter(states)

    def get_task_states(dag_id, *, task_ids, run_ids):
        assert (dag_id, task_ids, run_ids) == ("hourly", ["models.build"], ["a"])
        return {"a": {"models.build": state} if (state := next(asked)) else {}}

    watcher = Watcher(words)
    ti = SimpleNamespace(dag_id="hourly", run_id="a", get_task_states=get_task_states)
    dbt_process.make_ready({"task": watcher})
    return [watcher.poke({"ti": ti}) for _ in words]


def test_a_model_of_which_a_good_build_says_nothing_is_left_to_the_next_try():
    with pytest.raises(RetriableError, match=r"models\.build is a success and has not built this"):
        watching([False, False, False], [None, "success"])


def test_the_last_word_of_a_build_that_has_ended_is_heard():
    assert watching([False, False, True], ["running", "success"]) == [False, False, True]


@pytest.mark.parametrize("state", ["running", "queued", "failed", "skipped", None])
def test_what_else_becomes_of_a_build_is_left_to_cosmos(state):
    assert watching([False] * 5 + [True], [state] * 5) == [False] * 5 + [True]
