"""`tideline promote`: the diff on standard output, the file only with --write, types from the drift seen."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tideline import cli
from tideline.catalog.loader import load_catalog
from tideline.errors import CatalogError
from tideline.status.model import DatasetStatus, Drift, Report

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
TEXT = """\
source: shop
kind: mongodb
connection: tideline_mongodb
database: shop
datasets:
  orders:
    key: [id]
    columns:
      id: int64  # the number
"""


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    (tmp_path / "shop.yaml").write_text(TEXT)
    monkeypatch.setenv("TIDELINE_CATALOG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def invoke(monkeypatch):
    """Run it with these new fields in the drift: path → example."""

    def run(*arguments, seen=None):
        @contextmanager
        def opened():
            if seen is None:
                raise AssertionError("no warehouse is needed")
            yield SimpleNamespace()

        drift = tuple(
            Drift("shop.orders", "new_field", path, kind, 1, 1, NOON, NOON)
            for path, kind in (seen or {}).items()
        )
        found = Report(NOON, 90, 3, (DatasetStatus("shop.orders", drift=drift),))
        monkeypatch.setattr("tideline.cli.promote.open_deployment", opened)
        monkeypatch.setattr("tideline.status.report.report", lambda *_, **__: found)
        result = CliRunner().invoke(cli.app, ["promote", "--dataset", "shop.orders", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return run


def test_the_diff_is_for_review(invoke, catalog):
    diff = invoke("--field", "tier", "--type", "string")
    assert diff == (
        "--- a/shop.yaml\n+++ b/shop.yaml\n@@ -7,3 +7,4 @@\n     key: [id]\n     columns:\n"
        "       id: int64  # the number\n+      tier: string\n"
    )
    assert (catalog / "shop.yaml").read_text() == TEXT


def test_it_is_written_when_asked_for(invoke, catalog):
    assert invoke("--field", "loyaltyTier", "--write", seen={"loyaltyTier": "double"}) == ""
    column = load_catalog(catalog).dataset("shop.orders").columns[-1]
    assert (column.name, column.field, column.type) == ("loyalty_tier", "loyaltyTier", "float64")


@pytest.mark.parametrize(
    ("field", "seen", "words"),
    [
        ("id", {}, "declared already, as id.*--type"),
        ("tier", {}, "no load has seen a new field 'tier' Remedy.*--type"),
        ("tier", {"other": "string"}, "new are other"),
        ("tier", {"tier": "null"}, "'null', which says nothing.*--type"),
    ],
)
def test_without_a_type_the_field_must_have_been_seen(invoke, catalog, field, seen, words):
    with pytest.raises(CatalogError, match=words):
        invoke("--field", field, seen=seen)
    assert (catalog / "shop.yaml").read_text() == TEXT


def test_a_declared_column_gets_another_type_when_it_is_named(invoke, catalog):
    assert "+      id: string  # the number" in invoke("--field", "id", "--type", "string")
