"""The dbt project, run as a separate process, and raw tables made from the catalog for it to read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tideline.catalog.loader import load_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.cloud import bigquery

    from devstack.bigquery.server import Emulator
    from tideline.catalog.model import Catalog, Column, Dataset

REPOSITORY = Path(__file__).resolve().parents[2]
DBT_DIR = REPOSITORY / "dbt"
PREFIX = "dbt_test_"
METADATA_TYPES = {
    "_extracted_at": "TIMESTAMP",
    "_window_id": "STRING",
    "_raw_uri": "STRING",
    "_raw_position": "INT64",
    "_row_hash": "STRING",
    "_merged_at": "TIMESTAMP",
    "_deleted_at": "TIMESTAMP",
    "_extra": "JSON",
}


@dataclass(frozen=True)
class Dbt:
    """The command line of dbt on this project; what it writes goes to `target`."""

    target: Path
    environment: Mapping[str, str]

    def run(self, command: str, *arguments: str) -> str:
        """Run one command to its end and return what it said; a failure fails the test with the output."""
        folders = ["--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR)]
        folders += ["--target-path", str(self.target), "--log-path", str(self.target / "logs")]
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", command, *folders, *arguments],
            capture_output=True,
            text=True,
            env={**_clean_environment(), **self.environment},
            check=False,
        )
        assert done.returncode == 0, f"dbt {command} failed:\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def artifact(self, name: str) -> dict[str, Any]:
        """A JSON file that the last command left."""
        return json.loads((self.target / name).read_text())


def _clean_environment() -> dict[str, str]:
    """This process's variables without those that would point dbt elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "TIDELINE_", "BIGQUERY_"))}
    return {**kept, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(REPOSITORY / "include" / "catalog")


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `dbt parse` makes of the project, with every deprecation an error; needs no warehouse."""
    dbt = Dbt(tmp_path_factory.mktemp("parse"), {})
    dbt.run("parse", "--warn-error-options", '{"error": ["Deprecations"]}')
    return dbt.artifact("manifest.json")


@dataclass(frozen=True)
class RawTables:
    """The raw tables of the catalog on the emulator, under a prefix of their own."""

    client: bigquery.Client
    catalog: Catalog

    def create(self) -> None:
        for source in self.catalog.sources:
            self.client.create_dataset(f"{PREFIX}raw_{source.name}", exists_ok=True)
        for dataset in self.catalog.datasets:
            columns = [f"{c.name} {_type(c)}" for c in dataset.columns]
            columns += [f"{name} {kind}" for name, kind in METADATA_TYPES.items()]
            self._query(f"create or replace table {_table(dataset)} ({', '.join(columns)})")

    def fill(self, dataset_id: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Make the table hold exactly these rows; a column that a row lacks is NULL."""
        dataset = self.catalog.dataset(dataset_id)
        names = [*(column.name for column in dataset.columns), *METADATA_TYPES]
        values = [f"({', '.join(self._literals(dataset, row))})" for row in rows]
        self._query(f"delete from {_table(dataset)} where true")
        if values:
            self._query(f"insert into {_table(dataset)} ({', '.join(names)}) values {', '.join(values)}")

    def rows(self, table: str, columns: str = "*") -> list[dict[str, Any]]:
        """All rows of a table that dbt built, as `marts.fct_orders`."""
        found = self._query(f"select {columns} from {PREFIX}{table}")
        return [dict(row.items()) for row in found]

    def _literals(self, dataset: Dataset, row: Mapping[str, Any]) -> list[str]:
        unknown = set(row) - {column.name for column in dataset.columns} - set(METADATA_TYPES)
        assert not unknown, f"{dataset.dataset_id} has no {sorted(unknown)}"
        declared = [_literal(column, row.get(column.name)) for column in dataset.columns]
        return declared + [_scalar(kind, row.get(name)) for name, kind in METADATA_TYPES.items()]

    def _query(self, sql: str) -> Any:
        return self.client.query(sql, job_retry=None).result(timeout=60)


def _table(dataset: Dataset) -> str:
    return f"{PREFIX}raw_{dataset.source}.{dataset.name}"


def _type(column: Column) -> str:
    kind = column.type.upper()
    if column.columns:
        kind = f"STRUCT<{', '.join(f'{c.name} {_type(c)}' for c in column.columns)}>"
    elif column.precision:
        kind = f"{kind}({column.precision}, {column.scale})"
    return f"ARRAY<{kind}>" if column.repeated else kind


def _literal(column: Column, value: Any) -> str:
    if column.repeated:
        one = column.model_copy(update={"repeated": False})
        return f"[{', '.join(_literal(one, item) for item in value or ())}]"
    if value is None or not column.columns:
        return _scalar(column.type.upper(), value)
    return f"STRUCT({', '.join(f'{_literal(c, value.get(c.name))} AS {c.name}' for c in column.columns)})"


def _scalar(kind: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if kind in ("NUMERIC", "DATE", "TIMESTAMP", "JSON"):
        return f"{kind} '{value}'"
    return json.dumps(value)


@pytest.fixture(scope="session")
def raw_tables(bigquery_client: bigquery.Client, catalog: Catalog) -> RawTables:
    tables = RawTables(bigquery_client, catalog)
    tables.create()
    return tables


@pytest.fixture(scope="session")
def dbt(bigquery_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """dbt on the emulator, in the project of `bigquery_client`."""
    environment = {
        "BIGQUERY_EMULATOR_HOST": bigquery_emulator.url,
        "TIDELINE_PROJECT": "local",
        "TIDELINE_DATASET_PREFIX": PREFIX,
    }
    return Dbt(tmp_path_factory.mktemp("dbt"), environment)
