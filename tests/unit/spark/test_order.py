from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random

import pytest

from tideline.catalog.loader import fingerprint, load_catalog
from tideline.catalog.model import MongoDataset
from tideline.errors import SettingsError
from tideline.spark.order import Order

ROOT = Path(__file__).parents[3]
DATASETS = [
    d for name in ("include/catalog", "benchmarks/catalog") for d in load_catalog(ROOT / name).datasets
]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.dataset_id)
def test_a_declaration_arrives_as_it_left(dataset):
    order = Order(dataset, "s3://raw/m", "run", "s3://raw", "s3://processed", "s3://quarantine", "python", 5)
    arrived = Order.decode(order.encode())
    assert fingerprint(arrived.dataset) == fingerprint(dataset)
    assert dataclasses.replace(arrived, dataset=dataset) == order


def test_an_order_is_one_word_that_a_command_line_can_hold():
    word = Order(DATASETS[0], "u", "r", "s3://a", "s3://b", "s3://c").encode()
    assert word.isascii()
    assert " " not in word
    assert len(word) < 2000


def test_a_wide_table_that_is_described_well_is_no_longer_word():
    """Linux takes 128 KiB for one argument, whatever all of them may have."""
    words = Random(1)
    names = ("id", *(f"measure_{number}" for number in range(1_500)))

    def columns(names, **more):
        return [
            {"name": n, "type": "string", "description": words.randbytes(200).hex(), **more} for n in names
        ]

    inside = {"name": "details", "type": "record", "columns": columns(names[1:100])}
    dataset = MongoDataset(
        name="wide", source="s", database="d", collection="c", key=("id",), columns=[*columns(names), inside],
        description="x",
    )  # fmt: skip
    word = Order(dataset, "u", "r", "s3://a", "s3://b", "s3://c").encode()
    assert len(word) < 128 << 10
    assert fingerprint(Order.decode(word).dataset) == fingerprint(dataset)


@pytest.mark.parametrize("word", ["", "nonsense!", "eJwDAAAAAAE=", "eJyrVkpUslJQqgUACLUCDQ=="])
def test_what_is_no_order_is_refused(word):
    with pytest.raises(SettingsError, match="not an order"):
        Order.decode(word)


def test_stages_are_opened_once_a_process():
    order = Order(DATASETS[0], "u", "r", "s3://a", "s3://b", "s3://c/d")
    assert order.open() is Order.decode(order.encode()).open()
    assert [store.root for store in (order.open().raw, order.open().quarantine)] == ["s3://a", "s3://c/d"]
