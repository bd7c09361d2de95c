"""Files whose columns were encoded apart: byte for byte what Arrow's own writer makes of the same tables."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.refine import parquet_file
from tideline.refine.parquet_file import ParquetFile

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = {
    "compression": "zstd", "compression_level": 1, "store_schema": False,
    "use_dictionary": ["word", "nested.list.element.b.list.element"], "write_statistics": ["id", "at"],
}  # fmt: skip
TEXTS = {"z": "first", "a": "ü", "empty": ""}


def table(rows: int) -> pa.Table:
    numbers = range(rows)
    nested = [None if n % 7 == 0 else [{"a": n, "b": ["x", None][: n % 3]}] * (n % 4) for n in numbers]
    return pa.table(
        {
            "id": pa.array([f"id-{n:09}" for n in numbers]),
            "word": pa.array([["red", "green", None][n % 3] for n in numbers], pa.string()),
            "at": pa.array(numbers, pa.timestamp("us", "UTC")),
            "nested": pa.array(nested, pa.list_(pa.struct({"a": pa.int64(), "b": pa.list_(pa.string())}))),
            "flag": pa.array([n % 2 == 0 for n in numbers], pa.bool_()),
            "uri": pa.array(["s3://a"] * rows, pa.string()).dictionary_encode(),
        },
        schema=None,
    )


def ours(tables: Sequence[pa.Table], options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    written = ParquetFile(file, options)
    for each in tables:
        written.write(each)
        assert written.size == len(file.getvalue())
    written.close(TEXTS)
    return file.getvalue()


def arrows(tables: Sequence[pa.Table], options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with pq.ParquetWriter(file, tables[0].schema, **options) as writer:
        for each in tables:
            writer.write_table(each, row_group_size=each.num_rows)
        writer.add_key_value_metadata(TEXTS)
    return file.getvalue()


@pytest.mark.parametrize("cores", [1, 2, 4])
@pytest.mark.parametrize("run_bytes", [1, 20_000, 1 << 40])
@pytest.mark.parametrize("sizes", [[1], [3_000, 20, 5_000], [200_000]])
def test_is_the_file_that_arrow_writes(
    cores: int, run_bytes: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pa, "cpu_count", lambda: cores)
    monkeypatch.setattr(parquet_file, "_RUN_BYTES", run_bytes)
    before = set(threading.enumerate())
    tables = [table(size) for size in sizes]
    found = ours(tables, OPTIONS)
    assert set(threading.enumerate()) <= before
    assert found == arrows(tables, OPTIONS)
    assert pq.read_table(io.BytesIO(found)).num_rows == sum(sizes)


def test_is_the_same_with_everything_that_arrow_does_by_itself() -> None:
    tables, options = [table(40_000), table(7)], {"store_schema": False}
    assert ours(tables, options) == arrows(tables, options)


def test_columns_are_encoded_in_more_than_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    encode, together = parquet_file._encoded, threading.Barrier(2)

    def meet(options: dict[str, Any], run: pa.Table) -> pa.Buffer:
        if run.column_names[0] in ("id", "word"):
            together.wait(10)
        return encode(options, run)

    monkeypatch.setattr(pa, "cpu_count", lambda: 4)
    monkeypatch.setattr(parquet_file, "_encoded", meet)
    monkeypatch.setattr(parquet_file, "_RUN_BYTES", 1)
    assert pq.read_table(io.BytesIO(ours([table(1_000)], OPTIONS))).num_rows == 1_000


def test_runs_are_few_and_hold_every_column_in_order() -> None:
    wide = pa.table({f"c{number}": pa.array(range(50_000)) for number in range(100)})
    runs = [run.column_names for run in parquet_file._runs(wide)]
    assert [name for run in runs for name in run] == wide.column_names
    assert 4 <= len(runs) <= 8
    assert len(list(parquet_file._runs(wide.slice(0, 10)))) == 1


def test_what_would_point_to_the_wrong_place_is_refused():
    """Neither is asked for; a later Arrow might write it by itself."""
    with pytest.raises(ValueError, match="indexes beside the columns"):
        ours([table(10)], {**OPTIONS, "write_page_index": True})
