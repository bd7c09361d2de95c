"""Every query of a report against rows in the emulator."""

import pytest

from tideline.status.ledger import last_load
from tideline.window import Window

pytestmark = pytest.mark.integration


def record(ledger, *rows):
    for row in rows:
        ledger.record(row)


def test_there_is_no_ledger_before_the_first_run(reader, warehouse):
    assert not reader.exists()
    from tideline.warehouse.ledger import Ledger

    Ledger(warehouse).ensure()
    assert reader.exists()
    assert reader.summary() == {}
    assert (reader.refused(), reader.drift(), reader.vanished(), reader.loads("shop", "orders", 5)) == (
        [],
        [],
        [],
        [],
    )


def test_summary_has_the_newest_load_and_the_days_sums(ledger, reader, kit):
    record(
        ledger,
        kit.row(-2, quarantined=3),
        kit.row(-1, quarantined=1),
        kit.row(-1, dataset="charges"),
        kit.row(0, mode="rewind", raw_manifest_uri=None, processed_manifest_uri=None, landed=0),
    )
    found = reader.summary()
    assert sorted(found) == ["shop.charges", "shop.orders"]
    orders = found["shop.orders"]
    assert (orders["loads"], orders["landed"], orders["inserted"]) == (2, 200, 80)
    assert (orders["quarantined_open"], orders["quarantined_loads"]) == (4, 2)
    newest = last_load(orders)
    assert (newest.window_end, newest.landed, newest.quarantined, newest.mode) == (
        kit.hours(-1),
        100,
        1,
        "scheduled",
    )


def test_a_replay_closes_what_its_raw_manifest_had_refused(ledger, reader, kit):
    first = kit.row(-2, quarantined=3, reasons={"bad_bool": 3}, quarantine_manifest_uri="s3://q/1")
    other = kit.row(-1, quarantined=2, reasons={"too_deep": 2}, quarantine_manifest_uri="s3://q/2")
    record(ledger, first, other)
    assert [(one.quarantined, one.reasons, one.quarantine_uri) for one in reader.refused()] == [
        (2, {"too_deep": 2}, "s3://q/2"), (3, {"bad_bool": 3}, "s3://q/1"),
    ]  # fmt: skip
    record(ledger, kit.row(-2, name="again", mode="replay", raw_manifest_uri=first.raw_manifest_uri))
    assert [one.load_id for one in reader.refused()] == [other.load_id]
    assert [one.load_id for one in reader.refused("shop", "orders")] == [other.load_id]
    assert reader.refused("shop", "charges") == []
    assert reader.summary()["shop.orders"]["quarantined_open"] == 2


def test_loads_of_a_dataset_come_newest_first_and_bounded(ledger, reader, kit):
    record(ledger, *(kit.row(number) for number in (-3, -2, -1)), kit.row(-1, dataset="charges"))
    assert [row.window_end for row in reader.loads("shop", "orders", 2)] == [kit.hours(-1), kit.hours(-2)]


def test_one_load_is_found_by_its_id_also_where_it_is_older_than_the_report(ledger, warehouse, kit):
    from datetime import timedelta

    from tideline.status.ledger import LedgerReader

    row = kit.row(-1)
    record(ledger, row, kit.row(-1, name="odd", load_id="shop.orders:no window"))
    later = LedgerReader(warehouse, kit.NOW + timedelta(days=500), days=1)
    assert later.load("shop", "orders", row.load_id).landed == 100
    assert later.load("shop", "orders", "shop.orders:no window").attempt_id == "odd"
    assert later.load("shop", "charges", row.load_id) is None
    assert later.summary() == {}


def test_known_manifests_are_those_of_all_ranges(ledger, reader, kit):
    record(
        ledger,
        kit.row(-1, raw_manifest_uris=("s3://raw/a", "s3://raw/b"), quarantine_manifest_uri="s3://q/1"),
    )
    uri = kit.row(-1).raw_manifest_uri
    assert reader.known(kit.hours(-24)) == {uri, "s3://raw/a", "s3://raw/b", "s3://q/1"}
    assert reader.known(kit.hours(-24), "shop", "charges") == set()


def test_drift_knows_first_and_last_and_counts_each_raw_manifest_once(ledger, reader, kit):
    def drift(count, example, kind="new_field"):
        return [{"path": "tier", "kind": kind, "count": count, "example": example}]

    first, last = kit.row(-3, drift=drift(2, "string")), kit.row(-1, drift=drift(5, "int32"))
    record(ledger, first, kit.row(-2), last, kit.row(-2, dataset="old", drift='{"x": {"count": 1}}'))
    record(ledger, kit.row(-2, dataset="charges", drift=drift(1, "no", "changed_type")))
    newest, other = reader.drift()
    assert (newest.dataset_id, newest.kind, newest.path, newest.example) == (
        "shop.orders",
        "new_field",
        "tier",
        "int32",
    )
    assert (newest.records, newest.loads, newest.first_seen, newest.last_seen) == (
        7,
        2,
        kit.hours(-3),
        kit.hours(-1),
    )
    assert newest.load_id == last.load_id
    assert (other.dataset_id, other.kind) == ("shop.charges", "changed_type")
    record(ledger, kit.row(-1, name="again", mode="replay", raw_manifest_uri=last.raw_manifest_uri))
    assert [(one.path, one.records) for one in reader.drift() if one.dataset_id == "shop.orders"] == [
        ("tier", 2)
    ]


def test_a_column_vanishes_that_nearly_every_load_had(ledger, reader, kit):
    rows = [kit.row(number) for number in (-9, -8, -7)]
    rows += [kit.row(-6, refined=19, empty_columns=["note", "rare"])]  # too few rows to say anything
    rows += [
        kit.row(-5, refined=30, empty_columns=["never", "note"]),
        kit.row(-4, refined=50, empty_columns=["note"]),
    ]
    rows += [kit.row(-3, dataset="charges", empty_columns=["note"])]  # it never had any
    record(ledger, *rows)
    (found,) = reader.vanished()
    assert (found.dataset_id, found.kind, found.path) == ("shop.orders", "vanished_field", "note")
    assert (found.records, found.loads, found.first_seen, found.last_seen) == (
        80,
        2,
        kit.hours(-5),
        kit.hours(-4),
    )
    assert found.load_id == rows[5].load_id
    assert f"{kit.hours(-7):%Y-%m-%d %H:%M} UTC" in found.example


def test_a_column_that_is_often_empty_does_not_vanish(ledger, reader, kit):
    empty = ["note"]
    record(ledger, *(kit.row(n, empty_columns=empty if n % 2 else None) for n in range(-8, 0)))
    assert reader.vanished() == []
    record(ledger, kit.row(0, name="back", window=Window(None, kit.hours(0))))
    assert reader.vanished() == []


def test_a_column_that_was_declared_before_the_source_has_it_does_not_vanish(ledger, reader, kit):
    record(ledger, *(kit.row(number) for number in (-9, -8)))
    record(ledger, *(kit.row(n, empty_columns=["new"], catalog_fingerprint="g") for n in (-7, -6, -5)))
    assert reader.vanished() == []
    record(ledger, *(kit.row(n, empty_columns=["new", "note"], catalog_fingerprint="g") for n in (-4, -3)))
    assert [found.path for found in reader.vanished()] == ["note"]
