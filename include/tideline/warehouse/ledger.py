"""The ledger: one row per load that committed. The source of high-water marks and of all reports about loads.

Knows how rows get in and out, not how a load is made. Rows are only ever added.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tideline.errors import IntegrityError
from tideline.warehouse import builds, names, objects
from tideline.warehouse.client import bigquery
from tideline.warehouse.ledger_table import LAYOUT, LedgerRow
from tideline.warehouse.schema import REPEATED
from tideline.warehouse.state import DatasetState, PastLoad, state_sql
from tideline.warehouse.tables import ensure_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from google.cloud.bigquery.table import Row

    from tideline.catalog.model import Dataset
    from tideline.warehouse.bigquery import Parameter, Warehouse
    from tideline.warehouse.objects import LandedObject
    from tideline.warehouse.schema import Field

__all__ = ["LAYOUT", "Ledger", "LedgerRow"]

PAGE_ROWS = 5_000
_COLUMNS = tuple(field.name for field in fields(LedgerRow))


class Ledger:
    """The committed loads of one deployment."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._table = names.ops_table(names.LEDGER, warehouse.settings)

    def ensure(self) -> None:
        """Make the ledger's tables, and dbt's own, where they are missing."""
        ensure_table(self._warehouse, self._table, LAYOUT)
        for name, layout in (
            (names.LANDED_OBJECTS, objects.LAYOUT),
            (names.BUILDS, builds.LAYOUT),
            (names.PLACES, builds.PLACES),
        ):
            ensure_table(self._warehouse, names.ops_table(name, self._warehouse.settings), layout)

    def state(self, past_at: datetime | None = None) -> dict[str, DatasetState]:
        """How far every dataset has come, by dataset id, in one query whose answer is one row per dataset.

        Args:
            past_at: Also say how much the loads before this instant had; None to leave that out.
        """
        rows = self._warehouse.rows(
            state_sql(self._table.sql, with_past=past_at is not None),
            kind="state",
            parameters=[bigquery.ScalarQueryParameter("at", "TIMESTAMP", past_at)] if past_at else (),
        )
        return {
            f"{row['source']}.{row['dataset']}": DatasetState(
                row["high_water_mark"],
                row["raw_manifest_uri"],
                row["catalog_fingerprint"],
                tuple(PastLoad(**load) for load in json.loads(row.get("past") or "[]")),
            )
            for row in rows
        }

    def find(self, source: str, dataset: str, load_id: str) -> LedgerRow | None:
        """The row of that load, or None where it has not committed."""
        rest = "AND load_id = @load_id\nORDER BY committed_at LIMIT 1"
        rows = self._of_dataset(source, dataset, ", ".join(_COLUMNS), rest, load_id=load_id)
        return next((LedgerRow(**dict(row.items())) for row in rows), None)

    def loads_with_rows(self, source: str, dataset: str) -> int:
        """How many loads brought rows into the dataset's table."""
        (row,) = self._of_dataset(source, dataset, "COUNT(*) AS n", "AND refined > 0")
        return int(row["n"])

    def history(self, source: str, dataset: str) -> Iterator[LedgerRow]:
        """Every row of the dataset, as it was committed one after another; streamed in pages."""
        rest = "ORDER BY committed_at, load_id"
        rows = self._of_dataset(source, dataset, ", ".join(_COLUMNS), rest, page_size=PAGE_ROWS)
        return (LedgerRow(**dict(row.items())) for row in rows)

    def _of_dataset(
        self,
        source: str,
        dataset: str,
        columns: str,
        rest: str,
        *,
        page_size: int | None = None,
        **named: str,
    ) -> Iterator[Row]:
        """These columns of a dataset's rows; `rest` follows its condition and may speak of `named`."""
        texts = {"source": source, "dataset": dataset, **named}
        return self._warehouse.rows(
            f"SELECT {columns} FROM {self._table.sql}\n"  # noqa: S608 - the name is quoted
            f"WHERE source = @source AND dataset = @dataset\n{rest}",
            kind="ledger",
            labels={"source": source, "dataset": dataset},
            parameters=[bigquery.ScalarQueryParameter(name, "STRING", text) for name, text in texts.items()],
            page_size=page_size,
        )

    def record(self, row: LedgerRow) -> LedgerRow:
        """Commit a load; once committed its row stays as it is.

        Returns:
            The row as the ledger has it.

        Raises:
            IntegrityError: The ledger took it and lost it.
        """
        # where the job of an earlier try is found and its row has been deleted since, it is written again
        for key in (row.load_id, f"{row.load_id} {uuid4().hex}"):
            self._insert(row, key)
            if committed := self.find(row.source, row.dataset, row.load_id):
                return committed
        raise IntegrityError(
            f"the ledger took the row of {row.load_id} and does not have it",
            source=row.source,
            dataset=row.dataset,
            place=f"table {self._table}",
            remedy="does anything else delete rows of the ledger? stop it and clear the task",
        )

    def _insert(self, row: LedgerRow, key: str) -> None:
        given = [field for field in LAYOUT.fields if field.name != "committed_at"]
        columns = ", ".join(field.name for field in given)
        values = ", ".join(f"@{field.name}" for field in given)
        self._warehouse.run(
            f"INSERT INTO {self._table.sql} ({columns}, committed_at)\n"  # noqa: S608 - the name is quoted
            f"SELECT {values}, CURRENT_TIMESTAMP()\n"
            "FROM UNNEST([1])\n"
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._table.sql} AS l WHERE l.load_id = @load_id)",
            kind="commit",
            key=key,
            labels={"source": row.source, "dataset": row.dataset},
            parameters=[_parameter(field, getattr(row, field.name)) for field in given],
        )

    def landed_objects(self, dataset: Dataset) -> Iterator[LandedObject]:
        """See `tideline.warehouse.objects.landed_objects`."""
        return objects.landed_objects(self._warehouse, dataset)


def _parameter(field: Field, value: Any) -> Parameter:  # noqa: ANN401  of any column
    if field.mode == REPEATED:
        return bigquery.ArrayQueryParameter(field.name, field.type, list(value))
    return bigquery.ScalarQueryParameter(field.name, field.type, value)
