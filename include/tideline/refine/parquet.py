"""Tables → Parquet parts of the lake. Knows Parquet, temporary files and the store; no source, no catalog.

A part is written to an unlinked temporary file (a killed process leaves none) and put into the store when it
is full. Row groups of processed rows are gathered by `tideline.refine.processed`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tideline.lake.manifest import Part
from tideline.lake.scratch import letting_go, on_disk
from tideline.refine.parquet_file import ParquetFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import IO

    from tideline.lake.keys import Folder
    from tideline.lake.store import Store

EXTENSION = "parquet"
_SAMPLE_ROWS = 8_192
_DISTINCT_SHARE = 4
"""A column is dictionary-encoded if at most one in so many of a sample's values is distinct: trying it on all
columns, as is Parquet's default, takes 1.5 times the CPU of a row group."""


@dataclass(frozen=True, slots=True)
class ParquetLimits:
    """When a row group and a part are full."""

    row_group_bytes: int = 16 << 20
    """Encoded, before compression; BigQuery asks for at least 16 MiB where there is as much."""
    row_group_memory: tuple[int, int] = (16 << 20, 48 << 20)
    """As Arrow: what a group has at least, and at most whatever its encoded size; two are in memory."""
    part_bytes: int = 256 << 20
    """As stored; exceeded by less than a row group."""


DEFAULT_LIMITS = ParquetLimits()


class PartWriter:
    """Writes tables of one schema as row groups of numbered parts. Ends with `close` or `abandon`.

    Args:
        folder: Where the parts go.
        store: In which store.
        footer: Texts for each part's footer.
        statistics: The columns worth minimum and maximum per row group.
        limits: When a part is full.
    """

    def __init__(
        self,
        folder: Folder,
        store: Store,
        *,
        footer: Mapping[str, str],
        statistics: Collection[str] = (),
        limits: ParquetLimits = DEFAULT_LIMITS,
    ) -> None:
        self._folder = folder
        self._store = store
        self._footer = dict(footer)
        self._statistics = list(statistics)
        self._limits = limits
        self._parts: list[Part] = []
        self._open: tuple[IO[bytes], ParquetFile] | None = None
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        """Add a row group, and store the part if it is full then.

        Raises:
            DiskError: The worker's own disk is full or fails.
        """
        with on_disk(self._place()):
            _, written = self._open = self._open or self._begin(table)
            written.write(table)
        self._rows += table.num_rows
        if written.size >= self._limits.part_bytes:
            self._finish()

    def close(self) -> tuple[Part, ...]:
        """Store what is left, and return all parts; none if nothing was written."""
        self._finish()
        return tuple(self._parts)

    def abandon(self) -> None:
        """Let go of the part that was being written."""
        opened, self._open, self._rows = self._open, None, 0
        if opened is not None:
            with letting_go(self._place()):
                opened[0].close()

    def _place(self) -> str:
        return self._store.uri_of(self._folder.part(len(self._parts), EXTENSION))

    def _begin(self, table: pa.Table) -> tuple[IO[bytes], ParquetFile]:
        file = tempfile.TemporaryFile(prefix="tideline-")  # noqa: SIM115 - closed by abandon
        return file, ParquetFile(file, _options(table, self._statistics))

    def _finish(self) -> None:
        if self._open is None:
            return
        file, written = self._open
        with on_disk(self._place()):
            written.close(self._footer)
            file.seek(0)
            stored = self._store.put_file(self._folder.part(len(self._parts), EXTENSION), file)
        self._parts.append(Part(stored.uri, stored.bytes, stored.sha256, self._rows))
        self.abandon()


def _options(table: pa.Table, statistics: list[str]) -> dict[str, Any]:
    return {
        "compression": "zstd",
        "compression_level": 1,  # 3.3 M rows/s; gzip takes fifty times as long
        "use_dictionary": dictionary_columns(table),
        "write_statistics": statistics,
        "store_schema": False,  # readers see plain strings, however they were encoded
    }


def encoded_bytes(table: pa.Table) -> int:
    """How many bytes the table takes as a row group, before compression."""
    collected: list[pq.FileMetaData] = []
    pq.write_table(
        table,
        pa.BufferOutputStream(),
        compression="none",
        use_dictionary=dictionary_columns(table),
        metadata_collector=collected,
    )
    size: int = collected[0].row_group(0).total_byte_size
    return size


def dictionary_columns(table: pa.Table) -> list[str]:
    """The leaf columns whose values repeat, as Parquet spells their paths."""
    sample = table.slice(0, _SAMPLE_ROWS).combine_chunks()
    leaves = [
        leaf
        for name, column in zip(sample.column_names, sample.columns, strict=True)
        for chunk in column.chunks
        for leaf in _leaves(name, chunk)
    ]
    return [path for path, values in leaves if _repeats(values)]


def _leaves(path: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    if pa.types.is_struct(values.type):
        for index, member in enumerate(values.type):
            yield from _leaves(f"{path}.{member.name}", values.field(index))
    elif pa.types.is_list(values.type):
        yield from _leaves(f"{path}.list.element", values.flatten())
    else:
        yield path, values


def _repeats(values: pa.Array) -> bool:
    if pa.types.is_dictionary(values.type):
        return True
    distinct: int = pc.count_distinct(values).as_py()
    return distinct * _DISTINCT_SHARE <= len(values)
