"""Decoded batches → processed Parquet: adds lineage, and gathers row groups of the size that BigQuery wants.

One row group is encoded, in a thread of its own, while the next is gathered: two are in memory, never more.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from tideline.refine import arrays
from tideline.refine.contract import micros, processed_schema
from tideline.refine.parquet import DEFAULT_LIMITS, ParquetLimits, encoded_bytes

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from numpy.typing import NDArray

    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Part
    from tideline.refine.parquet import PartWriter

_MARGIN = 1.1
"""Over the limit, so that an estimate that is a little too high still gives a group of the size wanted."""
_SAMPLE_BYTES = 2 << 20
"""In memory; from how many on a sample tells how densely rows are encoded."""


class ProcessedWriter:
    """Writes decoded batches with their lineage. To be used in a `with` statement.

    Args:
        dataset: What the rows belong to.
        parts: Where row groups go. Nobody else may use it until this is closed.
        limits: When a row group is full.
    """

    def __init__(
        self,
        dataset: AnyDataset,
        parts: PartWriter,
        limits: ParquetLimits = DEFAULT_LIMITS,
    ) -> None:
        self._schema = _written_schema(dataset)
        self._parts = parts
        self._limits = limits
        self._gathered: list[tuple[pa.RecordBatch, str, int]] = []
        self._memory = 0
        self._density = 1.0
        """Encoded bytes per byte in memory, of a sample."""
        self._sampled = False
        self._encoder = ThreadPoolExecutor(1, "encode")
        self._encoding: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._encoder.shutdown(wait=True, cancel_futures=True)
        self._parts.abandon()

    def add(self, batch: pa.RecordBatch, raw_uri: str, seen_at: datetime) -> None:
        """Take rows that were decoded from the raw part at that URI, and were true at that instant.

        Raises:
            TidelineError: What writing an earlier row group raised.
        """
        if not batch.num_rows:
            return
        self._gathered.append((batch, raw_uri, micros(seen_at)))
        self._memory += batch.nbytes
        if self._memory >= _SAMPLE_BYTES and not self._sampled:
            self._sampled = True
            self._density = encoded_bytes(self._table()) / self._memory
        if self._is_full():
            self._flush()

    def _is_full(self) -> bool:
        least, most = self._limits.row_group_memory
        encoded = self._memory * self._density
        return self._memory >= most or (
            self._memory >= least and encoded >= self._limits.row_group_bytes * _MARGIN
        )

    def close(self) -> tuple[Part, ...]:
        """Write what is left and return all parts; none if there were no rows."""
        if self._gathered:
            self._flush()
        self._wait()
        return self._parts.close()

    def _flush(self) -> None:
        table = self._table()
        self._gathered, self._memory = [], 0
        self._wait()
        _give_back()
        self._encoding = self._encoder.submit(self._parts.write, table)

    def _wait(self) -> None:
        encoding, self._encoding = self._encoding, None
        if encoding is not None:
            encoding.result()

    def _table(self) -> pa.Table:
        table = pa.Table.from_batches([batch for batch, *_ in self._gathered])
        lineage = {"_raw_uri": self._raw_uris(), "_extracted_at": self._clocks()}
        columns = [lineage[name] if name in lineage else table.column(name) for name in self._schema.names]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _raw_uris(self) -> pa.Array:
        """As a dictionary, so that Parquet takes one number per row and a batch costs nothing."""
        codes: dict[str, int] = {}
        each = [codes.setdefault(uri, len(codes)) for _, uri, _ in self._gathered]
        texts = arrays.variable(pa.string(), [uri.encode() for uri in codes])
        rows = arrays.fixed(pa.int32(), self._of_each_row(np.array(each, np.int32)), None)
        return pa.DictionaryArray.from_arrays(rows, texts)

    def _clocks(self) -> pa.Array:
        clocks = np.array([clock for *_, clock in self._gathered], np.int64)
        return arrays.fixed(pa.timestamp("us", "UTC"), self._of_each_row(clocks), None)

    def _of_each_row(self, values: NDArray[Any]) -> NDArray[Any]:
        """What each batch has, for each of its rows."""
        return np.repeat(values, [batch.num_rows for batch, *_ in self._gathered])


def _give_back() -> None:
    """Let the C library give back what another thread freed of the last group: it would keep 25 MB of it."""
    pa.system_memory_pool().release_unused()


def _written_schema(dataset: AnyDataset) -> pa.Schema:
    schema = processed_schema(dataset)
    index = schema.get_field_index("_raw_uri")
    texts = pa.field("_raw_uri", pa.dictionary(pa.int32(), pa.string()), nullable=False)
    return schema.set(index, texts)
