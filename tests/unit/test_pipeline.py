"""What the bodies of tasks make of their rooms' errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline import pipeline
from tideline.catalog.model import HttpDataset, MongoDataset
from tideline.errors import IntegrityError, RetriableError, SchemaEvolutionError, SettingsError
from tideline.merge import merge as merging
from tideline.plan import PlannedLoad
from tideline.settings import Settings
from tideline.window import Window


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


def test_a_window_that_is_not_over_is_not_landed():
    """By the clock of the worker, whatever that of the scheduler said."""
    dataset = MongoDataset(
        name="orders",
        source="shop",
        key=("id",),
        columns=({"name": "id", "type": "int64"},),
        database="d",
        collection="c",
    )
    catalog = SimpleNamespace(dataset=lambda dataset_id: dataset)
    deployment = SimpleNamespace(catalog=catalog, settings=Settings())
    ends = datetime.now(UTC) + timedelta(hours=3)
    load = PlannedLoad("shop.orders", Window(None, ends), "scheduled")
    with pytest.raises(RetriableError, match="is not over"):
        pipeline.land_dataset(deployment, load.to_json(), "run")


def test_a_listing_whose_last_change_is_not_kept_any_more_is_read_whole(monkeypatch, caplog):
    """As an API that changed less often than raw is kept: its manifest is the one to compare with."""

    def gone(store, uri):
        raise IntegrityError("there is no such object", place=uri)

    monkeypatch.setattr(pipeline.manifests, "read", gone)
    dataset = HttpDataset(
        name="items", source="api", path="/items", key=("id",), columns=({"name": "id", "type": "int64"},)
    )
    deployment = SimpleNamespace(catalog=SimpleNamespace(dataset=lambda _: dataset), raw=None)
    window = Window(None, datetime(2026, 3, 1, tzinfo=UTC))
    load = PlannedLoad("api.items", window, "scheduled", previous_manifest_uri="s3://raw/old")
    assert pipeline._previous(deployment, load) is None
    assert "api.items is read whatever it was before" in caplog.text
