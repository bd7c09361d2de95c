"""What a cursor cannot see, on a living shop: rows that go, come back, come late, or change without saying so.

One story in order: what is deleted at the source comes back before the end, so that the truth is whole again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tideline import pipeline
from tideline.errors import ContractError, SettingsError
from tideline.lake import manifest as manifests
from tideline.reconcile.reconcile import reconcile_dataset
from tideline.warehouse import names
from tideline.warehouse.names import raw_table

pytestmark = pytest.mark.integration
ORDERS, CUSTOMERS, USERS, PRODUCTS = (
    "shop_mongodb.orders", "shop_mongodb.customers", "jsonplaceholder.users", "shop_s3.products",
)  # fmt: skip
MERGED = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates", "deleted")


def reconcile(world, dataset_id, **options):
    world.runs += 1
    return reconcile_dataset(world.deployment, dataset_id, run_id=f"test-{world.runs}", **options)


def merged(summary):
    return {name: summary[name] for name in MERGED if summary[name]}


def collection(world, dataset_id):
    return world.targets.collection(dataset_id)


def state(world):
    """Everything that a dry run must leave as it is."""
    deployment, warehouse = world.deployment, world.deployment.open_warehouse()
    keys = [list(store.list("")) for store in (deployment.raw, deployment.processed, deployment.quarantine)]
    tables = [raw_table(dataset, warehouse.settings) for dataset in deployment.catalog.datasets]
    tables.append(names.ops_table(names.LEDGER, warehouse.settings))
    sql = "SELECT TO_JSON_STRING(t) AS row_ FROM {} AS t ORDER BY row_"
    return keys, [[row["row_"] for row in warehouse.rows(sql.format(t.sql), kind="test")] for t in tables]


def tombstones(world, dataset_id):
    warehouse = world.deployment.open_warehouse()
    table = raw_table(world.deployment.catalog.dataset(dataset_id), warehouse.settings)
    rows = warehouse.rows(f"SELECT id FROM {table.sql} WHERE _deleted_at IS NOT NULL", kind="test")
    return {row["id"] for row in rows}


def good_orders(world, count):
    """Orders that the warehouse has, so that none of them is a spoiled one."""
    chosen = sorted(world.warehouse(ORDERS))[:count]
    return list(collection(world, ORDERS).find({"_id": {"$in": chosen}}))


@pytest.fixture(scope="module", autouse=True)
def first_hour(world):
    world.shop.advance(0, world.targets)
    world.run(world.request(0))


def test_what_is_whole_is_left_alone(world):
    """Refused documents are missing in the table; that they are in quarantine is known."""
    before = state(world)
    for dataset_id in (ORDERS, CUSTOMERS, "shop_mongodb.charges", PRODUCTS, "shop_s3.order_items"):
        summary = reconcile(world, dataset_id)
        assert merged(summary) == {}, dataset_id
        assert summary["relanded"] == 0
    for dry_run in (True, False):
        found = reconcile(world, ORDERS, dry_run=dry_run)["found"]
        assert found.pop("refused_before") > 0
        assert set(found.values()) == {0}
    assert state(world) == before
    assert world.compare(0) > 1000


def test_a_dry_run_changes_nothing(world):
    gone = good_orders(world, 3)
    collection(world, ORDERS).delete_many({"_id": {"$in": [each["_id"] for each in gone]}})
    before = state(world)
    assert reconcile(world, ORDERS, dry_run=True)["found"]["absent"] == 3
    for dataset_id in (USERS, PRODUCTS, CUSTOMERS):
        reconcile(world, dataset_id, dry_run=True)
    assert state(world) == before
    collection(world, ORDERS).insert_many(gone)


def test_deleted_documents_become_tombstones_and_come_back(world):
    gone = good_orders(world, 3)
    ids = {each["_id"] for each in gone}
    old_loads = [
        key for key in world.deployment.raw.list("shop_mongodb/orders/") if key.endswith("_manifest.json")
    ]
    collection(world, ORDERS).delete_many({"_id": {"$in": list(ids)}})
    assert merged(reconcile(world, ORDERS)) == {"deleted": 3}
    assert tombstones(world, ORDERS) == ids
    assert not ids & world.warehouse(ORDERS).keys()
    again = reconcile(world, ORDERS)
    assert (again["found"]["absent"], merged(again)) == (0, {})

    for key in old_loads:
        replay(world, key)
    assert tombstones(world, ORDERS) == ids

    collection(world, ORDERS).insert_many(gone)
    assert merged(reconcile(world, ORDERS)) == {"revived": 3}
    events = newest_events(world)
    replay(world, world.deployment.raw.key_of(events))
    assert world.compare(0) > 1000


def replay(world, key):
    """Refine and merge a raw manifest anew."""
    landed = pipeline.landed_summary(world.deployment, world.deployment.raw.uri_of(key))
    return pipeline.merge_dataset(
        world.deployment, pipeline.refine_dataset(world.deployment, landed, "replay"), "replay"
    )


def newest_events(world):
    raw = world.deployment.raw
    found = [key for key in raw.list("shop_mongodb/orders/") if key.endswith("_manifest.json")]
    kinds = {key: manifests.read(raw, raw.uri_of(key)).details.get("kind") for key in found}
    return raw.uri_of(max(key for key, kind in kinds.items() if kind == "events"))


def test_the_evidence_is_what_a_replay_needs(world):
    raw = world.deployment.raw
    manifest = manifests.read(raw, newest_events(world))
    assert manifest.details["mode"] == "reconcile"
    assert manifest.details["events"] == {"deleted": 3}
    assert (manifest.records, sum(part.records for part in manifest.parts)) == (3, 3)
    before = pipeline.plan_run(world.deployment, world.request(1, datasets=(ORDERS,)))
    assert before[ORDERS]["window"]["start"] == "2026-03-14T09:00:00Z"  # no part of the chain


def test_the_cap_stops_with_a_report(world):
    customers = collection(world, CUSTOMERS)
    gone = list(customers.find().limit(40))
    customers.delete_many({"_id": {"$in": [each["_id"] for each in gone]}})
    before = state(world)
    with pytest.raises(
        ContractError, match=r"\d+ of \d+ live rows .* more than delete_threshold 10.00%"
    ) as stop:
        reconcile(world, CUSTOMERS)
    assert "--max-delete-ratio" in str(stop.value)
    assert state(world) == before

    done = reconcile(world, CUSTOMERS, max_delete_ratio=0.9)
    assert done["deleted"] == done["found"]["absent"] > 30
    customers.insert_many(gone)
    assert reconcile(world, CUSTOMERS)["revived"] == done["deleted"]
    assert world.compare(0) > 1000


def test_a_document_restored_with_an_older_stamp(world):
    (good,) = good_orders(world, 1)
    older = {**good, "updated_at": good["updated_at"] - timedelta(days=30), "status": 7}
    collection(world, ORDERS).replace_one({"_id": good["_id"]}, older)
    summary = reconcile(world, ORDERS)
    assert summary["found"]["backwards"] == 1
    assert world.warehouse(ORDERS)[good["_id"]][0]["status"] == 7
    assert merged(reconcile(world, ORDERS)) == {}

    collection(world, ORDERS).replace_one({"_id": good["_id"]}, good)
    assert reconcile(world, ORDERS)["found"]["older"] == 1
    assert world.compare(0) > 1000


@pytest.mark.parametrize("stamp", ["late", "none", "future"])
def test_rows_that_no_window_reads(world, stamp):
    """Visible later than the lookback, without a stamp, or stamped in the future: by one hourly run or by us."""
    (good,) = good_orders(world, 1)
    stamps = {
        "late": datetime(2025, 1, 1, tzinfo=UTC),
        "none": None,
        "future": datetime(2999, 1, 1, tzinfo=UTC),
    }
    number = 10_000_000 + ord(stamp[0])
    new = {**good, "_id": number, "updated_at": stamps[stamp]}
    collection(world, ORDERS).insert_one(new)
    assert merged(reconcile(world, ORDERS)) == {"inserted": 1}
    assert world.warehouse(ORDERS)[number][0]["updated_at"] == stamps[stamp]
    assert merged(reconcile(world, ORDERS)) == {}
    collection(world, ORDERS).delete_one({"_id": number})
    assert merged(reconcile(world, ORDERS)) == {"deleted": 1}
    assert world.compare(0) > 1000


def test_what_the_next_hour_reads_is_left_to_it(world):
    (good,) = good_orders(world, 1)
    new = {**good, "_id": 10_000_100, "updated_at": world.end_of(0) + timedelta(minutes=5)}
    collection(world, ORDERS).insert_one(new)
    summary = reconcile(world, ORDERS)
    assert (summary["found"]["pending"], merged(summary)) == (1, {})
    collection(world, ORDERS).delete_one({"_id": 10_000_100})


def test_an_item_of_the_api_goes_and_comes_back(world):
    items = world.shop.truth(0)[USERS]
    url = f"{world.targets.api_url}/users"
    everything = fetch(url)
    assert len(everything) == len(items)
    world.targets.send_items("PUT", "users", everything[1:])
    done = world.run(world.request(0, datasets=(USERS,)))
    assert done[USERS]["deleted"] == 1
    assert tombstones(world, USERS) == {everything[0]["id"]}

    world.targets.send_items("PUT", "users", everything)
    assert merged(reconcile(world, USERS))["revived"] == 1
    assert world.compare(0) > 1000

    world.targets.send_items("PUT", "users", everything[: len(everything) // 2])
    with pytest.raises(ContractError, match="nothing was deleted"):
        world.run(world.request(0, datasets=(USERS,)))
    assert world.compare(0) > 1000
    assert reconcile(world, USERS, dry_run=True)["found"]["absent"] == len(everything) - len(everything) // 2
    world.targets.send_items("PUT", "users", everything)
    reconcile(world, USERS)


def fetch(url):
    import json
    import urllib.request

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        return json.loads(answer.read())


def test_a_missed_object_is_landed(world):
    header = ",".join(column.field for column in world.deployment.catalog.dataset(PRODUCTS).columns)
    world.targets.put_object("products/late.csv", header.encode() + b"\n")
    assert reconcile(world, PRODUCTS, dry_run=True)["found"] == {"missed_objects": 1}
    assert reconcile(world, PRODUCTS)["found"] == {"missed_objects": 1}
    assert reconcile(world, PRODUCTS)["found"] == {"missed_objects": 0}


def test_a_ratio_that_is_none_is_refused(world):
    with pytest.raises(SettingsError, match="between 0 and 1"):
        reconcile(world, ORDERS, max_delete_ratio=1.5)
