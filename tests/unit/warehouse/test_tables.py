from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from tideline.catalog.model import MongoDataset
from tideline.errors import SchemaEvolutionError
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import Field, Layout, raw_layout
from tideline.warehouse.tables import describe, ensure_table, set_expiry

LAYOUT = Layout(
    fields=(
        Field("id", "INT64", "REQUIRED", description="Number."),
        Field("day", "DATE"),
        Field("amount", "NUMERIC", precision=12, scale=2),
        Field("r", "RECORD", "REPEATED", fields=(Field("x", "INT64"),)),
    ),
    partition_column="day",
    granularity="month",
    clustering=("id",),
    description="Things.",
)


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


@pytest.fixture
def name(warehouse):
    return TableName("local", f"{warehouse.settings.dataset_prefix}d", "t")


def test_table_and_dataset_are_made_where_they_are_missing(warehouse, name):
    assert warehouse.tables.get(name) is None
    ensured = ensure_table(warehouse, name, LAYOUT)
    table = warehouse.tables.get(name)
    assert ensured.fields == LAYOUT.fields
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("day", "MONTH")
    assert (table.clustering_fields, table.description) == (["id"], "Things.")
    assert table.labels == {"app": "tideline", "environment": "dev"}
    dataset = warehouse.client.get_dataset(f"local.{name.dataset}")
    assert dataset.location == warehouse.settings.location


def test_table_that_is_right_is_left_alone(warehouse, name):
    first = ensure_table(warehouse, name, LAYOUT)
    etag = warehouse.tables.get(name).etag
    assert ensure_table(warehouse, name, LAYOUT) == first
    assert warehouse.tables.get(name).etag == etag


def test_names_in_another_case_are_the_same(warehouse, name):
    ensure_table(warehouse, name, LAYOUT)
    etag = warehouse.tables.get(name).etag
    fields = tuple(replace(field, name=field.name.upper()) for field in LAYOUT.fields)
    spelled = replace(LAYOUT, fields=fields, partition_column="DAY", clustering=("ID",), key=("ID",))
    assert ensure_table(warehouse, name, spelled).fields == LAYOUT.fields
    assert warehouse.tables.get(name).etag == etag


@pytest.mark.parametrize(
    "digits", ["numeric(29, 0)", "numeric(5)", "numeric", "bignumeric(38, 0)", "numeric(9, 9)"]
)
def test_a_declared_decimal_is_what_the_table_has(warehouse, name, digits, caplog):
    """A scale of 0 comes back as none: it must not be widened to itself with each load."""
    dataset = MongoDataset.model_validate(
        {"name": "t", "source": "s", "database": "d", "collection": "c", "key": ["id"],
         "columns": [{"name": "id", "type": "int64"}, {"name": "amount", "type": digits}]}
    )  # fmt: skip
    caplog.set_level("INFO")
    for _ in range(2):
        ensure_table(warehouse, name, raw_layout(dataset))
    assert "Changing table" not in caplog.text


def test_table_made_by_another_meanwhile_is_taken(warehouse, name):
    ensure_table(warehouse, name, LAYOUT)
    other = Layout((Field("id", "INT64"),))
    assert len(warehouse.tables.create(name, other).schema) == 4


def test_legal_changes_are_made_and_rows_stay(warehouse, name):
    ensure_table(warehouse, name, LAYOUT)
    sql = f"INSERT INTO {name.sql} (id, amount, r) VALUES (1, 1.25, [STRUCT(7 AS x)])"
    warehouse.run(sql, kind="test", key=name.dataset)
    identifier, day, _, _ = LAYOUT.fields
    wanted = (
        replace(identifier, mode="NULLABLE", description="The number."),
        day,
        Field("amount", "NUMERIC", precision=14, scale=3),
        Field("r", "RECORD", "REPEATED", fields=(Field("y", "STRING"), Field("x", "NUMERIC"))),
        Field("tags", "STRING", "REPEATED"),
    )
    ensured = ensure_table(warehouse, name, replace(LAYOUT, fields=wanted, clustering=("id", "day")))
    assert [field.type_sql for field in ensured.fields] == [
        "INT64", "DATE", "NUMERIC(14, 3)", "ARRAY<STRUCT<`x` NUMERIC, `y` STRING>>", "ARRAY<STRING>",
    ]  # fmt: skip
    again = ensure_table(warehouse, name, replace(LAYOUT, fields=wanted, clustering=("id", "day")))
    assert again == ensured
    assert warehouse.tables.get(name).clustering_fields == ["id", "day"]
    insert = f"INSERT INTO {name.sql} (id, r, tags) VALUES (2, [STRUCT(1.5 AS x, 'y' AS y)], ['a'])"
    warehouse.run(insert, kind="test", key=f"{name.dataset} 2")
    rows = warehouse.rows(f"SELECT id, r[OFFSET(0)].x AS x, tags FROM {name.sql} ORDER BY id", kind="test")
    assert [(row["id"], float(row["x"]), row["tags"]) for row in rows] == [(1, 7.0, []), (2, 1.5, ["a"])]


