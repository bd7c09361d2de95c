"""Which keys of a declaration do not go together. Pure: reads models, yields findings, raises nothing.

A finding is a place relative to the declaration, and a text that says what was found and what to write.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from tideline.catalog.column import BESIDE_KEYS, METADATA_COLUMNS, duplicates
from tideline.catalog.scalars import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.column import Column, Finding
    from tideline.catalog.model import Catalog, CsvDataset, Dataset, HttpDataset, MongoDataset, Source

_COMPARABLE = ("string", "int64", "numeric", "bignumeric", "bool", "date", "timestamp")
"""The types that BigQuery can cluster by and that compare with plain equality: no floats, no blobs."""
DAG_TASKS = ("data_tests", "models", "plan", "settle", "verdict")
"""What the DAGs call tasks and a group of their own, beside the groups of sources; complete, a test says."""
_MAX_DEPTH = 15
"""Levels of nested records in a BigQuery table."""
_MAX_COLUMNS = 10_000 - len(METADATA_COLUMNS)
"""Columns of a BigQuery table, nested ones included, less those that Tideline adds."""


def check_dataset(dataset: Dataset) -> Iterator[Finding]:
    """Names that do not resolve, roles that a column's type cannot play, limits of a table."""
    yield from duplicates(dataset.columns)
    yield from _limits(dataset)
    known = {column.name: column for column in dataset.columns}
    yield from _key(dataset, known)
    yield from _cluster_by(dataset, known)
    yield from _change_column(dataset, known)
    yield from _partition(dataset, known)


def _limits(dataset: Dataset) -> Iterator[Finding]:
    for index, column in enumerate(dataset.columns):
        if column.name.lower() in METADATA_COLUMNS:
            text = "Tideline adds a metadata column of this name to every table: choose another name"
            yield ("columns", index), f"{text} and add `field: {column.field}`"
        if column.depth > _MAX_DEPTH:
            yield (
                ("columns", index),
                f"{column.depth} levels of records, BigQuery takes {_MAX_DEPTH}; declare one json",
            )
    if (total := sum(column.size for column in dataset.columns)) > _MAX_COLUMNS:
        yield ("columns",), f"{total} columns, nested ones included; a table takes {_MAX_COLUMNS}"


def _unknown(name: str, known: dict[str, Column]) -> str:
    return f"{name!r} is not among the columns{did_you_mean(name, known)}; columns: {listed(known)}"


def _key(dataset: Dataset, known: dict[str, Column]) -> Iterator[Finding]:
    yield from _named("key", dataset.key, known)
    for index, column in enumerate(dataset.columns):
        if column.name in dataset.key and column.name.lower() in BESIDE_KEYS:
            text = "Tideline has a column of this name beside keys: choose another name for one of the key"
            yield ("columns", index), f"{text} and add `field: {column.field}`"
        if column.name in dataset.key and column.nullable and "nullable" in column.model_fields_set:
            yield ("columns", index, "nullable"), "found true on a key column, which is never NULL; remove it"


def _cluster_by(dataset: Dataset, known: dict[str, Column]) -> Iterator[Finding]:
    yield from _named("cluster_by", dataset.cluster_by, known)


def _named(role: str, names: tuple[str, ...], known: dict[str, Column]) -> Iterator[Finding]:
    for index, name in enumerate(names):
        column = known.get(name)
        if column is None:
            yield (role, index), _unknown(name, known)
        elif column.repeated or column.type not in _COMPARABLE:
            found = f"repeated {column.type}" if column.repeated else column.type
            yield (role, index), f"{name} is {found}; name a single {', '.join(_COMPARABLE)}"
        elif name in names[:index]:
            yield (role, index), f"{name} is named twice; remove one"


def _change_column(dataset: Dataset, known: dict[str, Column]) -> Iterator[Finding]:
    if dataset.change_column is None:
        if dataset.lookback:
            yield (
                ("lookback",),
                "needs a change_column to look back on: name one, or remove lookback",
            )
        return
    column = known.get(dataset.change_column)
    if column is None:
        yield ("change_column",), _unknown(dataset.change_column, known)
    elif column.type != "timestamp" or column.repeated:
        found = f"repeated {column.type}" if column.repeated else column.type
        yield ("change_column",), f"{column.name} is {found}; name a single timestamp, or none"


def _partition(dataset: Dataset, known: dict[str, Column]) -> Iterator[Finding]:
    if dataset.partition is None:
        return
    column, place = known.get(dataset.partition.column), ("partition", "column")
    if column is None:
        yield place, _unknown(dataset.partition.column, known)
    elif column.type not in ("date", "timestamp") or column.repeated:
        found = f"repeated {column.type}" if column.repeated else column.type
        yield place, f"{column.name} is {found}; name a single date or timestamp"
    elif column.type == "date" and dataset.partition.granularity == "hour":
        yield (
            ("partition", "granularity"),
            f"found hour, and {column.name} is a date; write day, month or year",
        )


