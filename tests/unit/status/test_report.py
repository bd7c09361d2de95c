"""A report from the ledger's rows and the lake's folders together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from memory import deployment, land, refine, things

from tideline.catalog.loader import load_catalog
from tideline.errors import CatalogError, ContractError
from tideline.settings import from_environment
from tideline.status.model import LATE, DatasetStatus, Drift
from tideline.status.report import _Facts, _status, next_windows, open_drift, report, summed
from tideline.window import Window, hour_of

pytestmark = pytest.mark.integration
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
GOOD = b"id,price,note\n1,1.00,n\n"


@pytest.fixture
def made(warehouse):
    return deployment(warehouse, things(quarantine_threshold=0.5))


def test_before_the_first_run_everything_is_new(made):
    found = report(made, datetime.now(UTC))
    assert found.is_new
    (one,) = found.datasets
    assert (one.state, one.lag, one.last, one.quarantined_open, one.drift) == ("new", None, None, 0, ())
    assert one.next_reads.start is None
    assert one.to_json()["next_reads"]["start"] is None


def test_ledger_and_lake_are_added_up(made, ledger, kit):
    whole = kit.row(-2, dataset="things", window=Window(None, kit.hours(-2)), quarantined=3, reasons={"bad_number": 3},
                    drift=[{"path": "price", "kind": "changed_type", "count": 3, "example": "x"}])  # fmt: skip
    ledger.record(whole)
    ledger.record(
        kit.row(
            -1,
            dataset="things",
            drift=[{"path": "colour", "kind": "new_field", "count": 1, "example": "red"}],
        )
    )
    waits = land(made, kit.hours(0), GOOD, start=kit.hours(-1))
    refused = land(made, kit.hours(0), b"id,price,note\n1,much,n\n", start=kit.hours(-1))
    with pytest.raises(ContractError):
        refine(made, refused)
    now = datetime.now(UTC) + timedelta(minutes=1)
    found = report(made, now)
    (one,) = found.datasets
    assert one.high_water_mark == kit.hours(-1)
    assert one.lag == now - kit.hours(-1)
    assert (one.loads, one.counts["landed"], one.quarantined_open) == (2, 200, 4)
    assert {read.raw_manifest_uri for read in one.waiting} == {waits, refused}
    assert [one.load_id for one in found.refused if one.load_id] == [whole.load_id]
    assert {(drift.kind, drift.path): drift.records for drift in one.drift} == {
        ("changed_type", "price"): 4, ("new_field", "colour"): 1,
    }  # fmt: skip
    assert one.next_reads == Window(kit.hours(-1), hour_of(now) + timedelta(hours=1))
    told = found.to_json()["datasets"][0]
    assert (told["lag"], told["last"]["mode"]) == ((now - kit.hours(-1)).total_seconds(), "scheduled")


def test_only_the_datasets_that_are_asked_for(made):
    assert [one.dataset_id for one in report(made, datetime.now(UTC), datasets=["shop.things"]).datasets] == [
        "shop.things"
    ]
    with pytest.raises(CatalogError, match="choose one of"):
        report(made, datetime.now(UTC), datasets=["shop.nothing"])


def test_what_the_next_run_compares_with_its_window():
    shop = load_catalog(from_environment({}).catalog_dir)
    new = _Facts.nothing(shop, NOON)
    found = {one.dataset_id: _status(one, NOON, new).changes_at for one in shop.datasets}
    assert found["shop_mongodb.orders"] == "updated_at"
    assert found["jsonplaceholder.users"] == "everything"
    assert found["shop_s3.products"] == "objects that no load has read"


def test_lag_says_when_a_dataset_is_late():
    assert DatasetStatus("a", lag=LATE).state == "current"
    assert DatasetStatus("a", lag=LATE + timedelta(seconds=1)).state == "late"


def test_the_next_run_is_the_next_full_hours(made):
    now = datetime(2026, 3, 14, 12, 30, tzinfo=UTC)
    assert next_windows(made.catalog, {}, now) == {
        "shop.things": Window(None, datetime(2026, 3, 14, 13, tzinfo=UTC))
    }


def drift(kind, path, seen, records=1):
    moment = datetime(2026, 3, 14, seen, tzinfo=UTC)
    return Drift("shop.things", kind, path, f"at {seen}", records, 1, moment, moment)


def test_the_same_difference_of_two_places_is_one():
    (one, other) = summed(
        [drift("new_field", "a", 5, 2), drift("new_field", "b", 6), drift("new_field", "a", 9, 3)]
    )
    assert (one.path, one.records, one.loads, one.example) == ("a", 5, 2, "at 9")
    assert (one.first_seen.hour, one.last_seen.hour, other.path) == (5, 9, "b")


def test_a_field_that_was_declared_since_is_new_no_more():
    differences = [
        drift("new_field", "note", 1),
        drift("new_field", "colour", 1),
        drift("changed_type", "note", 1),
    ]
    assert [(one.kind, one.path) for one in open_drift(things(), differences)] == [
        ("new_field", "colour"), ("changed_type", "note"),
    ]  # fmt: skip
