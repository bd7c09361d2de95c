"""The text of the merge against golden files; what it does to rows is in test_semantics.py."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from googlesql import Reader
from sqlglot import expressions as exp

from tideline.catalog.loader import load_catalog
from tideline.merge.absences import Absences, vanishing_sql
from tideline.merge.deletes import Events, event_fields
from tideline.merge.sql import Merge, merge_sql
from tideline.settings import Settings
from tideline.warehouse.names import load_table, raw_table
from tideline.warehouse.schema import Field, load_fields, raw_layout

CASES = Path(__file__).parents[2] / "cases" / "merge"
SETTINGS = Settings(project="acme-prod", dataset_prefix="")


def step(dataset, *, fields=None, **more):
    return Merge(
        dataset=dataset,
        target=raw_table(dataset, SETTINGS),
        fields=raw_layout(dataset).fields if fields is None else fields,
        load=load_table(dataset, "golden", SETTINGS),
        window_id="20260301T120000Z_from_origin",
        **more,
    )


def shop_orders(kit):
    """Partitioned by an immutable date: literal predicates, NULL and neighbouring days included."""
    dataset = load_catalog(Path(__file__).parents[3] / "include" / "catalog").dataset("shop_mongodb.orders")
    return step(dataset, partitions=("2026-02-28", "2026-03-01", "2026-03-05", None))


def shop_order_items(kit):
    """Partitioned by a timestamp that may be NULL: its bounds are instants."""
    dataset = load_catalog(Path(__file__).parents[3] / "include" / "catalog").dataset("shop_s3.order_items")
    return step(dataset, partitions=("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-05T00:00:00Z"))


def snapshot_with_composite_key(kit):
    """No change column: the read decides."""
    columns = kit.columns(region="string", id="int64", title="string", s="string", t="string")
    return step(kit.http(key=["region", "id"], columns=columns))


def evolved_record(kit):
    """The table's record has another order than the catalog's, and a column that left the catalog."""
    dataset = kit.mongo(
        columns=kit.columns(
            id="int64",
            updated_at="timestamp",
            address={"type": "record", "columns": kit.columns(added="string", city="string")},
            lines={
                "type": "record",
                "repeated": True,
                "columns": kit.columns(
                    sku="string", payload="json", prices={"type": "json", "repeated": True}
                ),
            },
        )
    )
    address = Field(
        "address",
        "RECORD",
        fields=(
            Field("city", "STRING"),
            Field("gone", "NUMERIC", precision=9, scale=2),
            Field("added", "STRING"),
        ),
    )
    fields = [
        replace(f, **{"fields": address.fields}) if f.name == "address" else f
        for f in raw_layout(dataset).fields
    ]
    return step(dataset, fields=(*fields, Field("left_the_catalog", "STRING", "REPEATED")))


def hostile_names(kit):
    """Reserved words and what one calls a table as names, quotes and backslashes in literals."""
    columns = kit.columns(
        select="string", order="timestamp", _table="string", l="string", s="int64", t="timestamp",
        items={"type": "record", "repeated": True, "columns": kit.columns(offset0="int64", item0="json")},
    )  # fmt: skip
    dataset = kit.mongo(name="table", key=["select"], change_column="order", columns=columns)
    return replace(step(dataset), window_id="it's \\ `not`\nharmless")


def whole_read(kit):
    """No change column, every row read: what it does not have is gone, but for what was refused."""
    refused = (("north", "1"), ("it's", "2"))
    return replace(
        snapshot_with_composite_key(kit),
        absences=Absences(datetime(2026, 3, 1, 11, 30, 0, 5, tzinfo=UTC), refused),
    )


def events(kit):
    """Keys seen absent, or otherwise, at the source."""
    dataset = kit.mongo(
        key=["l", "id"],
        columns=kit.columns(l="string", id="numeric(12, 2)", title="string", updated_at="timestamp"),
    )
    return Events(dataset, raw_table(dataset, SETTINGS), load_table(dataset, "golden", SETTINGS))


SHAPES = [
    shop_orders, shop_order_items, snapshot_with_composite_key, whole_read, evolved_record, hostile_names, events,
]  # fmt: skip
TEXTS = {
    "merge": lambda step: step.sql,
    "counts": lambda step: step.counts_sql,
    "vanishing": vanishing_sql,
}
GOLDEN = [(shape, kind) for shape in SHAPES for kind in ("merge", "counts")] + [(whole_read, "vanishing")]


def name_of(case):
    return case if isinstance(case, str) else case.__name__


@pytest.mark.parametrize(("shape", "kind"), GOLDEN, ids=name_of)
def test_text_is_the_golden_files(shape, kind, kit):
    assert TEXTS[kind](shape(kit)) + "\n" == (CASES / f"{shape.__name__}.{kind}.sql").read_text()


@pytest.mark.parametrize(("shape", "kind"), GOLDEN, ids=name_of)
def test_text_is_one_statement_of_bigquery(shape, kind, kit):
    statements = sqlglot.parse(TEXTS[kind](shape(kit)), read="bigquery")
    assert [type(statement) for statement in statements] == [exp.Merge if kind == "merge" else exp.Select]


@pytest.mark.parametrize(("shape", "kind"), GOLDEN, ids=name_of)
def test_text_is_what_the_analyzer_of_googlesql_takes(shape, kind, kit):
    merge = shape(kit)
    dataset = merge.dataset
    is_events = isinstance(merge, Events)
    tables = {
        str(merge.target): raw_layout(dataset).fields if is_events else merge.fields,
        str(merge.load): event_fields(dataset) if is_events else load_fields(dataset),
    }
    fields = {name: [asdict(field) for field in found] for name, found in tables.items()}
    asked = {"sql": TEXTS[kind](merge), "parameters": [], "tables": fields, "project": SETTINGS.project}
    assert Reader().read(asked) is None


def test_only_a_whole_read_lets_rows_vanish(kit):
    with pytest.raises(ValueError, match="whole read"):
        vanishing_sql(shop_orders(kit))


def test_hostile_literals_stay_literals(kit):
    (statement,) = sqlglot.parse(merge_sql(hostile_names(kit)), read="bigquery")
    assert "it's \\ `not`\nharmless" in {text.this for text in statement.find_all(exp.Literal)}


def test_no_golden_file_is_left_over():
    expected = {f"{shape.__name__}.{kind}.sql" for shape, kind in GOLDEN}
    assert {path.name for path in CASES.iterdir()} == expected


def test_names_differ_from_the_table_in_case_only(kit):
    dataset = kit.mongo(columns=kit.columns(ID="int64", Note="string"), key=["ID"], change_column=None)
    fields = tuple(replace(field, name=field.name.lower()) for field in raw_layout(dataset).fields)
    assert "NULL" not in merge_sql(step(dataset, fields=fields)).split("UPDATE SET")[1].split("_extra")[0]
