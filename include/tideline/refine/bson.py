"""BSON parts → Arrow batches and rejects.

A part is documents one after another, as MongoDB sent them (the layout of `mongodump`), usually compressed.
Reading and decompressing have a thread of their own, as encoding has; decoding is done in the caller's.
Knows parts and how documents are cut out of them. Does not know what is inside a document (`bson_decoder`),
nor where rows go.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from tideline.refine.bson_columns import BatchTooLargeError
from tideline.refine.bson_decoder import DocumentDecoder
from tideline.refine.bson_format import int32_at
from tideline.refine.contract import Decoded, Reject
from tideline.refine.prefetch import prefetch
from tideline.refine.streams import PartReader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tideline.catalog.model import MongoDataset
    from tideline.lake.manifest import Part
    from tideline.refine.bson_engine import Engine
    from tideline.refine.bson_native import NativeDecoder

BLOCK_BYTES = 2 << 20
"""How much of a part is decoded at a time, unless one document is larger; twice as much takes 12 MB more."""
_AHEAD = 1
_LENGTH_BYTES = 4
_KEPT_BYTES = (1 << 20) + 1
"""How much of an unreadable remainder becomes evidence: one byte more than quarantine keeps, to show more."""


def decode_bson(
    dataset: MongoDataset, part: Part, stream: BinaryIO, engine: Engine = "python"
) -> Iterator[Decoded]:
    """Decode a stored part in batches, in bounded memory.

    A wrong document length ends the part: the documents before it stand, the remainder is one reject.

    Args:
        dataset: Its declaration.
        part: Which part it is; zstd if its URI ends in `.zst`.
        stream: The part's bytes as stored.
        engine: Which one decodes; the result is the same.

    Raises:
        IntegrityError: The compressed stream is damaged or ends early.
    """
    reader = PartReader(dataset, part, stream)
    decoder = BsonDecoder(dataset, engine=engine)
    pending, offset, damaged = b"", 0, False
    with _one_allocator(), closing(prefetch(_blocks(reader), _AHEAD)) as blocks:
        while not damaged and (block := next(blocks, b"")):
            pending += block
            bounds, damaged = decoder.cut(pending)
            yield from decoder.batches(pending, bounds, offset)
            pending = pending[bounds[-1] :]
            offset += bounds[-1]
        if pending:
            yield decoder.remainder(pending, offset, blocks)


def _blocks(reader: PartReader) -> Generator[bytes, None, None]:
    while block := reader.read(BLOCK_BYTES):
        yield block


@contextmanager
def _one_allocator() -> Iterator[None]:
    """Let Arrow take memory where batches have theirs, from the C library: its own pool holds 35 MB more."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _documents(dataset: MongoDataset, sweep_from: int, engine: Engine) -> DocumentDecoder | NativeDecoder:
    if engine == "python":
        return DocumentDecoder(dataset, sweep_from=sweep_from)
    from tideline.refine.bson_native import NativeDecoder

    return NativeDecoder(dataset)


class BsonDecoder:
    """Bytes → Arrow batches and rejects, for one dataset.

    Args:
        dataset: Its declaration.
        sweep_from: Fewer documents than this are decoded one by one (Python's engine only).
        engine: Which one decodes; the result is the same.
    """

    def __init__(self, dataset: MongoDataset, *, sweep_from: int = 16, engine: Engine = "python") -> None:
        self._documents = _documents(dataset, sweep_from, engine)
        self.cut = self._documents.cut

    def decode(self, data: bytes, base_offset: int = 0) -> Decoded:
        """Decode documents that lie one after another; bytes behind the last whole one become one reject.

        Args:
            data: The documents.
            base_offset: Where they begin in the uncompressed part.

        Raises:
            BatchTooLargeError: They ask for more memory than a batch may take; `batches` would split them.
        """
        bounds, damaged = self.cut(data)
        decoded = self._documents.decode(data, bounds, base_offset)
        rest = data[bounds[-1] :]
        if not rest:
            return decoded
        rejects = [*decoded.rejects, _remainder(rest, base_offset + bounds[-1], len(rest), damaged=damaged)]
        return Decoded(decoded.batch, rejects, decoded.records + 1, decoded.drift)

    def batches(self, data: bytes, bounds: list[int], base_offset: int) -> Iterator[Decoded]:
        """Decode the documents between `bounds`, as many at a time as a batch may hold."""
        step = self._documents.batch_documents
        for first in range(0, len(bounds) - 1, step):
            yield from self._split(data, bounds[first : first + step + 1], base_offset)

    def _split(self, data: bytes, bounds: list[int], base_offset: int) -> Iterator[Decoded]:
        first = bounds[0]
        here = [bound - first for bound in bounds] if first else bounds
        try:
            yield self._documents.decode(data[first : bounds[-1]], here, base_offset + first)
        except BatchTooLargeError:
            middle = len(bounds) // 2
            yield from self._split(data, bounds[: middle + 1], base_offset)
            yield from self._split(data, bounds[middle:], base_offset)

    def remainder(self, rest: bytes, offset: int, blocks: Iterator[bytes]) -> Decoded:
        """What cannot be cut into documents, with all the blocks after it, as one reject."""
        damaged, size = self.cut(rest)[1], len(rest)
        for block in blocks:
            size += len(block)
            rest = (rest + block)[:_KEPT_BYTES]
        reject = _remainder(rest[:_KEPT_BYTES], offset, size, damaged=damaged)
        return Decoded(self._documents.decode(b"", [0], offset).batch, [reject], 1)


def _remainder(rest: bytes, offset: int, size: int, *, damaged: bool) -> Reject:
    if damaged:
        found = f"a document length of {int32_at(rest, 0)[0]}"
        return Reject(offset, "bad_frame", detail=f"{found}, then {size - _LENGTH_BYTES} bytes", raw=rest)
    return Reject(offset, "truncated", detail=f"the part ends {size} bytes into a document", raw=rest)
