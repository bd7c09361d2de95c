from __future__ import annotations

from pathlib import Path

import pytest

from tideline.catalog.loader import load_catalog
from tideline.catalog.model import METADATA_COLUMNS, MongoDataset
from tideline.refine.contract import processed_schema
from tideline.settings import Settings
from tideline.warehouse.names import raw_table
from tideline.warehouse.schema import METADATA, Field, from_api, load_fields, raw_layout

CATALOG = load_catalog(Path(__file__).parents[3] / "include" / "catalog")


def dataset(**fields) -> MongoDataset:
    columns = [
        {"name": "id", "type": "string"},
        {"name": "s", "type": "string", "description": "Some text."},
        {"name": "i", "type": "int64"},
        {"name": "f", "type": "float64"},
        {"name": "n", "type": "numeric(12, 2)"},
        {"name": "n_full", "type": "numeric"},
        {"name": "b", "type": "bignumeric(40, 20)"},
        {"name": "b_full", "type": "bignumeric"},
        {"name": "yes", "type": "bool"},
        {"name": "d", "type": "date"},
        {"name": "t", "type": "timestamp"},
        {"name": "y", "type": "bytes"},
        {"name": "j", "type": "json"},
        {"name": "a", "type": "string", "repeated": True},
        {
            "name": "r",
            "type": "record",
            "repeated": True,
            "columns": [{"name": "j", "type": "json"}, {"name": "x", "type": "int64", "nullable": False}],
        },
    ]
    given = {"name": "things", "source": "test", "database": "d", "collection": "c", "key": ["id"]}
    return MongoDataset.model_validate({**given, "columns": columns, **fields})


def test_every_type_of_the_catalog_has_its_field():
    kinds = {field.name: field.type_sql for field in raw_layout(dataset()).fields}
    assert kinds == {
        "id": "STRING", "s": "STRING", "i": "INT64", "f": "FLOAT64", "n": "NUMERIC(12, 2)",
        "n_full": "NUMERIC", "b": "BIGNUMERIC(40, 20)", "b_full": "BIGNUMERIC", "yes": "BOOL", "d": "DATE",
        "t": "TIMESTAMP", "y": "BYTES", "j": "JSON", "a": "ARRAY<STRING>",
        "r": "ARRAY<STRUCT<`j` JSON, `x` INT64>>",
        "_extracted_at": "TIMESTAMP", "_window_id": "STRING", "_raw_uri": "STRING", "_raw_position": "INT64",
        "_row_hash": "STRING", "_merged_at": "TIMESTAMP", "_deleted_at": "TIMESTAMP",
        "_superseded_at": "TIMESTAMP", "_extra": "JSON",
    }  # fmt: skip


def test_only_keys_are_required():
    modes = {field.name: field.mode for field in raw_layout(dataset(key=["id", "i"])).fields}
    assert [name for name, mode in modes.items() if mode == "REQUIRED"] == ["id", "i"]
    assert [name for name, mode in modes.items() if mode == "REPEATED"] == ["a", "r"]


def test_metadata_columns_are_those_of_the_catalog_and_described():
    assert tuple(field.name for field in METADATA) == METADATA_COLUMNS
    assert all(field.description.endswith(".") for field in METADATA)


@pytest.mark.parametrize("one", CATALOG.datasets, ids=lambda one: one.dataset_id)
def test_load_tables_have_the_columns_of_processed_parquet(one):
    assert [field.name for field in load_fields(one)] == processed_schema(one).names


def test_load_tables_have_text_for_json_at_any_depth():
    fields = {field.name: field.type_sql for field in load_fields(dataset())}
    assert (fields["j"], fields["_extra"]) == ("STRING", "STRING")
    assert fields["r"] == "ARRAY<STRUCT<`j` STRING, `x` INT64>>"
    assert all(field.mode != "REQUIRED" for field in load_fields(dataset()))


def test_layout_says_how_a_table_is_partitioned_and_clustered():
    layout = raw_layout(dataset(partition={"column": "d", "granularity": "month"}, cluster_by=["s", "i"]))
    table = layout.to_table(raw_table(dataset(), Settings(project="p")))
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("d", "MONTH")
    assert table.clustering_fields == ["s", "i"]
    assert layout.clauses == "PARTITION BY DATE_TRUNC(`d`, MONTH) CLUSTER BY `s`, `i`"


@pytest.mark.parametrize(
    ("column", "granularity", "clause"),
    [
        ("d", "day", "PARTITION BY `d` "),
        ("t", "day", "PARTITION BY TIMESTAMP_TRUNC(`t`, DAY) "),
        ("t", "hour", "PARTITION BY TIMESTAMP_TRUNC(`t`, HOUR) "),
    ],
)
def test_partition_clause(column, granularity, clause):
    layout = raw_layout(dataset(partition={"column": column, "granularity": granularity}))
    assert layout.clauses.startswith(clause)


def test_table_without_partition_is_clustered_by_its_key():
    layout = raw_layout(dataset())
    assert (layout.partitioning, layout.clauses) == (None, "CLUSTER BY `id`")
    assert raw_layout(dataset(description="Things.")).to_table(
        raw_table(dataset(), Settings(project="p"))
    ).description == "Things."  # fmt: skip


def test_fields_survive_the_api():
    fields = raw_layout(dataset()).fields
    assert from_api([field.to_api() for field in fields]) == fields


def test_older_names_and_full_digits_of_the_api_are_understood():
    from google.cloud.bigquery import SchemaField

    old = [
        SchemaField("i", "INTEGER"), SchemaField("f", "FLOAT"), SchemaField("b", "BOOLEAN"),
        SchemaField("r", "STRUCT", fields=[SchemaField("i", "INTEGER")]),
        SchemaField("n", "NUMERIC", precision=38, scale=9), SchemaField("p", "NUMERIC", precision=5),
    ]  # fmt: skip
    kinds = [field.type_sql for field in from_api(old)]
    assert kinds == ["INT64", "FLOAT64", "BOOL", "STRUCT<`i` INT64>", "NUMERIC", "NUMERIC(5, 0)"]


def test_bare_type_has_no_digits():
    nested = Field("n", "NUMERIC", precision=9, scale=2)
    assert Field("r", "RECORD", "REPEATED", fields=(nested,)).bare_sql == "ARRAY<STRUCT<`n` NUMERIC>>"
