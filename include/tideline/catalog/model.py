"""What a catalog declares, as frozen typed models: datasets, sources, the catalog.

Knows the vocabulary of declarations; `tideline.catalog.checks` knows what goes together. Neither knows YAML
(`tideline.catalog.loader`), Arrow types (`tideline.refine.contract`) or warehouse schemas.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tideline.catalog.checks import check_catalog, check_csv, check_dataset, check_http, check_mongodb
from tideline.catalog.column import (
    METADATA_COLUMNS,
    RESERVED_PREFIXES,
    Column,
    Declaration,
    TypeKind,
    refuse,
)
from tideline.catalog.options import CsvDialect, CsvSplit, MongoSplit, Paging, Partition, Volume
from tideline.catalog.scalars import (
    BucketName,
    ByteSize,
    CollectionName,
    ColumnName,
    ConnectionId,
    DatabaseName,
    Duration,
    HttpPath,
    Name,
    Parameter,
    Prefix,
    Share,
    Suffix,
    did_you_mean,
)
from tideline.errors import CatalogError

__all__ = [
    "METADATA_COLUMNS",
    "RESERVED_PREFIXES",
    "AnyDataset",
    "Catalog",
    "Column",
    "ColumnName",
    "CsvDataset",
    "CsvDialect",
    "Dataset",
    "Declaration",
    "HttpDataset",
    "MongoDataset",
    "Name",
    "Paging",
    "Partition",
    "Source",
    "TypeKind",
]

Kind = Literal["mongodb", "s3_csv", "rest_api"]


class Dataset(Declaration):
    """One collection, CSV family or endpoint."""

    name: Name
    source: Name
    description: Annotated[str, StringConstraints(max_length=16_384)] = Field(
        "", description="What an analyst reads in the warehouse."
    )
    key: tuple[ColumnName, ...] = Field(
        min_length=1,
        max_length=4,
        description="The columns that identify a row. They are NOT NULL; a row without them is quarantined.",
        examples=[["id"]],
    )
    change_column: ColumnName | None = Field(
        None, description="The timestamp that grows when a row changes; without one every read is whole."
    )
    lookback: Duration = Field(
        timedelta(0), description="How late a row may become visible, as 90s, 90m, 2h or 1d."
    )
    columns: tuple[Column, ...] = Field(
        min_length=1,
        description="The table's columns in their order: name → type, or name → mapping.",
        examples=[{"id": "int64", "amount": "numeric(12, 2)"}],
    )
    partition: Partition | None = Field(
        None,
        description="How the raw table is partitioned; not at all without.",
        examples=[{"column": "created_at"}],
    )
    cluster_by: tuple[ColumnName, ...] = Field(
        (), max_length=4, description="What the raw table is clustered by; the key where it is not given."
    )
    unknown_columns: Literal["evolve", "refuse"] = Field(
        "evolve",
        description="Fields that are not declared: kept in `_extra` and reported, or the row is refused.",
    )
    quarantine_threshold: Share = Field(
        0.05,
        description="The share of refused rows above which the task fails, after the evidence is written.",
    )
    deletes: Literal["track", "ignore"] = Field(
        "track",
        description="Rows that are gone at the source: they get `_deleted_at`, or stay as they are "
        "(archives, endpoints that list recent rows only).",
    )
    delete_threshold: Share = Field(
        0.1,
        description="The share of a table's live rows above which deleting stops with a report instead.",
    )

    engine: Literal["worker", "spark"] = Field(
        "worker", description="What refines a big landing: the task's own worker, or a Spark job."
    )
    spark_from: ByteSize = Field(
        10**9,
        description="With engine spark: the size, as landed, from which it does; a worker does smaller ones.",
    )
    volume: Volume | None = Field(
        None,
        description="Which loads are suspiciously large or small; none without.",
        examples=[{"factor": 10}],
    )

    @property
    def dataset_id(self) -> str:
        """`source.dataset`: the name on the command line, in the ledger and in the DAG."""
        return f"{self.source}.{self.name}"

    @property
    def clustering(self) -> tuple[str, ...]:
        """What the table is clustered by."""
        return self.cluster_by or self.key

    @property
    def shows_absence(self) -> bool:
        """Whether each read is whole, so that a row which it does not have is gone."""
        return False

    def column(self, name: str) -> Column:
        """The top-level column of that name.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(check_dataset(self))
        columns = (c.required() if c.name in self.key else c for c in self.columns)
        object.__setattr__(self, "columns", tuple(columns))
        return self


