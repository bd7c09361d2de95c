"""The JSON Schema: current, accepting what the loader accepts, refusing what it refuses."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from tideline.catalog.layout import LAYOUTS
from tideline.catalog.schema import json_schema, text
from tideline.catalog.wording import file_keys
from tideline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CATALOG = Settings().catalog_dir
FILES = sorted(CATALOG.glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_the_committed_schema_is_current() -> None:
    current = (CATALOG / "catalog.schema.json").read_text()
    assert current == text(), "run: python -m tideline.catalog.schema > include/catalog/catalog.schema.json"


def test_the_module_writes_the_schema() -> None:
    command = [sys.executable, "-m", "tideline.catalog.schema"]
    assert subprocess.run(command, capture_output=True, check=True).stdout.decode() == text()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_shipped_files_fit_and_name_the_schema(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(load(path))] == []
    assert path.read_text().startswith("# yaml-language-server: $schema=catalog.schema.json\n")


def test_every_kind_is_among_the_shipped_files() -> None:
    assert {load(path)["kind"] for path in FILES} == set(LAYOUTS)


@pytest.mark.parametrize(
    ("file", "path", "value"),
    [
        ("shop_mongodb", ["kind"], "mongo"),
        ("shop_mongodb", ["kind"], None),
        ("shop_mongodb", ["database"], None),
        ("shop_mongodb", ["bucket"], "x"),
        ("shop_mongodb", ["connection"], "mongodb://host"),
        ("shop_mongodb", ["datasets"], {}),
        ("shop_mongodb", ["datasets"], []),
        ("shop_mongodb", ["datasets", "Bad-Name"], {"key": ["id"], "columns": {"id": "int64"}}),
        ("shop_mongodb", ["datasets", "orders"], {}),
        ("shop_mongodb", ["datasets", "orders", "kye"], ["id"]),
        ("shop_mongodb", ["datasets", "orders", "name"], "x"),
        ("shop_mongodb", ["datasets", "orders", "database"], "x"),
        ("shop_mongodb", ["datasets", "orders", "key"], "id"),
        ("shop_mongodb", ["datasets", "orders", "key"], []),
        ("shop_mongodb", ["datasets", "orders", "lookback"], 60),
        ("shop_mongodb", ["datasets", "orders", "lookback"], "1w"),
        ("shop_mongodb", ["datasets", "orders", "quarantine_threshold"], 5),
        ("shop_mongodb", ["datasets", "orders", "partition"], {"granularity": "day"}),
        ("shop_mongodb", ["datasets", "orders", "columns", "amount"], "decimal(12, 2)"),
        ("shop_mongodb", ["datasets", "orders", "columns", "amount"], "string(12)"),
        ("shop_mongodb", ["datasets", "orders", "columns", "amount"], {"nullable": True}),
        ("shop_mongodb", ["datasets", "orders", "columns", "amount"], {"type": "numeric", "precision": 12}),
        ("shop_mongodb", ["datasets", "orders", "columns", "a b"], "string"),
        ("shop_mongodb", ["datasets", "orders", "columns", "shipping", "columns", "carrier"], "text"),
        ("shop_s3", ["datasets", "products", "prefix"], "/products"),
        ("shop_s3", ["datasets", "products", "dialect"], {"delimiter": ",,"}),
        ("shop_s3", ["datasets", "products", "collection"], "x"),
        ("jsonplaceholder", ["datasets", "users", "path"], "users"),
        ("jsonplaceholder", ["datasets", "users", "paging"], {"size": 0}),
        ("jsonplaceholder", ["datasets", "users", "parameters"], {"a": []}),
        ("jsonplaceholder", ["datasets", "users", "parameters"], {"a b": "c"}),
    ],
)
def test_what_the_loader_refuses_is_refused(file: str, path: list[str], value: object) -> None:
    catalog = load(CATALOG / f"{file}.yaml")
    assert VALIDATOR.is_valid(catalog)
    broken = copy.deepcopy(catalog)
    place = broken
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    assert not VALIDATOR.is_valid(broken)


@pytest.mark.parametrize("type_", ["numeric", "numeric(12)", "bignumeric(50, 20)", "json"])
def test_types(type_: str) -> None:
    catalog = load(CATALOG / "shop_s3.yaml")
    catalog["datasets"]["products"]["columns"]["title"] = type_
    assert VALIDATOR.is_valid(catalog)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_key_is_described_to_the_editor(kind: str) -> None:
    definitions = json_schema()["$defs"]
    dataset = definitions[f"{kind}_dataset"]["properties"]
    assert set(dataset) == set(file_keys(LAYOUTS[kind].dataset))
    properties = definitions[f"{kind}_file"]["properties"] | dataset | definitions["Column"]["properties"]
    for name, schema in properties.items():
        described = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        assert described.get("description"), name


def test_the_schema_is_json_without_python_in_it() -> None:
    assert "PT0S" not in text()
    assert json.loads(text()) == json_schema()
