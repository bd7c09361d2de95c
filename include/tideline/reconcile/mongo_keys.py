"""Keys and stamps of a collection: all of them in batches, or some asked for again. Knows MongoDB only.

A scan asks for the key, the change column and `_id`, never for whole documents. Keys are read with the
decoder that reads rows, so both sides have the same values. Documents whose key cannot be read have no row to
be compared with; they are counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import product
from typing import TYPE_CHECKING, Any

import bson
import pyarrow as pa
import pyarrow.compute as pc
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.objectid import ObjectId

from tideline.land.mongodb import scan_documents
from tideline.refine.bson import BsonDecoder
from tideline.refine.refused import key_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymongo import MongoClient

    from tideline.catalog.model import MongoDataset

STAMP, SOURCE = "_changed_at", "_source"
"""Columns beside the key's: the change column, and the projected document, from which `_id` is taken."""
AT_ONCE = 1_000
"""Keys asked for in one request."""

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_LENIENT = _CODEC.with_options(unicode_decode_error_handler="surrogateescape")
"""Texts that are no UTF-8 can be read past, and not be written again."""
_LENGTH = struct.Struct("<i")
_OBJECT_ID_DIGITS = 24

Key = tuple[Any, ...]
"""A key as the warehouse's client gives it: one Python value for each column."""


@dataclass
class KeyReader:
    """Reads keys of one dataset.

    Args:
        client: A client of the server.
        dataset: Its declaration.
    """

    client: MongoClient[Any]
    dataset: MongoDataset
    unreadable: int = 0
    """Documents seen so far that have no key."""

    def __post_init__(self) -> None:
        stamped = key_dataset(self.dataset, self.dataset.change_column)
        self._stamped = BsonDecoder(stamped)
        self._bare = BsonDecoder(key_dataset(self.dataset))

    @property
    def projection(self) -> dict[str, int] | None:
        """What is asked for; None, whole documents, where a field's name would be taken for a path."""
        names = (*self.dataset.key, *([self.dataset.change_column] if self.dataset.change_column else ()))
        fields = [self.dataset.column(name).field for name in names]
        if any(not _is_plain(field) for field in fields):
            return None
        return dict.fromkeys(["_id", *fields], 1)

    def scan(self) -> Iterator[pa.Table]:
        """All keys, as tables of the key's columns, `STAMP` and `SOURCE`, unsorted and in bounded memory."""
        for batch in scan_documents(self.client, self.dataset, {}, self.projection):
            yield from self._tables(batch.data)

    def present(self, keys: Sequence[Key]) -> set[Key]:
        """Which of these keys the source has now, or may have.

        What it finds under keys and cannot be read as one, such as 5.0 where 5 was, may be any of those.
        """
        wanted, found = set(keys), set()
        for start in range(0, len(keys), AT_ONCE):
            asked, unreadable = keys[start : start + AT_ONCE], self.unreadable
            for batch in scan_documents(self.client, self.dataset, self._filter(asked), self.projection):
                for table in self._tables(batch.data):
                    found |= wanted & set(_keys_of(table, self.dataset))
            if self.unreadable > unreadable:
                found.update(asked)
        return found

    def documents(self, found: Sequence[tuple[Key, bytes]]) -> Iterator[bytes]:
        """The documents of keys, each with what `SOURCE` has of it, as the server sends them, in batches.

        Asked for by `_id`; by key where they have none, since a view may leave it out.
        """
        for start in range(0, len(found), AT_ONCE):
            named = [(key, id_of(source)) for key, source in found[start : start + AT_ONCE]]
            ids = [each["_id"] for _, each in named if each]
            keys = [key for key, each in named if not each]
            asked = [{"_id": {"$in": ids}}] if ids else []
            for chosen in [*asked, self._filter(keys)] if keys else asked:
                yield from (batch.data for batch in scan_documents(self.client, self.dataset, chosen))

    def _filter(self, keys: Sequence[Key]) -> dict[str, Any]:
        fields = [self.dataset.column(name).field for name in self.dataset.key]
        if not all(map(_is_plain, fields)):
            return {}
        if len(fields) == 1:
            return {fields[0]: {"$in": [spelled for key in keys for spelled in _spellings(key[0])]}}
        spelled = (product(*map(_spellings, key)) for key in keys)
        return {"$or": [dict(zip(fields, values, strict=True)) for each in spelled for values in each]}

    def _tables(self, batch: bytes) -> Iterator[pa.Table]:
        decoded = self._stamped.decode(batch)
        yield self._table(decoded.batch, batch)
        refused = [_document(batch, reject.position) for reject in decoded.rejects]
        if refused:  # whatever else is in it, a document with a key is there: its row is not gone
            again = b"".join(map(self._key_alone, refused))
            decoded = self._bare.decode(again)
            yield self._table(decoded.batch, again)
            self.unreadable += len(refused) - decoded.batch.num_rows

    def _key_alone(self, document: bytes) -> bytes:
        """The document with nothing but its key and `_id`; none where these cannot be told."""
        fields = (self.dataset.column(name).field for name in self.dataset.key)
        try:
            found = bson.decode(document, _LENIENT)
            alone = {name: found[name] for name in dict.fromkeys(("_id", *fields)) if name in found}
            return bson.encode(alone, codec_options=_CODEC)
        except (BSONError, ValueError, OverflowError):
            return b""

    def _table(self, rows: pa.RecordBatch, batch: bytes) -> pa.Table:
        keys = [rows.column(name) for name in self.dataset.key]
        change = self.dataset.change_column
        is_stamped = change is not None and change in rows.schema.names
        stamp = rows.column(change) if is_stamped else pa.nulls(rows.num_rows, pa.timestamp("us", "UTC"))
        positions = rows.column("_raw_position").to_pylist()
        sources = [self._source(_document(batch, position)) for position in positions]
        columns = [*keys, stamp, pa.array(sources, pa.binary())]
        return pa.Table.from_arrays(columns, names=[*self.dataset.key, STAMP, SOURCE])

    def _source(self, document: bytes) -> bytes:
        return document if self.projection else bson.encode(id_of(document), codec_options=_CODEC)


