"""What the blocks of one object have shown of its columns, for those that come after them.

Shared by the threads that parse blocks. It saves them failures and nothing else: what is read is the same
without it. Knows columns by their numbers. Does not know the parser.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

STICKY_BLOCKS = 64
"""For how many blocks a column that the parser failed on is read as texts before it is tried again."""


class Habits:
    """Which columns the parser cannot do, and which timestamps have offsets.

    Args:
        timestamps: The columns whose form is to be looked at before the parser can be told.
    """

    def __init__(self, timestamps: Iterable[int]) -> None:
        self._lock = threading.Lock()
        self._unseen = set(timestamps)
        self._zoned: frozenset[int] = frozenset()
        self._failed: dict[int, int] = {}
        """And for how many more blocks they are read as texts."""

    @property
    def zoned(self) -> frozenset[int]:
        """The timestamps that have offsets."""
        return self._zoned

    def texts(self) -> set[int]:
        """The columns to read as texts."""
        with self._lock:
            return set(self._failed)

    def is_unseen(self, column: int) -> bool:
        """Whether it is a timestamp whose form nobody has looked at."""
        return column in self._unseen

    def fail(self, column: int) -> set[int]:
        """The parser refused the column: which ones to read as texts.

        All timestamps that nobody has looked at if it is one of them: where one has offsets, so have most.
        """
        with self._lock:
            self._failed[column] = STICKY_BLOCKS
            return set(self._unseen) if column in self._unseen else {column}

    def look(self, column: int, *, has_zone: bool) -> None:
        """Timestamps with and without offsets are two types for the parser: this one's form is known now."""
        with self._lock:
            self._unseen.discard(column)
            self._failed.pop(column, None)
            if has_zone:
                self._zoned |= {column}

    def count_block(self) -> None:
        """A block was parsed."""
        with self._lock:
            self._failed = {column: blocks - 1 for column, blocks in self._failed.items() if blocks > 1}
