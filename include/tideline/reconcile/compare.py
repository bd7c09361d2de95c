"""Keys and stamps of a source against a table, compared by the warehouse. SQL and a load table, no source.

The source's keys go into a load table as they are scanned, so the process holds one batch of them however
many there are, and no side need be in any order. What comes back is what differs.

A key is judged by what the source showed after `began_at`, the clock before the scan:

* *absent*: the table has the row, last seen before the scan, and the source does not;
* *missing*: the source has it, the table does not, or holds a tombstone;
* *older*: the table's version is older than the source's: nobody saw the change;
* *backwards*: the source's stamp is older than the table's: a restored backup, or a stamp put right;
* *unstamped*: neither has a stamp, and no window reads such rows;
* *pending*: it changed at or after the high-water mark, so the next hourly run reads it.

Rows that were seen after the scan began are left alone.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tideline.lake.keys import new_attempt_id
from tideline.lake.scratch import on_disk
from tideline.merge.absences import instant_sql
from tideline.merge.floors import OLDEST
from tideline.merge.merge import ensure_target
from tideline.reconcile.mongo_keys import SOURCE, STAMP
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import load_table, quote, raw_table
from tideline.warehouse.schema import Field, Layout, declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    import pyarrow as pa

    from tideline.catalog.model import AnyDataset
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName

RELANDED = ("missing", "older", "backwards", "unstamped")
"""What is read again by key."""
VERDICTS = ("absent", *RELANDED, "pending")
VERDICT, LIVE, AT_SOURCE = "_verdict", "_is_live", "_is_at_source"
"""Columns beside the key's, see `tideline.catalog.column.BESIDE_KEYS`."""
ROWS_A_JOB = 1_000_000
"""Keys of one load job: some 50 MB on the worker's disk."""
_PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """A load table of a source's keys, and the table that should have them."""

    dataset: AnyDataset
    target: TableName
    keys: TableName
    began_at: datetime
    mark: datetime | None
    """Up to where hourly runs have read; None: the next one reads everything."""

    @property
    def judged(self) -> str:
        """One row for each key of either side: key, `_source`, and `_verdict`, NULL where all is well."""
        names = [quote(name) for name in self.dataset.key]
        either = ", ".join(f"COALESCE(s.{name}, t.{name}) AS {name}" for name in names)
        same = " AND ".join(f"s.{name} = t.{name}" for name in names)
        keys = ", ".join(names)
        is_at_source, is_in_table = (f"{side}.{names[0]} IS NOT NULL" for side in "st")  # no key is NULL
        change = self.dataset.change_column
        stamp = f"t.{quote(change)}" if change else "CAST(NULL AS TIMESTAMP)"
        return f"""\
s AS (
  SELECT {keys}, {STAMP}, {SOURCE}
  FROM {self.keys.sql}
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY IFNULL({STAMP}, {OLDEST}) DESC, {SOURCE} DESC) = 1
),
t AS (
  SELECT {", ".join(f"t.{name}" for name in names)}, {stamp} AS {STAMP}, t._deleted_at,
    IFNULL(t._extracted_at, {OLDEST}) AS _extracted_at
  FROM {self.target.sql} AS t
),
judged AS (
  SELECT {either}, s.{SOURCE} AS {SOURCE}, {is_in_table} AND t._deleted_at IS NULL AS {LIVE},
    {is_at_source} AS {AT_SOURCE},
    CASE
      WHEN {is_in_table} AND GREATEST(t._extracted_at, IFNULL(t._deleted_at, {OLDEST})) > {self._began}
        THEN NULL
      WHEN NOT {is_at_source} THEN IF(t._deleted_at IS NULL, 'absent', NULL)
      WHEN NOT {is_in_table} OR t._deleted_at IS NOT NULL THEN {self._unless_pending("missing")}
      {self._stamps}
      ELSE NULL
    END AS {VERDICT}
  FROM s FULL OUTER JOIN t ON {same}
)"""  # noqa: S608 - names are quoted, literals are escaped

    @property
    def _began(self) -> str:
        return instant_sql(self.began_at)

    @property
    def _stamps(self) -> str:
        """How two stamps of a key that both sides have are judged."""
        if self.dataset.change_column is None:
            return ""
        reads_null = getattr(self.dataset, "null_changes", "read") == "read"
        of_source = f"IFNULL(LEAST(s.{STAMP}, {self._began}), {OLDEST})"
        of_target = f"IFNULL(LEAST(t.{STAMP}, t._extracted_at), {OLDEST})"
        return f"""\
WHEN s.{STAMP} IS NULL AND t.{STAMP} IS NULL THEN {"NULL" if reads_null else "'unstamped'"}
      WHEN s.{STAMP} = t.{STAMP} THEN NULL
      WHEN {of_source} < {of_target} THEN 'backwards'
      WHEN TRUE THEN {self._unless_pending("older")}"""

    def _unless_pending(self, verdict: str) -> str:
        if self.mark is None:
            return "'pending'"
        if self.dataset.change_column is None:
            return f"'{verdict}'"
        lies = f"s.{STAMP} >= {instant_sql(self.mark)} AND s.{STAMP} <= {self._began}"
        return f"IF(IFNULL({lies}, FALSE), 'pending', '{verdict}')"

    @property
    def summary_sql(self) -> str:
        """One row: how many keys there are of each verdict, at the source, and live in the table."""
        counts = ",\n  ".join(f"COUNTIF({VERDICT} = '{verdict}') AS {verdict}" for verdict in VERDICTS)
        return f"""\
WITH {self.judged}
SELECT
  {counts},
  COUNTIF({AT_SOURCE}) AS at_source,
  COUNTIF({LIVE}) AS live
FROM judged"""  # noqa: S608 - names are quoted, literals are escaped

    def found_sql(self, verdicts: Iterable[str]) -> str:
        """The keys of these verdicts, verdict by verdict, in order."""
        keys = ", ".join(quote(name) for name in self.dataset.key)
        chosen = ", ".join(f"'{verdict}'" for verdict in verdicts)
        return f"""\
WITH {self.judged}
SELECT {keys}, {SOURCE}, {VERDICT}
FROM judged
WHERE {VERDICT} IN ({chosen})
ORDER BY {VERDICT}, {keys}"""  # noqa: S608 - names are quoted, literals are escaped

    def summary(self, warehouse: Warehouse) -> dict[str, int]:
        """Ask for `summary_sql`."""
        (row,) = warehouse.rows(self.summary_sql, kind="reconcile", labels=self._labels)
        return {name: int(count) for name, count in row.items()}

    def found(self, warehouse: Warehouse, verdicts: Iterable[str]) -> Iterator[Any]:
        """Stream `found_sql`."""
        sql = self.found_sql(verdicts)
        return warehouse.rows(sql, kind="reconcile", labels=self._labels, page_size=_PAGE_ROWS)

    @property
    def _labels(self) -> dict[str, str]:
        return {"source": self.dataset.source, "dataset": self.dataset.name}


