"""What the bodies of tasks make of their rooms' errors."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tideline import pipeline
from tideline.errors import IntegrityError, SchemaEvolutionError, SettingsError
from tideline.merge import merge as merging


def test_a_table_that_may_not_change_keeps_no_models_from_the_others(monkeypatch, caplog):
    """Its own merge is red; what follows is built on the table as it is."""
    seen = []

    def ensure(dataset, warehouse):
        seen.append(dataset.dataset_id)
        if dataset.dataset_id == "shop.orders":
            raise SchemaEvolutionError("no")

    monkeypatch.setattr(merging, "ensure_target", ensure)
    datasets = [SimpleNamespace(dataset_id=f"shop.{name}") for name in ("orders", "items")]
    deployment = SimpleNamespace(catalog=SimpleNamespace(datasets=datasets), open_warehouse=lambda: None)
    loads = {dataset.dataset_id: {} for dataset in datasets}

    stale = pipeline.settle(deployment, loads, [None, {"dataset_id": "shop.items"}])

    assert stale == ["shop.orders"]
    assert seen == ["shop.orders", "shop.items"]
    assert "shop.orders stays as it is: no" in caplog.text


def test_a_table_that_is_gone_is_not_made_for_the_models(monkeypatch, caplog):
    def ensure(dataset, warehouse):
        raise IntegrityError("gone")

    monkeypatch.setattr(merging, "ensure_target", ensure)
    datasets = [SimpleNamespace(dataset_id="shop.orders")]
    deployment = SimpleNamespace(catalog=SimpleNamespace(datasets=datasets), open_warehouse=lambda: None)
    assert pipeline.settle(deployment, {"shop.orders": {}}, []) == ["shop.orders"]
    assert "shop.orders stays as it is: gone" in caplog.text


def test_a_connection_that_is_wrong_is_told_with_the_dataset_that_needs_it():
    def refuse(source):
        raise SettingsError("not defined")

    catalog = SimpleNamespace(source_of=lambda dataset: None)
    deployment = SimpleNamespace(catalog=catalog, open_source=refuse)
    with pytest.raises(SettingsError, match="not defined") as error:
        pipeline._land(deployment, SimpleNamespace(source="shop", name="orders"), None)
    assert str(error.value).startswith("shop.orders: ")
