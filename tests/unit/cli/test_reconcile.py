"""`tideline reconcile`: what is chosen, what is shown, and that one dataset's cap does not stop the others."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tideline import cli
from tideline.catalog.loader import load_catalog
from tideline.cli import reconcile as command
from tideline.errors import CatalogError, ContractError, SourceUnavailableError, StoreUnavailableError
from tideline.settings import from_environment

ORDERS, USERS = "shop_mongodb.orders", "jsonplaceholder.users"


@pytest.fixture
def calls(monkeypatch):
    """The work that is asked for; datasets in `capped` stop."""
    made = SimpleNamespace(asked=[], capped=set())

    def reconcile_dataset(deployment, dataset_id, **options):
        made.asked.append((dataset_id, options))
        if dataset_id in made.capped:
            raise ContractError("too many are gone", dataset=dataset_id)
        counts = dict.fromkeys(("inserted", "updated", "unchanged", "revived", "deleted"), 0)
        return {
            "dataset_id": dataset_id, "found": {"absent": 3, "older": 0}, "relanded": 0, **counts, "seconds": 1.0,
        }  # fmt: skip

    catalog = load_catalog(from_environment({}).catalog_dir)
    monkeypatch.setattr(command, "open_deployment", lambda: nullcontext(SimpleNamespace(catalog=catalog)))
    monkeypatch.setattr(command, "reconcile_dataset", reconcile_dataset)
    return made


def invoke(*arguments):
    result = CliRunner().invoke(cli.app, ["reconcile", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def test_all_datasets_without_a_choice(calls):
    printed = invoke()
    assert len(calls.asked) == 11
    assert "3 absent" in printed


def test_options_reach_the_work(calls):
    printed = invoke("-d", ORDERS, "-d", USERS, "--dry-run", "--max-delete-ratio", "0.5", "--json")
    assert [row["dataset_id"] for row in json.loads(printed)] == [ORDERS, USERS]
    for _, options in calls.asked:
        assert (options["dry_run"], options["max_delete_ratio"]) == (True, 0.5)
        assert options["run_id"].startswith("cli__")


def test_a_cap_stops_one_dataset_only_and_is_an_error_at_the_end(calls, capsys):
    calls.capped = {ORDERS, USERS}
    with pytest.raises(ContractError, match="too many"):
        invoke("-d", ORDERS, "-d", "shop_mongodb.charges", "-d", USERS)
    assert [dataset_id for dataset_id, _ in calls.asked] == [ORDERS, "shop_mongodb.charges", USERS]


def test_a_source_that_is_down_stops_its_dataset_and_a_lake_that_is_everything(calls, monkeypatch):
    def fail(deployment, dataset_id, **options):
        calls.asked.append((dataset_id, options))
        raise (SourceUnavailableError if dataset_id == ORDERS else StoreUnavailableError)(
            "is down", dataset=dataset_id if dataset_id == ORDERS else None
        )

    monkeypatch.setattr(command, "reconcile_dataset", fail)
    with pytest.raises(StoreUnavailableError):
        invoke("-d", ORDERS, "-d", "shop_mongodb.charges", "-d", USERS)
    assert [dataset_id for dataset_id, _ in calls.asked] == [ORDERS, "shop_mongodb.charges"]


def test_an_unknown_dataset_stops_everything(calls):
    with pytest.raises(CatalogError, match="choose one of"):
        invoke("-d", ORDERS, "-d", "shop_mongodb.nope")
    assert calls.asked == []
