"""Open cursors, and replies that carry raw documents without decoding them.

Owns batching: by count, and by bytes so that no reply is larger than a client accepts.
"""

from __future__ import annotations

import itertools
import random
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from devstack.mongo.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BATCH_BYTES = 16 << 20
"""What MongoDB puts into one batch at most, in bytes of documents (a single larger one still fits)."""
IDLE_SECONDS = 600.0
"""After which an unused cursor is forgotten, as MongoDB's `cursorTimeoutMillis` has it."""

_heads = [b"\x03%d\x00" % number for number in range(10_000)]


@dataclass
class Cursor:
    """What is left to send of one result."""

    namespace: str
    rest: Iterator[bytes]
    used_at: float = field(default_factory=time.monotonic)
    _held: bytes | None = None

    def take(self, count: int | None) -> list[bytes]:
        """The next batch: at most `count` documents (None: no limit) and `BATCH_BYTES` bytes."""
        batch: list[bytes] = []
        size = 0
        while count is None or len(batch) < count:
            raw = self._next()
            if raw is None:
                break
            size += len(raw)
            if batch and size > BATCH_BYTES:
                self._held = raw
                break
            batch.append(raw)
        return batch

    def is_exhausted(self) -> bool:
        """Whether nothing is left; looks one document ahead."""
        if self._held is None:
            self._held = next(self.rest, None)
        return self._held is None

    def _next(self) -> bytes | None:
        if self._held is not None:
            raw, self._held = self._held, None
            return raw
        return next(self.rest, None)


class Cursors:
    """The open cursors of a server."""

    def __init__(self) -> None:
        self._open: dict[int, Cursor] = {}
        self._lock = threading.Lock()
        self._ids = itertools.count(random.SystemRandom().getrandbits(48) + 1)

    def __len__(self) -> int:
        return len(self._open)

    def first(self, namespace: str, found: Iterable[bytes], batch: int, *, single: bool = False) -> bytes:
        """The reply to a new query; the cursor stays open when something is left and it is not `single`."""
        cursor = Cursor(namespace, iter(found))
        documents = cursor.take(batch)
        if single or cursor.is_exhausted():
            return reply("firstBatch", namespace, 0, documents)
        with self._lock:
            self._forget_idle()
            cursor_id = next(self._ids)
            self._open[cursor_id] = cursor
        return reply("firstBatch", namespace, cursor_id, documents)

    def more(self, cursor_id: int, batch: int | None) -> bytes:
        """The reply to a getMore.

        Raises:
            CommandError: There is no such cursor.
        """
        with self._lock:
            cursor = self._open.pop(cursor_id, None)
        if cursor is None:
            raise CommandError(43, f"cursor id {cursor_id} not found")
        documents = cursor.take(batch)
        if cursor.is_exhausted():
            return reply("nextBatch", cursor.namespace, 0, documents)
        cursor.used_at = time.monotonic()
        with self._lock:
            self._open[cursor_id] = cursor
        return reply("nextBatch", cursor.namespace, cursor_id, documents)

    def kill(self, cursor_ids: list[int]) -> tuple[list[int], list[int]]:
        """Forget cursors; (those that were open, those that were not)."""
        with self._lock:
            killed = [number for number in cursor_ids if self._open.pop(number, None)]
        return killed, [number for number in cursor_ids if number not in killed]

    def _forget_idle(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for number in [number for number, cursor in self._open.items() if cursor.used_at < oldest]:
            del self._open[number]


def reply(batch_name: str, namespace: str, cursor_id: int, documents: list[bytes]) -> bytes:
    """`{cursor: {<batch_name>: documents, id, ns}, ok: 1}` with the documents spliced in as they are."""
    while len(_heads) < len(documents):
        _heads.append(b"\x03%d\x00" % len(_heads))
    pairs = zip(_heads, documents, strict=False)
    array = _document(b"".join(itertools.chain.from_iterable(pairs)))
    name = namespace.encode()
    cursor = _document(
        b"\x04" + batch_name.encode() + b"\0" + array
        + b"\x12id\0" + struct.pack("<q", cursor_id)
        + b"\x02ns\0" + struct.pack("<i", len(name) + 1) + name + b"\0"
    )  # fmt: skip
    return _document(b"\x03cursor\0" + cursor + b"\x01ok\0" + struct.pack("<d", 1.0))


def _document(body: bytes) -> bytes:
    return struct.pack("<i", len(body) + 5) + body + b"\0"
