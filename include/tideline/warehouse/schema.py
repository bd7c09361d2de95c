"""What tables look like: fields, partitioning and clustering, made from the catalog. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tideline.warehouse.client import bigquery
from tideline.warehouse.names import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tideline.catalog.model import Column, Dataset
    from tideline.warehouse.names import TableName

NULLABLE, REQUIRED, REPEATED = "NULLABLE", "REQUIRED", "REPEATED"

_SYNONYMS = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "STRUCT": "RECORD"}
"""The API answers with the older names."""

_WIDEST = {"NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}
"""Digits of the types when none are given."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column or nested field. Only decimals have digits; the widest, and a scale of 0, are left out."""

    name: str
    type: str
    mode: str = NULLABLE
    precision: int | None = None
    scale: int | None = None
    fields: tuple[Field, ...] = ()
    description: str = ""

    @property
    def digits(self) -> tuple[int, int]:
        """(precision, scale) of a decimal, also where they are left out."""
        return (self.precision, self.scale or 0) if self.precision is not None else _WIDEST[self.type]

    @property
    def item_sql(self) -> str:
        """The type as SQL spells it, of one item where the field is repeated."""
        if self.type == "RECORD":
            return f"STRUCT<{', '.join(f'{quote(f.name)} {f.type_sql}' for f in self.fields)}>"
        return self.type if self.precision is None else f"{self.type}({self.precision}, {self.scale or 0})"

    @property
    def type_sql(self) -> str:
        """The type as SQL spells it."""
        return f"ARRAY<{self.item_sql}>" if self.mode == REPEATED else self.item_sql

    @property
    def bare_sql(self) -> str:
        """The type as SQL spells it, without digits: BigQuery takes none in a cast."""
        fields = (f"{quote(f.name)} {f.bare_sql}" for f in self.fields)
        item = f"STRUCT<{', '.join(fields)}>" if self.type == "RECORD" else self.type
        return f"ARRAY<{item}>" if self.mode == REPEATED else item

    def to_api(self) -> bigquery.SchemaField:
        """As the client wants it; what is not known is left out, so that nothing is erased."""
        known = {"description": self.description, "precision": self.precision, "scale": self.scale}
        return bigquery.SchemaField(
            self.name,
            self.type,
            mode=self.mode,
            fields=[field.to_api() for field in self.fields],
            **{name: value for name, value in known.items() if value},
        )

    @classmethod
    def from_api(cls, field: bigquery.SchemaField) -> Field:
        """As the client has it."""
        kind = _SYNONYMS.get(field.field_type.upper(), field.field_type.upper())
        precision = None if field.precision is None else int(field.precision)
        scale = None if field.scale is None else int(field.scale)
        if kind in _WIDEST and (precision, scale or 0) == _WIDEST[kind]:
            precision = scale = None
        return cls(
            name=field.name,
            type=kind,
            mode=(field.mode or NULLABLE).upper(),
            precision=precision,
            scale=scale or None if precision is not None else None,
            fields=tuple(cls.from_api(child) for child in field.fields),
            description=field.description or "",
        )


METADATA = (
    Field(
        "_extracted_at",
        "TIMESTAMP",
        description="When the row was last seen at the source; of a CSV row, when its object was written.",
    ),
    Field("_window_id", "STRING", description="The window whose run saw it last."),
    Field("_raw_uri", "STRING", description="The object in the raw bucket that holds its bytes."),
    Field("_raw_position", "INT64", description="Where in that object: byte offset, item or record number."),
    Field("_row_hash", "STRING", description="MD5 of the declared columns and _extra."),
    Field("_merged_at", "TIMESTAMP", description="When its content was last written here."),
    Field("_deleted_at", "TIMESTAMP", description="When its absence was observed; NULL while it is there."),
    Field(
        "_superseded_at", "TIMESTAMP", description="Reads of its key up to then count no more; mostly NULL."
    ),
    Field("_extra", "JSON", description="Fields that the catalog does not declare."),
)
"""What every raw table has beside the declared columns (`tideline.catalog.model.METADATA_COLUMNS`)."""

