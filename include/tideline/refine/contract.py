"""What decoders and writers of this room agree on: Arrow schemas, rejects and decoded batches.

Knows the catalog's types and Arrow. Does not know any source format, nor where Parquet goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import AnyDataset, Column
    from tideline.lake.manifest import Part

DECIMAL128_DIGITS = 38
SEMANTICS = 1
"""Version of the table that says what each source value becomes in each column type."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that cannot conform."""

    position: int
    """As `_raw_position` would be: byte offset (BSON), item index (JSON), record number (CSV)."""
    reason: str
    column: str = ""
    """Path of the value, `shipping.weight_kg` or `status_history[2].status`; empty for the whole record."""
    detail: str = ""
    """What was found, short enough for a log line."""
    raw: bytes = b""
    """The record's own bytes."""
    line: int | None = None
    """Physical line on which the record begins, counted from 1 (CSV only)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Some consecutive records of a part: those that conform, those that do not, and what nobody declared.

    `batch` has the schema of `decoded_schema`. `records` counts all records seen, taken from the framing and
    not from the rows, so that `records == batch.num_rows + len(rejects)` is a check.
    """

    batch: pa.RecordBatch
    rejects: list[Reject]
    records: int
    drift: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Unknown field path → (records that have it, an example of type or text); for a declared column that an
    object lacks `missing_path` of its field → (records without it, no example)."""


class Decoder(Protocol):
    """Bytes of one part (as stored, still compressed) → decoded batches in order, in bounded memory."""

    def __call__(self, dataset: AnyDataset, part: Part, stream: BinaryIO) -> Iterator[Decoded]:
        """Decode what is stored; only `stream.read` is used."""


MISSING_COLUMN = "(missing column) "
"""How the drift path of a declared column begins that an object does not have."""


def missing_path(field: str) -> str:
    """The drift path of a declared column, by its name at the source, that an object does not have."""
    return MISSING_COLUMN + field


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column, repeated or not."""
    item = _scalar_type(column)
    return pa.list_(item) if column.repeated else item


def _scalar_type(column: Column) -> pa.DataType:
    if column.type == "record":
        return pa.struct([pa.field(child.name, arrow_type(child)) for child in column.columns])
    if column.type in ("numeric", "bignumeric"):
        precision, scale = column.decimal
        narrow = precision <= DECIMAL128_DIGITS
        return pa.decimal128(precision, scale) if narrow else pa.decimal256(precision, scale)
    return _PLAIN[column.type]


_PLAIN: dict[str, pa.DataType] = {
    "string": pa.string(),
    "json": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "bytes": pa.binary(),
}


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
DAY_MICROSECONDS = timedelta(days=1) // _MICROSECOND


def micros(instant: datetime) -> int:
    """An instant as Arrow's timestamps hold it: microseconds since 1970, UTC."""
    return (instant - _EPOCH) // _MICROSECOND


def decoded_schema(dataset: AnyDataset) -> pa.Schema:
    """Declared columns in catalog order, `_extra`, `_raw_position`: what decoders give."""
    columns = [pa.field(column.name, arrow_type(column)) for column in dataset.columns]
    return pa.schema(
        [*columns, pa.field("_extra", pa.string()), pa.field("_raw_position", pa.int64(), nullable=False)]
    )


def processed_schema(dataset: AnyDataset) -> pa.Schema:
    """Declared columns, `_extra`, `_raw_uri`, `_raw_position`, `_extracted_at`: processed Parquet."""
    columns = [pa.field(column.name, arrow_type(column)) for column in dataset.columns]
    return pa.schema(
        [
            *columns,
            pa.field("_extra", pa.string()),
            pa.field("_raw_uri", pa.string(), nullable=False),
            pa.field("_raw_position", pa.int64(), nullable=False),
            pa.field("_extracted_at", pa.timestamp("us", "UTC"), nullable=False),
        ]
    )


def empty_batch(dataset: AnyDataset) -> pa.RecordBatch:
    """A decoded batch without rows."""
    schema = decoded_schema(dataset)
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)
