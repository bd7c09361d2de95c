"""Events about keys, from raw to processed: typed already, they are checked and given their lineage.

Reconciliation lands them as Parquet with the key's columns, `_event` and `_observed_at`, so that they can be
replayed as rows can. Knows no source format; what an event does to a table is the merge's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tideline.errors import IntegrityError, OtherKeyError
from tideline.refine import arrays
from tideline.refine.contract import arrow_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.refine.parquet import PartWriter

KIND = "events"
"""`details.kind` of manifests that hold events; all others hold rows."""
NAMES = ("deleted", "superseded")
"""All kinds of event: the source did not have the key, or had it with an older stamp than the warehouse."""
_BATCH_ROWS = 50_000


def raw_schema(dataset: AnyDataset) -> pa.Schema:
    """The key's columns, `_event`, `_observed_at`: the Parquet of raw events."""
    return pa.schema(
        [
            *(pa.field(name, arrow_type(dataset.column(name)), nullable=False) for name in dataset.key),
            pa.field("_event", pa.string(), nullable=False),
            pa.field("_observed_at", pa.timestamp("us", "UTC"), nullable=False),
        ]
    )


def processed_events(
    dataset: AnyDataset, landed: Manifest, raw: Store, writer: PartWriter
) -> tuple[Part, ...]:
    """Write the events of all parts as processed Parquet, in bounded memory.

    Raises:
        IntegrityError: A part is not what its manifest says, or holds what is no event.
        OtherKeyError: The catalog has another key by now, or one of another type.
    """
    for part in landed.parts:
        with raw.open(raw.key_of(part.uri), sha256=part.sha256) as stream:
            for table in _tables(dataset, part, stream):
                writer.write(table)
    return writer.close()


def details_of(parts: tuple[Part, ...], landed: Manifest) -> dict[str, Any]:
    """What the processed manifest says, in the words of rows; no event is ever refused."""
    events = sum(part.records or 0 for part in parts)
    return {
        "kind": KIND,
        "landed": landed.records,
        "refined": events,
        "quarantined": 0,
        "cursor": None,
        "partitions": None,
        "drift": {},
        "reasons": {},
        "quarantine_uri": None,
    }


def _tables(dataset: AnyDataset, part: Part, stream: BinaryIO) -> Iterator[pa.Table]:
    first, schema = 0, raw_schema(dataset)
    try:
        file = pq.ParquetFile(pa.BufferReader(stream.read()))
        for batch in file.iter_batches(_BATCH_ROWS):
            yield _with_lineage(_typed(dataset, part, batch, schema), part, first)
            first += batch.num_rows
    except pa.ArrowException as error:
        raise _broken(dataset, part, f"it is not Parquet of events: {error}") from error
    if first != part.records:
        raise _broken(dataset, part, f"it holds {first} events, its manifest says {part.records}")


def _typed(dataset: AnyDataset, part: Part, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Names are compared as the warehouse compares them, whatever their case."""
    found = dict(zip((name.lower() for name in batch.schema.names), batch.columns, strict=True))
    if missing := {"_event", "_observed_at"} - found.keys():
        raise pa.ArrowInvalid(f"there is no {' nor '.join(sorted(missing))}")
    if found.keys() != {name.lower() for name in schema.names}:
        told = ", ".join(name for name in batch.schema.names if name not in ("_event", "_observed_at"))
        key = ", ".join(dataset.key)
        raise _other_key(dataset, part, f"the catalog's key is {key}, these events are about {told}")
    columns = []
    for field in schema:
        try:
            columns.append(_column(found[field.name.lower()], field))
        except _OtherTypeError as error:
            raise _other_key(dataset, part, str(error)) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class _OtherTypeError(Exception):
    """Values that are none of a column's type, in words."""


def _column(values: pa.Array, field: pa.Field) -> pa.Array:
    if values.null_count:
        raise pa.ArrowInvalid(f"{field.name} is NULL in {values.null_count} events")
    if field.name == "_event" and not pc.all(pc.is_in(values, pa.array(NAMES))).as_py():
        raise pa.ArrowInvalid(f"an event is none of {', '.join(NAMES)}")
    if values.type.equals(field.type):
        return values
    try:
        return pc.cast(values, field.type)
    except pa.ArrowException as error:
        finding = f"the key {field.name} is {field.type} in the catalog, and {values.type} in events: {error}"
        raise _OtherTypeError(finding) from error


def _with_lineage(batch: pa.RecordBatch, part: Part, first: int) -> pa.Table:
    rows = batch.num_rows
    uris = arrays.variable(pa.string(), [part.uri.encode()] * rows)
    positions = arrays.fixed(pa.int64(), np.arange(first, first + rows, dtype=np.int64), None)
    table = pa.Table.from_batches([batch])
    return table.append_column("_raw_uri", uris).append_column("_raw_position", positions)


def _other_key(dataset: AnyDataset, part: Part, finding: str) -> OtherKeyError:
    return OtherKeyError(
        finding,
        source=dataset.source,
        dataset=dataset.name,
        place=part.uri,
        remedy="a replay leaves them out; reconcile again after it: what is gone is found anew",
    )


def _broken(dataset: AnyDataset, part: Part, finding: str) -> IntegrityError:
    return IntegrityError(
        finding,
        source=dataset.source,
        dataset=dataset.name,
        place=part.uri,
        remedy="reconcile again: what is gone is found anew",
    )
