"""The smaller pieces of a dataset: partition, dialect, paging, split, volume. Knows no dataset or columns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tideline.catalog.column import Declaration, refuse
from tideline.catalog.scalars import ByteSize, ColumnName, CsvCharacter, Flag, Parameter, Whole, whole


class Partition(Declaration):
    """How the raw table is partitioned."""

    column: ColumnName = Field(description="A date or timestamp column.", examples=["created_at"])
    granularity: Literal["hour", "day", "month", "year"] = Field(
        "day", description="How wide a partition is."
    )
    immutable: Flag = Field(
        False,
        description="A key's value never changes: the MERGE may then look at the load's partitions only.",
    )


class CsvDialect(Declaration):
    """How the CSV objects of a dataset are written."""

    delimiter: CsvCharacter = Field(",", description="What separates fields: one ASCII character.")
    quote: CsvCharacter = Field('"', description="What encloses a field; doubled inside one.")
    encoding: Literal["utf-8", "latin-1", "cp1252"] = Field("utf-8", description="Of the objects' bytes.")
    null_values: tuple[str, ...] = Field(
        ("",), description="Unquoted texts that mean NULL; in string columns only with strings_can_be_null."
    )
    strings_can_be_null: Flag = Field(False, description="Apply null_values to string columns too.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.delimiter == self.quote:
            refuse([(("quote",), f"found {self.quote!r}, the delimiter too; write another character")])
        return self


class Paging(Declaration):
    """How a listing is walked; without it one request returns everything."""

    page_parameter: Parameter = Field("_page", description="The query parameter that numbers the page.")
    size_parameter: Parameter = Field("_limit", description="The query parameter that holds the size.")
    size: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(whole)] = Field(
        100, description="How many items a page has."
    )
    first: Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(whole)] = Field(
        1, description="The number of the first page."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.page_parameter == self.size_parameter:
            text = f"found {self.size_parameter}, the page_parameter too; write another name"
            refuse([(("size_parameter",), text)])
        return self


class _Split(Declaration):
    at_once: Annotated[int, Field(ge=1, le=64), BeforeValidator(whole)] = Field(
        4, description="How many parts of a load are landed at the same time: what the source can bear."
    )


class MongoSplit(_Split):
    """When a collection's load is cut into ranges of `_id`, each landed and refined by a task of its own."""

    records: Annotated[Whole, Field(ge=1)] = Field(
        description="About how many documents a range has; a load of fewer is not cut.", examples=[1_000_000]
    )


class CsvSplit(_Split):
    """When the objects of a load are dealt into groups, each landed and refined by a task of its own."""

    bytes: ByteSize = Field(
        description="About how many bytes of objects a group has; a load of fewer is not cut.",
        examples=["1GB"],
    )


class Volume(Declaration):
    """What becomes of a load whose size is far from those before it."""

    outside: Literal["warn", "stop"] = Field(
        "warn", description="warn: log and note it in the ledger; stop: fail before anything is merged."
    )
    factor: Annotated[int, Field(ge=2, le=1_000), BeforeValidator(whole)] = Field(
        10, description="How many times more or fewer records than the median are too many or too few."
    )
    history: Annotated[int, Field(ge=4, le=100), BeforeValidator(whole)] = Field(
        24, description="How many earlier loads the median is taken of."
    )
    least: Annotated[int, Field(ge=0), BeforeValidator(whole)] = Field(
        1_000, description="A difference of at most so many records is never too much."
    )
