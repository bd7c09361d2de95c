"""Arrow types and schemas of declared columns."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from tideline.catalog.model import Column, MongoDataset
from tideline.refine.contract import arrow_type, decoded_schema, empty_batch, micros, processed_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("string", pa.string()),
        ("json", pa.string()),
        ("int64", pa.int64()),
        ("float64", pa.float64()),
        ("bool", pa.bool_()),
        ("date", pa.date32()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("bytes", pa.binary()),
        ("numeric(12,2)", pa.decimal128(12, 2)),
        ("numeric", pa.decimal128(38, 9)),
        ("bignumeric(38,38)", pa.decimal128(38, 38)),
        ("bignumeric(39,38)", pa.decimal256(39, 38)),
        ("bignumeric", pa.decimal256(76, 38)),
    ],
)
@pytest.mark.parametrize("repeated", [False, True])
def test_types(declared: str, expected: pa.DataType, repeated: bool) -> None:
    found = arrow_type(Column(name="c", type=declared, repeated=repeated))
    assert found == (pa.list_(expected) if repeated else expected)


def test_records_nest() -> None:
    inner = Column(name="at", type="timestamp")
    outer = Column(name="log", type="record", repeated=True, columns=(inner, Column(name="n", type="int64")))
    members = [pa.field("at", pa.timestamp("us", "UTC")), pa.field("n", pa.int64())]
    assert arrow_type(outer) == pa.list_(pa.struct(members))


def test_schemas_are_the_declared_columns_and_ours(csv_dataset: Callable[..., CsvDataset]) -> None:
    dataset = csv_dataset({"id": "int64", "name": "string"})
    assert decoded_schema(dataset).names == ["id", "name", "_extra", "_raw_position"]
    processed = processed_schema(dataset)
    assert processed.names == ["id", "name", "_extra", "_raw_uri", "_raw_position", "_extracted_at"]
    assert [name for name in processed.names if not processed.field(name).nullable] == processed.names[3:]


def test_empty_batch_has_the_decoded_schema() -> None:
    columns = (
        Column(name="id", type="string"),
        Column(name="tags", type="string", repeated=True),
        Column(name="place", type="record", columns=(Column(name="lat", type="float64"),)),
    )
    dataset = MongoDataset(
        name="d", source="s", key=("id",), columns=columns, database="shop", collection="d"
    )
    batch = empty_batch(dataset)
    assert (batch.num_rows, batch.schema) == (0, decoded_schema(dataset))


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), -1),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 253402300799999999),
    ],
)
def test_micros_are_exact(instant: datetime, expected: int) -> None:
    assert micros(instant) == expected
