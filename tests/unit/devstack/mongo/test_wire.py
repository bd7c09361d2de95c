"""Frames: what the protocol allows is read, what it does not ends the connection and nothing else."""

from __future__ import annotations

import io
import struct
from typing import Any

import bson
import pytest

from devstack.mongo.request import Backend, Request, Session
from devstack.mongo.wire import ProtocolError, exchange, serve

PING = bson.encode({"ping": 1, "$db": "admin"})
DOCUMENTS = [bson.encode({"_id": number}) for number in range(3)]


def message(sections: bytes, flags: int = 0, opcode: int = 2013) -> bytes:
    body = struct.pack("<I", flags) + sections
    return struct.pack("<iiii", 16 + len(body), 77, 0, opcode) + body


def sequence(name: str, documents: list[bytes]) -> bytes:
    body = name.encode() + b"\0" + b"".join(documents)
    return b"\1" + struct.pack("<i", 4 + len(body)) + body


def answer(data: bytes, backend: Backend | None = None) -> dict[str, Any]:
    reply = exchange(backend or Backend(), Session(), io.BytesIO(data))
    assert reply is not None
    size, _, answered, opcode = struct.unpack_from("<iiii", reply)
    assert (size, answered, opcode) == (len(reply), 77, 2013)
    return bson.decode(reply[21:])


def test_a_message_is_answered() -> None:
    assert answer(message(b"\0" + PING)) == {"ok": 1.0}


def test_a_checksum_is_not_taken_for_a_section() -> None:
    assert answer(message(b"\0" + PING + b"\xde\xad\xbe\xef", flags=1)) == {"ok": 1.0}


def test_the_wish_for_an_exhaust_cursor_is_ignored() -> None:
    assert answer(message(b"\0" + PING, flags=1 << 16)) == {"ok": 1.0}


@pytest.mark.parametrize("is_body_first", [True, False])
def test_sections_come_in_any_order(is_body_first: bool) -> None:
    body = b"\0" + bson.encode({"insert": "c", "$db": "d"})
    parts = [body, sequence("documents", DOCUMENTS)]
    backend = Backend()
    assert answer(message(b"".join(parts if is_body_first else parts[::-1])), backend)["n"] == 3
    assert backend.storage.snapshot("d", "c") == DOCUMENTS


def test_nothing_is_answered_where_no_reply_is_wanted() -> None:
    assert exchange(Backend(), Session(), io.BytesIO(message(b"\0" + PING, flags=2))) == b""


def test_the_old_hello_is_answered_in_the_old_form() -> None:
    query = b"admin.$cmd\0" + struct.pack("<ii", 0, -1) + bson.encode({"isMaster": 1, "helloOk": True})
    reply = exchange(Backend(), Session(), io.BytesIO(message(query, opcode=2004)))
    assert reply is not None
    assert struct.unpack_from("<iiiiiqii", reply)[2:] == (77, 1, 8, 0, 0, 1)
    assert bson.decode(reply[36:])["maxWireVersion"] == 21


@pytest.mark.parametrize("cut", [0, 5, 16, 30])
def test_an_end_in_the_middle_of_a_message_is_the_end(cut: int) -> None:
    assert exchange(Backend(), Session(), io.BytesIO(message(b"\0" + PING)[:cut])) is None


@pytest.mark.parametrize(
    "data",
    [
        message(b"\0" + PING, opcode=2012),
        message(b"\2" + PING),
        message(sequence("documents", DOCUMENTS)),
        message(b"\0\xff\xff\xff\x7f"),
        message(b"\0\1\0\0"),
        struct.pack("<iiii", 15, 1, 0, 2013),
        struct.pack("<iiii", 100_000_000, 1, 0, 2013),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        exchange(Backend(), Session(), io.BytesIO(data))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (bson.encode({"frobnicate": 1}), 59),
        (bson.encode({}), 59),
        (b"\x05\0\0\0\1", 22),
        (bson.encode({"insert": "c", "documents": [1]}), 14),
    ],
)
def test_a_bad_command_is_answered_with_its_code(body: bytes, code: int) -> None:
    reply = bson.decode(serve(Backend(), Session(), Request(body)))
    assert (reply["ok"], reply["code"]) == (0.0, code)
    assert reply["codeName"]
