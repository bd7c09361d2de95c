"""Fixtures of a ledger on the emulator, and rows for it; a conftest imports what it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline.status.ledger import LedgerReader
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.ledger_table import LedgerRow
from tideline.window import Window, hour_of

NOW = datetime.now(UTC)
HOUR = hour_of(NOW)


def hours(number: float) -> datetime:
    return HOUR + timedelta(hours=number)


def row(number: float = 0, **more) -> LedgerRow:
    """A load of the hour that ends `number` hours from now; committed when it is recorded."""
    window = more.pop("window", None) or Window(hours(number - 1), hours(number))
    name = more.pop("name", f"{window.window_id}")
    dataset = more.get("dataset", "orders")
    for column in ("drift", "reasons", "empty_columns"):
        if not isinstance(more.get(column), str | None):
            more[column] = json.dumps(more[column])
    given = LedgerRow(
        load_id=f"shop.{dataset}:{window.window_id}:{name}", run_id="scheduled__1", source="shop",
        dataset=dataset, window_start=window.start, window_end=window.end, window_id=window.window_id,
        attempt_id=name, mode="scheduled", raw_manifest_uri=f"s3://raw/{dataset}/{name}",
        processed_manifest_uri=f"s3://processed/{dataset}/{name}", quarantine_manifest_uri=None, landed=100,
        refined=100, quarantined=0, inserted=40, updated=30, unchanged=20, revived=0, stale=5, duplicates=5,
        deleted=0, cursor_min=None, cursor_max=None, null_changes=None, future_changes=None, raw_bytes=1000,
        processed_bytes=500, land_seconds=1.0, refine_seconds=2.0, merge_seconds=3.0, drift=None,
        catalog_fingerprint="f", code_version="1", unchanged_source=False, extracted_at=window.end,
    )  # fmt: skip
    return replace(given, **more)


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    return Warehouse(bigquery_client, own_settings())


@pytest.fixture
def ledger(warehouse):
    made = Ledger(warehouse)
    made.ensure()
    return made


@pytest.fixture
def reader(warehouse):
    return LedgerReader(warehouse, datetime.now(UTC) + timedelta(minutes=1), days=90)


@pytest.fixture(scope="session")
def kit():
    return SimpleNamespace(NOW=NOW, hours=hours, row=row)
