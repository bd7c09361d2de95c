"""Values inside raw BSON: finds fields without decoding the rest, and gives values MongoDB's order.

Owns the byte layout (bsonspec.org, version 1.1) and the order of types
(https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/). Knows no query language.
A key is `(rank, comparable)`: ranks order the types, and equal ranks have comparables of one kind.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128

from devstack.mongo.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""How documents are decoded where they have to be: every stored value has a Python value, also year 10000."""

Value: TypeAlias = Any
"""A decoded BSON value."""
Identity: TypeAlias = Any
"""What a collection tells its documents apart by; hashable."""
Key: TypeAlias = tuple[int, Any]
"""A value's place in MongoDB's order; hashable."""

MIN_DOCUMENT_BYTES = 5
_LENGTH_BYTES = 4

NULL_RANK, NUMBER_RANK, DOCUMENT_RANK, ARRAY_RANK = 5, 10, 20, 25
MIN_RANK, MAX_RANK = 1, 127
MISSING: Key = (0, 0)
NULL: Key = (NULL_RANK, 0)

DOCUMENT, ARRAY = 0x03, 0x04
_DOUBLE, _STRING, _BINARY, _DATE, _SYMBOL = 0x01, 0x02, 0x05, 0x09, 0x0E
_INT32, _TIMESTAMP, _INT64, _DECIMAL, _REGEX = 0x10, 0x11, 0x12, 0x13, 0x0B

_int32 = Struct("<i").unpack_from
_int64 = Struct("<q").unpack_from
_double = Struct("<d").unpack_from
_uint32_pair = Struct("<II").unpack_from

_FIXED_SIZES = {
    _DOUBLE: 8, 0x06: 0, 0x07: 12, 0x08: 1, _DATE: 8, 0x0A: 0,
    _INT32: 4, _TIMESTAMP: 8, _INT64: 8, _DECIMAL: 16, 0xFF: 0, 0x7F: 0,
}  # fmt: skip
_LENGTH_EXTRA = {_STRING: 4, DOCUMENT: 0, ARRAY: 0, _BINARY: 5, 0x0C: 16, 0x0D: 4, _SYMBOL: 4, 0x0F: 0}
"""Type → bytes beside the leading int32's count: its own four, a subtype, an ObjectId."""


class Slot(NamedTuple):
    """Where a value is: its type and the bytes `[start, end)` that hold it."""

    kind: int
    start: int
    end: int


def slots(raw: bytes, start: int, end: int) -> Iterator[tuple[bytes, Slot]]:
    """(name, slot) of each element of the document or array in `raw[start:end]`, in order."""
    position, last = start + 4, end - 1
    while position < last:
        kind = raw[position]
        zero = raw.index(0, position + 1)
        size = _FIXED_SIZES.get(kind)
        if size is None:
            size = _variable_size(raw, kind, zero + 1)
        yield raw[position + 1 : zero], Slot(kind, zero + 1, zero + 1 + size)
        position = zero + 1 + size


def find_slot(raw: bytes, name: bytes) -> Slot | None:
    """The slot of a top-level field, or None."""
    return next((slot for field, slot in slots(raw, 0, len(raw)) if field == name), None)


def field_keys(raw: bytes, names: Mapping[bytes, int], count: int) -> list[Key]:
    """The keys of some top-level fields in one pass; `names` maps each to its place in the result.

    Arrays come back whole; `MISSING` where the document lacks the field.
    """
    keys = [MISSING] * count
    left = count
    for name, slot in slots(raw, 0, len(raw)):
        place = names.get(name)
        if place is not None:
            keys[place] = key_at(raw, slot)
            left -= 1
            if not left:
                break
    return keys


def path_slots(raw: bytes, path: Sequence[bytes]) -> list[Slot | None]:
    """Every value that a dotted path leads to; None for each place where it leads nowhere.

    Arrays on the way are walked, and indexed where the step is a number; an array at the end stays whole.
    """
    return list(_follow(raw, Slot(DOCUMENT, 0, len(raw)), path))


def _follow(raw: bytes, slot: Slot, path: Sequence[bytes]) -> Iterator[Slot | None]:
    if not path:
        yield slot
    elif slot.kind == DOCUMENT:
        child = next((s for name, s in slots(raw, slot.start, slot.end) if name == path[0]), None)
        if child is None:
            yield None
        else:
            yield from _follow(raw, child, path[1:])
    elif slot.kind == ARRAY:
        yield from _follow_array(raw, slot, path)
    else:
        yield None


def _follow_array(raw: bytes, slot: Slot, path: Sequence[bytes]) -> Iterator[Slot | None]:
    for name, item in slots(raw, slot.start, slot.end):
        if name == path[0]:
            yield from _follow(raw, item, path[1:])
        if item.kind == DOCUMENT:
            yield from _follow(raw, item, path)


def array_slots(raw: bytes, slot: Slot) -> list[Slot]:
    """The items of an array; nothing for any other value."""
    return [item for _, item in slots(raw, slot.start, slot.end)] if slot.kind == ARRAY else []


