"""Replay, recover and rewind on a living shop: the warehouse becomes again what it was, and no source is asked.

One story in order, so the tests of this file share a world and run in one process.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from bson import Decimal128, Int64

from devstack.servers import s3
from tideline import pipeline
from tideline.catalog.model import Column
from tideline.errors import CatalogError, ContractError, IntegrityError, SchemaEvolutionError, SettingsError
from tideline.lake.keys import MANIFEST
from tideline.replay import steps
from tideline.replay.recover import recover
from tideline.replay.request import ReplayRequest
from tideline.replay.rewind import rewind
from tideline.replay.select import EVERYTHING, refused
from tideline.warehouse import names
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import raw_table
from tideline.window import Window

pytestmark = pytest.mark.integration

ORDERS, PRODUCTS, POSTS = "shop_mongodb.orders", "shop_s3.products", "jsonplaceholder.posts"
CHARGES, CUSTOMERS = "shop_mongodb.charges", "shop_mongodb.customers"
MINE = (POSTS, CUSTOMERS, ORDERS, CHARGES, PRODUCTS)
LINEAGE = "_extra, _extracted_at, _window_id, _raw_uri, _raw_position, _row_hash, _deleted_at, _superseded_at"


def no_source(source):
    raise AssertionError(f"a replay opened {source.name}")


@pytest.fixture(scope="module")
def offline(world):
    """The deployment with every source out of reach."""
    return replace(world.deployment, open_source=no_source)


@pytest.fixture(scope="module", autouse=True)
def two_hours(world):
    for hour in (0, 1):
        world.shop.advance(hour, world.targets)
        world.run(world.request(hour, datasets=MINE))
    assert world.compare(1, MINE) > 500


def mine(deployment):
    return [deployment.catalog.dataset(dataset_id) for dataset_id in MINE]


def now():
    return datetime.now(UTC)


def rows(world, dataset_id):
    """Everything of a table but when it was written, as text: key → row."""
    dataset = world.deployment.catalog.dataset(dataset_id)
    columns = ", ".join(f"`{column.name}`" for column in dataset.columns)
    table = raw_table(dataset, world.deployment.open_warehouse().settings)
    return sorted(query(world, f"SELECT TO_JSON_STRING(STRUCT({columns}, {LINEAGE})) AS r FROM {table.sql}"))


def query(world, sql):
    return [row[0] for row in world.deployment.open_warehouse().rows(sql, kind="test")]


def run_sql(world, sql):
    world.deployment.open_warehouse().run(sql, kind="test", key=f"{sql} {now()}")


def ops(world, name):
    return names.ops_table(name, world.deployment.open_warehouse().settings).sql


def state(world):
    ledger = Ledger(world.deployment.open_warehouse())
    ledger.ensure()
    return ledger.state()


def loads(world, dataset_id):
    return list(Ledger(world.deployment.open_warehouse()).history(*dataset_id.split(".")))


def replay(deployment, run_id="replay", **asked):
    """The steps as the command line takes them."""
    request = ReplayRequest.from_params({"datasets": [ORDERS], **asked}, now())
    plan = steps.plan_replay(deployment, request, now())
    refined = [steps.refine_batch(deployment, batch, run_id) for batch in plan["batches"]]
    merged = steps.merge_refined(deployment, plan, refined, run_id)
    if not plan["shadow"]:
        return merged
    compared = steps.compare_shadow(deployment, plan, merged, run_id)
    swapped = steps.swap_shadow(deployment, plan, compared, run_id) if request.swap else None
    return {**compared, "plan": plan, "swapped": swapped}


@pytest.mark.parametrize("dataset_id", [ORDERS, PRODUCTS, POSTS])
def test_a_wiped_table_is_rebuilt_row_by_row(world, offline, dataset_id):
    before, marks = rows(world, dataset_id), state(world)
    run_sql(
        world, f"DROP TABLE {raw_table(world.deployment.catalog.dataset(dataset_id), offline.settings).sql}"
    )
    merged = replay(offline, datasets=[dataset_id])
    assert rows(world, dataset_id) == before
    assert not merged["skipped"]
    assert state(world)[dataset_id].high_water_mark == marks[dataset_id].high_water_mark
    assert {load.mode for load in loads(world, dataset_id)} == {"scheduled", "replay"}
    assert world.compare(1, MINE) > 500


def test_a_replay_over_what_is_there_changes_nothing(world, offline):
    before = rows(world, ORDERS)
    merged = replay(offline)
    assert rows(world, ORDERS) == before
    assert sum(load["inserted"] + load["updated"] for load in merged["done"]) == 0


def test_a_range_is_a_range_of_window_ends(world, offline):
    end = world.end_of(1)
    only_last = {"from": (end - timedelta(hours=1)).isoformat(), "to": end.isoformat()}
    assert {load["window"]["end"] for load in replay(offline, **only_last)["done"]} == {
        "2026-03-14T11:00:00Z"
    }


def test_a_shadow_of_everything_is_the_same_and_takes_the_place_of_the_live_table(world, offline):
    before = rows(world, ORDERS)
    done = replay(offline, into="shadow", swap=True, keep_days=3)
    assert done["comparison"]["is_same"]
    assert done["comparison"]["live_rows"] == done["comparison"]["shadow_rows"] == len(before)
    sums = {(c["live_checksum"], c["shadow_checksum"]) for c in done["comparison"]["columns"]}
    assert all(live == shadow for live, shadow in sums)
    assert rows(world, ORDERS) == before
    old = done["swapped"]["before"]
    assert old.rpartition(".")[2].startswith("orders__before_")
    swapped_in = [load for load in loads(world, ORDERS) if load.run_id == "replay" and load.mode == "replay"]
    assert swapped_in[-1].partitions is None
    assert query(world, f"SELECT COUNT(*) FROM `{old.replace('.', '`.`')}`") == [len(before)]
    world.run(world.request(1, datasets=MINE))
    assert world.compare(1, MINE) > 500


def test_a_shadow_shows_what_differs(world, offline):
    live = raw_table(world.deployment.catalog.dataset(ORDERS), offline.settings).sql
    ids = query(world, f"SELECT id FROM {live} WHERE _deleted_at IS NULL ORDER BY id LIMIT 3")
    run_sql(world, f"UPDATE {live} SET status = -1 WHERE id IN ({ids[0]}, {ids[1]})")
    run_sql(world, f"DELETE FROM {live} WHERE id = {ids[2]}")
    found = replay(offline, into="shadow", swap=True)["comparison"]
    assert (found["only_live"], found["only_shadow"]) == (0, 1)
    assert {c["name"]: c["differing"] for c in found["columns"] if c["differing"]} == {"status": 2}
    status = next(c for c in found["columns"] if c["name"] == "status")
    assert status["live_checksum"] != status["shadow_checksum"]
    assert world.compare(1, MINE) > 500


def test_a_shadow_of_a_range_begins_as_a_copy_of_the_live_table(world, offline):
    live = raw_table(world.deployment.catalog.dataset(ORDERS), offline.settings).sql
    (before,) = query(world, f"SELECT COUNT(*) FROM {live}")
    run_sql(world, f"DELETE FROM {live} WHERE MOD(id, 2) = 0")
    (left,) = query(world, f"SELECT COUNT(*) FROM {live}")
    found = replay(offline, into="shadow", **{"from": world.end_of(0).isoformat()})["comparison"]
    assert found["only_live"] == 0
    assert 0 < found["only_shadow"] < before - left, "only what was landed in the range"
    assert found["shadow_rows"] == left + found["only_shadow"]
    replay(offline, into="shadow", swap=True)
    assert world.compare(1, MINE) > 500


def test_a_swap_that_would_lose_keys_is_refused_until_it_is_forced(world, offline):
    dataset = world.deployment.catalog.dataset(ORDERS)
    live = raw_table(dataset, offline.settings).sql
    run_sql(world, f"INSERT INTO {live} (id, _extracted_at) VALUES (-77, CURRENT_TIMESTAMP())")
    before = rows(world, ORDERS)
    request = ReplayRequest.from_params({"datasets": [ORDERS], "into": "shadow", "swap": True}, now())
    plan = steps.plan_replay(offline, request, now())
    refined = [steps.refine_batch(offline, batch, "loses") for batch in plan["batches"]]
    compared = steps.compare_shadow(
        offline, plan, steps.merge_refined(offline, plan, refined, "loses"), "loses"
    )
    with pytest.raises(IntegrityError, match=r"1 keys of the live table.*-77.*--force"):
        steps.swap_shadow(offline, plan, compared, "loses")
    assert rows(world, ORDERS) == before
    steps.swap_shadow(offline, {**plan, "force": True}, compared, "forced")
    assert world.compare(1, MINE) > 500


def test_a_shadow_that_nobody_compared_is_not_swapped_in(world, offline):
    """As where the plan of a run is cleared alone: the new plan's shadow is empty."""
    before = rows(world, ORDERS)
    compared = replay(offline, into="shadow")
    request = ReplayRequest.from_params({"datasets": [ORDERS], "into": "shadow", "swap": True}, now())
    plan = steps.plan_replay(offline, request, now())
    for step in (steps.compare_shadow, steps.swap_shadow):
        with pytest.raises(SettingsError, match="clear the plan with everything downstream"):
            step(offline, plan, {"done": [], **compared}, "another")
    assert rows(world, ORDERS) == before