class MongoDataset(Dataset):
    """A collection."""

    kind: Literal["mongodb"] = "mongodb"
    database: DatabaseName = Field(description="The database that holds the collections.", examples=["shop"])
    collection: CollectionName = Field(
        description="The collection's name; the dataset's where it is not given.", examples=["orders"]
    )
    null_changes: Literal["read", "first_load"] = Field(
        "read",
        description="Documents without a change column: read in every window, or in the first load only.",
    )
    split: MongoSplit | None = Field(
        None, description="When a load is cut into ranges; never without.", examples=[{"records": 1_000_000}]
    )
    source_count: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether the server counts before and after a load: auto where an index makes it cheap.",
    )

    @property
    def shows_absence(self) -> bool:
        """See `Dataset.shows_absence`."""
        return self.change_column is None and self.deletes == "track"

    @model_validator(mode="after")
    def _fits_mongodb(self) -> Self:
        refuse(check_mongodb(self))
        return self


class CsvDataset(Dataset):
    """A family of CSV objects under one prefix."""

    kind: Literal["s3_csv"] = "s3_csv"
    bucket: BucketName = Field(description="The bucket that the objects are in.", examples=["shop-drops"])
    prefix: Prefix = Field(
        description="How the objects' keys begin; the dataset's name and a / where it is not given.",
        examples=["products/"],
    )
    suffixes: tuple[Suffix, ...] = Field(
        (".csv", ".csv.gz"), min_length=1, description="How the objects' keys end; others are not read."
    )
    dialect: CsvDialect = Field(
        CsvDialect(), description="How the objects are written.", examples=[{"delimiter": ";"}]
    )
    split: CsvSplit | None = Field(
        None, description="When a load is dealt into groups; never without.", examples=[{"bytes": "1GB"}]
    )

    @model_validator(mode="after")
    def _fits_csv(self) -> Self:
        refuse(check_csv(self))
        return self


class HttpDataset(Dataset):
    """An endpoint that answers with a JSON array of objects."""

    kind: Literal["rest_api"] = "rest_api"
    path: HttpPath = Field(
        description="The endpoint's path; a / and the dataset's name if not given.",
        examples=["/users"],
    )
    parameters: dict[Parameter, str] = Field(
        default_factory=dict,
        description="Query parameters of every request: name → text.",
        examples=[{"status": "active"}],
    )
    records_at: tuple[str, ...] = Field((), description="Keys that lead to the array inside the body.")
    unrelated_keys: tuple[str, ...] = Field(
        (), description="Keys around the array, and headers, that say nothing about whether there are more."
    )
    paging: Paging | None = Field(
        None, description="How pages are asked for; one request without.", examples=[{"size": 100}]
    )

    @property
    def shows_absence(self) -> bool:
        """See `Dataset.shows_absence`."""
        return self.deletes == "track"

    @model_validator(mode="after")
    def _fits_http(self) -> Self:
        refuse(check_http(self))
        return self


AnyDataset = Annotated[MongoDataset | CsvDataset | HttpDataset, Field(discriminator="kind")]


class Source(Declaration):
    """One source system: a kind, a connection, its datasets."""

    name: Name
    kind: Kind
    connection: ConnectionId
    description: str = ""
    datasets: tuple[AnyDataset, ...] = Field(min_length=1)


class Catalog(Declaration):
    """All that a deployment reads."""

    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse(check_catalog(self))
        return self

    @property
    def datasets(self) -> tuple[AnyDataset, ...]:
        """Every dataset of every source, in file order."""
        return tuple(dataset for source in self.sources for dataset in source.datasets)

    def dataset(self, dataset_id: str) -> MongoDataset | CsvDataset | HttpDataset:
        """The dataset of that id.

        Raises:
            CatalogError: There is none; the message lists those there are.
        """
        known = {dataset.dataset_id: dataset for dataset in self.datasets}
        if dataset_id not in known:
            raise CatalogError(
                f"there is no dataset {dataset_id!r}{did_you_mean(dataset_id, known)}",
                remedy=f"choose one of {', '.join(known)}",
            )
        return known[dataset_id]

    def source_of(self, dataset: Dataset) -> Source:
        """The source system that the dataset belongs to.

        Raises:
            CatalogError: The dataset is of another catalog.
        """
        for source in self.sources:
            if source.name == dataset.source:
                return source
        raise CatalogError(
            f"there is no source {dataset.source!r}", remedy="take the dataset from this catalog"
        )