def test_another_description_is_written_and_none_is_left_alone(warehouse, name):
    ensure_table(warehouse, name, LAYOUT)
    for said, found in (("Other things.", "Other things."), ("", "Other things.")):
        ensure_table(warehouse, name, replace(LAYOUT, description=said))
        assert warehouse.tables.get(name).description == found


@pytest.mark.parametrize(
    "wanted",
    [
        replace(LAYOUT, granularity="day"),
        replace(LAYOUT, partition_column=None),
        replace(LAYOUT, partition_column=None, clustering=("day",)),
    ],
    ids=["granularity", "none", "clusters"],
)
def test_other_partitioning_is_refused_with_what_a_person_would_run(warehouse, name, wanted):
    ensure_table(warehouse, name, LAYOUT)
    with pytest.raises(SchemaEvolutionError, match=r"partitioned by day \(MONTH\)") as caught:
        ensure_table(warehouse, name, wanted)
    assert f"RENAME TO `{name.table}`" in caught.value.remedy


@pytest.mark.parametrize(
    "wanted",
    [
        replace(LAYOUT, fields=(*LAYOUT.fields, Field("at", "TIMESTAMP")), partition_column="at"),
        replace(
            LAYOUT, fields=(*LAYOUT.fields, Field("s", "STRING")), partition_column=None, clustering=("s",)
        ),
        replace(LAYOUT, fields=(LAYOUT.fields[0], Field("day", "TIMESTAMP")), granularity="day"),
    ],
    ids=["new", "cluster by new", "another type"],
)
def test_a_table_that_has_no_such_column_to_lie_by_is_put_aside(warehouse, name, wanted):
    """Copying it as it is would be refused: nothing in it says where a row belongs."""
    ensure_table(warehouse, name, LAYOUT)
    with pytest.raises(SchemaEvolutionError, match=r"partitioned by day \(MONTH\)") as caught:
        ensure_table(warehouse, name, wanted)
    assert f"RENAME TO `{name.table}__old`; then replay" in caught.value.remedy
    assert "SELECT" not in caught.value.remedy


def test_partitioning_of_a_plain_table_is_refused(warehouse, name):
    plain = replace(LAYOUT, partition_column=None)
    ensure_table(warehouse, name, plain)
    with pytest.raises(SchemaEvolutionError, match="partitioned by nothing"):
        ensure_table(warehouse, name, LAYOUT)


@pytest.mark.parametrize(
    ("before", "values", "after", "kept"),
    [
        ("FLOAT64", "1.5, 2.0", "INT64", [None, 2]),
        ("NUMERIC", "NUMERIC '1.5', NUMERIC '2'", "INT64", [None, 2]),
        ("TIMESTAMP", "TIMESTAMP '2026-01-01 00:00:01+00', TIMESTAMP '2026-01-02'", "DATE", [None, date(2026, 1, 2)]),
        ("STRING", "'007', 'x', '7'", "INT64", [None, None, 7]),
    ],
)  # fmt: skip
def test_what_a_person_would_run_rounds_nothing(warehouse, name, before, values, after, kept):
    """What does not fit is NULL until it is replayed; it would stay where the replay refuses it."""
    layout = Layout((Field("n", before),))
    ensure_table(warehouse, name, layout)
    warehouse.run(f"INSERT INTO {name.sql} SELECT * FROM UNNEST([{values}])", kind="test", key="rows")
    with pytest.raises(SchemaEvolutionError) as caught:
        ensure_table(warehouse, name, Layout((Field("n", after),)))
    warehouse.run(caught.value.remedy.partition("or run: ")[2].partition(";")[0], kind="test", key="rebuild")
    found = [row["n"] for row in warehouse.rows(f"SELECT n FROM {name.sql} ORDER BY n", kind="test")]
    assert found == kept


KEYED = replace(LAYOUT, key=("id",))
OTHER_KEYS = {
    "another": ("place",),
    "one more": ("id", "place"),
}


@pytest.mark.parametrize("key", OTHER_KEYS.values(), ids=OTHER_KEYS)
@pytest.mark.parametrize("known", [True, False], ids=["of the table", "new"])
def test_another_key_is_refused_with_what_a_person_would_run(warehouse, name, key, known):
    """Rows would be found under neither key, or one thing under both."""
    place = Field("place", "STRING")
    before = replace(KEYED, fields=(*KEYED.fields, *([place] if known else [])))
    ensure_table(warehouse, name, before)
    fields = (
        *(replace(field, mode="NULLABLE") if field.name not in key else field for field in KEYED.fields),
        replace(place, mode="REQUIRED"),
    )
    with pytest.raises(SchemaEvolutionError, match=f"key is {', '.join(key)}.* one for each id") as caught:
        ensure_table(warehouse, name, replace(KEYED, fields=fields, key=key))
    assert f"RENAME TO `{name.table}__old`; then replay" in caught.value.remedy
    assert ensure_table(warehouse, name, before).fields[0].mode == "REQUIRED"


