"""Parquet parts: sizes, encodings, footers, rolling, and nothing left behind."""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.errors import DiskError, RetriableError, StoreUnavailableError
from tideline.lake.keys import Folder
from tideline.refine.contract import processed_schema
from tideline.refine.parquet import ParquetLimits, PartWriter, dictionary_columns, encoded_bytes
from tideline.refine.processed import ProcessedWriter
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset
    from tideline.lake.manifest import Part

WINDOW = Window(None, datetime(2026, 1, 31, 14, tzinfo=UTC))
CLOCK = datetime(2026, 1, 31, 14, 0, 5, 123456, tzinfo=UTC)
FOLDER = Folder("shop", "items", WINDOW, "attempt")
FOOTER = {"tideline.source": "shop"}


def writer(lake: Any, **limits: Any) -> PartWriter:
    return PartWriter(
        FOLDER, lake.processed, footer=FOOTER, statistics=["id"], limits=ParquetLimits(**limits)
    )


def file_of(lake: Any, part: Part) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(lake.processed.read(lake.processed.key_of(part.uri))))


def batch_of(first: int, rows: int, dataset: CsvDataset) -> pa.RecordBatch:
    numbers = list(range(first, first + rows))
    names = [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]
    columns = [pa.array(numbers), pa.array(names), pa.nulls(rows, pa.string()), pa.array(numbers)]
    schema = processed_schema(dataset).remove(5).remove(3)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def test_nothing_written_is_no_part(lake: Any) -> None:
    assert writer(lake).close() == ()
    assert lake.processed.objects == {}


def test_a_part_is_stored_whole_with_its_footer(lake: Any) -> None:
    parts = writer(lake)
    table = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})
    parts.write(table)
    parts.write(table)
    (part,) = parts.close()
    assert part.uri == f"s3://processed/{FOLDER.prefix}part-00000.parquet"
    body = lake.processed.read(FOLDER.part(0, "parquet"))
    assert (part.bytes, part.sha256, part.records) == (len(body), hashlib.sha256(body).hexdigest(), 6)
    file = file_of(lake, part)
    assert file.read().to_pylist() == table.to_pylist() * 2
    assert file.metadata.metadata[b"tideline.source"] == b"shop"
    assert file.num_row_groups == 2
    column = file.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert (column.statistics.min, column.statistics.max) == (1, 3)
    assert file.metadata.row_group(0).column(1).statistics is None


def test_parts_roll_when_full(lake: Any) -> None:
    parts = writer(lake, part_bytes=5_000)
    for start in range(0, 1_000, 100):
        names = [hashlib.sha256(str(start + i).encode()).hexdigest() for i in range(100)]
        parts.write(pa.table({"name": names}))
    done = parts.close()
    assert len(done) > 2
    assert [part.uri[-18:] for part in done] == [f"part-{i:05d}.parquet" for i in range(len(done))]
    assert sum(part.records or 0 for part in done) == 1_000
    assert all(5_000 <= part.bytes < 15_000 for part in done[:-1])
    assert sum(file_of(lake, part).metadata.num_rows for part in done) == 1_000


def test_abandoned_is_not_stored(lake: Any) -> None:
    parts = writer(lake)
    parts.write(pa.table({"id": [1]}))
    parts.abandon()
    parts.abandon()
    assert parts.close() == ()
    assert lake.processed.objects == {}


def test_columns_whose_values_repeat_get_a_dictionary() -> None:
    rows = 1_000
    table = pa.table(
        {
            "unique": pa.array(range(rows)),
            "few": pa.array([i % 10 for i in range(rows)]),
            "codes": pa.array(["a"] * rows).dictionary_encode(),
            "place": pa.array([{"city": f"c{i % 3}", "lat": i * 0.1} for i in range(rows)]),
            "tags": pa.array([["x", "y"]] * rows),
            "log": pa.array([[{"by": "me", "at": i}] for i in range(rows)]),
            "nothing": pa.nulls(rows, pa.string()),
        }
    )
    expected = ["few", "codes", "place.city", "tags.list.element", "log.list.element.by", "nothing"]
    assert dictionary_columns(table) == expected
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, use_dictionary=expected, compression="none")
    group = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata.row_group(0)
    by_path = {
        group.column(i).path_in_schema: group.column(i).has_dictionary_page for i in range(group.num_columns)
    }
    assert [path for path, has in by_path.items() if has] == expected


def test_an_empty_table_has_no_dictionaries_to_choose() -> None:
    assert dictionary_columns(pa.table({"a": pa.array([], pa.string())})) == ["a"]


def test_encoded_bytes_are_those_before_compression() -> None:
    table = pa.table({"text": ["the same text over and over " + str(i) for i in range(1_000)]})
    assert encoded_bytes(table) > 25_000