def id_of(document: bytes) -> dict[str, Any]:
    """The `_id` of a document, as pymongo sends it back, under its name; empty where there is none."""
    found = bson.decode(document, _CODEC)
    return {"_id": found["_id"]} if "_id" in found else {}


def split_documents(batch: bytes) -> Iterator[bytes]:
    """The documents of a batch, one by one."""
    position = 0
    while position < len(batch):
        document = _document(batch, position)
        yield document
        position += len(document)


def _document(batch: bytes, position: int) -> bytes:
    (length,) = _LENGTH.unpack_from(batch, position)
    return batch[position : position + length]


def _is_plain(field: str) -> bool:
    return bool(field) and "." not in field and not field.startswith("$") and "\0" not in field


def _spellings(value: Any) -> list[Any]:  # noqa: ANN401 - whatever a key column holds
    """What a source may have where the warehouse has this."""
    if isinstance(value, str):
        is_id = len(value) == _OBJECT_ID_DIGITS and ObjectId.is_valid(value)
        return [value, ObjectId(value)] if is_id else [value]
    if isinstance(value, bool):
        return [value]
    if isinstance(value, int):
        return [Int64(value)]
    if isinstance(value, datetime):
        return [value]
    if isinstance(value, date):
        return [datetime.combine(value, time(), UTC)]
    return [Decimal128(value)]


def _keys_of(table: pa.Table, dataset: MongoDataset) -> Iterator[Key]:
    columns = [_values(table.column(name)) for name in dataset.key]
    return zip(*columns, strict=True)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python values as BigQuery's client has them; timestamps without asking pandas."""
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    texts = pc.cast(column, pa.string()).to_pylist()
    return [datetime.fromisoformat(text) for text in texts]
