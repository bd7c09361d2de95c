"""The layout of a catalog file: what stands at its top, and how its short forms spell out into models.

Knows files' keys and defaults. Does not read files (`tideline.catalog.loader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from tideline.catalog.column import Declaration
from tideline.catalog.model import CsvDataset, Dataset, HttpDataset, Kind, MongoDataset
from tideline.catalog.scalars import BucketName, ConnectionId, DatabaseName, Name, Plain, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


class Head(Declaration):
    """The top of a catalog file: one source system."""

    source: Name = Field(description="The source system's name.", examples=["shop_mongodb"])
    kind: Kind = Field(description="mongodb, s3_csv or rest_api.", examples=["mongodb"])
    connection: ConnectionId = Field(
        description="The id of the Airflow connection that reaches it.", examples=["tideline_mongodb"]
    )
    description: Annotated[str, StringConstraints(max_length=16_384)] = Field(
        "", description="What the source system is."
    )
    datasets: dict[Name, Any] = Field(
        min_length=1,
        description="What is read of it: name → declaration.",
        examples=[{"orders": {"key": ["id"], "columns": {"id": "int64"}}}],
    )


class MongoHead(Head):
    """The top of a file of kind mongodb."""

    database: DatabaseName = Field(description="The database that holds the collections.", examples=["shop"])


class CsvHead(Head):
    """The top of a file of kind s3_csv."""

    bucket: BucketName = Field(description="The bucket that the objects are in.", examples=["shop-drops"])


@dataclass(frozen=True, slots=True)
class Layout:
    """What one kind of file looks like."""

    head: type[Head]
    dataset: type[Dataset]
    shared: tuple[str, ...]
    """Keys at the top of the file that every dataset gets."""
    named: tuple[str, str]
    """The key that follows from the dataset's name where it is not given, and how."""

    @property
    def inherited(self) -> tuple[str, ...]:
        """Keys of the dataset's model that a dataset does not spell itself."""
        return ("name", "source", "kind", *self.shared)


LAYOUTS: Mapping[str, Layout] = {
    "mongodb": Layout(MongoHead, MongoDataset, ("database",), ("collection", "{}")),
    "s3_csv": Layout(CsvHead, CsvDataset, ("bucket",), ("prefix", "{}/")),
    "rest_api": Layout(Head, HttpDataset, (), ("path", "/{}")),
}

COLUMN_INHERITED = ("name", "precision", "scale")
"""Keys of `Column` that a file spells otherwise: as the key above, and inside the type."""


def spell_dataset(
    layout: Layout, name: str, head: Mapping[str, Any], declared: Mapping[str, Any]
) -> dict[str, Any]:
    """A dataset of a file as its model wants it."""
    key, template = layout.named
    spelled = {key: template.format(name), **declared, "name": name}
    spelled |= {key: head.get(key) for key in ("source", "kind", *layout.shared)}
    if "columns" in declared:
        spelled["columns"] = _spell_columns(declared["columns"])
    return spelled


def _spell_columns(columns: object) -> object:
    if not isinstance(columns, dict):
        # A list would be taken for a tuple of columns, and complained about once per item.
        return Plain(shown(columns))
    return [_spell_column(name, column) for name, column in columns.items()]


def _spell_column(name: str, column: object) -> dict[str, Any]:
    if not isinstance(column, dict):
        return {"name": name, "type": column}
    nested = {"columns": _spell_columns(column["columns"])} if "columns" in column else {}
    return {**column, **nested, "name": name}
