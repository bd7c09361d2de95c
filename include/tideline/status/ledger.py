"""Reads the ledger for reports: one bounded query each, rows to plain values. Never writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tideline.errors import SettingsError
from tideline.refine.drift import MIN_ROWS
from tideline.status import sql
from tideline.status.model import Drift, Load, Refused
from tideline.warehouse import names
from tideline.warehouse.client import bigquery
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.ledger_table import LedgerRow
from tideline.warehouse.state import ORIGIN
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud.bigquery.table import Row

    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.state import DatasetState

ROWS = 1_000
"""The most rows that a list has."""
KNOWN_ROWS = 100_000
"""The most loads whose manifests are told from unmerged ones; 14 datasets make 1,000 in three days."""
NEARLY_ALL = 0.95
"""In which share of loads a column had values before its absence says something."""
DAY = timedelta(days=1)
_COLUMNS = tuple(LedgerRow.__dataclass_fields__)


@dataclass(frozen=True)
class LedgerReader:
    """The ledger of one warehouse, as far back as `days` before `now`."""

    warehouse: Warehouse
    now: datetime
    days: int

    def exists(self) -> bool:
        """Whether there is a ledger at all; where there is none, nothing was loaded yet."""
        return self.warehouse.tables.get(self._table) is not None

    def state(self) -> dict[str, DatasetState]:
        """High-water marks, as runs are planned with them."""
        return Ledger(self.warehouse).state()

    def summary(self) -> dict[str, dict[str, Any]]:
        """By dataset id: newest load, sums of the last day, open refused rows."""
        rows = self._rows(sql.summary_sql, day=self.now - DAY)
        return {f"{row['source']}.{row['dataset']}": dict(row.items()) for row in rows}

    def loads(self, source: str, dataset: str, limit: int) -> list[LedgerRow]:
        """The newest loads and rewinds of a dataset, newest first."""
        return [_row(row) for row in self._rows(sql.loads_sql, source=source, dataset=dataset, rows=limit)]

    def load(self, source: str, dataset: str, load_id: str) -> LedgerRow | None:
        """One load, however old: its id says when its window ended, and it was committed after that."""
        found = self._rows(
            sql.load_sql, since=_earliest(load_id), source=source, dataset=dataset, load_id=load_id
        )
        return next((_row(row) for row in found), None)

    def refused(self, source: str | None = None, dataset: str | None = None) -> list[Refused]:
        """Loads whose refused rows are open, newest first."""
        rows = self._rows(sql.refused_sql, source=source, dataset=dataset, rows=ROWS)
        return [
            Refused(
                dataset_id=f"{row['source']}.{row['dataset']}",
                load_id=row["load_id"],
                raw_manifest_uri=row["raw_manifest_uri"],
                quarantine_uri=row["quarantine_manifest_uri"],
                landed=row["landed"],
                quarantined=row["quarantined"],
                reasons=json.loads(row["reasons"]) if row["reasons"] else {},
                extracted_at=row["extracted_at"],
            )
            for row in rows
        ]

    def known(self, since: datetime, source: str | None = None, dataset: str | None = None) -> set[str]:
        """The URIs of raw and quarantine manifests that loads committed since then were made from."""
        rows = self._rows(sql.known_sql, since=since, source=source, dataset=dataset, rows=KNOWN_ROWS)
        return {
            uri
            for row in rows
            for uri in (
                row["raw_manifest_uri"],
                *(row["raw_manifest_uris"] or ()),
                row["quarantine_manifest_uri"],
            )
            if uri
        }

    def drift(self) -> list[Drift]:
        """What differs, newest first."""
        return [
            Drift(
                dataset_id=f"{row['source']}.{row['dataset']}",
                kind=row["kind"],
                path=row["path"],
                example=row["example"] or "",
                records=row["records"],
                loads=row["loads"],
                first_seen=row["first_seen"],
                last_seen=row["last_seen"],
                load_id=row["load_id"],
            )
            for row in self._rows(sql.drift_sql, rows=ROWS)
        ]

    def vanished(self) -> list[Drift]:
        """Declared columns that have had no values of late."""
        found = self._rows(sql.vanished_sql, rows=ROWS, enough=MIN_ROWS, share=NEARLY_ALL)
        return [
            Drift(
                dataset_id=f"{row['source']}.{row['dataset']}",
                kind="vanished_field",
                path=row["path"],
                example=f"last had values on {row['last_there']:%Y-%m-%d %H:%M} UTC",
                records=row["records"],
                loads=row["loads"],
                first_seen=row["first_seen"],
                last_seen=row["last_seen"],
                load_id=row["load_id"],
            )
            for row in found
        ]

    @property
    def _table(self) -> names.TableName:
        return names.ops_table(names.LEDGER, self.warehouse.settings)

    def _rows(self, text: Any, **values: Any) -> Iterator[Row]:  # noqa: ANN401  (a builder, and parameters)
        statement = text(self._table.sql)
        given = {"since": self.now - self.days * DAY, **values}
        parameters = [
            bigquery.ScalarQueryParameter(name, _type_of(value), value)
            for name, value in given.items()
            if f"@{name}" in statement
        ]
        return self.warehouse.rows(statement, kind="status", parameters=parameters)


def _earliest(load_id: str) -> datetime:
    """When a load can have been committed at the earliest, a day of clocks' differences allowed for."""
    try:
        return Window.from_id(load_id.split(":")[1]).end - DAY
    except (IndexError, OverflowError, SettingsError):
        return ORIGIN


def _type_of(value: object) -> str:
    kinds: dict[type, str] = {int: "INT64", float: "FLOAT64"}
    return "TIMESTAMP" if isinstance(value, datetime) else kinds.get(type(value), "STRING")


def _row(row: Row) -> LedgerRow:
    """A row, also of a table that a newer version has added columns to."""
    found = dict(row.items())
    return LedgerRow(**{name: found[name] for name in _COLUMNS if name in found})


def last_load(summary: dict[str, Any]) -> Load:
    """The newest load of a row of `LedgerReader.summary`."""
    counts = {name: summary[f"last_{name}"] for name in ("landed", "refined", "quarantined")}
    named = {name: summary[name] for name in Load.__dataclass_fields__ if name not in counts}
    return Load(**named, **counts)
