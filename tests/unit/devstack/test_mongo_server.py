"""The server as a process sees it: sockets, log-in, its command line."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from devstack import foreground, mongo_server
from devstack.mongo_server import MongoServer
from devstack.process import INCLUDE

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "tide,=line", "s3cr=et,ü"


@pytest.fixture(scope="module")
def guarded() -> Iterator[MongoServer]:
    with MongoServer(credentials=(USER, PASSWORD)) as server:
        yield server


def connect(server: MongoServer, user: str = "", password: str = "") -> MongoClient[dict[str, Any]]:
    login = f"{quote_plus(user)}:{quote_plus(password)}@" if user else ""
    return MongoClient(server.uri.replace("//", f"//{login}"), serverSelectionTimeoutMS=3000)


def test_the_right_password_lets_in(guarded: MongoServer) -> None:
    with connect(guarded, USER, PASSWORD) as client:
        client.d.c.insert_one({"_id": 1})
        assert client.d.c.find_one() == {"_id": 1}


@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_user_or_password_is_refused(guarded: MongoServer, user: str, password: str) -> None:
    with connect(guarded, user, password) as client, pytest.raises(OperationFailure) as error:
        client.d.c.find_one()
    assert error.value.code == 18


def test_without_log_in_only_greetings_are_answered(guarded: MongoServer) -> None:
    with connect(guarded) as client:
        assert client.admin.command("ping")["ok"] == 1
        with pytest.raises(OperationFailure) as error:
            client.d.c.find_one()
    assert error.value.code == 13


def test_log_ins_out_of_order_are_refused(guarded: MongoServer) -> None:
    with connect(guarded) as client:
        for command in (
            {"saslContinue": 1, "payload": b""},
            {"saslStart": 1, "mechanism": "PLAIN", "payload": b"\0a\0b"},
        ):
            with pytest.raises(OperationFailure) as error:
                client.admin.command(command)
            assert error.value.code in (18, 334)


def test_a_client_that_cannot_skip_the_empty_exchange_is_answered(guarded: MongoServer) -> None:
    with connect(guarded, USER, PASSWORD) as client:
        client.d.c.find_one()
        client.admin.command({"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": b"n,,n=x,r=y"})
        reply = client.admin.command({"saslContinue": 1, "payload": b""})
    assert reply["done"]


def test_a_client_of_another_protocol_is_hung_up_on(caplog: pytest.LogCaptureFixture) -> None:
    with (
        MongoServer() as server,
        caplog.at_level("WARNING", logger="devstack.mongo_server"),
        socket.create_connection(server.address, timeout=5) as stranger,
    ):
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stranger.recv(100) == b""
    assert "does not speak MongoDB's protocol" in caplog.text


def test_stopping_ends_open_connections() -> None:
    with MongoServer() as server:
        client = MongoClient[dict[str, Any]](server.uri, serverSelectionTimeoutMS=200)
        client.admin.command("ping")
    with pytest.raises((AutoReconnect, ServerSelectionTimeoutError)):
        client.admin.command("ping")
    client.close()


def test_the_command_line_prints_its_address_and_serves() -> None:
    command = [sys.executable, "-m", "devstack.mongo_server", "--port", "0"]
    with subprocess.Popen(command, cwd=INCLUDE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, address = process.stdout.readline().split()
        with MongoClient[dict[str, Any]](f"mongodb://{address}", serverSelectionTimeoutMS=5000) as client:
            assert (word, client.admin.command("ping")["ok"]) == ("listening", 1)
        process.terminate()


def test_credentials_can_be_given_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused: list[int | None] = []

    def try_it() -> None:
        address = capsys.readouterr().out.split()[1]
        for login in ("u:p", "u:wrong"):
            with MongoClient[dict[str, Any]](f"mongodb://{login}@{address}") as client:
                try:
                    client.d.c.find_one()
                except OperationFailure as error:
                    refused.append(error.code)

    monkeypatch.setattr(foreground, "_wait", try_it)
    mongo_server.main(["--user", "u", "--password", "p"])
    assert refused == [18]
