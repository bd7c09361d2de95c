"""Whether a listing moved while its pages were read: a row may then be on no page.

A row that changes goes to another page of a listing by time of change: what lies between shifts, and some
rows come on two pages, others on none. So it is where many rows share what a listing is sorted by. No total
tells, for as many come twice as are left out; that they come twice does. Rows that have one place on all
their pages, as pinned ones have, did not move. Knows keys and places, no values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.catalog.model import HttpDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tideline.catalog.model import AnyDataset


class MovedKeys:
    """Counts the keys of one attempt that are on several pages, at several places; 24 bytes a row.

    Args:
        dataset: What the rows belong to.
        pages: How many parts the landing has.
    """

    def __init__(self, dataset: AnyDataset, pages: int) -> None:
        is_paged = isinstance(dataset, HttpDataset) and dataset.shows_absence and pages > 1
        self._key = dataset.key if is_paged else ()
        self._pages: dict[str, int] = {}
        self._found: list[NDArray[np.int64]] = []

    def add(self, batch: pa.RecordBatch, page: str) -> None:
        """Take some rows of a page; all of them conform."""
        if not self._key:
            return
        columns = (pc.cast(batch.column(name), pa.string()).to_pylist() for name in self._key)
        hashes = np.fromiter(map(hash, zip(*columns, strict=True)), np.int64, batch.num_rows)
        number = self._pages.setdefault(page, len(self._pages))
        places = batch.column("_raw_position").to_numpy()
        self._found.append(np.stack([places, np.full_like(hashes, number), hashes]))

    def details(self) -> dict[str, Any]:
        """What the processed manifest says of them; nothing where none did."""
        if not self._found:
            return {}
        rows = np.concatenate(self._found, axis=1)
        places, pages, hashes = rows[:, np.lexsort(rows)]
        is_again = (np.diff(hashes) == 0) & (np.diff(pages) != 0) & (np.diff(places) != 0)
        moved = len(np.unique(hashes[1:][is_again]))
        return {"moved_keys": moved} if moved else {}