@contextmanager
def compared(
    warehouse: Warehouse, dataset: AnyDataset, keys: Iterable[pa.Table], began_at: datetime
) -> Iterator[tuple[Comparison, dict[str, int]]]:
    """The comparison of a source's keys with the dataset's table, and its counts.

    The load table is dropped afterwards; where something fails it expires.
    """
    ledger = Ledger(warehouse)
    ledger.ensure()
    ensure_target(dataset, warehouse)
    key = f"reconcile {dataset.dataset_id} {new_attempt_id(began_at)}"
    table = load_table(dataset, key, warehouse.settings)
    upload(warehouse, dataset, table, keys, key=key)
    state = ledger.state().get(dataset.dataset_id)
    mark = state.high_water_mark if state else None
    comparison = Comparison(dataset, raw_table(dataset, warehouse.settings), table, began_at, mark)
    yield comparison, comparison.summary(warehouse)
    warehouse.run(f"DROP TABLE {table.sql}", kind="drop", key=key)


def key_fields(dataset: AnyDataset) -> tuple[Field, ...]:
    """The columns of a load table of keys."""
    keys = (Field(f.name, f.type, precision=f.precision, scale=f.scale) for f in _declared(dataset))
    return (*keys, Field(STAMP, "TIMESTAMP"), Field(SOURCE, "BYTES"))


def _declared(dataset: AnyDataset) -> Iterator[Field]:
    return (declared(dataset.column(name)) for name in dataset.key)


def upload(
    warehouse: Warehouse, dataset: AnyDataset, table: TableName, batches: Iterable[pa.Table], *, key: str
) -> int:
    """Fill the load table with batches of keys, whatever it holds; how many there were.

    Raises:
        DiskError: The worker's own disk is full or fails.
        WarehouseUnavailableError: What went wrong may pass.
    """
    fields = key_fields(dataset)
    layout = Layout(fields, expires_hours=warehouse.settings.load_table_hours)
    if warehouse.tables.get(table) is None:
        warehouse.tables.create(table, layout)
    total, number, stream = 0, 0, iter(batches)
    more = True
    while more:
        with tempfile.TemporaryFile(prefix="tideline-") as body:
            rows, more = _spool(body, stream, str(table))
            if rows:
                load_key = f"{key} part {number}"
                warehouse.load_file(table, body, fields, key=load_key, truncate=number == 0)
                number, total = number + 1, total + rows
    return total


def _spool(body: Any, stream: Iterator[pa.Table], place: str) -> tuple[int, bool]:  # noqa: ANN401 - a file
    """Write at most `ROWS_A_JOB` keys as Parquet; how many, and whether there may be more."""
    rows, writer = 0, None
    while rows < ROWS_A_JOB and (batch := next(stream, None)) is not None:
        with on_disk(place):
            writer = writer or pq.ParquetWriter(body, batch.schema, compression="zstd", store_schema=False)
            writer.write_table(batch)
        rows += batch.num_rows
    if writer is not None:
        with on_disk(place):
            writer.close()
            body.seek(0)
    return rows, rows >= ROWS_A_JOB
