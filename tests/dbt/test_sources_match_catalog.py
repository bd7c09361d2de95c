"""Catalog, warehouse schema and dbt sources tell the same story."""

from __future__ import annotations

import pytest

from tideline.catalog import models
from tideline.warehouse import builds, ledger, names
from tideline.warehouse.schema import REPEATED, raw_layout


def flat(fields, prefix=""):
    """Column paths and types as the sources' YAML spells them, nested columns after the one that holds them."""
    for field in fields:
        digits = f"({field.precision}, {field.scale})" if field.precision else ""
        kind = "struct" if field.fields else f"{field.type.lower()}{digits}"
        yield f"{prefix}{field.name}", f"array<{kind}>" if field.mode == REPEATED else kind
        yield from flat(field.fields, f"{prefix}{field.name}.")


@pytest.fixture
def sources(parsed):
    return {
        f"{node['source_name']}.{node['name']}": node
        for node in parsed["sources"].values()
        if node["source_name"] != models.OWN
    }


def test_the_ledgers_are_described_as_the_warehouse_makes_them(parsed):
    books = {
        node["identifier"]: node for node in parsed["sources"].values() if node["source_name"] == models.OWN
    }
    layouts = {names.LEDGER: ledger.LAYOUT, names.BUILDS: builds.LAYOUT, names.PLACES: builds.PLACES}
    assert books.keys() == layouts.keys()
    for name, layout in layouts.items():
        assert books[name]["schema"] == names.OPS
        columns = {c["name"]: c["data_type"] for c in books[name]["columns"].values()}
        assert columns.items() <= dict(flat(layout.fields)).items()
        assert all(column["description"] for column in books[name]["columns"].values())


def test_every_dataset_is_a_source_and_every_source_a_dataset(sources, catalog):
    assert set(sources) == {dataset.dataset_id for dataset in catalog.datasets}


def test_columns_are_those_of_the_table_that_merge_fills(sources, catalog):
    for dataset in catalog.datasets:
        columns = [(c["name"], c["data_type"]) for c in sources[dataset.dataset_id]["columns"].values()]
        assert columns == list(flat(raw_layout(dataset).fields)), dataset.dataset_id


def test_sources_are_read_from_the_raw_dataset_of_their_name(sources):
    for node in sources.values():
        assert node["schema"] == f"raw_{node['source_name']}"
        assert node["identifier"] == node["name"]


def test_every_source_column_is_described(sources):
    bare = [
        f"{name}.{c['name']}"
        for name, n in sources.items()
        for c in n["columns"].values()
        if not c["description"]
    ]
    assert bare == []
    assert all(node["description"] and node["source_description"] for node in sources.values())


def test_sources_with_a_change_column_are_watched_for_freshness(sources, catalog):
    for dataset in catalog.datasets:
        node = sources[dataset.dataset_id]
        watched = bool(node["freshness"] and node["freshness"]["warn_after"]["count"])
        assert watched == (dataset.change_column is not None), dataset.dataset_id
        assert not watched or node["loaded_at_field"] == "_merged_at"