def check_mongodb(dataset: MongoDataset) -> Iterator[Finding]:
    """A change column that MongoDB cannot be asked for by its name: windows would read other documents."""
    for index, column in enumerate(dataset.columns):
        field = column.field
        if column.name == dataset.change_column and ("." in field or "\0" in field or field[:1] in ("", "$")):
            yield (
                ("columns", index, "field"),
                f'found "{field}", and MongoDB is asked for changes by this name, where a dot leads into a '
                "record and a $ is an operator; name a plain field of the document itself, or no "
                "change_column: then every run reads the whole collection",
            )


def check_csv(dataset: CsvDataset) -> Iterator[Finding]:
    """What a CSV file cannot hold, and a prefix that takes more than it says."""
    for index, column in enumerate(dataset.columns):
        if column.type == "record" or column.repeated:
            found = "repeated" if column.repeated else "record"
            yield (
                ("columns", index),
                f"found {found}, and a CSV field holds one value; write json if that is JSON text",
            )
    for name in ("deletes", "delete_threshold"):
        if name in dataset.model_fields_set:
            yield (name,), "has no meaning for CSV objects, which do not say what is gone; remove it"
    prefix = dataset.prefix
    if "://" in prefix:
        yield ("prefix",), f'found "{prefix}"; write what follows the bucket, such as products/'
    elif prefix[-1:].isalnum() and not prefix.endswith(
        tuple(suffix for suffix in dataset.suffixes if suffix)
    ):
        yield (
            ("prefix",),
            f'found "{prefix}", which would also take {prefix}_old/…; write {prefix}/ for the folder, '
            f"or a prefix that ends with a separator, such as {prefix}_ or {prefix}-",
        )


def check_http(dataset: HttpDataset) -> Iterator[Finding]:
    """Query parameters that the paging sets itself."""
    if dataset.paging is None:
        return
    for name in (dataset.paging.page_parameter, dataset.paging.size_parameter):
        if name in dataset.parameters:
            yield ("parameters", name), "is set by `paging`; remove it here, or name it there"


def check_catalog(catalog: Catalog) -> Iterator[Finding]:
    """Names that meet in the warehouse, and objects that would belong to two datasets."""
    for index, source in enumerate(catalog.sources):
        if source.name in (earlier.name for earlier in catalog.sources[:index]):
            yield ("sources", index), f"another source is called {source.name} too; rename one"
        if source.name in DAG_TASKS:
            text = f"found {source.name}, which is what the DAGs call a task of their own"
            yield ("sources", index), f"{text}; write another name, such as {source.name}_system"
        yield from ((("sources", index, *path), text) for path, text in _check_source(source))
    yield from _tables(catalog)
    yield from _prefixes(catalog)


def _check_source(source: Source) -> Iterator[Finding]:
    names = Counter(dataset.name for dataset in source.datasets)
    for index, dataset in enumerate(source.datasets):
        if (dataset.source, dataset.kind) != (source.name, source.kind):
            found = f"{dataset.source} ({dataset.kind})"
            yield ("datasets", index), f"is of {found}, not of {source.name} ({source.kind})"
        if names[dataset.name] > 1:
            yield ("datasets", index), f"{dataset.name} is declared twice; rename one"


def _tables(catalog: Catalog) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for i, source in enumerate(catalog.sources):
        for j, dataset in enumerate(source.datasets):
            other = seen.setdefault(f"{dataset.source}__{dataset.name}", dataset.dataset_id)
            if other != dataset.dataset_id:
                text = f"{other} and {dataset.dataset_id} would both be {dataset.source}__{dataset.name}"
                yield ("sources", i, "datasets", j), f"{text} in the warehouse; rename one"


def _prefixes(catalog: Catalog) -> Iterator[Finding]:
    seen: dict[tuple[str, str], list[CsvDataset]] = {}
    for i, source in enumerate(catalog.sources):
        for j, dataset in enumerate(source.datasets):
            if dataset.kind == "s3_csv":
                neighbours = seen.setdefault((source.connection, dataset.bucket), [])
                for other in filter(partial(_overlap, dataset), neighbours):
                    yield ("sources", i, "datasets", j, "prefix"), _overlapping(dataset, other)
                neighbours.append(dataset)


def _overlapping(one: CsvDataset, two: CsvDataset) -> str:
    return (
        f'"{one.prefix}" and the "{two.prefix}" of {two.dataset_id} take the same objects of {one.bucket}; '
        "give them prefixes of which neither begins with the other"
    )


def _overlap(one: CsvDataset, two: CsvDataset) -> bool:
    if not (one.prefix.startswith(two.prefix) or two.prefix.startswith(one.prefix)):
        return False
    ends = ([suffix.lower() for suffix in each.suffixes] for each in (one, two))  # read in any case
    return any(a.endswith(b) or b.endswith(a) for a, b in product(*ends))