def test_a_batch_that_was_not_refined_is_missed(world, offline):
    """As where a person marks its task as success: a shadow without it may have the same keys with older rows."""
    before = rows(world, ORDERS)
    for asked in ({}, {"into": "shadow"}):
        plan = steps.plan_replay(
            offline, ReplayRequest.from_params({"datasets": [ORDERS], **asked}, now()), now()
        )
        refined = [steps.refine_batch(offline, batch, "gap") for batch in plan["batches"]]
        assert len(refined) > 1
        with pytest.raises(
            IntegrityError, match=rf"{len(refined)} landings .* {len(refined) - 1} were refined"
        ):
            steps.merge_refined(offline, plan, refined[:-1], "gap")
    assert rows(world, ORDERS) == before


def test_loads_that_come_while_a_shadow_is_built_are_in_the_table_after_the_swap(world, offline):
    """One is committed before the comparison; of another only the MERGE is done when the tables are swapped."""
    run_id = "shadow"
    request = ReplayRequest.from_params({"datasets": [ORDERS], "into": "shadow", "swap": True}, now())
    plan = steps.plan_replay(offline, request, now())
    refined = [steps.refine_batch(offline, batch, run_id) for batch in plan["batches"]]
    world.shop.advance(2, world.targets)
    world.run(world.request(2, datasets=MINE))
    merged = steps.merge_refined(offline, plan, refined, run_id)
    compared = steps.compare_shadow(offline, plan, merged, run_id)
    assert compared["comparison"]["is_same"]

    world.shop.advance(3, world.targets)
    others = tuple(dataset_id for dataset_id in MINE if dataset_id != ORDERS)
    world.run(world.request(3, datasets=others))
    load = pipeline.plan_run(world.deployment, world.request(3, datasets=(ORDERS,)))[ORDERS]
    landed = pipeline.land_dataset(world.deployment, load, "in flight")
    swapped = steps.swap_shadow(offline, plan, compared, run_id)
    assert [late["raw_manifest_uri"] for late in swapped["late"]["done"]] == [landed["raw_manifest_uri"]]
    assert world.compare(3, MINE) > 500
    again = steps.swap_shadow(offline, plan, compared, run_id)
    assert [late["mode"] for late in again["late"]["done"]] == ["replay"], "a retry finds it merged"
    assert world.compare(3, MINE) > 500


