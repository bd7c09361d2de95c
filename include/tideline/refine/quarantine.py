"""Records that cannot conform → Parquet in the quarantine bucket, with reason and the record's own bytes.

Knows the layout of the evidence. Does not know how records were judged, nor what share of them is too much.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from tideline.refine import arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from tideline.lake.keys import Folder
    from tideline.lake.manifest import Part
    from tideline.refine.contract import Reject
    from tideline.refine.parquet import PartWriter

RAW_BYTES = 1 << 20
"""How much of a record is kept as evidence."""
SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("window_id", pa.string(), nullable=False),
        pa.field("raw_uri", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("raw", pa.binary(), nullable=False),
        pa.field("raw_truncated", pa.bool_(), nullable=False),
    ]
)
_GATHERED_BYTES = 8 << 20
_GATHERED_REJECTS = 50_000
_TOP_REASONS = 3
_OVERHEAD = 200
"""Bytes that a reject takes beside its record."""


class QuarantineWriter:
    """Writes rejects as they come, in bounded memory; nothing at all if none come. For a `with` statement.

    Args:
        folder: Where the evidence goes.
        parts: What writes it.
    """

    def __init__(self, folder: Folder, parts: PartWriter) -> None:
        self._folder = folder
        self._parts = parts
        self._gathered: list[tuple[str, Reject]] = []
        self._memory = 0
        self.reasons: Counter[str] = Counter()
        """How many records were refused for what."""
        self._first: dict[str, Reject] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._parts.abandon()

    def add(self, rejects: Sequence[Reject], raw_uri: str) -> None:
        """Take rejects of the raw part at that URI."""
        for reject in rejects:
            self.reasons[reject.reason] += 1
            self._first.setdefault(reject.reason, reject)
            self._memory += len(reject.raw) + _OVERHEAD
            self._gathered.append((raw_uri, reject))
        if self._memory >= _GATHERED_BYTES or len(self._gathered) >= _GATHERED_REJECTS:
            self._flush()

    def close(self) -> tuple[Part, ...]:
        """Write what is left and return all parts; none if nothing was refused."""
        if self._gathered:
            self._flush()
        return self._parts.close()

    def summary(self) -> str:
        """The most frequent reasons with an example each, in one line."""
        return "; ".join(
            f"{reason} {count} times, first {_described(self._first[reason])}"
            for reason, count in self.reasons.most_common(_TOP_REASONS)
        )

    def _flush(self) -> None:
        self._parts.write(_table(self._folder, self._gathered))
        self._gathered, self._memory = [], 0


def _described(reject: Reject) -> str:
    place = f"line {reject.line}" if reject.line is not None else f"position {reject.position}"
    column = f" {reject.column}" if reject.column else ""
    return f"at {place}{column}: {reject.detail}"


def _table(folder: Folder, found: Sequence[tuple[str, Reject]]) -> pa.Table:
    rejects = [reject for _, reject in found]
    rows = len(rejects)

    def texts(value: Callable[[Reject], str]) -> pa.Array:
        return arrays.variable(pa.string(), [value(reject).encode("utf-8", "replace") for reject in rejects])

    def constant(text: str) -> pa.Array:
        return texts(lambda _: text)

    lines = np.fromiter((reject.line or 0 for reject in rejects), np.int64, rows)
    columns = [
        constant(folder.source),
        constant(folder.dataset),
        constant(folder.window.window_id),
        arrays.variable(pa.string(), [uri.encode() for uri, _ in found]),
        arrays.fixed(pa.int64(), np.fromiter((reject.position for reject in rejects), np.int64, rows), None),
        arrays.fixed(
            pa.int64(), lines, np.fromiter((reject.line is not None for reject in rejects), np.bool_, rows)
        ),
        texts(lambda reject: reject.column),
        texts(lambda reject: reject.reason),
        texts(lambda reject: reject.detail),
        arrays.variable(pa.binary(), [reject.raw[:RAW_BYTES] for reject in rejects]),
        arrays.booleans(
            np.fromiter((len(reject.raw) > RAW_BYTES for reject in rejects), np.bool_, rows), None
        ),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
