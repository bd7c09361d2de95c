"""Raw parts → decoded batches, held to what a landing's manifest and a decoder promise.

Knows which decoder belongs to which kind of source. Does not know what batches are for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from tideline.errors import FatalError, IntegrityError
from tideline.refine.contract import decoded_schema

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pyarrow as pa

    from tideline import settings
    from tideline.catalog.model import AnyDataset, Column
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.refine.bson_engine import Engine
    from tideline.refine.contract import Decoded, Decoder

_DRAIN_BYTES = 1 << 20


def engine_for(dataset: AnyDataset, choice: settings.Decoder) -> Engine:
    """What decodes the dataset, as manifests name it; only documents have a choice.

    Raises:
        SettingsError: The engine that was asked for is not there.
    """
    if dataset.kind != "mongodb":
        return "python"
    from tideline.refine.bson_engine import engine_of

    return engine_of(choice)


def decoder_of(dataset: AnyDataset, object_bytes: int | None = None, engine: Engine = "python") -> Decoder:
    """The decoder for the dataset's kind of source; imports no other.

    Args:
        dataset: Of which kind.
        object_bytes: What a compressed object of the source may inflate to; None for the default.
        engine: See `engine_for`.
    """
    if dataset.kind == "s3_csv":
        from tideline.refine.csv import CsvLimits, decode_csv
        from tideline.refine.csv_blocks import limits_for
        from tideline.refine.inflate import InflateLimits

        inflate = InflateLimits() if object_bytes is None else InflateLimits(total_bytes=object_bytes)
        limits = CsvLimits(limits_for(len(dataset.columns)), inflate)
        return cast("Decoder", partial(decode_csv, limits=limits))
    if dataset.kind == "mongodb":
        from tideline.refine.bson import decode_bson

        return cast("Decoder", partial(decode_bson, engine=engine))
    from tideline.refine.json import decode_json

    return cast("Decoder", decode_json)


def decoded_parts(
    dataset: AnyDataset,
    landed: Manifest,
    raw: Store,
    object_bytes: int | None = None,
    engine: Engine = "python",
) -> Generator[tuple[Part, Decoded], None, None]:
    """The batches of all parts in order, each with the part that it comes from; see `decoder_of`.

    Raises:
        IntegrityError: A part is not what the manifest says, which may show only after its last batch; or a
            decoder does not keep its promise.
        ContractError: A part as a whole does not fit its declaration.
    """
    decode = decoder_of(dataset, object_bytes, engine)
    check = _Check(dataset)
    for part in landed.parts:
        records = 0
        with raw.open(raw.key_of(part.uri), sha256=part.sha256) as stream:
            for decoded in _verified(decode(dataset, part, stream), stream):
                check(decoded, part)
                records += decoded.records
                yield part, decoded
        if part.records not in (None, records):
            raise IntegrityError(
                f"{part.records} records were landed, but {records} were decoded",
                source=dataset.source,
                dataset=dataset.name,
                place=part.uri,
                remedy="land the window again; if they differ again, report it as a defect of the decoder",
            )


def _verified(batches: Iterator[Decoded], stream: BinaryIO) -> Iterator[Decoded]:
    """The batches; then the rest of the stream is read, at whose end the store compares the checksum.

    That is done first where decoding fails: damaged bytes are named so, whatever a decoder makes of them.
    """
    try:
        yield from batches
    except FatalError:
        _drain(stream)
        raise
    _drain(stream)


def _drain(stream: BinaryIO) -> None:
    while stream.read(_DRAIN_BYTES):
        pass


class _Check:
    """What every decoder promises of its batches: schema, count, and no NULL where none may be."""

    def __init__(self, dataset: AnyDataset) -> None:
        self._dataset = dataset
        self._schema = decoded_schema(dataset)
        self._columns = [
            (index, column, column.name in dataset.key)
            for index, column in enumerate(dataset.columns)
            if _is_checked(column) or column.name in dataset.key
        ]

    def __call__(self, decoded: Decoded, part: Part) -> None:
        batch = decoded.batch
        if not batch.schema.equals(self._schema):
            raise self._broken(f"its batch has the schema {batch.schema}", part)
        if decoded.records != batch.num_rows + len(decoded.rejects):
            counts = f"{decoded.records} records, {batch.num_rows} rows, {len(decoded.rejects)} rejects"
            raise self._broken(f"its counts do not add up: {counts}", part)
        for index, column, is_key in self._columns:
            path = _forbidden_null(column, batch.column(index), required=is_key or not column.nullable)
            if path:
                raise self._broken(f"it let a NULL through in {path}", part)

    def _broken(self, finding: str, part: Part) -> IntegrityError:
        return IntegrityError(
            f"the decoder broke its promise: {finding}",
            source=self._dataset.source,
            dataset=self._dataset.name,
            place=part.uri,
            remedy="this is a defect: report it with the part",
        )


def _is_checked(column: Column) -> bool:
    return not column.nullable or column.repeated or any(map(_is_checked, column.columns))


def _forbidden_null(column: Column, values: pa.Array, *, required: bool) -> str:
    """The path of the first column that holds a NULL and must not; empty if none does."""
    if (required or column.repeated) and values.null_count:
        return column.name
    items = values.flatten() if column.repeated else values
    if column.repeated and items.null_count:
        return f"{column.name}[]"
    if not column.columns:
        return ""
    present = items.drop_null() if items.null_count else items
    for child, inner in zip(column.columns, present.flatten(), strict=True):
        path = _forbidden_null(child, inner, required=not child.nullable)
        if path:
            return f"{column.name}.{path}"
    return ""
