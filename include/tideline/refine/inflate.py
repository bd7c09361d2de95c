"""A stored object's bytes → its plain bytes, gzip told by its content and never by its name.

Knows gzip, and by sight the formats that people mistake for it. Knows no records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from isal import igzip_lib

from tideline.errors import ContractError
from tideline.lake.stream import read_fully

if TYPE_CHECKING:
    from collections.abc import Generator

    from tideline.refine.place import Place

GZIP = b"\x1f\x8b"
FOREIGN = {
    GZIP: "gzip inside gzip",
    b"PK\x03\x04": "a zip archive",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xfd7zXZ\x00": "xz",
    b"BZh91AY&SY": "bzip2",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
"""Beginnings that no CSV header has, and what has them."""
_READ_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class InflateLimits:
    """When compressed bytes stop being data and become an attack."""

    ratio: int = 1000
    """Plain bytes per compressed byte; deflate cannot exceed 1032, and real CSV stays below 100."""
    ratio_after_bytes: int = 100_000_000
    """From how many plain bytes on the ratio is looked at."""
    total_bytes: int = 128 << 30
    """Plain bytes of one object; TIDELINE_OBJECT_BYTES."""
    piece_bytes: int = 512 << 10
    """Plain bytes made at a time: half of it has the thread wait for the interpreter twice as often, a
    megabyte takes more CPU, in memory that is fresh from the system."""


DEFAULT_LIMITS = InflateLimits()


def plain_chunks(
    stream: BinaryIO, place: Place, limits: InflateLimits = DEFAULT_LIMITS
) -> Generator[bytes, None, None]:
    """The plain bytes in pieces, none of them empty.

    Raises:
        ContractError: The gzip stream is cut short or corrupt, or something follows its last member; nothing
            at all is stored under a name that ends in `.gz`, in any case (all that the name decides); the
            object is neither plain text nor gzip, or inflates beyond the limits. It is as the source has it:
            what was damaged in the lake is named by whoever compares its checksum.
    """
    head = read_fully(stream, _READ_BYTES)
    if head == GZIP[:1] or (not head and place.key.lower().endswith(".gz")):
        raise _cut_short(place, len(head))
    chunks = _inflate(head, stream, place, limits) if head.startswith(GZIP) else _plain(head, stream, limits)
    first = next(chunks, b"")
    _check_plain(first, place)
    if first:
        yield first
    yield from chunks


def _plain(head: bytes, stream: BinaryIO, limits: InflateLimits) -> Generator[bytes, None, None]:
    for start in range(0, len(head), limits.piece_bytes):
        yield head[start : start + limits.piece_bytes]
    while piece := stream.read(limits.piece_bytes):
        yield piece


def _check_plain(first: bytes, place: Place) -> None:
    for magic, name in FOREIGN.items():
        if first.startswith(magic):
            raise ContractError(
                f"expected text, plain or gzip; found {name}",
                remedy="have it written as plain text or gzip, in the encoding that the dialect declares",
                **place.where,
            )


def _inflate(
    feed: bytes, stream: BinaryIO, place: Place, limits: InflateLimits
) -> Generator[bytes, None, None]:
    member, compressed, plain = _member(), len(feed), 0
    while True:
        piece = _decompress(member, feed, place, limits)
        plain += len(piece)
        _check_size(compressed, plain, place, limits)
        if piece:
            yield piece
        feed = member.unused_data if member.eof else b""
        if len(feed) < len(GZIP) and (member.eof or member.needs_input):
            more = read_fully(stream, _READ_BYTES)
            compressed += len(more)
            feed += more
            if not feed and member.eof:
                return
            if not feed:
                raise _cut_short(place, compressed)
        if member.eof:
            _check_member(feed, place)
            member = _member()


def _member() -> igzip_lib.IgzipDecompressor:
    return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)


def _decompress(
    member: igzip_lib.IgzipDecompressor, data: bytes, place: Place, limits: InflateLimits
) -> bytes:
    try:
        return bytes(member.decompress(data, limits.piece_bytes))
    except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub says instance for class
        raise ContractError(
            f"the gzip stream is corrupt: {error}",
            remedy="have the object written again; none of its rows were taken",
            **place.where,
        ) from error


def _cut_short(place: Place, compressed: int) -> ContractError:
    return ContractError(
        f"the gzip stream is cut short: it does not end within its {compressed} bytes",
        remedy="have the object written again; none of its rows were taken",
        **place.where,
    )


def _check_member(rest: bytes, place: Place) -> None:
    if rest.startswith(GZIP):
        return
    raise ContractError(
        f"something that is not gzip follows the end of the gzip stream: {rest[:16]!r}",
        remedy="have the object written again; none of its rows were taken",
        **place.where,
    )


def _check_size(compressed: int, plain: int, place: Place, limits: InflateLimits) -> None:
    ratio = plain > limits.ratio_after_bytes and plain > limits.ratio * compressed
    if ratio or plain > limits.total_bytes:
        raise ContractError(
            f"too_large: {compressed} compressed bytes inflate to {plain} bytes and more",
            remedy="remove it if it is not data; if it is, have it written in smaller objects, or raise "
            "TIDELINE_OBJECT_BYTES",
            **place.where,
        )