def test_a_lost_ledger_is_rebuilt_from_manifests(world, offline):
    marks = {dataset_id: known.high_water_mark for dataset_id, known in state(world).items()}
    before = {dataset_id: rows(world, dataset_id) for dataset_id in (ORDERS, PRODUCTS, POSTS)}
    counts = {load.load_id: load.inserted for load in loads(world, POSTS) if load.mode == "scheduled"}
    for name in (names.LEDGER, names.LANDED_OBJECTS):
        run_sql(world, f"DROP TABLE {ops(world, name)}")
    found = recover(offline, mine(offline), EVERYTHING, "recover", dry_run=True)
    assert len(found.done) > len(marks)
    assert state(world) == {}

    found = recover(offline, mine(offline), EVERYTHING, "recover")
    assert not found.skipped
    assert {dataset_id: known.high_water_mark for dataset_id, known in state(world).items()} == marks
    assert {dataset_id: rows(world, dataset_id) for dataset_id in before} == before
    assert {load.mode for load in loads(world, POSTS)} == {"scheduled"}
    recovered = {load.load_id: load.inserted for load in loads(world, POSTS)}
    assert {load_id: recovered[load_id] for load_id in counts if load_id in recovered} == {
        load_id: inserted for load_id, inserted in counts.items() if load_id in recovered
    }
    assert recover(offline, mine(offline), EVERYTHING, "recover").done == []
    again = world.run(world.request(3, datasets=(PRODUCTS,)))
    assert again[PRODUCTS]["landed"] == 0, "objects are known to be landed"


