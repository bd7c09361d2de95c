"""Pages, models and the written reference tell the same story."""

import ast
import json
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.executor import execute
from sqlglot.optimizer.qualify import qualify

import dashboard
from dashboard import cli
from dashboard.pages import read_pages
from dashboard.reference import fields_text, pages_text

ROOM = Path(dashboard.__file__).parent
PAGES = read_pages(cli.PAGES)


@pytest.fixture(scope="module")
def parsed(manifest):
    return json.loads(manifest.read_text())


@pytest.fixture(scope="module")
def reports(parsed):
    nodes = [
        n for n in parsed["nodes"].values() if n["resource_type"] == "model" and n["name"].startswith("rpt_")
    ]
    return {node["name"]: node for node in nodes}


def test_every_report_is_on_a_page(reports):
    assert {table for page in PAGES for table in page.tables} == set(reports)


def test_links_know_the_partitioned_reports(reports):
    partitioned = {name for name, node in reports.items() if node["config"].get("partition_by")}
    assert PAGES[0].partitioned == partitioned
    assert any(reports[name]["config"].get("require_partition_filter") for name in partitioned)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_charts_name_columns_that_their_tables_have(reports, page):
    assert page.charts
    for chart in page.charts:
        assert set(chart.columns) <= set(reports[chart.table]["columns"]), chart.title
        assert chart.measures, chart.title
    columns = {name for table in page.tables for name in reports[table]["columns"]}
    assert set(page.filters) <= columns


def test_the_tile_says_how_far_the_dataset_that_is_behind_has_come(parsed):
    text = pages_text(PAGES, parsed)
    assert text.count("Tile: *Data as of* = `MIN(data_as_of)` of `ds0`.") == len(PAGES)
    (health,) = [page for page in PAGES if page.name == "health"]
    assert health.tables[0] == "rpt_freshness"


def test_how_customers_pay_is_not_less_what_they_got_back():
    """As on the page of the dashboard: a card by which all was paid back was paid with all the same."""
    (chart,) = [c for page in PAGES for c in page.charts if c.title == "How customers pay"]
    (paid,) = chart.measures.values()
    rows = [
        {"charge_kind": kind, "signed_amount_usd": amount}
        for kind, amount in (("debit", 40), ("credit", -40))
    ]
    sql = sqlglot.transpile(f"select {paid} as paid from {chart.table}", read="bigquery")[0]
    assert execute(sql, tables={chart.table: rows}).rows == [(40,)]
    assert chart.columns == ("charge_method", "charge_kind", "signed_amount_usd")


def test_exposures_are_the_pages(parsed):
    exposures = {e["name"].removesuffix("_page").replace("_", "-"): e for e in parsed["exposures"].values()}
    assert set(exposures) == {page.name for page in PAGES}
    for page in PAGES:
        tables = {unique_id.rpartition(".")[2] for unique_id in exposures[page.name]["depends_on"]["nodes"]}
        assert tables == set(page.tables), page.name


def test_the_written_reference_is_that_of_the_models(parsed):
    for path, text in (
        (cli.ROOT / "looker" / "pages.md", pages_text(PAGES, parsed)),
        (cli.ROOT / "docs" / "fields.md", fields_text(parsed)),
    ):
        assert path.read_text() == text, f"{path.name} is old: run `make docs`"


def test_a_cell_cannot_end_its_row():
    column = {"name": "a", "data_type": "string", "description": "one | two\nthree"}
    model = {"name": "rpt_a", "resource_type": "model", "path": "marts/a", "columns": {"a": column}}
    text = fields_text({"nodes": {"m": model | {"description": "d", "config": {}}}, "metrics": {}})
    assert "| `a` | string | one &#124; two three |" in text


def queries():
    """Every query of the dashboard's pages, as it is without filters."""
    for path in sorted(ROOM.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and "\nfrom {marts}.rpt_" in str(node.value):
                yield pytest.param(node.value, id=f"{path.stem}-{node.lineno}")


@pytest.mark.parametrize("sql", list(queries()))
def test_queries_name_columns_that_reports_have(reports, sql):
    schema = {
        "marts": {
            name: {column["name"]: column["data_type"] for column in node["columns"].values()}
            for name, node in reports.items()
        }
    }
    tree = sqlglot.parse_one(sql.replace("{marts}", "marts"), dialect="bigquery")
    qualify(tree, schema=schema, dialect="bigquery", validate_qualify_columns=True)
    tables = {table.name for table in tree.find_all(exp.Table)}
    assert tables <= set(reports)
    for table in tables:
        if reports[table]["config"].get("require_partition_filter"):
            where = tree.find(exp.Where)
            assert reports[table]["config"]["partition_by"]["field"] in {
                c.name for c in where.find_all(exp.Column)
            }


def test_there_are_queries():
    assert len(list(queries())) >= 12


def test_metrics_are_there_and_described(parsed):
    wanted = {"revenue", "orders", "average_order_value", "new_customers", "repeat_rate", "refund_rate"}
    metrics = {metric["name"]: metric for metric in parsed["metrics"].values()}
    assert wanted <= set(metrics)
    assert all(metric["description"] and metric["label"] for metric in metrics.values())
    for model in parsed["semantic_models"].values():
        assert model["node_relation"]["alias"].startswith("rpt_")


def test_the_commands(capsys, monkeypatch):
    assert cli.main(["urls"]) == 0
    assert capsys.readouterr().out.count("https://lookerstudio.google.com/reporting/create?") == len(PAGES)
    monkeypatch.setenv("TIDELINE_PROJECT", "no such name")
    assert cli.main(["urls"]) == 1
    assert "TIDELINE_PROJECT" in capsys.readouterr().err