def key_at(raw: bytes, slot: Slot) -> Key:
    """The place of a value in MongoDB's order."""
    kind, start, end = slot
    if kind == _DATE:
        return (45, _int64(raw, start)[0])
    if kind in (_STRING, _SYMBOL):
        return (15, raw[start + 4 : end - 1])
    if kind in (_INT32, _INT64, _DOUBLE, _DECIMAL):
        return _number_key(raw, kind, start)
    if kind in (DOCUMENT, ARRAY):
        return _container_key(raw, slot)
    return _other_key(raw, slot)


def _number_key(raw: bytes, kind: int, start: int) -> Key:
    value: Value
    if kind == _INT32:
        return (NUMBER_RANK, _int32(raw, start)[0])
    if kind == _INT64:
        return (NUMBER_RANK, _int64(raw, start)[0])
    if kind == _DOUBLE:
        value = _double(raw, start)[0]
    else:
        value = Decimal128.from_bid(raw[start : start + 16]).to_decimal()
        if value.is_nan():
            value = float("nan")
    # NaN lies below all numbers, and no range of numbers contains it.
    return (NUMBER_RANK, value) if value == value else (NUMBER_RANK - 1, 0)  # noqa: PLR0124


def _container_key(raw: bytes, slot: Slot) -> Key:
    children = ((name, key_at(raw, child)) for name, child in slots(raw, slot.start, slot.end))
    if slot.kind == ARRAY:
        return (ARRAY_RANK, tuple(key for _, key in children))
    return (DOCUMENT_RANK, tuple((key[0], name, key[1]) for name, key in children))


def _other_key(raw: bytes, slot: Slot) -> Key:
    kind, start, end = slot
    if kind == _BINARY:
        return (30, (end - start - 5, raw[start + 4], raw[start + 5 : end]))
    if kind == _TIMESTAMP:
        return (47, tuple(reversed(_uint32_pair(raw, start))))
    rank = _PLAIN_RANKS.get(kind)
    if rank is None:
        raise CommandError(22, f"unknown BSON type 0x{kind:02x}")
    return (rank, raw[start:end] if end > start else 0)


_PLAIN_RANKS = {
    0xFF: MIN_RANK, 0x06: NULL_RANK, 0x0A: NULL_RANK, 0x07: 35, 0x08: 40,
    _REGEX: 50, 0x0C: 55, 0x0D: 60, 0x0F: 65, 0x7F: MAX_RANK,
}  # fmt: skip


def key_of(value: Value) -> Key:
    """The key of a Python value, as it would be stored."""
    raw = bson.encode({"": value})
    return key_at(raw, Slot(raw[4], 6, len(raw) - 1))


def value_at(raw: bytes, slot: Slot) -> Value:
    """One value decoded."""
    element = bytes((slot.kind, 0)) + raw[slot.start : slot.end] + b"\0"
    return bson.decode((len(element) + 4).to_bytes(4, "little") + element, OPTIONS)[""]


def decode(raw: bytes) -> dict[str, Any]:
    """A whole document decoded.

    Raises:
        CommandError: The bytes are not a document.
    """
    try:
        return bson.decode(raw, OPTIONS)
    except bson.errors.InvalidBSON as error:
        raise CommandError(22, f"invalid BSON: {error}") from error


def split(payload: bytes) -> list[bytes]:
    """Documents that follow one another, each on its own.

    Raises:
        CommandError: The frames do not end where the payload does.
    """
    documents, position = [], 0
    while position < len(payload):
        size = _int32(payload, position)[0] if len(payload) - position >= _LENGTH_BYTES else 0
        if size < MIN_DOCUMENT_BYTES or position + size > len(payload):
            raise CommandError(22, f"a document of {size} bytes does not fit its message at byte {position}")
        documents.append(payload[position : position + size])
        position += size
    return documents


def identity(raw: bytes) -> Identity:
    """What tells a document from others in its collection; 1, 1.0 and NumberLong(1) are the same `_id`.

    Raises:
        CommandError: The document has no `_id`, or one that MongoDB refuses.
    """
    slot = Slot(raw[4], 9, _end_of(raw, raw[4], 9)) if raw[5:9] == b"_id\0" else find_slot(raw, b"_id")
    if slot is None:
        raise CommandError(2, "a document without _id")
    if slot.kind in (ARRAY, _REGEX, 0x06):
        raise CommandError(2, "The '_id' value cannot be an array, a regex or undefined")
    if slot.kind in (_INT32, _INT64, _DOUBLE, _DECIMAL):
        rank, number = _number_key(raw, slot.kind, slot.start)
        return number if rank == NUMBER_RANK else "NaN"
    return raw[slot.start : slot.end] + bytes((slot.kind,))


def _end_of(raw: bytes, kind: int, start: int) -> int:
    size = _FIXED_SIZES.get(kind)
    return start + (_variable_size(raw, kind, start) if size is None else size)


def _variable_size(raw: bytes, kind: int, start: int) -> int:
    if kind == _REGEX:
        return raw.index(0, raw.index(0, start) + 1) + 1 - start
    extra = _LENGTH_EXTRA.get(kind)
    if extra is None:
        raise CommandError(22, f"unknown BSON type 0x{kind:02x} at byte {start} of a document")
    size: int = _int32(raw, start)[0] + extra
    if not _LENGTH_BYTES <= size <= len(raw) - start:
        raise CommandError(22, f"a value of {size} bytes does not fit its document at byte {start}")
    return size
