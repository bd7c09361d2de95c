"""Undeclared CSV fields → the JSON text of `_extra`, vector by vector. Knows JSON's escapes, not files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tideline.refine import arrays
from tideline.refine.csv_texts import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTROL = "[\\x00-\\x1f]"
_NULL, _NOTHING, _QUOTE = texts(["null", "", '"'])
EXAMPLE_CHARACTERS = 60


def extra_texts(names: Sequence[str], columns: Sequence[pa.Array], rows: int) -> pa.Array:
    """One JSON object per row, as `json.dumps` with `ensure_ascii=False` spells it; NULL without names."""
    if not names:
        return pa.nulls(rows, pa.string())
    pieces = []
    for number, (name, column) in enumerate(zip(names, columns, strict=True)):
        opening = ("," if number else "{") + json.dumps(name, ensure_ascii=False) + ":"
        pieces += [texts([opening])[0], pc.fill_null(_quoted(column), _NULL)]
    return pc.binary_join_element_wise(*pieces, texts(["}"])[0], _NOTHING)


def _quoted(column: pa.Array) -> pa.Array:
    if pc.any(pc.match_substring_regex(column, pattern=_CONTROL)).as_py():
        spelled = [
            None if text is None else json.dumps(text, ensure_ascii=False) for text in column.to_pylist()
        ]
        return arrays.variable(pa.string(), [None if text is None else text.encode() for text in spelled])
    escaped = pc.replace_substring(column, pattern="\\", replacement="\\\\")
    escaped = pc.replace_substring(escaped, pattern='"', replacement='\\"')
    return pc.binary_join_element_wise(_QUOTE, escaped, _QUOTE, _NOTHING)


def example_of(column: pa.Array) -> str:
    """The first text that is not empty, cut to what fits a report."""
    found = next((text for text in column.to_pylist() if text), "")
    return found if len(found) <= EXAMPLE_CHARACTERS else f"{found[:EXAMPLE_CHARACTERS]}…"
