"""CSV of other shapes: one row in a hundred bad, five hundred columns, fields of 100 kB. Deterministic."""

from __future__ import annotations

import gzip
import random
from typing import TYPE_CHECKING, BinaryIO

from benchmarks.fixtures import COLUMNS, CSV_CHUNK_ROWS, SEED, Truth, csv_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDE_COLUMNS = 500
LONG_BYTES = 100_000
BAD_SHARE = 0.01


def write(file: BinaryIO, name: str, rows: int) -> Truth:
    """Write the fixture of that name; its truth is that of the good rows."""
    lines = {"bad": _bad, "wide": _wide, "long": _long}[name.partition("-")[0]](rows)
    order_ids = email_bytes = good = 0
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        packed.write((",".join(next(lines)) + "\n").encode())
        for fields in lines:
            packed.write((",".join(fields) + "\n").encode())
            if fields[-1] is not _SPOILT:
                good += 1
                order_ids += int(fields[1])
                email_bytes += len(fields[3])
    return Truth(good, order_ids, email_bytes)


_SPOILT = "spoilt"


def _rows(rows: int) -> Iterator[list[str]]:
    """The rows of the common fixture, whose last field may hold a comma."""
    for first in range(0, rows, CSV_CHUNK_ROWS):
        text, _ = csv_chunk(first + 1, min(CSV_CHUNK_ROWS, rows - first))
        for line in text.to_pybytes().decode().splitlines():
            yield line.split(",", len(COLUMNS) - 1)


def _bad(rows: int) -> Iterator[list[str]]:
    """One row in a hundred has a bad number, date, key, stray quote, or a field too many."""
    rng = random.Random(SEED)
    yield [*COLUMNS]
    for fields in _rows(rows):
        if rng.random() < BAD_SHARE:
            place, text = rng.choice([(7, "many"), (5, "2026-13-45"), (9, "1.5"), (3, 'a"b'), (10, "DE,DE")])
            fields[place], fields[-1] = text, _SPOILT
        yield fields


def _wide(rows: int) -> Iterator[list[str]]:
    """The same columns and more: numbers, texts and instants in turns."""
    more = wide_columns()
    yield [*COLUMNS, *more]
    rng = random.Random(SEED)
    for number, fields in enumerate(_rows(rows)):
        texts = (str(rng.randrange(10**6)), f"text {number % 97}", fields[5])
        yield [*fields, *(texts[index % 3] for index in range(len(more)))]


def wide_columns() -> dict[str, str]:
    """The columns beside the common ones: name → type."""
    kinds = ("int64", "string", "timestamp")
    return {f"c{number:03d}": kinds[number % 3] for number in range(WIDE_COLUMNS - len(COLUMNS))}


def _long(rows: int) -> Iterator[list[str]]:
    """Notes of 100 kB with quotes and line ends in them."""
    rng = random.Random(SEED)
    yield [*COLUMNS]
    for fields in _rows(rows):
        word = f'{rng.randrange(10**9)} said ""no"",\n'
        yield [*fields[:-1], f'"{word * (LONG_BYTES // len(word))}"']
