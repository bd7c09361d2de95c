"""docs/catalog.md says what the models do: every key, every type, and an example that loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tideline.catalog.column import (
    BESIDE_KEYS,
    METADATA_COLUMNS,
    RESERVED_PREFIXES,
    Column,
    Declaration,
    TypeKind,
)
from tideline.catalog.layout import LAYOUTS
from tideline.catalog.loader import load_catalog
from tideline.catalog.options import CsvDialect, CsvSplit, MongoSplit, Paging, Partition, Volume
from tideline.catalog.wording import file_keys

DOCS = (Path(__file__).parents[3] / "docs" / "catalog.md").read_text()
SECTIONS = dict(re.findall(r"^##+ (.+?)\n(.*?)(?=^##+ |\Z)", DOCS, re.MULTILINE | re.DOTALL))


def rows(section: str) -> dict[str, list[str]]:
    """The tables of a section: key → the other cells."""
    lines = re.findall(r"^\| `([^`]+)` \|(.*)\|$", SECTIONS[section], re.MULTILINE)
    return {key: [cell.strip() for cell in cells.split("|")] for key, cells in lines}


@pytest.mark.parametrize(
    ("section", "models"),
    [
        ("The top of a file", [layout.head for layout in LAYOUTS.values()]),
        ("A dataset", [layout.dataset for layout in LAYOUTS.values()]),
        ("A column", [Column]),
        ("A partition", [Partition]),
        ("A CSV dialect", [CsvDialect]),
        ("Paging", [Paging]),
        ("A split", [MongoSplit, CsvSplit]),
        ("Volume", [Volume]),
    ],
)
def test_every_key_has_a_row_and_every_row_is_a_key(section: str, models: list[type[Declaration]]) -> None:
    assert set(rows(section)) == {key for model in models for key in file_keys(model)}


@pytest.mark.parametrize(
    "model", [Column, Partition, CsvDialect, Paging, Volume, *(layout.dataset for layout in LAYOUTS.values())]
)
def test_required_keys_are_marked_and_defaults_are_right(model: type[Declaration]) -> None:
    section = {Column: "A column", Partition: "A partition", CsvDialect: "A CSV dialect", Paging: "Paging"}
    section |= {Volume: "Volume"}
    table = rows(section.get(model, "A dataset"))
    named = {layout.named[0] for layout in LAYOUTS.values()}
    for key in file_keys(model):
        default: Any = model.model_fields[key].default
        told = table[key][0]
        if model.model_fields[key].is_required() and key not in named:
            assert told == "required", key
        elif isinstance(default, bool | int | float):
            assert told == f"`{str(default).lower()}`", key
        elif isinstance(default, str) and default.isidentifier():
            assert told == f"`{default}`", key
        else:
            assert told != "required", key


def test_every_type_has_a_row() -> None:
    assert [name.partition("(")[0] for name in rows("Types")] == [*get_args(TypeKind)]


def test_every_refused_name_is_listed() -> None:
    assert all(
        f"`{name}`" in SECTIONS["A column"] for name in (*RESERVED_PREFIXES, *METADATA_COLUMNS, *BESIDE_KEYS)
    )


def test_every_kind_is_told() -> None:
    assert all(f"Only for `{kind}`" in SECTIONS["A dataset"] for kind in LAYOUTS)


def test_the_example_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", SECTIONS["Add a dataset"], re.DOTALL)
    (tmp_path / "shop_mongodb.yaml").write_text(example)
    (dataset,) = load_catalog(tmp_path).datasets
    assert dataset.dataset_id == "shop_mongodb.refunds"
    assert "raw_shop_mongodb.refunds" in SECTIONS["Add a dataset"]


def test_links_lead_somewhere() -> None:
    anchors = {heading.lower().replace(" ", "-") for heading in SECTIONS}
    assert set(re.findall(r"\(#([^)]+)\)", DOCS)) <= anchors