def test_an_old_ledger_is_brought_up_to_date(world, offline):
    marks = state(world)
    run_sql(world, f"CREATE TABLE {ops(world, 'saved')} AS SELECT * FROM {ops(world, names.LEDGER)}")
    run_sql(world, f"DELETE FROM {ops(world, names.LEDGER)} WHERE window_end > '2026-03-14 11:00:00+00'")
    assert state(world)[ORDERS].high_water_mark < marks[ORDERS].high_water_mark
    recover(offline, mine(offline), EVERYTHING, "recover")
    assert {k: v.high_water_mark for k, v in state(world).items()} == {
        k: v.high_water_mark for k, v in marks.items()
    }
    assert world.compare(3, MINE) > 500


def test_a_landing_that_nobody_merged_is_recovered(world, offline):
    world.shop.advance(4, world.targets)
    request = world.request(4, datasets=MINE)
    for load in pipeline.plan_run(world.deployment, request).values():
        pipeline.land_dataset(world.deployment, load, request.run_id)
    found = recover(offline, mine(offline), EVERYTHING, "recover")
    assert len(found.done) >= len(MINE)
    assert world.compare(4, MINE) > 500
    assert state(world)[ORDERS].high_water_mark == world.end_of(4)


def test_after_a_rewind_the_next_scheduled_run_reads_from_there(world):
    to = world.end_of(1)
    moved = rewind(
        world.deployment, ORDERS, to.isoformat(), reason="rows were late", actor="me", run_id="r", now=now()
    )
    assert moved == {
        "dataset_id": ORDERS, "before": "2026-03-14T14:00:00Z", "after": "2026-03-14T11:00:00Z",
        "load_id": moved["load_id"], "reason": "rows were late", "actor": "me",
    }  # fmt: skip
    world.shop.advance(5, world.targets)
    done = world.run(world.request(5, datasets=MINE))
    assert done[ORDERS]["window"]["start"] == "2026-03-14T10:00:00Z", "less the lookback"
    assert state(world)[ORDERS].high_water_mark == world.end_of(5)
    assert world.compare(5, MINE) > 500
    rewinds = [load for load in loads(world, ORDERS) if load.mode == "rewind"]
    assert [(row.reason, row.actor, row.partitions) for row in rewinds] == [("rows were late", "me", "{}")]


def test_rewound_objects_and_snapshots_are_read_again(world):
    for dataset_id in (PRODUCTS, POSTS):
        rewind(world.deployment, dataset_id, "origin", reason="all anew", actor="me", run_id="r", now=now())
    done = world.run(world.request(5, datasets=(PRODUCTS, POSTS)))
    assert done[PRODUCTS]["window"]["start"] is None
    assert done[PRODUCTS]["landed"] > 0
    assert done[POSTS]["unchanged_source"] is False
    assert world.compare(5, MINE) > 500


def test_a_new_column_is_filled_for_all_of_history(world, offline):
    """`gift_message` came as an undeclared field, and so is in `_extra`."""
    told = {key: (extra or {}).get("gift_message") for key, (_, extra) in world.warehouse(ORDERS).items()}
    assert any(told.values())
    grown = with_columns(offline, ORDERS, gift_message=Column(name="gift_message", type="string"))
    replay(grown)
    found = replace_deployment(world, grown).warehouse(ORDERS)
    assert {key: values["gift_message"] for key, (values, _) in found.items()} == told
    assert not any("gift_message" in (extra or {}) for _, extra in found.values())


def test_a_corrected_type_comes_in_by_a_shadow(world, offline):
    """BigQuery makes no JSON of a STRING in place."""
    before = {key: values["phone"] for key, (values, _) in world.warehouse(CUSTOMERS).items()}
    mended = with_columns(offline, CUSTOMERS, phone=Column(name="phone", type="json"))
    with pytest.raises(SchemaEvolutionError, match="phone"):
        replay(mended, datasets=[CUSTOMERS])
    assert {key: values["phone"] for key, (values, _) in world.warehouse(CUSTOMERS).items()} == before
    done = replay(mended, datasets=[CUSTOMERS], into="shadow", swap=True)
    assert done["comparison"]["reshaped"] == ["phone becomes JSON, was STRING"]
    assert not any(column["differing"] for column in done["comparison"]["columns"])
    live = raw_table(offline.catalog.dataset(CUSTOMERS), offline.settings).sql
    found = query(world, f"SELECT TO_JSON_STRING(STRUCT(id AS id, phone AS phone)) FROM {live}")
    assert {row["id"]: row["phone"] for row in map(json.loads, found)} == before


