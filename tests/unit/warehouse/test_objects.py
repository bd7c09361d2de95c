from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tideline.catalog.model import CsvDataset
from tideline.lake.manifest import Manifest, Part
from tideline.warehouse import objects
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.ledger import Ledger, LedgerRow
from tideline.warehouse.objects import LandedObject, record_objects
from tideline.warehouse.state import ORIGIN
from tideline.window import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def dataset(name="things"):
    return CsvDataset(
        name=name,
        source="test",
        bucket="drops",
        prefix="p/",
        key=["id"],
        columns=[{"name": "id", "type": "int64"}],
    )


def manifest(*origins, name="things"):
    parts = tuple(Part(f"s3://raw/{n}", 9, "0" * 64, None, origin) for n, origin in enumerate(origins))
    return Manifest(
        "raw", "test", name, Window(None, NOON), "a", "r", NOON, parts, None, "1", "f" * 16,
    )  # fmt: skip


def origin(key, etag="e", at="2026-03-01T10:00:00Z", **more):
    return {"key": key, "etag": etag, "last_modified": at, **more}


def landed(key, etag="e", at=datetime(2026, 3, 1, 10, tzinfo=UTC)):
    return LandedObject(key, etag, at)


@pytest.fixture
def warehouse(bigquery_client, own_settings):
    made = Warehouse(bigquery_client, own_settings())
    Ledger(made).ensure()
    return made


def ledger_row(load_id, name, to, mode, uri, **more):
    return LedgerRow(
        load_id, "r", "test", name, None, to, "w", "a", mode, uri, None, None,
        *[0] * 10, None, None, None, None, 0, 0, None, None, None, None, "f", "1",
        unchanged_source=False, extracted_at=NOON, **more,
    )  # fmt: skip


def record(warehouse, what, load_id="l", *, uri="s3://raw/m", now=NOON):
    """The objects of a load, and the load itself, as a merge does."""
    count = record_objects(warehouse, what, uri, load_id=load_id, now=now)
    Ledger(warehouse).record(ledger_row(load_id, what.dataset, NOON, "scheduled", uri))
    return count


def test_identities_come_back_ordered_by_key(warehouse):
    keys = ["p/b.csv", "p/B.csv", "p/é.csv", "p/😀.csv", "p/ﬁ.csv", 'p/"q\\".csv', "p/a.csv"]
    assert record(warehouse, manifest(*map(origin, keys))) == len(keys)
    found = list(Ledger(warehouse).landed_objects(dataset()))
    assert [one.key for one in found] == sorted(keys, key=str.encode)
    assert found[1] == landed(sorted(keys, key=str.encode)[1])


def test_objects_are_a_set(warehouse):
    for _ in range(2):
        record(warehouse, manifest(origin("p/a.csv"), origin("p/a.csv", "e2", "2026-03-01T11:00:00.000001Z")))
    record(warehouse, manifest(origin("p/a.csv")), load_id="another")
    assert list(Ledger(warehouse).landed_objects(dataset())) == [
        landed("p/a.csv"),
        landed("p/a.csv", "e2", datetime(2026, 3, 1, 11, 0, 0, 1, tzinfo=UTC)),
    ]


def test_datasets_have_objects_of_their_own(warehouse):
    record(warehouse, manifest(origin("p/a.csv")))
    record(warehouse, manifest(origin("p/b.csv"), name="others"), load_id="o")
    assert [one.key for one in Ledger(warehouse).landed_objects(dataset("others"))] == ["p/b.csv"]


def test_identities_stream_over_pages_to_the_last(warehouse, monkeypatch):
    monkeypatch.setattr(objects, "PAGE_ROWS", 4)
    record(warehouse, manifest(*(origin(f"p/{n:02d}.csv") for n in range(10))))
    assert len(list(Ledger(warehouse).landed_objects(dataset()))) == 10


def test_everything_known_of_an_object_is_kept(warehouse):
    record(warehouse, manifest(origin("p/a.csv", version_id="v1", size=123), origin("p/b.csv")))
    table = f"`local`.`{warehouse.settings.dataset_prefix}tideline_ops`.`landed_objects`"
    rows = [
        dict(row.items()) for row in warehouse.rows(f"SELECT * FROM {table} ORDER BY object_key", kind="test")
    ]
    assert rows[0] == {
        "source": "test", "dataset": "things", "object_key": "p/a.csv", "etag": "e",
        "last_modified": datetime(2026, 3, 1, 10, tzinfo=UTC), "version_id": "v1", "bytes": 123,
        "window_id": "20260301T120000Z_from_origin", "manifest_uri": "s3://raw/m", "landed_at": NOON,
    }  # fmt: skip
    assert (rows[1]["version_id"], rows[1]["bytes"]) == (None, 9)


def test_parts_that_are_no_objects_are_passed_over(warehouse):
    assert record(warehouse, manifest({"collection": "things"}, {"url": "https://x"})) == 0
    assert record(warehouse, manifest()) == 0
    assert list(Ledger(warehouse).landed_objects(dataset())) == []


def test_objects_of_a_load_that_the_ledger_has_not_are_new(warehouse):
    record(warehouse, manifest(origin("p/a.csv")))
    record_objects(warehouse, manifest(origin("p/b.csv")), "s3://raw/lost", load_id="lost", now=NOON)
    Ledger(warehouse).record(ledger_row("o", "others", NOON, "scheduled", "s3://raw/lost"))
    assert [one.key for one in Ledger(warehouse).landed_objects(dataset())] == ["p/a.csv"]


@pytest.fixture
def rewound(warehouse):
    """Objects of 10:00, of 11:00, and one that came again after the rewind to 11:00."""
    later = "2026-03-01T11:00:00Z"
    record(warehouse, manifest(origin("p/a.csv"), origin("p/b.csv", at=later), origin("p/c.csv", at=later)))

    def rewind(to, name="things"):
        rewound = ledger_row(f"rewind-{name}", name, to, "rewind", None, reason="why", actor="who")
        now = Ledger(warehouse).record(rewound).committed_at + timedelta(seconds=1)
        again = manifest(origin("p/c.csv", at=later))
        record(warehouse, again, f"again-{name}", uri="s3://raw/n", now=now)
        return [one.key for one in Ledger(warehouse).landed_objects(dataset())]

    return rewind


@pytest.mark.parametrize(
    ("to", "left"),
    [
        (datetime(2026, 3, 1, 11, tzinfo=UTC), ["p/a.csv", "p/c.csv"]),
        (ORIGIN, ["p/c.csv"]),
        (NOON, ["p/a.csv", "p/b.csv", "p/c.csv"]),
    ],
    ids=["between", "origin", "after all"],
)
def test_after_a_rewind_objects_are_new_again(rewound, to, left):
    assert rewound(to) == left


def test_a_rewind_of_another_dataset_changes_nothing(rewound):
    assert rewound(ORIGIN, name="others") == ["p/a.csv", "p/b.csv", "p/c.csv"]
