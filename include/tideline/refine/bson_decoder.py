"""Some consecutive documents → one Arrow batch and its rejects: first all at once, then the rest one by one.

The sweep (`bson_sweep`, `bson_columns`) takes what it understands; the walker (`bson_walker`) takes the
others and decides what is refused. Both give the same rows: which of the two took a document cannot be
seen. Knows documents. Does not know parts or compression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tideline.refine import arrays
from tideline.refine.bson_columns import MAX_BATCH_CELLS, BatchTooLargeError, convert, types_of
from tideline.refine.bson_format import MAX_DOCUMENT_BYTES, SMALLEST_DOCUMENT, int32_at
from tideline.refine.bson_keys import Level
from tideline.refine.bson_vectors import Batch, Rows
from tideline.refine.bson_walker import Walker
from tideline.refine.contract import Decoded, Reject, decoded_schema
from tideline.refine.fields import ConformError, record_of
from tideline.refine.rows import drift_of, extra_column

if TYPE_CHECKING:
    from tideline.catalog.model import MongoDataset
    from tideline.refine.arrays import Vector
    from tideline.refine.fields import Record
    from tideline.refine.rows import Extras, Row

BATCH_DOCUMENTS = 8192
SWEPT_BYTES = 1 << 20
"""Larger documents are walked: what they may ask for is counted there as it grows."""
_WORTH_A_SWEEP = 16
_LENGTH_BYTES = 4


def batch_documents(record: Record) -> int:
    """How many documents of these columns a batch holds at most."""
    return min(BATCH_DOCUMENTS, MAX_BATCH_CELLS // record.cells + 1)


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


class DocumentDecoder:
    """Documents → batches, for one dataset. Remembers the order of fields; not for several threads at a time.

    Args:
        dataset: Its declaration.
        sweep_from: Fewer documents than this are walked one by one.
    """

    def __init__(self, dataset: MongoDataset, *, sweep_from: int = _WORTH_A_SWEEP) -> None:
        record, evolve = record_of(dataset), dataset.unknown_columns == "evolve"
        self.schema = decoded_schema(dataset)
        self.batch_documents = batch_documents(record)
        self._record = record
        self._level = Level(record, evolve=evolve, types=types_of)
        self._walker = Walker(record, evolve=evolve)
        self._sweep_from = sweep_from

    def cut(self, data: bytes) -> tuple[list[int], bool]:
        """See `cut`."""
        return cut(data)

    def decode(self, data: bytes, bounds: list[int], base_offset: int) -> Decoded:
        """Decode the documents that begin and end at `bounds`.

        Raises:
            BatchTooLargeError: They take more memory than a batch may.
        """
        edges = np.array(bounds, np.int64)
        documents = len(edges) - 1
        swept, left, extras = self._sweep(data, edges)
        rows, rejects = self._walk(data, bounds, left, base_offset)
        extras |= {document: row.extras for document, row in rows.items() if row.extras}
        taken = np.ones(documents, np.bool_)
        taken[left], taken[list(rows)] = False, True
        order = np.flatnonzero(taken)
        columns = self._merge(swept, rows, order)
        columns.append(extra_column(extras, order))
        columns.append(arrays.fixed(pa.int64(), edges[order] + base_offset, None))
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        return Decoded(batch, rejects, documents, drift_of(extras))

    def _sweep(self, data: bytes, edges: Vector) -> tuple[list[pa.Array], Vector, dict[int, Extras]]:
        """Arrays of all documents, which are left to the walker, and the undeclared fields of the others."""
        documents = len(edges) - 1
        if documents < self._sweep_from:
            return [], np.arange(documents), {}
        batch = Batch(data, documents, self._level.padding)
        rows = Rows(np.arange(documents), edges[:-1] + 4, edges[1:] - 1, 0, lambda _: "")
        unfit = (batch.octets[rows.end] != 0) | (np.diff(edges) > SWEPT_BYTES)
        batch.leave(rows, np.flatnonzero(unfit))
        columns = convert(batch, self._level, rows)
        extras = _by_document(batch)
        return columns, np.flatnonzero(batch.left), extras

    def _walk(
        self, data: bytes, bounds: list[int], left: Vector, base_offset: int
    ) -> tuple[dict[int, Row], list[Reject]]:
        rows: dict[int, Row] = {}
        rejects, cells = [], 0
        for document in left.tolist():
            raw = data[bounds[document] : bounds[document + 1]]
            try:
                row = rows[document] = self._walker.row(raw)
            except ConformError as error:
                position = base_offset + bounds[document]
                rejects.append(Reject(position, error.reason, error.column, error.detail, raw))
                continue
            cells += row.cells
            if cells > MAX_BATCH_CELLS and len(rows) > 1:
                raise BatchTooLargeError
        return rows, rejects

    def _merge(self, swept: list[pa.Array], rows: dict[int, Row], order: Vector) -> list[pa.Array]:
        """Swept and walked columns as one, without what is refused, in the order of the documents."""
        if swept and len(order) == len(swept[0]) and not rows:
            return swept
        walked = arrays.record_arrays(self._record, [row.values for row in rows.values()])
        if not swept:
            return walked
        place = np.arange(len(swept[0]))
        place[np.fromiter(rows, np.int64, len(rows))] = len(place) + np.arange(len(rows))
        chosen = arrays.fixed(pa.int64(), place[order], None)
        return [pa.concat_arrays(pair).take(chosen) for pair in zip(swept, walked, strict=True)]


def _by_document(batch: Batch) -> dict[int, Extras]:
    """The undeclared fields of swept documents; where two have one path, the walker refuses the document."""
    extras: dict[int, Extras] = {}
    for document, _, path, text, kind in sorted(batch.extras):
        members = extras.setdefault(document, {})
        if path in members:
            batch.left[document] = True
        members[path] = (text, kind)
    for document in np.flatnonzero(batch.left).tolist():
        extras.pop(document, None)
    return extras
