"""The only speller of the warehouse's names: datasets, tables, job ids and labels. Knows no client."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tideline.catalog.model import Dataset
    from tideline.settings import Settings

OPS = "tideline_ops"
LOAD = "tideline_load"
LEDGER = "load_ledger"
LANDED_OBJECTS = "landed_objects"
BUILDS = "build_ledger"
PLACES = "build_places"
_LABEL_LENGTH = 63  # BigQuery's limit on label keys and values
_INSTANT = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class TableName:
    """A table, in full."""

    project: str
    dataset: str
    table: str

    @property
    def sql(self) -> str:
        """As SQL refers to it."""
        return f"{quote(self.project)}.{quote(self.dataset)}.{quote(self.table)}"

    def __str__(self) -> str:
        """As the API refers to it."""
        return f"{self.project}.{self.dataset}.{self.table}"


def quote(identifier: str) -> str:
    """A quoted identifier; the escapes are those of string literals (BigQuery's lexical structure)."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"


def literal(text: str) -> str:
    """A text as SQL: a string literal, or several of them around NUL, which an SQL text does not have."""
    parts = [f"'{_escaped(part)}'" for part in text.split("\0")]
    return parts[0] if len(parts) == 1 else f"CONCAT({', CODE_POINTS_TO_STRING([0]), '.join(parts)})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")


def raw_table(dataset: Dataset, settings: Settings) -> TableName:
    """Where a dataset's rows live: `raw_<source>.<dataset>`."""
    return TableName(settings.project, f"{settings.dataset_prefix}raw_{dataset.source}", dataset.name)


def beside(table: TableName, kind: str, instant: datetime) -> TableName:
    """A table beside another, named after it: `orders__shadow_20260131T140502123456Z`."""
    return replace(table, table=f"{table.table}__{kind}_{instant.astimezone(UTC):{_INSTANT}}")


def instant_beside(table: TableName, kind: str, name: str) -> datetime | None:
    """The instant by which `beside` named a table; None for the name of any other."""
    try:
        return datetime.strptime(name, f"{table.table}__{kind}_{_INSTANT}").replace(tzinfo=UTC)
    except ValueError:
        return None


def load_table(dataset: Dataset, load_id: str, settings: Settings) -> TableName:
    """The transient table of one load: `tideline_load.<source>__<dataset>__<digest>`."""
    digest = hashlib.sha1(load_id.encode(), usedforsecurity=False).hexdigest()[:16]
    return TableName(
        settings.project, settings.dataset_prefix + LOAD, f"{dataset.source}__{dataset.name}__{digest}"
    )


def lease_table(table: TableName, settings: Settings) -> TableName:
    """The table that says who writes another: `tideline_ops.lease__<dataset>__<table>__<digest>`."""
    digest = hashlib.sha1(str(table).encode(), usedforsecurity=False).hexdigest()[:16]
    dataset = table.dataset.removeprefix(settings.dataset_prefix)
    return ops_table(f"lease__{dataset[:100]}__{table.table[:100]}__{digest}", settings)


def ops_table(name: str, settings: Settings) -> TableName:
    """A table of the pipeline's own book-keeping."""
    return TableName(settings.project, settings.dataset_prefix + OPS, name)


def job_id(kind: str, key: str, number: int, settings: Settings) -> str:
    """The id of one try of a job: the same key names the same job, in this deployment and on any machine."""
    scope = "\n".join((settings.project, settings.location, settings.dataset_prefix, kind, key))
    return f"tideline_{kind}_{hashlib.sha256(scope.encode()).hexdigest()[:32]}_{number}"


def labels(settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """The deployment's labels and these; what a label must not hold becomes an underscore."""
    return {key: _label(value) for key, value in {**settings.label, **given}.items()}


def _label(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "_", text.lower())[:_LABEL_LENGTH]
