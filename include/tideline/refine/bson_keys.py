"""The names that a sweep looks for: declared fields, and undeclared ones that many documents have.

Knows names and allowed types. Does not know what values mean.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from tideline.refine import bson_format as bson
from tideline.refine.bson_vectors import SIZED, WORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tideline.refine.arrays import Flags, Vector
    from tideline.refine.bson_vectors import Batch, Found, Rows
    from tideline.refine.fields import Field, Record

_MOST_EXTRAS = 64
"""Undeclared keys that a level remembers; each costs one comparison per batch."""
_LONGEST_EXTRA = 128
_SAMPLE, _SHARE = 32, 4
"""Of so many waiting documents, one in so many must have a key next for it to be adopted."""


class Key:
    """A field name as the words that it fills in a document, and the types that it may have.

    Args:
        name: The field's name at the source.
        allowed: By type, whether a sweep may accept it.
    """

    def __init__(self, name: str, allowed: Flags) -> None:
        self.name = name
        self.allowed = allowed
        raw = b"?" + name.encode() + b"\0"
        self.size = len(raw)
        known = min(len(raw), WORD)
        self._mask = np.uint64((1 << 8 * known) - 256)
        self._first = np.uint64(int.from_bytes(raw[:known], "little")) & self._mask
        places = [*range(WORD, len(raw) - WORD, WORD), len(raw) - WORD] if len(raw) > WORD else []
        self._rest = [(place, np.frombuffer(raw, "<u8", 1, place)[0]) for place in places]

    def matches(self, batch: Batch, position: Vector, word: Vector) -> Flags:
        """Which positions hold an element of this name; `word` is what begins there."""
        hits: Flags = (word & self._mask) == self._first
        if self._rest and hits.any():
            for place, expected in self._rest:
                hits &= batch.words[position + place] == expected
        return hits


class Level:
    """The keys of a row or record, in the order in which they were last seen; the levels of its records."""

    def __init__(self, record: Record, *, evolve: bool, types: Callable[[Field], Iterable[int]]) -> None:
        self.record = record
        self.order = [
            Key(name, _allowed(types(member)))
            for name, member in record.by_source.items()
            if "\0" not in name
        ]
        self.levels = {
            member.index: Level(member.record, evolve=evolve, types=types)
            for member in record.fields
            if member.record is not None
        }
        self._evolve = evolve
        self.adopted: set[str] = set()

    @property
    def padding(self) -> int:
        """The longest element key."""
        inside = (level.padding for level in self.levels.values())
        return max([WORD, *inside, *(key.size for key in self.order)])

    def settle(self, found: dict[str, Found], first: Vector) -> None:
        """Order the keys by where they were on average."""
        order = {
            name: float((place.start - first)[place.kind > 0].mean())
            for name, place in found.items()
            if place.kind.any()
        }
        self.order.sort(key=lambda key: order.get(key.name, np.inf))

    def adopt(self, batch: Batch, rows: Rows, waiting: Vector) -> bool:
        """Remember undeclared keys that many waiting rows have next; False if there are none."""
        if not self._evolve:
            return False
        sample = waiting[:: len(waiting) // 32 + 1].tolist()
        heads = [batch.data[rows.position[row] + 1 : rows.end[row]].split(b"\0", 1)[0] for row in sample]
        names = [name for name, count in Counter(heads).items() if 4 * count >= len(sample)]
        return sum(self._adopt(name) for name in names) > 0

    def _adopt(self, raw: bytes) -> bool:
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return False
        known = name in self.record.by_source or name in self.adopted
        if known or len(self.adopted) == _MOST_EXTRAS or len(raw) > _LONGEST_EXTRA:
            return False
        self.adopted.add(name)
        self.order.append(Key(name, SIZED))
        return True


def _allowed(types: Iterable[int]) -> Flags:
    allowed = np.zeros(256, np.bool_)
    allowed[[bson.NULL, bson.UNDEFINED, *types]] = True
    allowed &= SIZED
    return allowed
