"""Catalog, dbt sources and the warehouse's metadata columns tell the same story."""

from __future__ import annotations

import pytest

from tideline.catalog.model import METADATA_COLUMNS


def declared(dataset):
    """Column paths and types as the sources' YAML spells them."""
    metadata = {name: "timestamp" for name in METADATA_COLUMNS if name.endswith("_at")}
    metadata |= dict.fromkeys(("_window_id", "_raw_uri", "_row_hash"), "string")
    metadata |= {"_raw_position": "int64", "_extra": "json"}
    return dict(flat(dataset.columns)) | metadata


def flat(columns, prefix=""):
    for column in columns:
        kind = "struct" if column.columns else column.type
        if kind == "numeric":
            kind = f"numeric({column.precision}, {column.scale})"
        yield f"{prefix}{column.name}", f"array<{kind}>" if column.repeated else kind
        yield from flat(column.columns, f"{prefix}{column.name}.")


@pytest.fixture
def sources(manifest):
    return {f"{node['source_name']}.{node['name']}": node for node in manifest["sources"].values()}


def test_every_dataset_is_a_source_and_every_source_a_dataset(sources, catalog):
    assert set(sources) == {dataset.dataset_id for dataset in catalog.datasets}


def test_columns_and_types_agree(sources, catalog):
    for dataset in catalog.datasets:
        columns = sources[dataset.dataset_id]["columns"].values()
        assert {c["name"]: c["data_type"] for c in columns} == declared(dataset), dataset.dataset_id


def test_columns_stand_in_the_catalogs_order(sources, catalog):
    for dataset in catalog.datasets:
        names = [name for name in sources[dataset.dataset_id]["columns"] if not name.startswith("_")]
        assert names == [name for name, _ in flat(dataset.columns)], dataset.dataset_id


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