# Processed rows ------------------------------------------------------------------------------------------


def processed(lake: Any, dataset: CsvDataset, **limits: Any) -> ProcessedWriter:
    return ProcessedWriter(dataset, writer(lake, **limits), ParquetLimits(**limits))


def test_processed_rows_carry_their_lineage(lake: Any, csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset()
    with processed(lake, dataset) as rows:
        later = CLOCK + timedelta(microseconds=1)
        rows.add(batch_of(0, 2, dataset), "s3://raw/a", CLOCK)
        rows.add(batch_of(2, 0, dataset), "s3://raw/none", CLOCK)
        rows.add(batch_of(2, 1, dataset), "s3://raw/b", later)
        rows.add(batch_of(3, 1, dataset), "s3://raw/a", CLOCK)
        (part,) = rows.close()
    file = file_of(lake, part)
    assert file.schema_arrow.remove_metadata() == processed_schema(dataset)
    found = file.read().to_pydict()
    assert found["_raw_uri"] == ["s3://raw/a", "s3://raw/a", "s3://raw/b", "s3://raw/a"]
    assert found["_raw_position"] == found["id"] == [0, 1, 2, 3]
    assert found["_extracted_at"] == [CLOCK, CLOCK, later, CLOCK]


def test_no_rows_are_no_parts(lake: Any, csv_dataset: Callable[..., CsvDataset]) -> None:
    with processed(lake, csv_dataset()) as rows:
        assert rows.close() == ()


def test_row_groups_have_the_encoded_size_asked_for(
    lake: Any, csv_dataset: Callable[..., CsvDataset]
) -> None:
    dataset = csv_dataset()
    wanted = 1 << 20
    with processed(lake, dataset, row_group_bytes=wanted, row_group_memory=(1 << 20, 8 << 20)) as rows:
        for start in range(0, 60_000, 1_000):
            rows.add(batch_of(start, 1_000, dataset), "s3://raw/a", CLOCK)
        (part,) = rows.close()
    file = file_of(lake, part)
    sizes = [file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)]
    assert len(sizes) > 3
    assert all(wanted <= size <= 2 * wanted for size in sizes[:-1])
    assert file.read().column("id").to_pylist() == list(range(60_000))


def test_row_groups_are_bounded_in_memory(lake: Any, csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset()
    with processed(lake, dataset, row_group_bytes=1 << 40, row_group_memory=(1 << 20, 2 << 20)) as rows:
        for start in range(0, 60_000, 1_000):
            rows.add(batch_of(start, 1_000, dataset), "s3://raw/a", CLOCK)
        (part,) = rows.close()
    assert file_of(lake, part).num_row_groups > 2


def test_an_error_of_the_store_reaches_the_caller(
    lake: Any, csv_dataset: Callable[..., CsvDataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(lake.processed, "put_file", refuse)
    dataset = csv_dataset()

    def write() -> None:
        with processed(lake, dataset, row_group_memory=(1, 1), part_bytes=1) as rows:
            for start in range(3):
                rows.add(batch_of(start, 1, dataset), "s3://raw/a", CLOCK)
            rows.close()

    with pytest.raises(StoreUnavailableError):
        write()


def test_an_error_of_the_caller_leaves_nothing(lake: Any, csv_dataset: Callable[..., CsvDataset]) -> None:
    before = threading.active_count()
    dataset = csv_dataset()
    with pytest.raises(ValueError, match="mine"), processed(lake, dataset) as rows:  # noqa: PT012 - as a caller does
        rows.add(batch_of(0, 10, dataset), "s3://raw/a", CLOCK)
        raise ValueError("mine")
    assert lake.processed.objects == {}
    assert threading.active_count() == before


class FullDisk(io.FileIO):
    """A temporary file on a disk that is full after so many bytes."""

    def __init__(self, path: Any, room: int) -> None:
        super().__init__(path, "w+")
        self.room = room

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 3, 100, 500, 5_000, 20_000])
def test_a_full_disk_is_an_error_of_ours_that_retries(
    lake: Any, monkeypatch: Any, tmp_path: Any, room: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk(tmp_path / "part", room))
    parts = writer(lake)
    noise = hashlib.sha256(b"").digest() * 1_000

    def write() -> None:
        parts.write(pa.table({"id": [noise[:n] + hashlib.sha256(b"%d" % n).digest() for n in range(900)]}))
        parts.close()

    with pytest.raises(DiskError, match="No space left on device") as caught:
        write()
    parts.abandon()

    assert isinstance(caught.value, RetriableError)
    assert caught.value.place == lake.processed.uri_of(FOLDER.part(0, "parquet"))
    assert "free space" in str(caught.value.remedy)
    assert lake.processed.objects == {}
    gc.collect()