_LOAD_METADATA = ("_extra", "_raw_uri", "_raw_position", "_extracted_at")


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that makes a table what it is, beside its rows."""

    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()
    """The columns that identify a row, REQUIRED all of them; none where nothing merges into the table."""
    partition_column: str | None = None
    granularity: str = "day"
    clustering: tuple[str, ...] = ()
    description: str = ""
    expires_hours: int | None = None
    """After how many hours it expires, and every table of its BigQuery dataset; None for never."""

    @property
    def partitioning(self) -> bigquery.TimePartitioning | None:
        """As the client wants it."""
        if self.partition_column is None:
            return None
        return bigquery.TimePartitioning(type_=self.granularity.upper(), field=self.partition_column)

    @property
    def clauses(self) -> str:
        """PARTITION BY and CLUSTER BY, for statements that a person runs."""
        parts = []
        if self.partition_column is not None:
            parts.append(f"PARTITION BY {self._partition_sql(self.partition_column)}")
        if self.clustering:
            parts.append(f"CLUSTER BY {', '.join(quote(name) for name in self.clustering)}")
        return " ".join(parts)

    def to_table(self, name: TableName) -> bigquery.Table:
        """As the client wants it."""
        table = bigquery.Table(str(name), schema=[field.to_api() for field in self.fields])
        table.time_partitioning = self.partitioning
        table.clustering_fields = list(self.clustering) or None
        table.description = self.description or None
        return table

    def _partition_sql(self, column: str) -> str:
        kind = next(field.type for field in self.fields if field.name == column)
        if (kind, self.granularity) == ("DATE", "day"):
            return quote(column)
        return f"{kind}_TRUNC({quote(column)}, {self.granularity.upper()})"


def raw_layout(dataset: Dataset) -> Layout:
    """The table that a dataset is merged into."""
    fields = {column.name: declared(column) for column in dataset.columns}
    key = {name: replace(fields[name], mode=REQUIRED) for name in dataset.key}
    return Layout(
        fields=(*{**fields, **key}.values(), *METADATA),
        key=dataset.key,
        partition_column=dataset.partition.column if dataset.partition else None,
        granularity=dataset.partition.granularity if dataset.partition else "day",
        clustering=dataset.clustering,
        description=dataset.description,
    )


def load_fields(dataset: Dataset) -> tuple[Field, ...]:
    """The columns of a load table, which are those of processed Parquet.

    JSON is text there: whether a load job turns Parquet text into JSON is nowhere promised, and the merge
    parses it without losing digits.
    """
    declared_fields = [_as_text(declared(column)) for column in dataset.columns]
    metadata = {field.name: _as_text(field) for field in METADATA}
    plain = (*declared_fields, *(metadata[name] for name in _LOAD_METADATA))
    return tuple(replace(field, description="") for field in plain)


def declared(column: Column) -> Field:
    """The field that a declared column becomes. Only keys are REQUIRED in tables, see `raw_layout`."""
    kind = column.type.upper()
    precision, scale = column.precision, column.scale
    if kind in _WIDEST and (precision, scale) == _WIDEST[kind]:
        precision = scale = None
    return Field(
        name=column.name,
        type=kind,
        mode=REPEATED if column.repeated else NULLABLE,
        precision=precision,
        scale=scale or None,
        fields=tuple(declared(child) for child in column.columns),
        description=column.description,
    )


def from_api(fields: Iterable[bigquery.SchemaField]) -> tuple[Field, ...]:
    """A table's schema as the client has it."""
    return tuple(Field.from_api(field) for field in fields)


def _as_text(field: Field) -> Field:
    kind = "STRING" if field.type == "JSON" else field.type
    return replace(field, type=kind, fields=tuple(_as_text(child) for child in field.fields))
