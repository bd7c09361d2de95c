"""A MongoDB-protocol server that replays BSON files, so that the client is measured and not the server.

Every filter, sort and projection is accepted and ignored: a find answers the whole file, 100 MB in a fraction
of a second. Reads only, no authentication, no sessions. `python -m benchmarks.replay --port N NAME=FILE ...`.
"""

from __future__ import annotations

import argparse
import itertools
import mmap
import socket
import socketserver
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
from bson import Int64

if TYPE_CHECKING:
    from collections.abc import Callable

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
FIRST_BATCH = 101
MAX_BATCH_BYTES = 16 << 20
DATABASE = "bench"
HELLO: dict[str, Any] = {
    "ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": MAX_BATCH_BYTES,
    "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0,
    "maxWireVersion": 21, "readOnly": True, "ok": 1.0,
}  # fmt: skip


class Collection:
    """The documents of one file and where each begins."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        with path.open("rb") as file:
            self.bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.offsets = [0]
        while self.offsets[-1] < len(self.bytes):
            self.offsets.append(self.offsets[-1] + struct.unpack_from("<i", self.bytes, self.offsets[-1])[0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def last_of(self, first: int, wanted: int) -> int:
        """The document after the last one of a batch of that many, or of as many as a reply may hold."""
        last = min(first + wanted, len(self))
        while last > first + 1 and self.offsets[last] - self.offsets[first] > MAX_BATCH_BYTES * 15 // 16:
            last = first + (last - first) // 2
        return last

    def array(self, first: int, last: int) -> bytes:
        """The elements of a BSON array that holds these documents."""
        offsets, content = self.offsets, self.bytes
        pieces: list[bytes | memoryview] = []
        for index, number in enumerate(range(first, last)):
            pieces += (b"\3%d\0" % index, content[offsets[number] : offsets[number + 1]])
        return b"".join(pieces)


@dataclass(frozen=True)
class Answer:
    """The pieces of a BSON reply, and the cursor that it leaves open (0: none)."""

    pieces: tuple[bytes, ...]
    cursor_id: int = 0


@dataclass(frozen=True)
class Rest:
    """What an open cursor has still to give."""

    collection: Collection
    first: int
    wanted: int
    prepared: Answer | None = None


class Replay:
    """What the commands answer."""

    def __init__(self, collections: dict[str, Collection]) -> None:
        self._collections = collections
        self._cursors: dict[int, Rest] = {}
        self._ids = itertools.count(1)

    def answer(self, command: dict[str, Any]) -> Answer:
        """The reply to a command, as BSON."""
        name = next(iter(command))
        handler: Callable[[dict[str, Any]], Answer] | None = getattr(self, f"_{name.lower()}", None)
        if handler is not None:
            return handler(command)
        if name in ("ping", "endSessions"):
            return _document({})
        return _document(
            {"ok": 0.0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no command {name}"}
        )

    def prepare(self, cursor_id: int) -> None:
        """Make the next batch of a cursor, while the client works on the one it has."""
        if rest := self._cursors.get(cursor_id):
            self._cursors[cursor_id] = replace(rest, prepared=self._batch(rest, "nextBatch"))

    def _hello(self, _: dict[str, Any]) -> Answer:
        return _document({**HELLO, "localTime": datetime.now(UTC)})

    _ismaster = _hello

    def _buildinfo(self, _: dict[str, Any]) -> Answer:
        return _document({"version": "7.0.0", "versionArray": [7, 0, 0, 0]})

    def _listcollections(self, command: dict[str, Any]) -> Answer:
        wanted = (command.get("filter") or {}).get("name")
        names = [name for name in self._collections if not isinstance(wanted, str) or wanted == name]
        return _cursor("$cmd.listCollections", [{"name": name, "type": "collection"} for name in names])

    def _count(self, command: dict[str, Any]) -> Answer:
        return _document({"n": len(self._collections.get(command["count"], ()))})

    def _find(self, command: dict[str, Any]) -> Answer:
        collection = self._collections.get(command["find"])
        if collection is None:
            return _cursor(command["find"], [])
        return self._batch(Rest(collection, 0, command.get("batchSize", FIRST_BATCH)), "firstBatch")

    def _aggregate(self, command: dict[str, Any]) -> Answer:
        """A pipeline that counts gets the count; any other one gets the documents."""
        collection = self._collections.get(command["aggregate"])
        if collection is None:
            return _cursor(command["aggregate"], [])
        if any("$group" in stage or "$count" in stage for stage in command["pipeline"]):
            return _cursor(collection.name, [{"_id": 1, "n": len(collection)}])
        wanted = command["cursor"].get("batchSize", FIRST_BATCH)
        return self._batch(Rest(collection, 0, wanted), "firstBatch")

    def _getmore(self, command: dict[str, Any]) -> Answer:
        rest = self._cursors.pop(command["getMore"])
        wanted = command.get("batchSize") or len(rest.collection)
        if rest.prepared and wanted == rest.wanted:
            return rest.prepared
        return self._batch(replace(rest, wanted=wanted), "nextBatch")

    def _killcursors(self, command: dict[str, Any]) -> Answer:
        for cursor_id in command["cursors"]:
            self._cursors.pop(cursor_id, None)
        return _document({"cursorsKilled": command["cursors"]})

    def _batch(self, rest: Rest, field: str) -> Answer:
        collection, last = rest.collection, rest.collection.last_of(rest.first, rest.wanted)
        cursor_id = 0
        if last < len(collection):
            cursor_id = next(self._ids)
            self._cursors[cursor_id] = Rest(collection, last, rest.wanted)
        array = collection.array(rest.first, last)
        head = bson.encode({"id": Int64(cursor_id), "ns": f"{DATABASE}.{collection.name}"})[4:-1]
        head += b"\4" + field.encode() + b"\0" + struct.pack("<i", len(array) + 5)
        cursor = b"\3cursor\0" + struct.pack("<i", len(head) + len(array) + 6) + head
        tail = b"\0\0\1ok\0" + struct.pack("<d", 1) + b"\0"
        size = struct.pack("<i", len(cursor) + len(array) + len(tail) + 4)
        return Answer((size + cursor, array, tail), cursor_id)


def _document(fields: dict[str, Any]) -> Answer:
    return Answer((bson.encode({"ok": 1.0, **fields}),))


def _cursor(collection: str, batch: list[dict[str, Any]]) -> Answer:
    return _document({"cursor": {"id": Int64(0), "ns": f"{DATABASE}.{collection}", "firstBatch": batch}})


class Server(socketserver.ThreadingTCPServer):
    """One thread per connection."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, replay: Replay) -> None:
        self.replay = replay
        super().__init__(("127.0.0.1", port), Connection)


