"""The documents of a find, reply by reply, as the server sent them: cut out of it and counted, not parsed.

pymongo's own raw batches are the same bytes, but it makes an object of each document on the way to them, two
thirds of the CPU of a scan. Where a reply, or pymongo, is not as expected, those are what is given.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from bson.codec_options import CodecOptions

from tideline.land.framing import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.cursor import RawBatchCursor

_INT32 = struct.Struct("<i")
_DOCUMENT, _ARRAY = 0x03, 0x04
_SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
_PREFIXED = {0x02: 4, 0x03: 0, 0x04: 0, 0x05: 5, 0x0D: 4, 0x0E: 4}
"""What a value has beyond the length that it begins with."""
_EMPTY_ARRAY = _INT32.pack(5) + b"\0"
_BATCHES = (b"firstBatch", b"nextBatch")
_UNKNOWN = (
    AttributeError, LookupError, StopIteration, TypeError, ValueError, bson.InvalidBSON, struct.error,
)  # fmt: skip
_LENIENT = CodecOptions[dict[str, Any]](unicode_decode_error_handler="replace")


def take_replies(cursor: RawBatchCursor[Any]) -> None:
    """Have a cursor of `find_raw_batches` give `Batch`es, of the same bytes, instead of bytes."""
    parse = cursor._unpack_response

    def unpack(response: Any, *arguments: Any, **options: Any) -> list[Any]:  # noqa: ANN401 - pymongo's
        payload = getattr(response, "payload_document", None)
        found = None if payload is None else reply_of(memoryview(payload))
        if found is not None:
            return [found]
        reply: Any
        (reply,) = parse(response, *arguments, **options)
        inside = reply.get("cursor") or {}
        for key in ("firstBatch", "nextBatch"):
            if key in inside:
                inside[key] = [Batch(bytes(data)) for data in inside[key]]
        return [reply]

    cursor._unpack_response = unpack  # type: ignore[method-assign]


class _Element(NamedTuple):
    kind: int
    name: bytes
    start: int
    """Of its value."""
    end: int


def reply_of(payload: memoryview) -> dict[str, Any] | None:
    """A reply with its documents as one `Batch`; None where it has none, or is not what is known here."""
    try:
        cursor = next(each for each in _elements(payload, 0) if each.name == b"cursor")
        found = next(each for each in _elements(payload, cursor.start) if each.name in _BATCHES)
        if (cursor.kind, found.kind) != (_DOCUMENT, _ARRAY):
            return None
        array = payload[found.start : found.end]
        data = bson._array_of_documents_to_buffer(array)
        reply: dict[str, Any] = bson.decode(_without(payload, cursor, found), _LENIENT)
    except _UNKNOWN:
        return None
    batch = Batch(bytes(data), _count(array, len(data)))
    reply["cursor"][found.name.decode()] = [batch] if data else []
    return reply


def _elements(document: memoryview, start: int) -> Iterator[_Element]:
    """The elements of the document that begins there, as long as their types are known."""
    (length,) = _INT32.unpack_from(document, start)
    position, end = start + _INT32.size, start + length - 1
    while position < end:
        kind = document[position]
        stop = position + 1
        while document[stop]:
            stop += 1
        value = stop + 1
        if kind in _SIZES:
            after = value + _SIZES[kind]
        else:
            after = value + _INT32.unpack_from(document, value)[0] + _PREFIXED[kind]
        if not value <= after <= end:
            raise ValueError(kind)
        yield _Element(kind, bytes(document[position + 1 : stop]), value, after)
        position = after


def _without(payload: memoryview, cursor: _Element, batch: _Element) -> bytes:
    """The reply with an empty array for its documents."""
    less = batch.end - batch.start - len(_EMPTY_ARRAY)
    (whole,), (inner,) = _INT32.unpack_from(payload, 0), _INT32.unpack_from(payload, cursor.start)
    return b"".join(
        (
            _INT32.pack(whole - less),
            payload[_INT32.size : cursor.start],
            _INT32.pack(inner - less),
            payload[cursor.start + _INT32.size : batch.start],
            _EMPTY_ARRAY,
            payload[batch.end :],
        )
    )


def _count(array: memoryview, documents_bytes: int) -> int | None:
    """How many documents: what the array has beyond them are their indices, of a known length each.

    None where they do not look like indices.
    """
    headers = len(array) - len(_EMPTY_ARRAY) - documents_bytes
    count, digits, of_length = 0, 1, 10
    while headers > of_length * (2 + digits):
        headers -= of_length * (2 + digits)
        count += of_length
        digits, of_length = digits + 1, 9 * 10**digits
    more, rest = divmod(headers, 2 + digits)
    return None if rest or not _is_indexed(array) else count + more


def _is_indexed(array: memoryview) -> bool:
    """Whether the first two elements are called 0 and 1."""
    first = _INT32.size
    if bytes(array[first : first + 3]) != b"\x030\0":
        return False
    second = first + 3 + _INT32.unpack_from(array, first + 3)[0]
    return second == len(array) - 1 or bytes(array[second : second + 3]) == b"\x031\0"
