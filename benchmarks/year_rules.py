"""What a statement on a partitioned table is billed, by BigQuery's published rules for on-demand queries.

Reads SQL text as BigQuery would: which partitions can a constant condition leave out, which columns are
named. Knows nothing of how the text was made. The rules, from "Data manipulation language statements in
GoogleSQL", "Prune partitions" and the pricing page:

* only comparisons of the partition column with constants leave partitions out; joins and subqueries do not;
* a query is billed the bytes of the columns that it names, in the partitions scanned (q');
* a MERGE that updates is billed, beside q', all columns of the partitions that it updates (t'). Which of the
  scanned ones those are is not known beforehand: here it is all of them;
* each table counts 10 MB at least, and the sum is rounded up to a whole MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import sqlglot
from sqlglot import expressions as exp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

    from tideline.warehouse.schema import Field

MEGABYTE = 1 << 20
LEAST_BYTES = 10 * MEGABYTE
FIXED_BYTES = {
    "INT64": 8, "FLOAT64": 8, "NUMERIC": 16, "BIGNUMERIC": 32, "BOOL": 1, "DATE": 8, "TIMESTAMP": 8,
}  # fmt: skip
TEXT_BYTES = {"_raw_uri": 150, "_window_id": 39, "_row_hash": 32, "_extra": 0}
"""Lengths of the columns whose texts Tideline makes; `_extra` is mostly NULL."""
OTHER_TEXT_BYTES = 16
"""Assumed of every other text."""
ITEMS = 3
"""Assumed of every list."""

Mask: TypeAlias = "npt.NDArray[np.bool_]"
"""For each partition, in order of days and then that of NULL, whether it is meant."""


def column_bytes(field: Field) -> int:
    """Bytes of one value, by the published sizes of types and the lengths assumed here of texts and lists."""
    if field.type == "RECORD":
        size = sum(map(column_bytes, field.fields))
    else:
        size = FIXED_BYTES.get(field.type) or 2 + TEXT_BYTES.get(field.name, OTHER_TEXT_BYTES)
    return size * (ITEMS if field.mode == "REPEATED" else 1)


@dataclass(frozen=True)
class Partitions:
    """A table's daily partitions: the first day, and the rows of each, that of NULL last."""

    first: date
    rows: npt.NDArray[np.int64]

    @property
    def nothing(self) -> Mask:
        """No partition."""
        return np.zeros(len(self.rows), bool)

    @property
    def everything(self) -> Mask:
        """All of them."""
        return np.ones(len(self.rows), bool)


@dataclass(frozen=True)
class Scan:
    """One mention of the table in a statement."""

    condition: str | None
    alias: str
    columns: frozenset[str]
    updates: bool


def scans(sql: str, table: str) -> tuple[Scan, ...]:
    """Every place where the statement reads the table of that name, with its condition on the rows there."""
    statement = sqlglot.parse_one(sql, read="bigquery")
    found = []
    for node in statement.find_all(exp.Table):
        if node.name != table:
            continue
        is_target = isinstance(statement, exp.Merge) and node is statement.this
        around = node.find_ancestor(exp.Select)
        where = statement.args["on"] if is_target else around and around.args.get("where")
        condition = None if where is None else (where.this if isinstance(where, exp.Where) else where)
        named = frozenset(c.name for c in statement.find_all(exp.Column) if c.table == node.alias)
        text = None if condition is None else condition.sql(dialect="bigquery")
        found.append(Scan(text, node.alias, named, is_target and _updates(statement)))
    return tuple(found)


def _updates(merge: exp.Expression) -> bool:
    return any(not isinstance(when.args["then"], exp.Insert) for when in merge.find_all(exp.When))


def scanned(condition: str | None, alias: str, column: str, partitions: Partitions) -> Mask:
    """The partitions that the condition does not leave out: they may hold a row for which it is true."""
    if condition is None:
        return partitions.everything
    return _mask(sqlglot.parse_one(condition, read="bigquery"), f"{alias}.{column}", partitions)


def _mask(node: exp.Expression, column: str, partitions: Partitions) -> Mask:
    if isinstance(node, exp.Paren):
        return _mask(node.this, column, partitions)
    if isinstance(node, exp.And):
        return _mask(node.left, column, partitions) & _mask(node.right, column, partitions)
    if isinstance(node, exp.Or):
        return _mask(node.left, column, partitions) | _mask(node.right, column, partitions)
    if isinstance(node, exp.Is) and _names(node.this, column) and isinstance(node.expression, exp.Null):
        return _at(partitions, len(partitions.rows) - 1)
    day = _day(node.expression) if isinstance(node, exp.Predicate | exp.Binary) else None
    if day is None or not _names(node.this, column):
        return partitions.everything
    return _compared(node, day - partitions.first.toordinal(), partitions)


def _compared(node: exp.Expression, day: int, partitions: Partitions) -> Mask:
    days = np.arange(len(partitions.rows))
    compared: Mask | None = {
        exp.GTE: days >= day,
        exp.GT: days > day,
        exp.LTE: days <= day,
        exp.LT: days < day,
        exp.EQ: days == day,
    }.get(type(node))
    if compared is None:
        return partitions.everything
    compared[-1] = False  # a comparison with NULL is not true
    return compared


def _at(partitions: Partitions, index: int) -> Mask:
    mask = partitions.nothing
    mask[index] = True
    return mask


def _names(node: exp.Expression, column: str) -> bool:
    return isinstance(node, exp.Column) and f"{node.table}.{node.name}" == column


def _day(node: exp.Expression) -> int | None:
    """The day that a DATE literal names."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal):
        return _ordinal(node.this.name)
    return None


@lru_cache(maxsize=100_000)
def _ordinal(text: str) -> int:
    return date.fromisoformat(text).toordinal()


def billed(
    scan: Scan, mask: Mask, partitions: Partitions, sizes: Mapping[str, int], source_bytes: Iterable[int] = ()
) -> int:
    """Bytes billed for one statement that reads the table once.

    Args:
        scan: What it reads of it.
        mask: Which partitions.
        partitions: The table, before the statement.
        sizes: Bytes of one value of each of its columns.
        source_bytes: Of each other table that it reads.
    """
    rows = int(partitions.rows[mask].sum())
    named = sum(sizes[name] for name in scan.columns if name in sizes)
    whole = sum(sizes.values()) if scan.updates else 0
    tables = (rows * (named + whole), *source_bytes)
    return -(-sum(max(LEAST_BYTES, size) for size in tables) // MEGABYTE) * MEGABYTE