def test_refused_rows_go_through_once_the_catalog_is_mended(world, offline):
    world.shop.advance(6, world.targets)
    stamp = world.end_of(6) - timedelta(minutes=1)
    spoiled = [
        {"_id": f"fine-{n}", "order_id": Int64(n), "amount": Decimal128("1.2345"), "updated_at": stamp}
        for n in range(3)
    ]
    world.targets.insert(CHARGES, spoiled)
    (load,) = world.run(world.request(6, datasets=(CHARGES,))).values()
    opened = open_refusals(world, CHARGES)
    assert opened[load["raw_manifest_uri"]] == load["quarantined"] >= 3

    amount = Column(name="amount", type="numeric", precision=16, scale=4)
    mended = with_columns(offline, CHARGES, amount=amount)
    asked = {"datasets": [CHARGES], "quarantined": True, "reason": "decimal_scale"}
    merged = replay(mended, **asked)
    assert load["raw_manifest_uri"] in {done["raw_manifest_uri"] for done in merged["done"]}
    left = open_refusals(world, CHARGES)
    assert sum(opened.values()) - sum(left.values()) >= 3
    with pytest.raises(
        SettingsError, match=r"no refused rows are open of shop_mongodb\.charges for decimal_scale"
    ):
        replay(mended, **asked)
    live = raw_table(offline.catalog.dataset(CHARGES), offline.settings).sql
    assert query(world, f"SELECT amount FROM {live} WHERE id = 'fine-1'") == [Decimal("1.2345")]


def test_a_load_that_failed_above_the_threshold_goes_through_by_its_id(world, offline):
    strict = with_columns(offline, CUSTOMERS, email=Column(name="email", type="int64"))
    landed = pipeline.land_dataset(
        world.deployment,
        pipeline.plan_run(world.deployment, world.request(5, kind="backfill", datasets=(CUSTOMERS,)))[
            CUSTOMERS
        ],
        "lands",
    )
    with pytest.raises(ContractError):
        pipeline.refine_dataset(strict, landed, "refused")
    (load_id,) = [one for one in failed_loads(offline, CUSTOMERS) if landed_window(landed) in one]
    (item,) = refused(strict, strict.catalog.dataset(CUSTOMERS), load_id=load_id).items
    assert (item.landing.raw_manifest_uri, item.recorded) == (landed["raw_manifest_uri"], False)

    asked = {"datasets": (), "quarantined": True, "load": load_id}
    assert list(replay(strict, **asked)["skipped"]) == [landed["raw_manifest_uri"]]
    found = recover(strict, [strict.catalog.dataset(CUSTOMERS)], EVERYTHING, "recover")
    assert list(found.skipped) == [landed["raw_manifest_uri"]]

    mended = with_columns(offline, CUSTOMERS, phone=Column(name="phone", type="json"))
    merged = replay(mended, **asked)
    assert [done["raw_manifest_uri"] for done in merged["done"]] == [landed["raw_manifest_uri"]]
    assert [
        load.mode for load in loads(world, CUSTOMERS) if load.raw_manifest_uri == landed["raw_manifest_uri"]
    ] == ["exact"]


def landed_window(landed):
    return Window.from_json(landed["window"]).window_id


def failed_loads(deployment, dataset_id):
    """Ids of loads of which there is evidence of refused rows and nothing else."""
    store, prefix = deployment.quarantine, dataset_id.replace(".", "/") + "/"
    folders = [key.removesuffix(MANIFEST) for key in store.list(prefix) if key.endswith(MANIFEST)]
    failed = [one for one in folders if not deployment.processed.exists(one + MANIFEST)]
    return [f"{dataset_id}:{one.split('/')[4]}:{one.split('/')[5]}" for one in failed]


def open_refusals(world, dataset_id):
    """Raw manifest → rows that its newest load refused."""
    newest = {load.raw_manifest_uri: load.quarantined for load in loads(world, dataset_id)}
    return {uri: count for uri, count in newest.items() if uri and count}


