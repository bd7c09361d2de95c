"""Cut batches of BSON documents into parts on document boundaries. Knows length prefixes only."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST_DOCUMENT = 5
_LENGTH = struct.Struct("<i")


class Batch(NamedTuple):
    """Documents one after another."""

    data: bytes
    records: int | None = None
    """How many they are, where that is known: then their lengths make sense."""


class Frame(NamedTuple):
    """Some documents of a batch: where they end, how many there are, whether their lengths make sense."""

    end: int
    records: int
    intact: bool


def frame(batch: bytes, start: int, room: int, *, at_least_one: bool) -> Frame:
    """As many documents from `start` on as fit into `room` bytes.

    A length that cannot be right ends the framing: the rest of the batch is then one record, kept as it is.
    """
    size, position, records = len(batch), start, 0
    limit = min(start + room, size)
    length_at = _LENGTH.unpack_from
    last = size - _LENGTH.size
    while position <= last:
        (length,) = length_at(batch, position)
        after = position + length
        if after > limit or length < _SHORTEST_DOCUMENT:
            if after > size or length < _SHORTEST_DOCUMENT:
                break
            if records or not at_least_one:
                return Frame(position, records, intact=True)
        position = after
        records += 1
    if position < size:
        return Frame(size, records + 1, intact=False)
    return Frame(position, records, intact=True)


class DocumentStream:
    """Batches of documents, cut into parts of at most `part_bytes` on document boundaries."""

    def __init__(self, batches: Iterator[Batch], part_bytes: int) -> None:
        self._batches = batches
        self._part_bytes = part_bytes
        self._batch = Batch(b"")
        self._position = 0

    def parts(self) -> Iterator[PartBody]:
        """One body after another; each must be read to its end before the next is asked for."""
        while self.more():
            yield PartBody(self)

    def more(self) -> bool:
        """Whether any bytes are left."""
        while self._position >= len(self._batch.data):
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._batch, self._position = batch, 0
        return True

    def take(self, used: int) -> tuple[memoryview, Frame]:
        """The next bytes for a part that holds `used` bytes already; none where the part is full."""
        start, room, (data, records) = self._position, self._part_bytes - used, self._batch
        if start == 0 and records is not None and len(data) <= room:
            framed = Frame(len(data), records, intact=True)
        else:
            framed = frame(data, start, room, at_least_one=used == 0)
        self._position = framed.end
        return memoryview(data)[start : framed.end], framed


class PartBody:
    """The uncompressed bytes of one part, with the number of documents in it."""

    def __init__(self, documents: DocumentStream) -> None:
        self._documents = documents
        self._ready = memoryview(b"")
        self._ended = False
        self.bytes = 0
        self.records = 0

    def read(self, size: int) -> memoryview:
        """At most `size` bytes, none at the end of the part; a view, as copying 100 MB costs 30 ms."""
        if not self._ready and not self._ended:
            self._refill()
        chunk, self._ready = self._ready[:size], self._ready[size:]
        return chunk

    def _refill(self) -> None:
        if not self._documents.more():
            self._ended = True
            return
        self._ready, framed = self._documents.take(self.bytes)
        self.bytes += len(self._ready)
        self.records += framed.records
        self._ended = not framed.intact or not self._ready
