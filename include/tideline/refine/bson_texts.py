"""JSON text of many values that a sweep found: common scalars in bulk, the others one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tideline.refine import bson_format as bson
from tideline.refine.extended_json import quote, value_text
from tideline.refine.fields import ConformError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.refine.arrays import Flags, Vector
    from tideline.refine.bson_vectors import Batch, Found, Rows


def texts_of(batch: Batch, rows: Rows, place: Found, which: Flags) -> Iterator[tuple[int, str]]:
    """The JSON text of each value; documents where there is none are left to the walker."""
    which = which & ~batch.left[rows.document]
    for kind in np.unique(place.kind[which]).tolist():
        chosen = np.flatnonzero(which & (place.kind == kind))
        starts, stops = place.start[chosen], place.stop[chosen]
        plain = _plain_texts(batch, kind, starts, stops)
        if plain is not None:
            yield from zip(chosen.tolist(), plain, strict=True)
            continue
        for row, start, stop in zip(chosen.tolist(), starts.tolist(), stops.tolist(), strict=True):
            try:
                yield row, value_text(kind, batch.data, start, stop, rows.depth + 1)[0]
            except ConformError:
                batch.leave(rows, np.array([row]))


def _plain_texts(batch: Batch, kind: int, starts: Vector, stops: Vector) -> list[str] | None:
    """The JSON text of many values of one common type; None if they have to be looked at one by one."""
    if kind == bson.INT32:
        return list(map(str, batch.ints[starts].tolist()))
    if kind == bson.INT64:
        return list(map(str, batch.words[starts].view(np.int64).tolist()))
    if kind == bson.DOUBLE:
        numbers = batch.words[starts].view(np.float64)
        return list(map(repr, numbers.tolist())) if np.isfinite(numbers).all() else None
    if kind == bson.STRING and not batch.octets[stops - 1].any():
        bounds = zip((starts + 4).tolist(), (stops - 1).tolist(), strict=True)
        try:
            return [quote(batch.data[start:stop].decode()) for start, stop in bounds]
        except UnicodeDecodeError:
            return None
    return None
