"""Consecutive documents as vectors: their bytes as words, their positions, and where their values lie.

Knows how long a value of each type is. Does not know names or columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tideline.refine import bson_format as bson

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.refine.arrays import Flags, Vector

WORD = 8
ALL = slice(None)
_VARYING, _UNKNOWN = -1, -2
_SIZES = np.full(256, _UNKNOWN, np.int64)
"""Size of a value by type. Varying: it begins with its length. Unknown: for the walker."""
_SIZES[[bson.NULL, bson.UNDEFINED, bson.MIN_KEY, bson.MAX_KEY]] = 0
_SIZES[bson.BOOL] = 1
_SIZES[bson.INT32] = 4
_SIZES[[bson.DOUBLE, bson.DATE, bson.TIMESTAMP, bson.INT64]] = 8
_SIZES[bson.OBJECT_ID] = 12
_SIZES[bson.DECIMAL128] = 16
_SIZES[[bson.STRING, bson.CODE, bson.SYMBOL, bson.DOCUMENT, bson.ARRAY, bson.BINARY]] = _VARYING
_BESIDE = np.zeros(256, np.int64)
"""Bytes that the length at the beginning of a value does not count."""
_BESIDE[[bson.STRING, bson.CODE, bson.SYMBOL]] = 4
_BESIDE[bson.BINARY] = 5
_LEAST = np.zeros(256, np.int64)
"""The smallest legal length."""
_LEAST[[bson.STRING, bson.CODE, bson.SYMBOL]] = 1
_LEAST[[bson.DOCUMENT, bson.ARRAY]] = 5
SIZED = _SIZES != _UNKNOWN
"""Types whose extent is known without looking inside."""


class Found(NamedTuple):
    """One field of all rows. Where a row lacks it, `start == stop`, between its neighbours' values."""

    kind: Vector
    """BSON type, 0 where the row lacks the field."""
    start: Vector
    stop: Vector


@dataclass(slots=True)
class Rows:
    """A vector of documents, or of records inside them, in the order of their bytes."""

    document: Vector
    """Index of the document that each belongs to."""
    position: Vector
    """The first byte not yet understood; never beyond `end`."""
    end: Vector
    depth: int
    prefix: Callable[[int], str]
    """Source path of what is inside row i, with its dot."""
    exists: Flags | None = None
    """Which rows are records at all; None: all."""

    def __len__(self) -> int:
        return len(self.position)


class Batch:
    """The bytes of consecutive documents, seen as vectors, and the documents that are left to the walker.

    Args:
        data: The documents.
        documents: How many.
        padding: Zero bytes behind them, so that reading a key at any position stays inside.
    """

    def __init__(self, data: bytes, documents: int, padding: int) -> None:
        self.data = data + bytes(padding + 16)
        self.octets = np.frombuffer(self.data, np.uint8)
        self.words = _unaligned(self.data, "<u8")
        self.ints = _unaligned(self.data, "<i4")
        self.left = np.zeros(documents, np.bool_)
        self.cells = np.zeros(documents, np.int64)
        self.extras: list[tuple[int, int, str, str, str]] = []
        """(document, position, path, JSON text, BSON type) of undeclared fields."""

    def leave(self, rows: Rows, which: Vector) -> None:
        """Leave the documents of these rows to the walker."""
        self.left[rows.document[which]] = True
        rows.position[which] = rows.end[which]

    def extent(self, kind: Vector, start: Vector) -> tuple[Vector, Flags | None]:
        """Where values end, and which have a legal length (None: all); a wrong length may end anywhere."""
        size = _SIZES[kind]
        varying = size == _VARYING
        if not varying.any():
            return start + size, None
        which = ALL if varying.all() else np.flatnonzero(varying)
        length = self.ints[start[which]].astype(np.int64)
        legal = np.ones(len(kind), np.bool_)
        legal[which] = length >= _LEAST[kind[which]]
        size[which] = length + _BESIDE[kind[which]]
        return start + size, legal


def _unaligned(data: bytes, dtype: str) -> Vector:
    """The word that begins at each byte."""
    kind = np.dtype(dtype)
    return np.ndarray((len(data) - kind.itemsize + 1,), kind, buffer=data, strides=(1,))