class Connection(socketserver.BaseRequestHandler):
    """Reads messages until the client leaves."""

    def setup(self) -> None:
        # A reply goes out in pieces; without this each may wait 40 ms for the other side to acknowledge one.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def handle(self) -> None:
        while head := self._read(16):
            size, request_id, _, opcode = struct.unpack("<iiii", head)
            body = self._read(size - 16)
            if opcode == OP_QUERY:
                start = body.index(b"\0", 4) + 9
                self._reply(request_id, OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1), bson.decode(body[start:]))
            elif opcode == OP_MSG:
                self._reply(request_id, OP_MSG, b"\0\0\0\0\0", bson.decode(body[5 : 5 + _size_at(body, 5)]))
            else:
                return

    def _reply(self, request_id: int, opcode: int, prefix: bytes, command: dict[str, Any]) -> None:
        replay: Replay = self.server.replay  # type: ignore[attr-defined]
        answer = replay.answer(command)
        size = 16 + len(prefix) + sum(map(len, answer.pieces))
        self.request.sendall(struct.pack("<iiii", size, 0, request_id, opcode) + prefix)
        for piece in answer.pieces:
            self.request.sendall(piece)
        replay.prepare(answer.cursor_id)

    def _read(self, size: int) -> bytes:
        return bytes(self.request.recv(size, socket.MSG_WAITALL))


def _size_at(body: bytes, offset: int) -> int:
    return int(struct.unpack_from("<i", body, offset)[0])


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.replay")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("files", nargs="+", metavar="NAME=FILE")
    options = parser.parse_args()
    files = (file.split("=", 1) for file in options.files)
    replay = Replay({name: Collection(name, Path(path)) for name, path in files})
    with Server(options.port, replay) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
