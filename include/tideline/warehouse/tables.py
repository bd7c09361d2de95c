"""Tables of the warehouse: made where they are missing, brought to their layout where they differ."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from google.api_core import exceptions

from tideline.errors import SchemaEvolutionError, WarehouseUnavailableError
from tideline.warehouse import names
from tideline.warehouse.client import bigquery
from tideline.warehouse.evolution import evolve, put_aside
from tideline.warehouse.names import quote
from tideline.warehouse.schema import REQUIRED, from_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tideline.settings import Settings
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName
    from tideline.warehouse.patience import Patience
    from tideline.warehouse.schema import Field, Layout

log = logging.getLogger(__name__)
_HOUR_MS = 3_600_000
_MOST_CLASHES = 20


@dataclass(frozen=True)
class Tables:
    """The tables of one client's project."""

    client: bigquery.Client
    settings: Settings
    patience: Patience

    def get(self, name: TableName) -> bigquery.Table | None:
        """The table's metadata, or None where there is no such table.

        Raises:
            WarehouseUnavailableError: What went wrong may pass.
            WarehouseRefusedError: It does not pass.
        """

        def request(seconds: float) -> bigquery.Table | None:
            try:
                return self.client.get_table(str(name), retry=None, timeout=seconds)
            except exceptions.NotFound:
                return None

        return self.patience.call(f"table {name}", request)

    def names_beside(self, name: TableName) -> list[str]:
        """The names of all tables of the table's BigQuery dataset; none where there is no such dataset."""

        def request(seconds: float) -> list[str]:
            try:
                dataset = f"{name.project}.{name.dataset}"
                return [it.table_id for it in self.client.list_tables(dataset, retry=None, timeout=seconds)]
            except exceptions.NotFound:
                return []

        return self.patience.call(f"tables beside {name}", request)

    def create(self, name: TableName, layout: Layout) -> bigquery.Table:
        """Create the table, and its dataset where that is missing; one that exists is returned as it is."""
        table = layout.to_table(name)
        table.labels = names.labels(self.settings, {})
        if layout.expires_hours is not None:
            table.expires = datetime.now(UTC) + timedelta(hours=layout.expires_hours)

        def request(seconds: float) -> bigquery.Table:
            try:
                return self.client.create_table(table, exists_ok=True, retry=None, timeout=seconds)
            except exceptions.NotFound:
                self._create_dataset(name, layout, seconds)
                return self.client.create_table(table, exists_ok=True, retry=None, timeout=seconds)

        return self.patience.call(f"table {name}", request)

    def update(self, table: bigquery.Table, properties: Sequence[str]) -> bigquery.Table | None:
        """Write these properties of the table's metadata; None where somebody wrote them since it was read.

        Where the reply is lost after the work was done it is None, too: whoever cares reads the table again.
        """

        def request(seconds: float) -> bigquery.Table | None:
            try:
                return self.client.update_table(table, list(properties), retry=None, timeout=seconds)
            except exceptions.PreconditionFailed:
                return None

        return self.patience.call(f"table {table.reference}", request)

    def _create_dataset(self, name: TableName, layout: Layout, seconds: float) -> None:
        dataset = bigquery.Dataset(f"{name.project}.{name.dataset}")
        dataset.location = self.settings.location
        dataset.labels = names.labels(self.settings, {})
        if layout.expires_hours is not None:
            dataset.default_table_expiration_ms = layout.expires_hours * _HOUR_MS
        self.client.create_dataset(dataset, exists_ok=True, retry=None, timeout=seconds)


class Ensured(NamedTuple):
    """A table as it is.

    Attributes:
        fields: Its columns, in their order.
        created: When it was made, as ISO text: another table of its name has another.
    """

    fields: tuple[Field, ...]
    created: str


def ensure_table(
    warehouse: Warehouse, name: TableName, layout: Layout, *, missing: Callable[[], None] | None = None
) -> Ensured:
    """Make the table, or change it in the ways that BigQuery allows.

    Args:
        warehouse: Where it is.
        name: Its name.
        layout: What it should be.
        missing: Called before it is made; raises where it should have been there.

    Raises:
        SchemaEvolutionError: It would have to change in another way; says what a person would run.
        WarehouseUnavailableError: Others change it all the time.
    """
    for _ in range(_MOST_CLASHES):
        table = warehouse.tables.get(name)
        if table is None and missing is not None:
            missing()
        table = table or warehouse.tables.create(name, layout)
        if (ensured := _ensured(warehouse, table, name, layout)) is not None:
            return ensured
    raise _clash(name)


