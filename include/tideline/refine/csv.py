"""CSV objects, plain or gzip → decoded batches with the rejects, in bounded memory.

Blocks of whole records go through pyarrow's parser; only the records that it refuses, or that it would read
more loosely than `tideline.refine.csv_values` says, are read one by one (`tideline.refine.csv_exact`): the
result is the same as if all were. The work overlaps: inflating and splitting in a thread of their own,
parsing in two, where there are cores for them, encoding in the writer's.

An object that begins with a UTF-8 byte order mark is UTF-8, whatever the dialect says: in a one-byte encoding
each of its letters beyond ASCII would be two others, and nothing would look wrong.

The header decides which field is which column: their order is free. A nullable column that is missing is NULL
in all rows and reported as drift, so that objects older than the column can be replayed. One that is required
or only spelt otherwise, an empty or doubled name is a `ContractError`; an undeclared column goes to `_extra`
and drift, or is refused, as the dataset says. An object without any record has no header to compare: it is
accepted as empty, and reported as drift, since nothing of it can be lost and its raw copy remains.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tideline.errors import ContractError
from tideline.refine import csv_blocks, inflate, threads
from tideline.refine.contract import Decoded, empty_batch
from tideline.refine.csv_blocks import WIDE_COLUMNS, Block, count_lines, split_blocks
from tideline.refine.csv_decode import BlockDecoder, Read
from tideline.refine.csv_frame import Marks, frame
from tideline.refine.csv_layout import read_header
from tideline.refine.place import place_of
from tideline.refine.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tideline.catalog.model import CsvDataset
    from tideline.lake.manifest import Part
    from tideline.refine.place import Place

EMPTY_OBJECT = "(an object without a header)"
"""The drift path of objects that hold no record at all."""
_AHEAD = 1
"""Blocks that wait for a parser; as many more are being made and read."""
_PARSERS = 2
"""One takes as long as encoding and half as long again as inflating; two are quicker than either. Wide tables
have one: what each column costs beside parsing is Python's, 1.3 times the CPU with 500, and 100 MB."""
_BLOCKS_IN_WORK = 3
"""How many blocks of the usual length may be with the parsers; fewer of longer ones."""


@dataclass(frozen=True, slots=True)
class CsvLimits:
    """How much of an object is held, and when it is too much."""

    blocks: csv_blocks.BlockLimits = csv_blocks.DEFAULT_LIMITS
    inflate: inflate.InflateLimits = inflate.DEFAULT_LIMITS


DEFAULT_LIMITS = CsvLimits()


def decode_csv(
    dataset: CsvDataset, part: Part, stream: BinaryIO, limits: CsvLimits = DEFAULT_LIMITS
) -> Iterator[Decoded]:
    """The records of one object, in order. `_raw_position` counts records from 1, without the header.

    Args:
        dataset: What the object should hold, and how it is written.
        part: The raw part that is its copy.
        stream: The part's bytes as stored.
        limits: For tests.

    Raises:
        ContractError: Its header does not fit the contract; or it is no CSV at all, or gzip that is cut
            short, corrupt or grows without bounds. What was yielded until then must not count.
    """
    place = place_of(dataset, part)
    marks = Marks(ord(dataset.dialect.delimiter), ord(dataset.dialect.quote))
    is_marked, chunks = csv_blocks.without_mark(inflate.plain_chunks(stream, place, limits.inflate))
    dataset = _in_utf8(dataset) if is_marked else dataset
    with closing(prefetch(split_blocks(chunks, marks, limits.blocks), _AHEAD)) as blocks:
        header, rest = _take_header(blocks, marks, place)
        if rest is None:
            yield Decoded(empty_batch(dataset), [], 0, {EMPTY_OBJECT: (1, place.key)})
            return
        decoder = BlockDecoder(dataset, read_header(header, dataset, place), marks)
        yield decoder.number(decoder.read(rest))
        with closing(_reads(decoder, blocks, len(dataset.columns), limits.blocks)) as reads:
            yield from map(decoder.number, reads)


def _in_utf8(dataset: CsvDataset) -> CsvDataset:
    """The dataset as an object has it that says by its first bytes that it is UTF-8."""
    return dataset.model_copy(update={"dialect": dataset.dialect.model_copy(update={"encoding": "utf-8"})})


def _reads(
    decoder: BlockDecoder, blocks: Iterator[Block], columns: int, limits: csv_blocks.BlockLimits
) -> Generator[Read, None, None]:
    """What the blocks hold, in order. One was read before them: it has shown what the columns are like."""
    if not threads.are_worth_it() or columns >= WIDE_COLUMNS:
        yield from map(decoder.read, blocks)
        return
    most = _BLOCKS_IN_WORK * limits.block_bytes
    yield from threads.mapped(decoder.read, blocks, _PARSERS, weigh=lambda block: len(block.data), most=most)


def _take_header(blocks: Iterator[Block], marks: Marks, place: Place) -> tuple[bytes, Block | None]:
    """The first record's bytes, and what follows it in its block; None where there is no record at all."""
    for block in blocks:
        found = frame(block.data, block.quotes, marks)
        if block.refused or found.malformed[:1].any():
            raise ContractError(
                f"the header cannot be read: {block.refused or 'a quote that does not pair up'}",
                remedy="have the object written as its dialect in the catalog says, or correct the dialect",
                **place.where,
            )
        if len(found.starts):
            start, end, stop = int(found.starts[0]), int(found.ends[0]), int(found.stops[0])
            lines = count_lines(block.data[:stop])
            quotes = block.quotes[int(np.searchsorted(block.quotes, stop)) :] - stop
            rest = Block(block.data[stop:], block.line + lines, block.lines - lines, quotes, block.tidy)
            return block.data[start:end], rest
    return b"", None
