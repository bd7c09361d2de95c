"""Blocks of CSV records → decoded batches: most by the parser, those in doubt one by one. Knows no files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.refine import arrays
from tideline.refine.contract import Decoded, Reject, arrow_type, decoded_schema, missing_path
from tideline.refine.csv_arrow import ArrowReader, Parsed
from tideline.refine.csv_blocks import BOM, EVIDENCE_BYTES, Block
from tideline.refine.csv_exact import ExactReader
from tideline.refine.csv_extra import example_of, extra_texts
from tideline.refine.csv_frame import Frame, Marks, frame, line_ends
from tideline.refine.fields import ConformError, record_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tideline.catalog.model import CsvDataset
    from tideline.refine.csv_layout import Layout

    Flags = NDArray[np.bool_]
    Positions = NDArray[np.int64]


class _Rows(NamedTuple):
    """Rows on their way into a batch: which records of the block they are; their columns, `_extra` last."""

    records: Positions
    columns: list[pa.Array]
    examples: dict[str, str]
    """A text of each undeclared field."""


class Read(NamedTuple):
    """The records of a block, counted from 0 within it."""

    rows: _Rows
    rejects: list[Reject]


class BlockDecoder:
    """Decodes the blocks of one object: `read` each in any thread, then `number` them in their order.

    Args:
        dataset: What the object should hold.
        layout: Which field is which column.
        marks: The bytes that structure a record.
    """

    def __init__(self, dataset: CsvDataset, layout: Layout, marks: Marks) -> None:
        self._schema = decoded_schema(dataset)
        self._encoding = dataset.dialect.encoding
        self._layout = layout
        self._record = record_of(dataset)
        self._marks = marks
        self._parser = ArrowReader(layout, dataset.dialect)
        self._exact = ExactReader(layout, dataset.dialect)
        self._examples = dict.fromkeys([extra.name for extra in layout.extras], "")
        self._next = 1

    def read(self, block: Block) -> Read:
        """The rows and the rejects of a block."""
        if block.refused:
            detail = "it does not end within the longest record that is held"
            reject = Reject(0, block.refused, detail=detail, raw=block.data, line=block.line)
            return Read(self._rows(self._parser.read(b""), None), [reject])
        parsed = None if self._is_risky(block) else self._parse(block.data)
        if parsed is not None and self._is_clean(block, parsed):
            return Read(self._rows(parsed, None), [])
        return self._read_carefully(block, parsed)

    def number(self, read: Read) -> Decoded:
        """The next block's records with their numbers in the object."""
        rows, rejects = read
        for name, example in rows.examples.items():
            self._examples[name] = self._examples[name] or example
        numbers = arrays.fixed(pa.int64(), rows.records + self._next, None)
        batch = pa.RecordBatch.from_arrays([*rows.columns, numbers], schema=self._schema)
        drift = {name: (batch.num_rows, example) for name, example in self._examples.items()}
        drift |= {missing_path(field.column.field): (batch.num_rows, "") for field in self._layout.missing}
        rejects = [replace(reject, position=reject.position + self._next) for reject in rejects]
        records = batch.num_rows + len(rejects)
        self._next += records
        return Decoded(batch, rejects, records, drift)

    def _parse(self, data: bytes, *, is_decodable: bool = False) -> Parsed | None:
        """None where the parser cannot say which record it is that it refuses."""
        try:
            return self._parser.read(data, is_decodable=is_decodable)
        except pa.ArrowInvalid:
            return None

    def _rows(self, parsed: Parsed, records: Positions | None) -> _Rows:
        both = zip(self._layout.extras, parsed.extras, strict=True)
        examples = {extra.name: self._examples[extra.name] or example_of(column) for extra, column in both}
        columns = list(parsed.columns)
        for member in self._layout.missing:
            columns.insert(member.index, pa.nulls(parsed.rows, arrow_type(member.column)))
        columns.append(extra_texts(list(examples), parsed.extras, parsed.rows))
        return _Rows(np.arange(parsed.rows) if records is None else records, columns, examples)

    def _is_risky(self, block: Block) -> bool:
        """Whether the parser would take something in it that must not be taken as it does."""
        data = block.data
        return not block.tidy or data.startswith(BOM) or b"\0" in data

    def _is_clean(self, block: Block, parsed: Parsed) -> bool:
        """Whether all records became rows, held against lines, lines outside quotes, or the frame."""
        if parsed.doubtful is not None:
            return False
        lines = block.lines + (block.data[-1:] not in (b"\n", b"\r", b""))
        if parsed.rows == lines:
            return True
        ends = line_ends(np.frombuffer(block.data, np.uint8))
        quoted = int((np.searchsorted(block.quotes, ends) % 2).sum())
        if parsed.rows == lines - quoted:
            return True
        return parsed.rows == len(frame(block.data, block.quotes, self._marks).starts)

    def _read_carefully(self, block: Block, parsed: Parsed | None) -> Read:
        """Keep what the parser is sure of, and read all other records one by one."""
        found = frame(block.data, block.quotes, self._marks)
        alone = self._risky_records(block.data, found)
        if parsed is None or alone.any():
            alone |= self._undecodable(block.data, found)
            parsed = self._parse(_without(block.data, found, alone), is_decodable=True)
        records = np.delete(np.flatnonzero(~alone), parsed.skipped if parsed else [])
        if parsed is None or len(records) != parsed.rows:
            parsed, records = self._parser.read(b""), np.zeros(0, np.int64)
        rows = self._rows(parsed, records)
        if parsed.doubtful is not None:
            sure = pc.invert(parsed.doubtful)
            columns = [column.filter(sure) for column in rows.columns]
            rows = _Rows(records[_flags(sure)], columns, rows.examples)
        rest = np.ones(len(found.starts), np.bool_)
        rest[rows.records] = False
        accepted, rejects = self._read_alone(block, found, np.flatnonzero(rest))
        return Read(_in_order(rows, accepted), rejects)

    def _risky_records(self, data: bytes, found: Frame) -> Flags:
        """The records that make a block risky."""
        view = np.frombuffer(data, np.uint8)
        flags = found.malformed.copy()
        flags[np.searchsorted(found.starts, np.flatnonzero(view == 0), side="right") - 1] = True
        flags[
            [i for i in np.flatnonzero(view[found.starts] == BOM[0]) if data.startswith(BOM, found.starts[i])]
        ] = True
        return flags

    def _undecodable(self, data: bytes, found: Frame) -> Flags:
        """The records that are not in the dialect's encoding; each failure costs what lies before it."""
        flags = np.zeros(len(found.starts), np.bool_)
        view, place = memoryview(data), 0
        while True:
            try:
                str(view[place:], self._encoding)
            except UnicodeDecodeError as error:
                record = int(np.searchsorted(found.starts, place + error.start, side="right")) - 1
                flags[record] = True
                place = int(found.stops[record])
            else:
                return flags

    def _read_alone(self, block: Block, found: Frame, records: Positions) -> tuple[_Rows, list[Reject]]:
        """Read these records by the definition."""
        taken: list[int] = []
        values: list[list[Any]] = []
        extras: list[bytes | None] = []
        rejects: list[Reject] = []
        for record in records.tolist():
            raw = block.data[found.starts[record] : found.ends[record]]
            try:
                row, extra = self._exact.row(raw)
            except ConformError as error:
                line = block.line + int(found.lines[record])
                rejects.append(
                    Reject(
                        record,
                        error.reason,
                        error.column,
                        error.detail,
                        raw[:EVIDENCE_BYTES],
                        line,
                    )
                )
            else:
                taken.append(record)
                values.append(row)
                extras.append(extra)
        columns = [*arrays.record_arrays(self._record, values), arrays.variable(pa.string(), extras)]
        return _Rows(np.array(taken, np.int64), columns, {}), rejects


def _without(data: bytes, found: Frame, alone: Flags) -> bytes:
    """The bytes with these records cut out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], alone, [True]])))
    runs = zip(found.starts[edges[0::2]], found.stops[edges[1::2] - 1], strict=True)
    return b"".join([data[start:stop] for start, stop in runs])


def _in_order(rows: _Rows, accepted: _Rows) -> _Rows:
    """Both, in the order of their records."""
    if not len(accepted.records):
        return rows
    records = np.concatenate([rows.records, accepted.records])
    order = np.argsort(records, kind="stable")
    indices = arrays.fixed(pa.int64(), order, None)
    both = zip(rows.columns, accepted.columns, strict=True)
    columns = [pa.concat_arrays(pair).take(indices) for pair in both]
    return _Rows(records[order], columns, rows.examples)


def _flags(mask: pa.Array) -> Flags:
    """An Arrow mask without nulls as numpy's, without the pandas import of `to_numpy`."""
    bits = np.unpackbits(np.frombuffer(mask.buffers()[1], np.uint8), bitorder="little")
    return bits[mask.offset : mask.offset + len(mask)].astype(np.bool_)