def with_columns(deployment, dataset_id, **columns):
    """The deployment with these columns in a dataset's declaration, instead of those of their name or besides."""
    dataset = deployment.catalog.dataset(dataset_id)
    declared = {column.name: column for column in dataset.columns} | columns
    changed = dataset.model_copy(update={"columns": tuple(declared.values())})
    sources = tuple(
        source.model_copy(
            update={
                "datasets": tuple(changed if one.dataset_id == dataset_id else one for one in source.datasets)
            }
        )
        for source in deployment.catalog.sources
    )
    return replace(deployment, catalog=deployment.catalog.model_copy(update={"sources": sources}))


def replace_deployment(world, deployment):
    return replace(world, deployment=deployment)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"datasets": ["shop_mongodb.nope"]}, CatalogError, "choose one of"),
        ({"from": "2026-03-14T10:00", "to": "2026-03-14T10:00"}, SettingsError, "is empty"),
        ({"from": "2026-03-14T11:00", "to": "2026-03-14T10:00"}, SettingsError, "is empty"),
        ({"from": "2999-01-01"}, SettingsError, "--from is .* yet to come"),
        ({"to": "2999-01-01"}, SettingsError, "--to is .* yet to come"),
        ({"from": "2001-01-01", "to": "2001-01-02"}, IntegrityError, "nothing was landed"),
        ({"to": "tomorrow"}, SettingsError, "not an instant"),
    ],
    ids=["dataset", "empty", "backwards", "from the future", "to the future", "nothing there", "no instant"],
)
def test_bad_input_changes_nothing(world, offline, asked, error, words):
    seen = sight(world)
    with pytest.raises(error, match=words):
        replay(offline, **asked)
    assert sight(world) == seen


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"to": "2999-01-01"}, "yet to come"),
        ({"to": "2026-03-14T15:30"}, "goes back"),
        ({"to": "2026-03-14T10:00", "reason": " "}, "needs a reason"),
        ({"to": "yesterday"}, "not an instant"),
    ],
    ids=["future", "after the mark", "no reason", "no instant"],
)
def test_bad_rewinds_change_nothing(world, asked, words):
    seen = sight(world)
    with pytest.raises(SettingsError, match=words):
        rewind(
            world.deployment, ORDERS, **{"reason": "why", "actor": "me", "run_id": "r", "now": now(), **asked}
        )
    with pytest.raises(CatalogError):
        rewind(world.deployment, "no.such", "origin", reason="why", actor="me", run_id="r", now=now())
    assert sight(world) == seen


def test_a_missing_manifest_is_named_and_nothing_changes(world, offline):
    """The ledger knows a landing that the raw bucket has lost."""
    ledger, lost = (
        Ledger(offline.open_warehouse()),
        "s3://tideline-raw/shop_mongodb/orders/lost/_manifest.json",
    )
    row = replace(loads(world, ORDERS)[0], load_id="lost", raw_manifest_uri=lost, committed_at=None)
    ledger.record(replace(row, mode="reconcile"))
    seen = sight(world)
    with pytest.raises(IntegrityError, match=f"names 1 raw manifests.*{lost}"):
        replay(offline)
    assert sight(world) == seen


def test_damaged_raw_bytes_are_found_before_anything_is_merged(world, offline):
    seen = sight(world)
    part = next(key for key in offline.raw.list("shop_mongodb/charges/") if "_manifest" not in key)
    damage(world, offline.raw, part)
    with pytest.raises(IntegrityError, match="part-00000"):
        replay(offline, datasets=[CHARGES])
    assert sight(world) == seen


def damage(world, store, key):
    """Flip a byte behind the store's back."""
    body = bytearray(store.read(key))
    body[len(body) // 2] ^= 1
    bucket, _, prefix = store.root.removeprefix("s3://").partition("/")
    name = f"{prefix}/{key}" if prefix else key
    client = s3.client(int(world.stack.s3_url.rpartition(":")[2]))
    client.put_object(Bucket=bucket, Key=name, Body=bytes(body))
    client.close()


def sight(world):
    """Everything that a failed verb must leave alone."""
    return [
        rows(world, ORDERS),
        rows(world, CHARGES),
        [load.load_id for load in loads(world, ORDERS)],
        state(world),
    ]
