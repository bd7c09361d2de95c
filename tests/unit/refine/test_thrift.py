"""Thrift's compact protocol: what is written is read, and Arrow's own bytes come back as they were."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.thrift import (
    BINARY,
    BYTE,
    DOUBLE,
    FALSE,
    I16,
    I32,
    I64,
    LIST,
    STRUCT,
    TRUE,
    read_struct,
    write_struct,
)  # fmt: skip

NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
BYTES = st.binary(max_size=200)


def fields(values: st.SearchStrategy[tuple[int, Any]]) -> st.SearchStrategy[dict[int, tuple[int, Any]]]:
    return st.dictionaries(st.integers(1, 300), values, max_size=5)


SCALARS = st.one_of(
    st.just((TRUE, True)),
    st.just((FALSE, False)),
    st.tuples(st.sampled_from([I16, I32, I64]), NUMBERS),
    st.tuples(st.just(BINARY), BYTES),
    st.tuples(st.just(DOUBLE), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(BYTE), st.integers(0, 255)),
)
LISTS = st.one_of(
    st.tuples(st.just(I64), st.lists(NUMBERS, max_size=40)),
    st.tuples(st.just(BINARY), st.lists(BYTES, max_size=20)),
    st.tuples(st.just(TRUE), st.lists(st.sampled_from([1, 2]), max_size=20)),
    st.tuples(st.just(STRUCT), st.lists(fields(SCALARS), max_size=20)),
)
VALUES = st.one_of(SCALARS, st.tuples(st.just(LIST), LISTS), st.tuples(st.just(STRUCT), fields(SCALARS)))


@given(fields(VALUES))
def test_what_is_written_is_read(struct: dict[int, tuple[int, Any]]) -> None:
    assert read_struct(write_struct(struct)) == struct


def test_a_footer_of_arrow_comes_back_as_it_was() -> None:
    sink = pa.BufferOutputStream()
    table = pa.table({f"column {number}": [number, None, -number] for number in range(40)})
    pq.write_table(table.append_column("nested", [[{"a": [1.5]}, None, {"a": []}]]), sink)
    data = sink.getvalue().to_pybytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    assert write_struct(read_struct(footer)) == footer


def test_a_map_is_not_read() -> None:
    with pytest.raises(ValueError, match="wire type 11"):
        read_struct(bytes([0x1B, 0, 0]))
