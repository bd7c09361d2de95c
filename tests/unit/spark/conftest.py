"""A landing of three CSV parts in a lake on disk, and the order to refine it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from benchmarks.contestants.directory import DirectoryStore
from tideline.catalog.model import Column, CsvDataset
from tideline.lake import keys, manifest
from tideline.lake.manifest import Manifest, Part
from tideline.spark import order as orders
from tideline.spark.order import Order, Stages
from tideline.window import Window

WINDOW = Window(datetime(2026, 1, 31, 13, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC))
BODIES = (b"id,name\n1,a\n2,b\nx,c\n", b"id,name\n3,d\n", b"id,name\ny,e\n4,f\n")
NAMES = ("raw", "processed", "quarantine")


@pytest.fixture
def dataset():
    columns = (Column(name="id", type="int64"), Column(name="name", type="string"))
    return CsvDataset(name="items", source="shop", bucket="drops", prefix="items/", key=("id",),
                      columns=columns, quarantine_threshold=0.5, engine="spark", spark_from=10)  # fmt: skip


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """What an order opens."""
    opened = Stages(*(DirectoryStore(tmp_path, name) for name in NAMES))
    monkeypatch.setattr(orders, "_opened", lambda *_: opened)
    return opened


@pytest.fixture
def order(stages, dataset):
    folder = keys.Folder("shop", "items", WINDOW, "20260131T140000000000Z-landed")
    found = []
    for number, body in enumerate(BODIES):
        written = stages.raw.put(folder.part(number, "csv"), body)
        origin = {"key": f"items/{number}.csv"}
        found.append(Part(written.uri, written.bytes, written.sha256, None, origin))
    landed = Manifest(
        stage="raw", source="shop", dataset="items", window=WINDOW, attempt_id=folder.attempt_id, run_id="run",
        extracted_at=datetime(2026, 1, 31, 14, 0, 5, tzinfo=UTC), parts=tuple(found), records=None,
        code_version="1", catalog_fingerprint="f", details={"mode": "scheduled"},
    )  # fmt: skip
    uri = manifest.commit(stages.raw, landed)
    return Order(dataset, uri, "run", *(f"s3://{name}" for name in NAMES))
