"""Tables → the row groups of one Parquet file, their columns encoded in several threads at once.

Arrow encodes the columns of a row group one after another. Here runs of columns are encoded as files of their
own in memory, and what they hold is put one after another: the bytes of a column chunk do not say where they
are, only the footer does. The file is byte for byte the one that `pyarrow.parquet.ParquetWriter` writes.
Knows the layout of Parquet files. Does not know the store, nor what is in a table.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tideline.refine import threads
from tideline.refine.thrift import BINARY, LIST, STRUCT, Struct, read_struct, write_struct

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from typing import IO

MAGIC = b"PAR1"
_TAIL_BYTES = 8
"""The footer's length, and the magic again."""
_THREADS = 2
_RUNS = 8
_RUN_BYTES = 1 << 20
"""A table is cut into at most so many runs of columns, of at least so much memory each."""
_SCHEMA, _ROWS, _GROUPS, _TEXTS, _ORDERS = 2, 3, 4, 5, 7
"""Fields of FileMetaData in parquet.thrift."""
_CHILDREN = 5
"""Of SchemaElement."""
_CHUNKS, _GROUP_BYTES, _GROUP_OFFSET, _GROUP_STORED = 1, 2, 5, 6
"""Of RowGroup."""
_METADATA = 3
"""Of ColumnChunk."""
_OFFSETS = (9, 10, 11)
"""Of ColumnMetaData: where data, index and dictionary pages begin."""
_ELSEWHERE = frozenset(range(4, 10))
"""Of ColumnChunk: page indexes, encryption; they point to what lies beside the chunks, as does the next."""
_BLOOM_FILTER = 14
"""Of ColumnMetaData."""


class ParquetFile:
    """One file that is being written; the first table decides its schema.

    Args:
        file: Where it goes.
        options: What `pyarrow.parquet.ParquetWriter` takes.
    """

    def __init__(self, file: IO[bytes], options: Mapping[str, Any]) -> None:
        self._file = file
        self._options = options
        self._size = 0
        self._footer: Struct = {}
        self._groups: list[Struct] = []

    @property
    def size(self) -> int:
        """How many bytes were written."""
        return self._size

    def write(self, table: pa.Table) -> None:
        """Add the table as one row group.

        Raises:
            OSError: The file cannot be written.
        """
        if not self._size:
            self._append(MAGIC)
        encoded = _in_threads(partial(_encoded, self._options), list(_runs(table)))
        footers = list(map(self._moved, encoded))
        self._groups.append(_joined_groups([footer[_GROUPS][1][1][0] for footer in footers]))
        self._footer = self._footer or _joined(footers)

    def close(self, texts: Mapping[str, str]) -> None:
        """Write the footer, with these texts in it; the file stays open.

        Raises:
            OSError: The file cannot be written.
        """
        rows = sum(group[3][1] for group in self._groups)
        pairs = [{1: (BINARY, name.encode()), 2: (BINARY, text.encode())} for name, text in texts.items()]
        footer = self._footer | {
            _ROWS: (self._footer[_ROWS][0], rows),
            _GROUPS: (LIST, (STRUCT, self._groups)),
            _TEXTS: (LIST, (STRUCT, pairs)),
        }
        written = write_struct(footer)
        self._append(written + len(written).to_bytes(4, "little") + MAGIC)

    def _append(self, data: bytes | pa.Buffer) -> None:
        self._file.write(data)
        self._size += len(data)

    def _moved(self, encoded: pa.Buffer) -> Struct:
        """Append the column chunks of a file in memory; its footer, with where they are now."""
        length = int.from_bytes(encoded[-_TAIL_BYTES : -len(MAGIC)].to_pybytes(), "little")
        end = len(encoded) - _TAIL_BYTES - length
        footer = read_struct(encoded[end:-_TAIL_BYTES].to_pybytes())
        _shift(footer[_GROUPS][1][1][0], self._size - len(MAGIC))
        self._append(encoded[len(MAGIC) : end])
        return footer


def _runs(table: pa.Table) -> Iterator[pa.Table]:
    """The table cut into runs of columns, for each of which encoding takes about as long."""
    sizes = [column.nbytes for column in table.columns]
    least = max(sum(sizes) // _RUNS, _RUN_BYTES)
    start = have = 0
    for end, size in enumerate(sizes, 1):
        have += size
        if have >= least or end == len(sizes):
            yield table.select(range(start, end))
            start, have = end, 0


def _encoded(options: Mapping[str, Any], run: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, run.schema, **options) as writer:
        writer.write_table(run, row_group_size=run.num_rows)
    return sink.getvalue()


def _in_threads(
    encode: Callable[[pa.Table], pa.Buffer], runs: list[pa.Table]
) -> Generator[pa.Buffer, None, None]:
    if len(runs) == 1 or not threads.are_worth_it():
        yield from map(encode, runs)
    else:
        yield from threads.mapped(encode, runs, _THREADS, weigh=lambda _: 1, most=_THREADS + 1)


def _shift(group: Struct, distance: int) -> None:
    """The group's chunks begin that much later in the file.

    Raises:
        ValueError: They have what does not move with them.
    """
    for chunk in group[_CHUNKS][1][1]:
        metadata = chunk[_METADATA][1]
        if _ELSEWHERE & chunk.keys() or _BLOOM_FILTER in metadata:
            raise ValueError("Arrow wrote indexes beside the columns: they would point to the wrong place")
        for field in _OFFSETS:
            if field in metadata:
                kind, offset = metadata[field]
                metadata[field] = (kind, offset + distance)
    kind, offset = group[_GROUP_OFFSET]
    group[_GROUP_OFFSET] = (kind, offset + distance)


def _joined(footers: list[Struct]) -> Struct:
    """The footer of a file with the columns of all of them."""
    roots = [footer[_SCHEMA][1][1][0] for footer in footers]
    kind = roots[0][_CHILDREN][0]
    root = roots[0] | {_CHILDREN: (kind, sum(each[_CHILDREN][1] for each in roots))}
    leaves = [element for footer in footers for element in footer[_SCHEMA][1][1][1:]]
    orders = [order for footer in footers for order in footer[_ORDERS][1][1]]
    return footers[0] | {
        _SCHEMA: (LIST, (STRUCT, [root, *leaves])),
        _ORDERS: (LIST, (STRUCT, orders)),
    }


def _joined_groups(groups: list[Struct]) -> Struct:
    """The row group with the column chunks of all of them."""
    chunks = [chunk for group in groups for chunk in group[_CHUNKS][1][1]]
    sums = {
        field: (groups[0][field][0], sum(group[field][1] for group in groups))
        for field in (_GROUP_BYTES, _GROUP_STORED)
    }
    return groups[0] | {_CHUNKS: (LIST, (STRUCT, chunks))} | sums
