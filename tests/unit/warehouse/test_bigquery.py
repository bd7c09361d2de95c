"""The warehouse on the emulator; what the emulator does not check is looked at in the requests."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import bigquery

from tideline.errors import WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.bigquery import NDJSON, Warehouse
from tideline.warehouse.names import TableName
from tideline.warehouse.schema import Field, Layout

FIELDS = (Field("a", "INT64"), Field("b", "STRING"))


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


@pytest.fixture
def table(warehouse):
    name = TableName("local", f"{warehouse.settings.dataset_prefix}d", "t")
    warehouse.tables.create(name, Layout(FIELDS))
    return name


def parquet(*rows):
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"b": b, "a": a} for a, b in rows]), body)
    body.seek(0)
    return body


def test_statement_runs_once_for_its_key(warehouse, table):
    sql = f"INSERT INTO {table.sql} (a) VALUES (1)"
    first = warehouse.run(sql, kind="test", key=table.dataset, labels={"dataset": "d"})
    again = warehouse.run(sql, kind="test", key=table.dataset)
    assert first.job_id == again.job_id
    assert first.num_dml_affected_rows == 1
    assert warehouse.count(table) == 1
    found = warehouse.client.get_job(first.job_id)
    assert found.labels == {"app": "tideline", "environment": "dev", "kind": "test", "dataset": "d"}
    assert found.maximum_bytes_billed == warehouse.settings.maximum_bytes_billed


def test_parameters_are_bound(warehouse):
    parameters = [bigquery.ScalarQueryParameter("x", "STRING", "it's")]
    assert [row["x"] for row in warehouse.rows("SELECT @x AS x", kind="test", parameters=parameters)] == [
        "it's"
    ]


def test_rows_stream_over_pages_to_the_last(warehouse):
    sql = "SELECT x FROM UNNEST(GENERATE_ARRAY(1, 25)) AS x ORDER BY x"
    assert [row["x"] for row in warehouse.rows(sql, kind="test", page_size=10)] == list(range(1, 26))


def test_wrong_statement_is_refused_with_its_text_and_job(warehouse):
    with pytest.raises(WarehouseRefusedError, match="tideline_test_") as caught:
        list(warehouse.rows("SELECT nope FROM nowhere.at_all", kind="test"))
    assert "SELECT nope FROM nowhere.at_all" in caught.value.place


def test_page_that_does_not_come_is_an_error_of_ours(bench, kit):
    schema = {"fields": [{"name": "x", "type": "INTEGER"}]}
    first = {
        "jobComplete": True,
        "schema": schema,
        "rows": [{"f": [{"v": "1"}]}],
        "totalRows": "2",
        "pageToken": "2",
    }
    bench.script.answers.extend(
        [kit.job(), {**first, "jobReference": kit.job()["jobReference"]}, kit.error(403, "accessDenied")]
    )
    with pytest.raises(WarehouseRefusedError, match="accessDenied"):
        list(bench.warehouse.rows("SELECT 1", kind="test"))


def test_file_is_loaded_by_name_and_replaces_or_adds(warehouse, table):
    warehouse.load_file(table, parquet((1, "x")), FIELDS, key=f"{table}1", truncate=True)
    warehouse.load_file(table, parquet((2, "y")), FIELDS, key=f"{table}2", truncate=False)
    rows = warehouse.rows(f"SELECT a, b FROM {table.sql} ORDER BY a", kind="test")
    assert [tuple(row.values()) for row in rows] == [(1, "x"), (2, "y")]
    warehouse.load_file(table, parquet((3, "z")), FIELDS, key=f"{table}3", truncate=True)
    assert warehouse.count(table) == 1


def test_load_that_succeeded_is_loaded_again_when_asked_again(warehouse, table):
    """Only the caller knows whether what was loaded is still there."""
    for _ in range(2):
        warehouse.load_file(table, parquet((1, "x")), FIELDS, key=str(table), truncate=False)
    assert warehouse.count(table) == 2


def test_json_lines_are_loaded(warehouse, table):
    body = io.BytesIO('{"a": 1, "b": "café"}\n'.encode())
    warehouse.load_file(table, body, FIELDS, key=str(table), truncate=False, source_format=NDJSON)
    assert [row["b"] for row in warehouse.rows(f"SELECT b FROM {table.sql}", kind="test")] == ["café"]


def test_objects_are_loaded_in_one_job(warehouse, table, gcs_root):
    uris = []
    for number in range(3):
        path = gcs_root / "bucket" / table.dataset / f"part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(parquet((number, "x")).getvalue())
        uris.append(f"gs://{path.relative_to(gcs_root)}")
    job = warehouse.load_uris(table, uris, FIELDS, key=str(table))
    assert job.source_uris == uris
    assert warehouse.count(table) == 3


def test_broken_file_is_refused(warehouse, table):
    with pytest.raises(WarehouseRefusedError, match=f"into {table}"):
        warehouse.load_file(table, io.BytesIO(b"not parquet"), FIELDS, key=str(table), truncate=False)


def test_loads_are_sent_with_schema_and_list_inference_and_without_guessing(bench, kit):
    table = TableName("p", "d", "t")
    done = kit.job(load={"destinationTable": {"projectId": "p", "datasetId": "d", "tableId": "t"}})
    bench.script.answers.append(done)
    bench.warehouse.load_uris(table, ["gs://b/1", "gs://b/2"], FIELDS, key="k", labels={"dataset": "x"})
    (request,) = bench.script.requests
    load = request.body["configuration"]["load"]
    assert load["sourceUris"] == ["gs://b/1", "gs://b/2"]
    assert load["schema"]["fields"] == [
        {"name": "a", "type": "INT64", "mode": "NULLABLE"},
        {"name": "b", "type": "STRING", "mode": "NULLABLE"},
    ]
    assert (load["sourceFormat"], load["writeDisposition"]) == ("PARQUET", "WRITE_TRUNCATE")
    assert load["createDisposition"] == "CREATE_IF_NEEDED"
    assert (load["autodetect"], load["parquetOptions"]) == (False, {"enableListInference": True})
    assert request.body["configuration"]["labels"]["dataset"] == "x"
    assert request.body["jobReference"]["location"] == "EU"


def test_server_that_is_not_there_is_unavailable(own_settings):
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    client = bigquery.Client(
        project="local",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint="http://127.0.0.1:9"),
    )
    slept = []
    warehouse = Warehouse(client, own_settings(), sleep=slept.append)
    with pytest.raises(WarehouseUnavailableError, match="no answer from the warehouse"):
        warehouse.tables.get(TableName("local", "d", "t"))
    assert len(slept) == 5
    client.close()


def test_a_copy_takes_the_place_of_a_table_with_its_schema_once_for_its_key(warehouse, table):
    new = TableName("local", table.dataset, "new")
    warehouse.tables.create(new, Layout((Field("c", "STRING"), Field("a", "INT64"))))
    warehouse.run(f"INSERT INTO {new.sql} (a, c) VALUES (1, 'x')", kind="test", key=f"{new}")
    first = warehouse.copy(new, table, key=f"{table}", replace=True)
    assert [tuple(row.values()) for row in warehouse.rows(f"SELECT * FROM {table.sql}", kind="test")] == [
        ("x", 1)
    ]
    warehouse.run(f"INSERT INTO {table.sql} (a) VALUES (2)", kind="test", key=f"{table}")
    assert warehouse.copy(new, table, key=f"{table}", replace=True).job_id == first.job_id
    assert warehouse.count(table) == 2


def test_a_copy_that_may_not_replace_makes_the_table_and_refuses_one_with_rows(warehouse, table):
    warehouse.load_file(table, parquet((1, "x")), FIELDS, key=f"{table}", truncate=True)
    other = TableName("local", table.dataset, "other")
    warehouse.copy(table, other, key="one", replace=False)
    assert warehouse.count(other) == 1
    with pytest.raises(WarehouseRefusedError, match="not empty"):
        warehouse.copy(table, other, key="two", replace=False)


@pytest.mark.parametrize(("replace", "disposition"), [(True, "WRITE_TRUNCATE"), (False, "WRITE_EMPTY")])
def test_copies_are_sent_with_labels_and_disposition(bench, kit, replace, disposition):
    there = {"projectId": "p", "datasetId": "d", "tableId": "u"}
    bench.script.answers.append(kit.job(copy={"destinationTable": there, "sourceTable": there}))
    bench.warehouse.copy(TableName("p", "d", "t"), TableName("p", "d", "u"), key="k", replace=replace)
    sent = bench.script.requests[0].body["configuration"]
    assert sent["copy"]["writeDisposition"] == disposition
    assert sent["copy"]["destinationTable"]["tableId"] == "u"
    assert sent["labels"] == {"app": "tideline", "environment": "ci", "kind": "copy"}
