"""The project of the whole-hour benchmark: twenty models, over tables that the benchmarks' catalog fills."""

from __future__ import annotations

import json

from benchmarks import hour_models
from benchmarks.paths import CATALOG
from tideline.catalog.loader import load_catalog


def test_it_reads_what_the_catalog_fills_and_tests_every_model(tmp_path):
    assert hour_models.write(tmp_path / "dbt") == hour_models.write(tmp_path / "dbt") == 20
    files = {path.stem for path in (tmp_path / "dbt" / "models").rglob("*.sql")}
    told = json.loads((tmp_path / "dbt" / "models" / "models.yml").read_text())
    assert {model["name"] for model in told["models"]} == files
    assert all(model["columns"][0]["data_tests"] for model in told["models"])
    read = {(source["name"], table["name"]) for source in told["sources"] for table in source["tables"]}
    assert read == {(dataset.source, dataset.name) for dataset in load_catalog(CATALOG).datasets}
    assert {table for table, _, _ in hour_models.GROUPS.values()} == {name for _, name in read}
