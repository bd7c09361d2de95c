"""JSON bodies → Arrow batches and rejects.

A part is one HTTP response body, byte for byte. Its array is read item by item; an item that does not
conform is refused alone. A body that is not JSON, or holds no array where the catalog says, fails as a
whole: nobody knows how many rows it should have had. Knows parts and items. Does not know where rows go.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa

from tideline.errors import ContractError
from tideline.refine import arrays
from tideline.refine.contract import Decoded, Reject, decoded_schema
from tideline.refine.fields import MAX_ROW_CELLS, ConformError, record_of
from tideline.refine.json_text import Item, NotJsonError, items_of
from tideline.refine.json_walker import JsonWalker
from tideline.refine.rows import drift_of, extra_column
from tideline.refine.streams import PartReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tideline.catalog.model import HttpDataset
    from tideline.lake.manifest import Part
    from tideline.refine.rows import Extras, Row

ITEM_BYTES = 32 << 20
"""Of one item, as of a CSV record: BigQuery refuses Parquet rows above 50 MB, and the load with them."""
BATCH_ITEMS = 5_000
BATCH_CHARACTERS = 4 << 20
"""Of the items of one batch: as Python objects they take ten times as much."""
BATCH_CELLS = 2 * MAX_ROW_CELLS
"""Values of one batch in all columns: three characters of a body can ask for as many as a record has."""
_BLOCK_BYTES = 4 << 20


def decode_json(dataset: HttpDataset, part: Part, stream: BinaryIO) -> Iterator[Decoded]:
    """Decode a stored body in batches; the body itself is held in memory.

    Args:
        dataset: Its declaration; `records_at` leads to the array of items.
        part: Which part it is.
        stream: The part's bytes as stored.

    Raises:
        ContractError: The body is not JSON, or there is no array at `records_at`.
    """
    decoder = JsonDecoder(dataset)
    text = _text(PartReader(dataset, part, stream))
    items = items_of(text, dataset.records_at)
    first = 0
    try:
        while (decoded := decoder.decode(text, items, first)).records:
            yield decoded
            first += decoded.records
    except NotJsonError as error:
        raise ContractError(
            f"the body is not what the catalog declares: {error}",
            source=dataset.source,
            dataset=dataset.name,
            place=part.uri,
            remedy="look at the body; correct `records_at`, or land the window again when the source is well",
        ) from error


def _text(reader: PartReader) -> str:
    """The body as text; bytes that are not UTF-8 become lone surrogates, which cost their item its place.

    Piece by piece: one letter outside Latin-1 makes the whole text two or four times as long in memory, so
    that its bytes must not be there as well.
    """
    decoder = getincrementaldecoder("utf-8-sig")("surrogateescape")
    pieces = []
    while block := reader.read(_BLOCK_BYTES):
        pieces.append(decoder.decode(block))
    pieces.append(decoder.decode(b"", final=True))
    return "".join(pieces)


def _check_size(text: str, item: Item) -> None:
    if 4 * (item.end - item.start) <= ITEM_BYTES:  # no character has more than four bytes
        return
    if len(text[item.start : item.end].encode("utf-8", "surrogateescape")) > ITEM_BYTES:
        raise ConformError("too_large", f"an item of more than {ITEM_BYTES} bytes")


class JsonDecoder:
    """Items → batches, for one dataset."""

    def __init__(self, dataset: HttpDataset) -> None:
        self._record = record_of(dataset)
        self._cells = self._record.cells
        self._schema = decoded_schema(dataset)
        self._walker = JsonWalker(self._record, evolve=dataset.unknown_columns == "evolve")

    def decode(self, text: str, items: Iterable[Item], first: int) -> Decoded:
        """Decode consecutive items of a body, as many as a batch may hold.

        Args:
            text: The body.
            items: As `items_of` finds them in it; no more are taken than are decoded.
            first: Index of the first of them in the body's array.
        """
        rows: dict[int, Row] = {}
        rejects = []
        position = first - 1
        cells = characters = 0
        for position, item in enumerate(islice(items, BATCH_ITEMS), first):
            try:
                _check_size(text, item)
                row = rows[position] = self._walker.row(item.value)
            except ConformError as error:
                raw = text[item.start : item.end].encode("utf-8", "surrogateescape")
                rejects.append(Reject(position, error.reason, error.column, error.detail, raw))
            else:
                cells += self._cells + row.cells
            characters += item.end - item.start
            if cells > BATCH_CELLS or characters > BATCH_CHARACTERS:
                break
        extras = {position: row.extras for position, row in rows.items() if row.extras}
        return Decoded(self._batch(rows, extras), rejects, position + 1 - first, drift_of(extras))

    def _batch(self, rows: dict[int, Row], extras: dict[int, Extras]) -> pa.RecordBatch:
        columns = arrays.record_arrays(self._record, [row.values for row in rows.values()])
        positions = np.fromiter(rows, np.int64, len(rows))
        columns += [extra_column(extras, positions), arrays.fixed(pa.int64(), positions, None)]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)
