"""Some consecutive documents → one Arrow batch and its rejects, by the compiled decoder.

Takes the place of `DocumentDecoder`: compiled code takes what conforms, the walker takes the other documents
and decides what is refused, so that there is one definition of a refusal. A document that the walker accepts
after all (compiled code counts JSON text in bytes, the walker in characters) sends its batch to Python.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tideline.errors import IntegrityError
from tideline.refine import bson_engine
from tideline.refine.bson_columns import MAX_BATCH_CELLS, BatchTooLargeError
from tideline.refine.bson_decoder import DocumentDecoder, batch_documents
from tideline.refine.bson_format import MAX_DOCUMENT_BYTES
from tideline.refine.bson_walker import Walker
from tideline.refine.contract import Decoded, Reject, decoded_schema
from tideline.refine.fields import MAX_ROW_CELLS, MAX_ROW_TEXT, ConformError, record_of

if TYPE_CHECKING:
    from tideline.catalog.model import MongoDataset
    from tideline.refine.fields import Field

    Declared = tuple[str, str, str, int, int, bool, bool, list[Any]]

MAX_BATCH_TEXT = 2 * MAX_ROW_TEXT
"""Bytes of JSON text of one batch."""


class NativeDecoder:
    """Documents → batches, for one dataset; not for several threads at a time.

    Args:
        dataset: Its declaration.
    """

    def __init__(self, dataset: MongoDataset) -> None:
        record, evolve = record_of(dataset), dataset.unknown_columns == "evolve"
        self.schema = decoded_schema(dataset)
        self.batch_documents = batch_documents(record)
        self._dataset = dataset
        self._walker = Walker(record, evolve=evolve)
        self._core = bson_engine.native().Decoder(
            [_declared(member) for member in record.fields],
            evolve=evolve,
            document_bytes=MAX_DOCUMENT_BYTES,
            row_cells=MAX_ROW_CELLS,
            batch_cells=MAX_BATCH_CELLS,
            row_text=MAX_ROW_TEXT,
            batch_text=MAX_BATCH_TEXT,
        )

    def cut(self, data: bytes) -> tuple[list[int], bool]:
        """Where documents begin and the last whole one ends; whether what follows it cannot be a document."""
        found: tuple[list[int], bool] = self._core.cut(data)
        return found

    def decode(self, data: bytes, bounds: list[int], base_offset: int) -> Decoded:
        """Decode the documents that begin and end at `bounds`, which are those of all of `data`.

        Raises:
            BatchTooLargeError: They take more memory than a batch may.
            IntegrityError: The compiled decoder failed, which is a defect.
        """
        try:
            found = self._core.decode(data, base_offset)
        except RuntimeError as error:
            raise self._failed(str(error)) from error
        if found is None:
            raise BatchTooLargeError
        batch, left, documents, drift = found
        if documents != len(bounds) - 1:
            raise self._failed(f"it found {documents} documents, not {len(bounds) - 1}")
        rejects = []
        for document in left:
            reject = self._refused(
                data[bounds[document] : bounds[document + 1]], base_offset + bounds[document]
            )
            if reject is None:
                return self._python.decode(data, bounds, base_offset)
            rejects.append(reject)
        counts = {path: (count, kind) for path, count, kind in drift}
        return Decoded(pa.record_batch(batch), rejects, documents, counts)

    def _refused(self, document: bytes, position: int) -> Reject | None:
        try:
            self._walker.row(document)
        except ConformError as error:
            return Reject(position, error.reason, error.column, error.detail, document)
        return None

    @cached_property
    def _python(self) -> DocumentDecoder:
        return DocumentDecoder(self._dataset)

    def _failed(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"the compiled decoder failed: {why}",
            source=self._dataset.source,
            dataset=self._dataset.name,
            remedy="set TIDELINE_DECODER to python and run again; this is a defect: report it with the part",
        )


def _declared(member: Field) -> Declared:
    """A column as the compiled decoder takes it."""
    column = member.column
    kind, precision, scale = str(column.type), 0, 0
    if column.type in ("numeric", "bignumeric"):
        precision, scale = column.decimal
        kind = str(member.item_type).partition("(")[0]
    if column.type == "int64" and column.integral_doubles:
        kind = "int64_or_integral"
    inside = [_declared(child) for child in member.record.fields] if member.record else []
    return (column.field, column.name, kind, precision, scale, column.repeated, member.required, inside)
