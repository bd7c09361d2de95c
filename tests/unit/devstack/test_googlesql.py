"""What an emulator writes down of its queries, and what the analyzer of GoogleSQL says of them."""

from __future__ import annotations

import json
import re

import googlesql
import pytest
import reference
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from devstack.bigquery import server

FIELD = {"mode": "NULLABLE", "fields": []}


def read(*statements, **tables):
    """The refusals of statements over tables of `ops`, name → column → type."""
    known = {
        f"local.ops.{name}": [{**FIELD, "name": column, "type": kind} for column, kind in columns.items()]
        for name, columns in tables.items()
    }
    asked = ({"sql": sql, "parameters": [], "tables": known, "project": "local"} for sql in statements)
    return [each.why if each else None for each in googlesql.refusals(map(json.dumps, asked))]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("WITH a AS (SELECT * FROM ops.t) SELECT CONCAT(a, '.', b) FROM a", "signature for function CONCAT"),
        ("SELECT a, MAX(n) AS n FROM ops.t GROUP BY a HAVING COUNTIF(n > 1) > 0", "Aggregations of aggregations"),
        ("SELECT l.a AS l FROM ops.t AS l QUALIFY ROW_NUMBER() OVER (ORDER BY l.n) = 1", "access field n"),
        ("SELECT gone FROM ops.t", "Unrecognized name: gone"),
        ("SELECT * FROM ops.nowhere", "Table not found"),
    ],
)  # fmt: skip
def test_what_bigquery_refuses(sql, why):
    (found,) = read(sql, t={"a": "STRING", "b": "STRING", "n": "INT64"})
    assert re.search(why, found)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT MAX_BY(a, n) AS a, SUM(n) AS n FROM `local`.`ops`.`t`",
        "SELECT a FROM `local.ops.t` QUALIFY ROW_NUMBER() OVER (ORDER BY n) = 1",
        "SELECT a FROM local.ops.t WHERE n > 1",
        "CREATE OR REPLACE TABLE ops.u PARTITION BY d CLUSTER BY a OPTIONS (description = 'x') AS "
        "SELECT a, DATE '2026-01-01' AS d FROM ops.t",
    ],
)
def test_what_it_takes(sql):
    assert read(sql, t={"a": "STRING", "n": "INT64"}) == [None]


def test_what_a_statement_makes_has_the_types_of_the_analyzer():
    """The emulator calls the sum of integers NUMERIC, which BigQuery would not put into an INT64."""
    made = {"total": "NUMERIC"}
    insert = "INSERT INTO ops.v (total) SELECT total FROM ops.u"
    tables = {"t": {"n": "INT64"}, "u": made, "v": {"total": "INT64"}}
    assert read("CREATE TABLE ops.u AS SELECT SUM(n) AS total FROM ops.t", insert, **tables) == [None, None]
    (alone,) = read(insert, **tables)
    assert "INT64" in alone


def test_an_emulator_writes_down_what_it_has_done(tmp_path, monkeypatch):
    folder = tmp_path / "statements"
    monkeypatch.setenv("TIDELINE_SHIM_RECORD", str(folder))
    with server.start(tmp_path / "data") as emulator:
        client = bigquery.Client(
            "local", AnonymousCredentials(), client_options={"api_endpoint": emulator.url}
        )
        client.create_dataset("ops")
        client.query("CREATE TABLE ops.t (a STRING, source STRING)").result()
        limit = bigquery.ScalarQueryParameter("least", "STRING", "x")
        asked = "WITH source AS (SELECT * FROM ops.t WHERE a > @least) SELECT CONCAT(source, a) FROM source"
        client.query(asked, bigquery.QueryJobConfig(query_parameters=[limit])).result()
        with pytest.raises(GoogleAPICallError):
            client.query("SELECT nonsense FROM ops.t", job_retry=None).result()
        client.close()
    number, (refused,) = googlesql.judge(folder)
    assert (number, refused.sql) == (2, asked)
    assert "CONCAT" in refused.why


TABLE = reference.Table(
    [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "share", "type": "FLOAT", "mode": "NULLABLE"},
        {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    ],
    [{"id": 1, "share": 0.1, "tags": ["it's"]}, {"id": 2, "share": None, "tags": []}],
)


def test_what_the_reference_implementation_answers():
    views = {"p.staging.v": "SELECT *, LEAST(id, share) AS least FROM `p`.`raw`.`t`"}
    found = reference.evaluate("SELECT * FROM `p`.`staging`.`v`", {"p.raw.t": TABLE}, views)
    rows = [{**TABLE.rows[0], "least": 0.1}, {**TABLE.rows[1], "least": None}]
    assert reference.differences(rows, found, ()) == []


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({"id": 1, "share": 0.1 + 1e-12, "at": "x"}, True),
        ({"id": 1, "share": 0.11, "at": "x"}, False),
        ({"id": 2, "share": 0.1, "at": "x"}, False),
        ({"id": 1, "share": None, "at": "x"}, False),
    ],
)
def test_what_counts_as_a_difference(other, is_same):
    ours = [{"id": 1, "share": 0.1, "at": "y"}]
    assert (reference.differences(ours, [other], ["at"]) == []) is is_same
    assert reference.differences(ours, [other, other], ["at"])
