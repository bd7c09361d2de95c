"""MongoDB's wire protocol: OP_MSG, and OP_QUERY for a driver's first hello.

Owns framing and the dispatch of commands. Knows neither sockets nor processes (`devstack.mongo_server`).
https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import itertools
import logging
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import bson

from devstack.mongo import admin, auth, reads, writes
from devstack.mongo.bson_view import MIN_DOCUMENT_BYTES, OPTIONS
from devstack.mongo.errors import CommandError
from devstack.mongo.request import Backend, Request, Session

if TYPE_CHECKING:
    from io import BufferedIOBase

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 48_000_000
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_CHECKSUM_PRESENT, _MORE_TO_COME = 1, 2
_HEADER = struct.Struct("<iiii")
_request_ids = itertools.count(1)

Command: TypeAlias = Callable[[Backend, Request, Session], "dict[str, Any] | bytes"]

_OPEN_TO_ALL: dict[str, Command] = {
    "hello": admin.hello,
    "isMaster": admin.hello,
    "ismaster": admin.hello,
    "ping": admin.acknowledge,
    "buildInfo": admin.build_info,
    "buildinfo": admin.build_info,
    "saslStart": auth.start,
    "saslContinue": auth.go_on,
    "endSessions": admin.acknowledge,
    "logout": admin.acknowledge,
}
_PROTECTED: dict[str, Command] = {
    "find": reads.find,
    "getMore": reads.get_more,
    "killCursors": reads.kill_cursors,
    "count": reads.count,
    "distinct": reads.distinct,
    "aggregate": reads.aggregate,
    "insert": writes.insert,
    "update": writes.update,
    "delete": writes.delete,
    "listCollections": admin.list_collections,
    "listDatabases": admin.list_databases,
    "listIndexes": admin.list_indexes,
    "create": admin.create,
    "drop": admin.drop,
    "dropDatabase": admin.drop_database,
    "createIndexes": admin.create_indexes,
    "dropIndexes": admin.drop_indexes,
    "collStats": admin.collection_statistics,
}


class ProtocolError(Exception):
    """The peer does not speak the protocol; the connection is of no further use."""


def exchange(backend: Backend, session: Session, stream: BufferedIOBase) -> bytes | None:
    """Read one message and serve it; the reply, `b""` where none is wanted, None at the end of the stream.

    Raises:
        ProtocolError: The bytes are no message.
    """
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        return None
    size, request_id, _, opcode = _HEADER.unpack(head)
    if not _HEADER.size < size <= MAX_MESSAGE_BYTES + _HEADER.size:
        raise ProtocolError(f"a message of {size} bytes")
    payload = stream.read(size - _HEADER.size)
    if len(payload) < size - _HEADER.size:
        return None
    if opcode == _OP_MSG:
        return _serve_message(backend, session, payload, request_id)
    if opcode == _OP_QUERY:
        return _serve_query(backend, session, payload, request_id)
    raise ProtocolError(f"opcode {opcode}")


def _serve_message(backend: Backend, session: Session, payload: bytes, request_id: int) -> bytes:
    flags: int = struct.unpack_from("<I", payload)[0]
    request = _parse(payload[4 : len(payload) - 4 if flags & _CHECKSUM_PRESENT else len(payload)])
    answer = serve(backend, session, request)
    if flags & _MORE_TO_COME:
        return b""
    return _framed(_OP_MSG, request_id, b"\0\0\0\0\0", answer)


def _serve_query(backend: Backend, session: Session, payload: bytes, request_id: int) -> bytes:
    """A driver's first hello: `admin.$cmd` in the form that every server since 2.x has answered."""
    zero = payload.index(0, 4)
    answer = serve(backend, session, Request(_sized_at(payload, zero + 9)))
    return _framed(_OP_REPLY, request_id, struct.pack("<iqii", 8, 0, 0, 1), answer)


def _framed(opcode: int, request_id: int, preamble: bytes, body: bytes) -> bytes:
    size = _HEADER.size + len(preamble) + len(body)
    return _HEADER.pack(size, next(_request_ids) & 0x7FFFFFFF, request_id, opcode) + preamble + body


def _parse(sections: bytes) -> Request:
    body, sequences, position = None, {}, 0
    while position < len(sections):
        kind = sections[position]
        part = _sized_at(sections, position + 1)
        if kind == 0:
            body = part
        elif kind == 1:
            zero = part.index(0, 4)
            sequences[part[4:zero].decode()] = part[zero + 1 :]
        else:
            raise ProtocolError(f"section kind {kind}")
        position += 1 + len(part)
    if body is None:
        raise ProtocolError("a message without body")
    return Request(body, sequences)


def _sized_at(payload: bytes, start: int) -> bytes:
    """The piece at `start` that begins with its own length."""
    size: int = struct.unpack_from("<i", payload, start)[0] if len(payload) >= start + 4 else 0
    if size < MIN_DOCUMENT_BYTES or start + size > len(payload):
        raise ProtocolError(f"a section of {size} bytes at byte {start}")
    return payload[start : start + size]


def serve(backend: Backend, session: Session, request: Request) -> bytes:
    """Run a command; its reply or its error, encoded."""
    try:
        answer = _command(backend, session, request)(backend, request, session)
    except CommandError as error:
        answer = error.reply()
    except Exception as error:
        logger.exception("a command failed in a way that nobody foresaw")
        answer = CommandError(1, f"{type(error).__name__}: {error}").reply()
    if isinstance(answer, bytes):
        return answer
    return bson.encode({**answer, "ok": answer.get("ok", 1.0)}, codec_options=OPTIONS)


def _command(backend: Backend, session: Session, request: Request) -> Command:
    name = request.name
    if name in _OPEN_TO_ALL:
        return _OPEN_TO_ALL[name]
    if name not in _PROTECTED:
        raise CommandError(59, f"no such command: '{name}'")
    if backend.credentials is not None and not session.is_authenticated:
        raise CommandError(13, f"Command {name} requires authentication")
    return _PROTECTED[name]
