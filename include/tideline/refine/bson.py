"""BSON parts → Arrow batches and rejects.

A part is documents one after another, as MongoDB sent them (the layout of `mongodump`), usually compressed.
Knows parts and how documents are cut out of them. Does not know what is inside a document (`bson_decoder`),
nor where rows go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tideline.refine.bson_columns import BatchTooLargeError
from tideline.refine.bson_decoder import DocumentDecoder
from tideline.refine.bson_format import SMALLEST_DOCUMENT, int32_at
from tideline.refine.contract import Decoded, Reject
from tideline.refine.streams import PartReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import MongoDataset
    from tideline.lake.manifest import Part

MAX_DOCUMENT_BYTES = 48 << 20
"""Thrice what MongoDB stores; a larger length is damage, not a document."""
BLOCK_BYTES = 4 << 20
"""How much of a part is decoded at a time, unless one document is larger."""
_LENGTH_BYTES = 4
_KEPT_BYTES = (1 << 20) + 1
"""How much of an unreadable remainder becomes evidence: one byte more than quarantine keeps, to show more."""


def decode_bson(dataset: MongoDataset, part: Part, stream: BinaryIO) -> Iterator[Decoded]:
    """Decode a stored part in batches, in bounded memory.

    A wrong document length ends the part: the documents before it stand, the remainder is one reject.

    Args:
        dataset: Its declaration.
        part: Which part it is; zstd if its URI ends in `.zst`.
        stream: The part's bytes as stored.

    Raises:
        IntegrityError: The compressed stream is damaged or ends early.
    """
    reader = PartReader(dataset, part, stream)
    decoder = BsonDecoder(dataset)
    pending, offset, damaged = b"", 0, False
    while not damaged and (block := reader.read(BLOCK_BYTES)):
        pending += block
        bounds, damaged = cut(pending)
        yield from decoder.batches(pending, bounds, offset)
        pending = pending[bounds[-1] :]
        offset += bounds[-1]
    if pending:
        yield decoder.remainder(pending, offset, reader)


def cut(data: bytes) -> tuple[list[int], bool]:
    """Where documents begin and the last whole one ends; whether what follows it cannot be a document."""
    bounds, position, size = [0], 0, len(data)
    while size - position >= _LENGTH_BYTES:
        length = int32_at(data, position)[0]
        if not SMALLEST_DOCUMENT <= length <= MAX_DOCUMENT_BYTES:
            return bounds, True
        if length > size - position:
            break
        position += length
        bounds.append(position)
    return bounds, False


class BsonDecoder:
    """Bytes → Arrow batches and rejects, for one dataset; a compiled twin may take its place.

    Args:
        dataset: Its declaration.
        sweep_from: Fewer documents than this are decoded one by one.
    """

    def __init__(self, dataset: MongoDataset, *, sweep_from: int = 16) -> None:
        self._documents = DocumentDecoder(dataset, sweep_from=sweep_from)

    def decode(self, data: bytes, base_offset: int = 0) -> Decoded:
        """Decode documents that lie one after another; bytes behind the last whole one become one reject.

        Args:
            data: The documents.
            base_offset: Where they begin in the uncompressed part.

        Raises:
            BatchTooLargeError: They ask for more memory than a batch may take; `batches` would split them.
        """
        bounds, damaged = cut(data)
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
        here = [bound - first for bound in bounds]
        try:
            yield self._documents.decode(data[first : bounds[-1]], here, base_offset + first)
        except BatchTooLargeError:
            middle = len(bounds) // 2
            yield from self._split(data, bounds[: middle + 1], base_offset)
            yield from self._split(data, bounds[middle:], base_offset)

    def remainder(self, rest: bytes, offset: int, reader: PartReader) -> Decoded:
        """What cannot be cut into documents, with all that the reader still has, as one reject."""
        damaged, size = cut(rest)[1], len(rest)
        while block := reader.read(BLOCK_BYTES):
            size += len(block)
            rest = (rest + block)[:_KEPT_BYTES]
        reject = _remainder(rest[:_KEPT_BYTES], offset, size, damaged=damaged)
        return Decoded(self._documents.decode(b"", [0], offset).batch, [reject], 1)


def _remainder(rest: bytes, offset: int, size: int, *, damaged: bool) -> Reject:
    if damaged:
        found = f"a document length of {int32_at(rest, 0)[0]}"
        return Reject(offset, "bad_frame", detail=f"{found}, then {size - _LENGTH_BYTES} bytes", raw=rest)
    return Reject(offset, "truncated", detail=f"the part ends {size} bytes into a document", raw=rest)
