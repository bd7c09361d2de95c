"""The dbt project, run as a separate process, and the warehouse's own raw tables for it to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tideline.catalog.loader import load_catalog
from tideline.warehouse import builds, ledger, names
from tideline.warehouse.names import TableName, raw_table
from tideline.warehouse.schema import REPEATED, Field, Layout, raw_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from google.cloud import bigquery

    from devstack.bigquery.server import Emulator
    from tideline.catalog.model import Catalog
    from tideline.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
DBT_DIR = REPOSITORY / "dbt"
WORKER = REPOSITORY / "tests" / "support" / "dbt_worker.py"


class Dbt:
    """The command line of dbt on a project, in a process of its own; what it writes goes to `target`.

    Args:
        target: A folder.
        environment: What the process has beside the tests' own variables.
        project: The project's folder; this repository's where it is not given.
    """

    def __init__(self, target: Path, environment: Mapping[str, str], project: Path = DBT_DIR) -> None:
        self.target, self._project = target, project
        with (target / "worker.txt").open("w") as said:
            self._worker = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**_clean_environment(), **environment},
            )

    def run(self, command: str, *arguments: str) -> None:
        """Run one command to its end; a failure fails the test with what dbt said."""
        folders = ["--project-dir", str(self._project), "--profiles-dir", str(self._project)]
        folders += ["--target-path", str(self.target), "--log-path", str(self.target / "logs")]
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(["--no-use-colors", command, *folders, *arguments]) + "\n")
        self._worker.stdin.flush()
        answer = self._worker.stdout.readline()
        said = (self.target / "worker.txt").read_text()
        assert answer == "true\n", f"dbt {command} failed:\n{said[-8000:]}"

    def close(self) -> None:
        """Let the process end."""
        with self._worker:
            pass


def _clean_environment() -> dict[str, str]:
    """This process's variables without those that would point dbt elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "TIDELINE_", "BIGQUERY_"))}
    return {**kept, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


@dataclass(frozen=True)
class RawTables:
    """The raw tables of the catalog on the emulator, as merge makes them."""

    client: bigquery.Client
    catalog: Catalog
    settings: Settings

    def create(self) -> None:
        for dataset in self.catalog.datasets:
            self._create(raw_table(dataset, self.settings), raw_layout(dataset))
        self._create(self.ledger, ledger.LAYOUT)
        self._create(names.ops_table(names.BUILDS, self.settings), builds.LAYOUT)
        self._create(names.ops_table(names.PLACES, self.settings), builds.PLACES)

    def _create(self, name: TableName, layout: Layout) -> None:
        self.client.create_dataset(f"{name.project}.{name.dataset}", exists_ok=True)
        self.client.create_table(layout.to_table(name))

    @property
    def ledger(self) -> TableName:
        return names.ops_table(names.LEDGER, self.settings)

    def fill(self, dataset_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Make the table hold exactly these rows; a column that a row lacks is NULL."""
        dataset = self.catalog.dataset(dataset_id)
        self._fill(raw_layout(dataset).fields, raw_table(dataset, self.settings).sql, rows)

    def fill_ledger(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Let the ledger hold exactly these loads."""
        self._fill(ledger.LAYOUT.fields, self.ledger.sql, rows)

    def let_pass(self, time: timedelta) -> None:
        """Let everything that was built be built that much earlier."""
        table = names.ops_table(names.BUILDS, self.settings).sql
        hours = time // timedelta(hours=1)
        moved = [f"{at} = timestamp_sub({at}, interval {hours} hour)" for at in ("logged_at", "finished_at")]
        self._query(f"update {table} set {', '.join(moved)} where true")

    def log_builds(self, model: str, other: str, builds: Mapping[str, tuple[int, int | None, bool]]) -> None:
        """Builds of a model by the month that each touched, in minutes after another model last was built."""
        for month, (begins, ends, _) in builds.items():
            self.log_build(model, month, other, begins, ends)

    def log_build(self, model: str, month: str, other: str, begins: int, ends: int | None) -> None:
        """Let a model have been built, in minutes after another one last was; without an end it is under way."""
        table = names.ops_table(names.BUILDS, self.settings).sql
        last = f"(select max(logged_at) from {table} where model = '{other}' and event = 'built')"
        at = [f"timestamp_add({last}, interval {minutes} minute)" for minutes in (begins, ends or 0)]
        columns = "(model, event, month, logged_at, finished_at)"
        touched = f"select '{model}', 'touched', date '{month}', {at[0]}, cast(null as timestamp)"
        self._query(f"insert into {table} {columns} {touched}")
        if ends is not None:
            self._query(f"insert into {table} {columns} select '{model}', 'built', null, {at[0]}, {at[1]}")

    def change_code(self, mart: str) -> None:
        """Let the builds of a mart be of other code than it has now."""
        table = names.ops_table(names.BUILDS, self.settings).sql
        self._query(f"update {table} set fingerprint = 'other' where model = '{mart}' and event = 'built'")

    def places(self) -> list[dict[str, Any]]:
        """Where rows lie, as the models have noted it."""
        table = names.ops_table(names.PLACES, self.settings).sql
        return [dict(row.items()) for row in self._query(f"select * from {table}")]

    def lose_places(self, mart: str) -> None:
        """Let nothing be known of where its rows lie."""
        self._query(f"delete from {names.ops_table(names.PLACES, self.settings).sql} where model = '{mart}'")

    def let_die(self, mart: str, places: list[dict[str, Any]]) -> None:
        """Let the last build of a mart have ended after it had written its rows, when this was known of places."""
        self._fill(builds.PLACES.fields, names.ops_table(names.PLACES, self.settings).sql, places)
        table = names.ops_table(names.BUILDS, self.settings).sql
        last = f"(select max(logged_at) from {table} where model = '{mart}')"
        self._query(f"delete from {table} where model = '{mart}' and event = 'built' and logged_at = {last}")

    def forget(self, mart: str, column: str, where: str) -> None:
        """Let a mart be as before it had that column, and no build of it be known."""
        builds_table = names.ops_table(names.BUILDS, self.settings).sql
        self._query(f"update {self.settings.dataset_prefix}marts.{mart} set {column} = null where {where}")
        self._query(f"delete from {builds_table} where model = '{mart}'")

    def _fill(self, fields: tuple[Field, ...], table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        values = [f"({', '.join(_literals(fields, row))})" for row in rows]
        self._query(f"delete from {table} where true")
        columns = ", ".join(field.name for field in fields)
        self._query(f"insert into {table} ({columns}) values {', '.join(values)}")

    def rows(self, table: str, columns: str = "*") -> list[dict[str, Any]]:
        """All rows of a table that dbt built, as `marts.fct_orders`."""
        found = self._query(f"select {columns} from {self.settings.dataset_prefix}{table}")
        return [dict(row.items()) for row in found]

    def _query(self, sql: str) -> Any:
        return self.client.query(sql, job_retry=None).result(timeout=60)


def _literals(fields: tuple[Field, ...], row: Mapping[str, Any]) -> list[str]:
    unknown = set(row) - {field.name for field in fields}
    assert not unknown, f"there is no {sorted(unknown)}"
    return [_literal(field, row.get(field.name)) for field in fields]


def _literal(field: Field, value: Any) -> str:
    if field.mode == REPEATED:
        return f"[{', '.join(_item(field, item) for item in value or ())}]"
    return _item(field, value)


def _item(field: Field, value: Any) -> str:
    if value is None:
        return "NULL"
    if field.fields:
        parts = zip(_literals(field.fields, value), field.fields, strict=True)
        return f"STRUCT({', '.join(f'{literal} AS {part.name}' for literal, part in parts)})"
    if field.type in ("NUMERIC", "DATE", "TIMESTAMP", "JSON"):
        return f"{field.type} '{value}'"
    return json.dumps(value)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(REPOSITORY / "include" / "catalog")


@pytest.fixture(scope="session")
def parsed(manifest: Path) -> dict[str, Any]:
    """What `dbt parse` makes of the project."""
    return json.loads(manifest.read_text())


@pytest.fixture(scope="session")
def new_raw_tables(
    bigquery_client: bigquery.Client, catalog: Catalog, own_settings: Callable[..., Settings]
) -> Callable[[], RawTables]:
    """Makes the raw tables of one more deployment."""

    def make() -> RawTables:
        tables = RawTables(bigquery_client, catalog, own_settings())
        tables.create()
        return tables

    return make


@pytest.fixture(scope="session")
def raw_tables(new_raw_tables: Callable[[], RawTables]) -> RawTables:
    return new_raw_tables()


@pytest.fixture(scope="session")
def dbt_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Settings], Dbt]]:
    """dbt on an emulator, for the deployment of these settings."""
    with ExitStack() as opened:

        def make(url: str, settings: Settings, project: Path = DBT_DIR) -> Dbt:
            environment = {
                "BIGQUERY_EMULATOR_HOST": url,
                "TIDELINE_PROJECT": settings.project,
                "TIDELINE_DATASET_PREFIX": settings.dataset_prefix,
            }
            return opened.enter_context(closing(Dbt(tmp_path_factory.mktemp("dbt"), environment, project)))

        yield make


@pytest.fixture(scope="session")
def dbt(bigquery_emulator: Emulator, raw_tables: RawTables, dbt_on: Callable[[str, Settings], Dbt]) -> Dbt:
    """dbt on the emulator, in the deployment of `raw_tables`."""
    return dbt_on(bigquery_emulator.url, raw_tables.settings)
