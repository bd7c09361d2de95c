"""Stored bytes to plain bytes: every way in which gzip can be whole, cut, corrupt, foreign or hostile."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib
from typing import Any

import pytest
import zstandard

from tideline.errors import ContractError
from tideline.refine.inflate import InflateLimits, plain_chunks
from tideline.refine.place import Place

PLAIN = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i * 7) for i in range(20_000))
PACKED = gzip.compress(PLAIN)
NOISE = random.Random(1).randbytes(3_000_000)


class Trickle(io.BytesIO):
    """A stream that gives fewer bytes than it is asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 777))


def plain(body: bytes, key: str = "items/1.csv.gz", stream: Any = io.BytesIO, **limits: int) -> bytes:
    place = Place("shop", "items", "s3://raw/part-00000.csv.gz", key)
    chunks = list(plain_chunks(stream(body), place, InflateLimits(**limits)))
    assert all(0 < len(chunk) <= 1 << 20 for chunk in chunks)
    return b"".join(chunks)


@pytest.mark.parametrize("stream", [io.BytesIO, Trickle])
@pytest.mark.parametrize(
    "body",
    [
        PLAIN,
        PACKED,
        gzip.compress(PLAIN[:70_000]) + gzip.compress(PLAIN[70_000:]),
        gzip.compress(b"") + PACKED + gzip.compress(b""),
        b"".join(gzip.compress(PLAIN[i : i + 997]) for i in range(0, len(PLAIN), 997)),
        gzip.compress(PLAIN, 0),
    ],
    ids=["plain", "gzip", "two members", "empty members", "many members", "stored"],
)
def test_gives_the_plain_bytes(body: bytes, stream: Any) -> None:
    assert plain(body, stream=stream) == PLAIN


def test_gives_more_than_one_megabyte_in_pieces() -> None:
    assert plain(NOISE) == NOISE
    assert plain(gzip.compress(NOISE)) == NOISE
    assert plain(gzip.compress(bytes(5_000_000))) == bytes(5_000_000)


def test_the_name_does_not_decide() -> None:
    assert plain(PACKED, key="items/1.csv") == PLAIN
    assert plain(PLAIN, key="items/1.csv.gz") == PLAIN


def test_nothing_is_nothing_unless_it_is_named_gz() -> None:
    assert plain(b"", key="items/1.csv") == b""
    assert plain(gzip.compress(b"")) == b""
    for key in ("items/1.csv.gz", "ITEMS/1.CSV.GZ", "items/1.csv.Gz"):
        with pytest.raises(ContractError, match="cut short: it does not end within its 0 bytes"):
            plain(b"", key=key)


@pytest.mark.parametrize("key", ["items/1.csv.gz", "items/1.csv"])
def test_the_first_byte_of_gzip_alone_is_a_cut_stream(key: str) -> None:
    with pytest.raises(ContractError, match="cut short: it does not end within its 1 bytes"):
        plain(b"\x1f", key=key)


@pytest.mark.parametrize("sixtyfourth", range(1, 64))
def test_a_cut_is_an_error_wherever_it_is(sixtyfourth: int) -> None:
    cut = len(PACKED) * sixtyfourth // 64
    with pytest.raises(ContractError, match="cut short: it does not end within its"):
        plain(PACKED[:cut])


@pytest.mark.parametrize("missing", range(1, 12))
def test_a_cut_in_the_trailer_is_an_error(missing: int) -> None:
    with pytest.raises(ContractError, match="cut short"):
        plain(PACKED[:-missing])


def test_a_cut_in_a_later_member_is_an_error() -> None:
    with pytest.raises(ContractError, match="cut short"):
        plain(PACKED + PACKED[:-1])


@pytest.mark.parametrize("at", [*range(-8, 0), 500, 5_000, 20_000])
def test_a_changed_byte_is_an_error(at: int) -> None:
    changed = bytearray(PACKED)
    changed[at] ^= 0x55
    with pytest.raises(ContractError, match=r"corrupt|cut short"):
        plain(bytes(changed))


@pytest.mark.parametrize("tail", [b"garbage", b"\0" * 512, b"\x1f", b"\n", b"id,name\n1,x\n"])
def test_what_follows_the_last_member_is_an_error(tail: bytes) -> None:
    with pytest.raises(ContractError, match="follows the end of the gzip stream"):
        plain(PACKED + tail)


def zipped() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("items.csv", PLAIN)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (zipped(), "a zip archive"),
        (bz2.compress(PLAIN), "bzip2"),
        (lzma.compress(PLAIN), "xz"),
        (zstandard.compress(PLAIN), "zstandard"),
        (gzip.compress(PACKED), "gzip inside gzip"),
        (PLAIN.decode().encode("utf-16"), "UTF-16 text"),
        (gzip.compress(PLAIN.decode().encode("utf-16")), "UTF-16 text"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_neither_text_nor_gzip_is_named(body: bytes, name: str) -> None:
    with pytest.raises(ContractError, match=name) as caught:
        plain(body)
    assert "items/1.csv.gz" in str(caught.value)
    assert caught.value.remedy


def test_a_bomb_is_stopped_by_its_ratio() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    with pytest.raises(ContractError, match="too_large"):
        plain(bomb, ratio=100, ratio_after_bytes=3_000_000)
    assert len(plain(bomb, ratio=100, ratio_after_bytes=30_000_000)) == 20_000_000


def test_a_bomb_is_stopped_by_its_size() -> None:
    with pytest.raises(ContractError, match="too_large"):
        plain(gzip.compress(NOISE), total_bytes=2_000_000)


def test_the_default_ratio_is_within_what_deflate_can_do() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(10_000_000)
    bomb = b"".join(packer.compress(zeros) for _ in range(12)) + packer.flush()
    with pytest.raises(ContractError, match="too_large"):
        plain(bomb)
