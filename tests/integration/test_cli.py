"""The command line on a living shop: the same verbs, the same result, and errors that say what to do."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from tideline import cli
from tideline.errors import CatalogError, IntegrityError, SettingsError, SourceUnavailableError

pytestmark = pytest.mark.integration
WINDOW = ["--start", "2026-03-14T09:00", "--end", "2026-03-14T10:00"]
ORDERS = ["--dataset", "shop_mongodb.orders"]


def invoke(*arguments):
    result = CliRunner().invoke(cli.app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_catching_up_brings_everything(world):
    world.shop.advance(0, world.targets)
    printed = invoke("run", "--catch-up", "--end", "2026-03-14T10:00")
    assert "shop_mongodb.orders" in printed
    assert world.compare(0) > 1000


def test_the_verbs_one_by_one_hand_over_by_manifest(world):
    landed = json.loads(invoke("land", *ORDERS, *WINDOW))
    refined = json.loads(invoke("refine", *ORDERS, *WINDOW))
    assert refined["raw_manifest_uri"] == landed["raw_manifest_uri"]
    merged = json.loads(invoke("merge", *ORDERS, *WINDOW))
    assert merged["processed_manifest_uri"] == refined["processed_manifest_uri"]
    assert merged["inserted"] == 0
    again = json.loads(invoke("merge", *ORDERS, "--manifest", merged["processed_manifest_uri"]))
    assert again["repeated"] is True
    assert world.compare(0) > 1000


def test_several_datasets_as_json(world):
    printed = invoke("run", *ORDERS, "-d", "jsonplaceholder.users", *WINDOW, "--json")
    assert [row["dataset_id"] for row in json.loads(printed)] == [
        "jsonplaceholder.users",
        "shop_mongodb.orders",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["run", "--dataset", "shop_mongodb.nope", *WINDOW], CatalogError, "choose one of"),
        (["run", "--start", "2026-03-14T09:00"], SettingsError, "both ends"),
        (["run", "--start", "2999-01-01T00:00", "--end", "2999-01-01T01:00"], SettingsError, "not over"),
        (["run", "--start", "yesterday", "--end", "2026-03-14T10:00"], SettingsError, "not an instant"),
        (["refine", *ORDERS], SettingsError, "--manifest"),
        (
            ["merge", *ORDERS, "--start", "2001-01-01", "--end", "2001-01-02"],
            IntegrityError,
            "nothing is committed",
        ),
    ],
    ids=["dataset", "half a window", "future", "instant", "no window", "nothing there"],
)
def test_bad_input_says_what_to_do(world, arguments, error, words):
    with pytest.raises(error, match=words):
        invoke(*arguments)


def test_the_catalog_is_listed(world):
    assert "shop_s3.order_items" in invoke("catalog")
    assert invoke("version").strip()


@pytest.mark.parametrize(("error", "code"), [(SettingsError("x"), 1), (SourceUnavailableError("y"), 75)])
def test_the_exit_code_says_whether_a_retry_may_help(monkeypatch, capsys, error, code):
    def fail():
        raise error

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["tideline"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == code


def test_a_connection_that_is_not_defined_is_named_with_an_example(world, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_TIDELINE_MONGODB")
    with pytest.raises(SettingsError, match="AIRFLOW_CONN_TIDELINE_MONGODB") as failure:
        invoke("land", *ORDERS, *WINDOW)
    assert '"conn_type": "mongo"' in str(failure.value)
