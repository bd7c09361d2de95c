"""One decoded record as Python values, and what becomes of undeclared fields. Knows no source format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring as quote
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tideline.lake.manifest import MOST_DRIFT_PATHS, OTHER_PATHS
from tideline.refine.arrays import variable
from tideline.refine.fields import MAX_ROW_CELLS, MAX_ROW_TEXT, ConformError, shorten

if TYPE_CHECKING:
    from tideline.refine.arrays import Vector

    Extras = dict[str, tuple[str, str]]
    """Undeclared path, in the source's names → (JSON text, type at the source), in the record's order."""

_INDEX = re.compile(r"\[\d+\](?=\.)")


@dataclass(slots=True)
class Row:
    """One record while it is decoded, and then one that conforms."""

    evolve: bool
    """Whether undeclared fields are kept; otherwise a record with one is refused."""
    values: list[Any] = field(default_factory=list)
    """One per declared column, as `arrays.column_array` takes them."""
    extras: Extras = field(default_factory=dict)
    cells: int = 0
    """Array items times their columns."""
    text_size: int = 0
    """Characters of the JSON text made for it."""

    def keep(self, path: str, text: str, kind: str) -> None:
        """Keep an undeclared field.

        Raises:
            ConformError: `unknown_field`, `duplicate_key` or `too_large`.
        """
        if not self.evolve:
            raise ConformError("unknown_field", kind)
        if path in self.extras:
            raise ConformError("duplicate_key", "this key twice")
        self.count_text(text)
        self.extras[path] = (text, kind)

    def count_cells(self, cells: int) -> None:
        """Count an array item of so many columns.

        Raises:
            ConformError: `too_large`.
        """
        self.cells += cells
        if self.cells > MAX_ROW_CELLS:
            raise ConformError("too_large", f"its arrays take more than {MAX_ROW_CELLS} values")

    def count_text(self, text: str) -> None:
        """Count the JSON text of a value.

        Raises:
            ConformError: `too_large`.
        """
        self.text_size += len(text)
        if self.text_size > MAX_ROW_TEXT:
            raise ConformError("too_large", f"more than {MAX_ROW_TEXT} characters of JSON text")


def extra_column(extras: dict[int, Extras], records: Vector) -> pa.Array:
    """The `_extra` column: for each of these records a JSON object of its undeclared fields, or null."""
    if not extras:
        return pa.nulls(len(records), pa.string())
    contents: list[bytes | None] = [None] * len(records)
    for place, record in enumerate(records.tolist()):
        if record in extras:
            members = [f"{_quoted(path)}:{text}" for path, (text, _) in extras[record].items()]
            contents[place] = f"{{{','.join(members)}}}".encode()
    return variable(pa.string(), contents)


def _quoted(path: str) -> str:
    return _quoted_short(path) if len(path) <= _SHORT_PATH else quote(path)


_SHORT_PATH = 100
_quoted_short = lru_cache(maxsize=4096)(quote)


def drift_of(extras: dict[int, Extras]) -> dict[str, tuple[int, str]]:
    """Undeclared path → (records that have it, its type in the first).

    `items[0].by` and `items[7].by` count as `items[].by`, once per record. Beyond `MOST_DRIFT_PATHS` paths,
    the others count together as `…`.
    """
    drift: dict[str, tuple[int, str]] = {}
    for record in sorted(extras):
        for path, kind in _kinds(extras[record]).items():
            _count(drift, shorten(path), kind)
    return drift


def _kinds(extras: Extras) -> dict[str, str]:
    """Path without indices → the type of the first value there."""
    if not any("[" in path for path in extras):
        return {path: kind for path, (_, kind) in extras.items()}
    kinds: dict[str, str] = {}
    for path, (_, kind) in extras.items():
        kinds.setdefault(_INDEX.sub("[]", path), kind)
    return kinds


def _count(drift: dict[str, tuple[int, str]], path: str, kind: str) -> None:
    if path not in drift and len(drift) >= MOST_DRIFT_PATHS:
        path, kind = OTHER_PATHS, f"more than {MOST_DRIFT_PATHS} paths"
    count, first = drift.get(path, (0, kind))
    drift[path] = (count + 1, first)