def test_a_key_of_fewer_columns_is_refused_too(warehouse, name):
    both = (*KEYED.fields, Field("place", "STRING", "REQUIRED"))
    ensure_table(warehouse, name, replace(KEYED, fields=both, key=("id", "place")))
    with pytest.raises(SchemaEvolutionError, match="one for each id, place"):
        ensure_table(warehouse, name, KEYED)


def test_a_table_that_a_person_made_anew_is_believed(warehouse, name):
    """`CREATE TABLE … AS SELECT` makes no column REQUIRED."""
    plain = tuple(replace(f, mode="NULLABLE") if f.mode == "REQUIRED" else f for f in LAYOUT.fields)
    ensure_table(warehouse, name, replace(LAYOUT, fields=plain))
    assert ensure_table(warehouse, name, KEYED).fields == plain


def test_illegal_change_leaves_the_table_alone(warehouse, name):
    ensure_table(warehouse, name, LAYOUT)
    fields = (Field("id", "STRING", "REQUIRED"), *LAYOUT.fields[1:], Field("new", "STRING"))
    with pytest.raises(SchemaEvolutionError):
        ensure_table(warehouse, name, replace(LAYOUT, fields=fields))
    assert len(warehouse.tables.get(name).schema) == 4


def test_expiring_tables_say_when(bench, kit):
    """The emulator keeps no expiry, so the requests are looked at."""
    missing = kit.error(404, "notFound")
    table = {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}}
    dataset = {"datasetReference": {"projectId": "p", "datasetId": "d"}}
    bench.script.answers.extend([missing, dataset, table])
    bench.warehouse.tables.create(TableName("p", "d", "t"), Layout((Field("a", "INT64"),), expires_hours=48))
    refused, made_dataset, made_table = bench.script.requests
    assert made_dataset.path.endswith("/datasets")
    assert made_dataset.body["defaultTableExpirationMs"] == str(48 * 3_600_000)
    assert made_dataset.body["location"] == "EU"
    assert int(made_table.body["expirationTime"]) == int(refused.body["expirationTime"]) > 0


@pytest.mark.parametrize(
    ("before", "expires", "sent"),
    [
        (None, datetime(2026, 3, 1, tzinfo=UTC), "1772323200000"),
        ("1772323200000", None, None),
    ],
    ids=["set", "lifted"],
)
def test_expiry_is_set_and_lifted(bench, before, expires, sent):
    name = TableName("p", "d", "t")
    table = {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}, "etag": "e"}
    bench.script.answers += [{**table, **({"expirationTime": before} if before else {})}, table]
    set_expiry(bench.warehouse, name, expires)
    assert [request.method for request in bench.script.requests] == ["GET", "PATCH"]
    assert bench.script.requests[1].body["expirationTime"] == sent


@pytest.mark.parametrize("answer", [(404, {"error": {"code": 404, "message": "no", "errors": []}}), None])
def test_expiry_that_is_right_or_of_no_table_is_left_alone(bench, answer):
    table = {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}}
    bench.script.answers.append(answer or table)
    set_expiry(bench.warehouse, TableName("p", "d", "t"), None)
    assert [request.method for request in bench.script.requests] == ["GET"]


def test_a_table_says_something_and_then_no_more(bench):
    name, there = (
        TableName("p", "d", "t"),
        {"tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"}},
    )
    bench.script.answers += [there, there, {**there, "description": "old"}, there]
    describe(bench.warehouse, name, "old")
    describe(bench.warehouse, name, None)
    sent = [request.body for request in bench.script.requests if request.method == "PATCH"]
    assert [body["description"] for body in sent] == ["old", None]


def test_tables_are_named_page_by_page(bench):
    def page(*tables, **more):
        references = [{"projectId": "p", "datasetId": "d", "tableId": table} for table in tables]
        return {"tables": [{"tableReference": reference} for reference in references], **more}

    bench.script.answers += [page("a", "b", nextPageToken="2"), page("c")]
    assert bench.warehouse.tables.names_beside(TableName("p", "d", "t")) == ["a", "b", "c"]


def test_where_there_is_no_dataset_there_are_no_tables(bench, kit):
    bench.script.answers.append(kit.error(404, "notFound"))
    assert bench.warehouse.tables.names_beside(TableName("p", "d", "t")) == []
