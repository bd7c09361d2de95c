"""The command line on a living shop: the same verbs, the same result, and errors that say what to do."""

from __future__ import annotations

import json
import os
import sys

import pytest
from typer.testing import CliRunner

from tideline import cli
from tideline.errors import CatalogError, ContractError, IntegrityError, SettingsError, SourceUnavailableError

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
        (["replay", "--dataset", "shop_mongodb.nope"], CatalogError, "choose one of"),
        (["replay"], SettingsError, "which dataset"),
        (["replay", *ORDERS, "--to", "2999-01-01"], SettingsError, "yet to come"),
        (["replay", *ORDERS, "--from", "2026-03-14", "--to", "2026-03-14"], SettingsError, "is empty"),
        (["recover", "--dataset", "shop_mongodb.nope"], CatalogError, "choose one of"),
        (["recover", "--from", "2999-01-01"], SettingsError, "yet to come"),
        (["rewind", *ORDERS, "--to", "2999-01-01", "--reason", "x"], SettingsError, "yet to come"),
        (
            ["merge", *ORDERS, "--start", "2001-01-01", "--end", "2001-01-02"],
            IntegrityError,
            "nothing is committed",
        ),
    ],
    ids=[
        "dataset",
        "half a window",
        "future",
        "instant",
        "no window",
        "replay dataset",
        "replay nothing",
        "replay future",
        "replay empty",
        "recover dataset",
        "recover future",
        "rewind future",
        "nothing there",
    ],
)
def test_bad_input_says_what_to_do(world, arguments, error, words):
    with pytest.raises(error, match=words):
        invoke(*arguments)


def test_the_catalog_is_listed(world):
    assert "shop_s3.order_items" in invoke("catalog")
    assert invoke("version").strip()


def test_a_replay_says_what_became_of_each_load(world):
    printed = invoke("replay", *ORDERS)
    assert "shop_mongodb.orders" in printed
    report = json.loads(invoke("replay", *ORDERS, "--to", "2026-03-14T10:00", "--json"))
    assert {load["mode"] for load in report["merged"]["done"]} == {"replay"}
    assert world.compare(0) > 1000


def test_a_shadow_is_compared_column_by_column_and_swapped_in(world):
    printed = invoke("replay", *ORDERS, "--into", "shadow", "--swap", "--keep-days", "2")
    for words in ("orders__shadow_", "keys only there", "shipping", "is kept as", "orders__before_"):
        assert words in printed.replace("\n", ""), words
    assert world.compare(0) > 1000


def test_what_differs_in_shape_is_told_and_what_is_passed_over_too(capsys):
    from tideline.cli import replay

    found = {
        "live_rows": 1, "shadow_rows": 2, "live_tombstones": 0, "shadow_tombstones": 0, "only_live": 0,
        "only_shadow": 1, "columns": [{"name": "a", "live_checksum": None, "shadow_checksum": -1, "differing": 0}],
        "reshaped": ["b STRING is new"],
    }  # fmt: skip
    merged = {
        "done": [],
        "skipped": {"s3://raw/m": "too many refused"},
        "passed_over": {"s3://raw/n": "another key"},
    }
    replay._show_replay({"merged": merged, "comparison": found, "shadow": {"table": "t"}}, as_json=False)
    said = capsys.readouterr()
    assert "b STRING is new" in said.out
    assert "ffffffffffffffff" in said.out
    assert "passed over, as before: s3://raw/m: too many refused" in said.err.replace("\n", " ")
    assert "passed over: s3://raw/n: another key" in said.err.replace("\n", " ")


def test_refused_rows_that_are_refused_again_are_an_error(world):
    report = json.loads(invoke("replay", *ORDERS, "--quarantined", "--json"))
    assert all(load["quarantined"] for load in report["merged"]["done"])
    with pytest.raises(SettingsError, match=r"no refused rows are open of shop_mongodb\.orders for bad_csv"):
        invoke("replay", *ORDERS, "--quarantined", "--reason", "bad_csv")
    with pytest.raises(CatalogError, match="not the id of a load"):
        invoke("replay", "--quarantined", "--load", "nothing")


def test_recover_lists_and_merges_what_no_load_has(world):
    assert json.loads(invoke("recover", "--json")) == {"done": [], "skipped": {}, "passed_over": {}}
    landed = json.loads(invoke("land", *ORDERS, *WINDOW))
    listed = invoke("recover", *ORDERS, "--dry-run")
    assert "exact" in listed
    assert "yes" in listed
    invoke("refine", *ORDERS, "--manifest", landed["raw_manifest_uri"])
    assert "done before" in invoke("recover", *ORDERS, "--dry-run")
    assert "shop_mongodb.orders" in invoke("recover", *ORDERS)
    assert json.loads(invoke("recover", *ORDERS, "--json"))["done"] == []


def test_a_landing_that_does_not_go_through_is_an_error_after_the_others_went(world):
    from tideline.cli import replay

    with pytest.raises(ContractError, match="2 landings did not go through, the first because: why"):
        replay._fail_if_skipped({"s3://raw/m": "why", "s3://raw/n": "too"})
    replay._fail_if_skipped({})


def test_rewind_moves_the_mark_back_and_says_who_did(world):
    moved = json.loads(
        invoke("rewind", *ORDERS, "--to", "2026-03-14T09:30", "--reason", "late rows", "--json")
    )
    assert (moved["before"], moved["after"]) == ("2026-03-14T10:00:00Z", "2026-03-14T09:30:00Z")
    assert moved["actor"]
    said = invoke("rewind", *ORDERS, "--to", "origin", "--reason", "all anew", "--actor", "me")
    assert "back to the origin" in said
    with pytest.raises(SettingsError, match="no high-water mark to rewind"):
        invoke("rewind", *ORDERS, "--to", "origin", "--reason", "again")


def test_a_user_without_a_name_is_a_number(monkeypatch):
    from tideline.cli import replay

    def nobody():
        raise KeyError("no such uid")

    monkeypatch.setattr(replay.getpass, "getuser", nobody)
    assert replay._user() == f"uid {os.getuid()}"


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