def _ensured(warehouse: Warehouse, table: bigquery.Table, name: TableName, layout: Layout) -> Ensured | None:
    """One try; None where somebody else changed the table between our reading it and our changing it."""
    check_partitioning(table, name, layout)
    fields = from_api(table.schema)
    check_key(fields, name, layout)
    evolution = evolve(fields, layout, name)
    for statement in evolution.statements(name):
        warehouse.run(statement, kind="alter", key=uuid4().hex)
    properties = []
    if evolution.changes:
        log.info("Changing table %s: %s", name, "; ".join(evolution.changes))
        table.schema = [field.to_api() for field in evolution.fields]
        properties.append("schema")
    if layout.clustering and _lower(table.clustering_fields or ()) != _lower(layout.clustering):
        table.clustering_fields = list(layout.clustering)
        properties.append("clustering_fields")
    if layout.description and table.description != layout.description:
        table.description = layout.description
        properties.append("description")
    if properties and warehouse.tables.update(table, properties) is None:
        return None
    return Ensured(evolution.fields, str(table.created))


def set_expiry(warehouse: Warehouse, name: TableName, expires: datetime | None) -> None:
    """Let the table go at that instant; None: keep it, whatever it inherited.

    Raises:
        WarehouseUnavailableError: Others change it all the time.
    """
    _set(warehouse, name, "expires", expires)


def describe(warehouse: Warehouse, name: TableName, text: str | None) -> None:
    """Let the table say this of itself, if it is there.

    Raises:
        WarehouseUnavailableError: Others change it all the time.
    """
    _set(warehouse, name, "description", text)


def _set(warehouse: Warehouse, name: TableName, property_name: str, value: object) -> None:
    for _ in range(_MOST_CLASHES):
        table = warehouse.tables.get(name)
        if table is None or getattr(table, property_name) == value:
            return
        setattr(table, property_name, value)
        if warehouse.tables.update(table, [property_name]) is not None:
            return
    raise _clash(name)


def _clash(name: TableName) -> WarehouseUnavailableError:
    return WarehouseUnavailableError(
        f"somebody else changed the table in each of {_MOST_CLASHES} tries",
        place=f"table {name}",
        remedy="see who else writes it; the task retries",
    )


def check_key(fields: Iterable[Field], name: TableName, layout: Layout) -> None:
    """Refuse a table whose rows are identified by other columns: one thing would have a row under each key.

    Only the key is REQUIRED. A table without any such column was made by a person, and is believed.

    Raises:
        SchemaEvolutionError: Says the statements that a person would run.
    """
    found = [field.name for field in fields if field.mode == REQUIRED]
    if not (found and layout.key) or {n.lower() for n in found} == {n.lower() for n in layout.key}:
        return
    raise SchemaEvolutionError(
        f"the catalog's key is {', '.join(layout.key)}, the table's rows are one for each {', '.join(found)}",
        place=f"table {name}",
        remedy=f"undo the change in the catalog, or run: {put_aside(name)}; then replay the dataset from raw",
    )


def check_partitioning(table: bigquery.Table, name: TableName, layout: Layout) -> None:
    """Refuse a table that is partitioned otherwise than its layout.

    Raises:
        SchemaEvolutionError: Says the statements that a person would run.
    """
    wanted, found = layout.partitioning, table.time_partitioning
    if (wanted and _lower((wanted.field, wanted.type_))) == (found and _lower((found.field, found.type_))):
        return
    raise SchemaEvolutionError(
        f"the catalog partitions by {_described(wanted)}, the table is partitioned by {_described(found)}",
        place=f"table {name}",
        remedy=f"undo the change in the catalog, or run: {_rebuild(table, name, layout)}",
    )


def _rebuild(table: bigquery.Table, name: TableName, layout: Layout) -> str:
    """BigQuery does not replace a table by one that is partitioned otherwise.

    Its rows are copied; where they have no such column to lie by, they are made anew.
    """
    types = {field.name.lower(): field.type for field in from_api(table.schema)}
    lies_by = {column for column in (layout.partition_column, *layout.clustering) if column}
    if any(types.get(f.name.lower()) != f.type for f in layout.fields if f.name in lies_by):
        return f"{put_aside(name)}; then replay the dataset from raw"
    new = replace(name, table=f"{name.table}__new")
    clauses = f" {layout.clauses}" if layout.clauses else ""
    return (
        f"CREATE TABLE {new.sql}{clauses} AS SELECT * FROM {name.sql}; DROP TABLE {name.sql}; "  # noqa: S608
        f"ALTER TABLE {new.sql} RENAME TO {quote(name.table)}"
    )


def _lower(names: Iterable[str | None]) -> list[str]:
    """To compare names as BigQuery does, whatever their case; partitions by time of arrival have none."""
    return [(name or "").lower() for name in names]


def _described(partitioning: bigquery.TimePartitioning | None) -> str:
    return f"{partitioning.field} ({partitioning.type_})" if partitioning else "nothing"
