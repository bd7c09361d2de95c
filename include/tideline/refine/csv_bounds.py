"""What typed values must lie between. Knows Arrow's vectors, not texts.

Arrow's own parsers let more through than BigQuery's types hold: the year 0, years beyond 9999 once an offset
is applied, infinities and NaN, decimals with too many digits before the point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tideline.refine import arrays
from tideline.refine.contract import arrow_type
from tideline.refine.csv_values import FIRST_DAY, FIRST_INSTANT, LAST_DAY, LAST_INSTANT

if TYPE_CHECKING:
    from tideline.catalog.model import Column

_TRUE = arrays.booleans(np.ones(1, np.bool_), None)[0]
_FALSE = arrays.booleans(np.zeros(1, np.bool_), None)[0]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one column; none where every value of the Arrow type is legal."""

    kind: pa.DataType | None
    """What values are compared as; None for no bounds."""
    ends: pa.Array | None
    """The lowest and the highest legal value; None where all finite values are."""
    stored: type[np.generic] | None = None
    """What numpy sees values as; None for those that it has no type for."""

    @classmethod
    def of(cls, column: Column) -> Bounds:
        """The bounds of a column's type."""
        kind = arrow_type(column)
        if column.type == "float64":
            return cls(kind, None, np.float64)
        if column.type == "date":
            days = arrays.fixed(pa.int32(), np.array([FIRST_DAY, LAST_DAY], np.int32), None)
            return cls(pa.int32(), days, np.int32)
        if column.type == "timestamp":
            instants = arrays.fixed(pa.int64(), np.array([FIRST_INSTANT, LAST_INSTANT]), None)
            return cls(pa.int64(), instants, np.int64)
        if column.type in ("numeric", "bignumeric"):
            largest = 10 ** column.decimal[0] - 1
            return cls(kind, arrays.integers(kind, [-largest, largest], None))
        return cls(None, None)

    def beyond(self, values: pa.Array) -> list[pa.Array]:
        """Which values lie outside, as one array without nulls; no array if none does."""
        if self.kind is None or self._holds(values):
            return []
        if self.ends is None:
            return _not_finite(values)
        numbers = values if values.type == self.kind else values.view(self.kind)
        found = pc.min_max(numbers)
        low, high = self.ends
        if not found["min"].is_valid or (
            found["min"].as_py() >= low.as_py() and found["max"].as_py() <= high.as_py()
        ):
            return []
        return [pc.fill_null(pc.or_(pc.less(numbers, low), pc.greater(numbers, high)), _FALSE)]

    def _holds(self, values: pa.Array) -> bool:
        """Whether numpy says that no value lies outside: a tenth of the time that Arrow's calls take.

        It also sees what is stored in the place of a NULL; where that lies outside, Arrow has to look.
        """
        if self.stored is None or not len(values):
            return not len(values)
        numbers = np.frombuffer(values.buffers()[1], self.stored)[values.offset :][: len(values)]
        if self.ends is None:
            return bool(np.isfinite(numbers).all())
        low, high = self.ends
        return bool(numbers.min() >= low.as_py() and numbers.max() <= high.as_py())


def _not_finite(values: pa.Array) -> list[pa.Array]:
    finite = pc.fill_null(pc.is_finite(values), _TRUE)
    return [] if finite.true_count == len(finite) else [pc.invert(finite)]
