"""What the shop promises of every hour, besides that its truth is true (test_truth.py)."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from devstack.shop import DATASETS, Shop, Targets
from devstack.shop.hours import LATE_ORDERS
from devstack.shop.scope import CHARGES, CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS
from devstack.shop.targets import batches
from devstack.shop.world import Draft, HourPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    Truth = Callable[[int], dict[str, dict[Any, dict[str, Any]]]]

ANCHOR = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = range(6)
STAMPED = (CUSTOMERS, ORDERS, CHARGES, PRODUCTS, ORDER_ITEMS)


@pytest.fixture(scope="module")
def shop() -> Shop:
    shop = Shop(5, 0.05, ANCHOR)
    shop.rows(ORDERS, max(HOURS))
    return shop


@pytest.fixture(scope="module")
def truth(shop: Shop) -> Truth:
    return cache(shop.truth)


def plan(shop: Shop, hour: int) -> HourPlan:
    return shop._plan(hour)


def records(body: bytes) -> list[dict[str, str]]:
    text = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("hour", HOURS)
def test_changes_are_stamped_in_their_hour_but_for_late_ones(shop: Shop, hour: int) -> None:
    begin = ANCHOR + hour * HOUR
    for dataset_id in STAMPED:
        stamps = [version.row["updated_at"] for version in plan(shop, hour).changed[dataset_id].values()]
        late = [stamp for stamp in stamps if stamp < begin]
        assert all(begin - HOUR <= stamp < begin + HOUR for stamp in stamps)
        assert len(late) < len(stamps) / 3
        assert late or dataset_id == CHARGES
        assert all(version.row["created_at"] <= version.row["updated_at"]
                   for version in plan(shop, hour).changed[dataset_id].values())  # fmt: skip


@pytest.mark.parametrize("hour", HOURS)
def test_every_hour_inserts_and_updates_everywhere(shop: Shop, truth: Truth, hour: int) -> None:
    before, after = truth(hour - 1), truth(hour)
    for dataset_id in DATASETS:
        kept = before[dataset_id].keys() & after[dataset_id].keys()
        assert kept == before[dataset_id].keys()
        changed = sum(before[dataset_id][key] != after[dataset_id][key] for key in kept)
        has_new = len(after[dataset_id]) > len(kept)
        assert (changed > 0) or dataset_id in ("jsonplaceholder.users", "jsonplaceholder.comments")
        assert has_new or dataset_id.startswith("jsonplaceholder")
    assert len(after["jsonplaceholder.comments"]) == len(before["jsonplaceholder.comments"]) + 3


@pytest.mark.parametrize("hour", HOURS)
def test_every_hour_has_its_objects(shop: Shop, hour: int) -> None:
    moment = ANCHOR + hour * HOUR
    expected = {
        f"products/{moment:%Y/%m/%d}/products-{moment:%H}.csv",
        f"products/2025/{moment:%m/%d}/products-late-{moment:%Y%m%d%H}.csv",
        f"order_items/{moment:%Y/%m/%d}/order_items-{moment:%H}.csv.gz",
    }
    if hour:
        earlier = moment - HOUR
        expected.add(f"products/{earlier:%Y/%m/%d}/products-{earlier:%H}.csv")
    assert set(plan(shop, hour).objects) == expected


@pytest.mark.parametrize("hour", HOURS)
@pytest.mark.parametrize("dataset", ["products", "order_items"])
def test_the_same_row_comes_twice_in_one_object_in_either_order(shop: Shop, dataset: str, hour: int) -> None:
    moment = ANCHOR + hour * HOUR
    body = next(
        body for key, body in plan(shop, hour).objects.items()
        if key.startswith(f"{dataset}/{moment:%Y/%m/%d}/{dataset}-{moment:%H}")
    )  # fmt: skip
    seen: dict[str, list[str]] = {}
    for record in records(body):
        seen.setdefault(record["id"], []).append(record["updated_at"])
    twice = [stamps for stamps in seen.values() if len(stamps) > 1]
    assert len(twice) >= 3
    assert all(len(set(stamps)) == len(stamps) for stamps in twice)


def test_some_of_the_rows_that_come_twice_come_newest_first(shop: Shop) -> None:
    orders = set()
    for hour in HOURS:
        for key, body in plan(shop, hour).objects.items():
            seen: dict[str, str] = {}
            for record in records(body) if "late" not in key else []:
                if record["id"] in seen:
                    orders.add(seen[record["id"]] < record["updated_at"])
                seen[record["id"]] = record["updated_at"]
    assert orders == {True, False}


@pytest.mark.parametrize("hour", HOURS)
def test_rows_that_come_late_lie_before_and_after_what_is_known(shop: Shop, truth: Truth, hour: int) -> None:
    key = next(key for key in plan(shop, hour).objects if "late" in key)
    newest = truth(hour)[PRODUCTS]
    stamps = {
        int(record["id"]): datetime.fromisoformat(record["updated_at"])
        for record in records(plan(shop, hour).objects[key])
    }
    assert any(newest[number]["updated_at"] > stamp for number, stamp in stamps.items())
    assert any(newest[number]["updated_at"] == stamp for number, stamp in stamps.items())


@pytest.mark.parametrize("hour", HOURS[1:])
def test_an_object_that_is_written_over_keeps_all_its_good_rows(shop: Shop, hour: int) -> None:
    moment = ANCHOR + (hour - 1) * HOUR
    key = f"products/{moment:%Y/%m/%d}/products-{moment:%H}.csv"
    bad = {str(row.key) for row in shop.bad_rows(hour) if row.object_key == key}
    old, new = (records(plan(shop, number).objects[key]) for number in (hour - 1, hour))

    def versions(found: list[dict[str, str]]) -> set[tuple[str, str]]:
        return {(row["id"], row["updated_at"]) for row in found if row["id"] not in {*bad, ""}}

    assert versions(old) < versions(new)


def test_texts_try_what_csv_and_json_can_hold(shop: Shop, truth: Truth) -> None:
    texts = {row["description"] for row in truth(0)[PRODUCTS].values()}
    texts |= {row["note"] for row in truth(0)[ORDER_ITEMS].values()}
    assert {"", "n/a", "NULL", " "} <= texts
    for needle in ('"', "\n", ",", "👍", "\t", "é"):
        assert any(needle in text for text in texts)
    bodies = b"".join(body for hour in HOURS for body in plan(shop, hour).objects.values())
    assert b"\r\n" in bodies
    headers = {body.split(b"\r\n")[0] for hour in HOURS for key, body in plan(shop, hour).objects.items()
               if key.startswith("products/2026") and b"\r\n" in body}  # fmt: skip
    assert len(headers) == 3


@pytest.mark.parametrize("hour", HOURS)
def test_references_lead_somewhere_at_every_hour(shop: Shop, truth: Truth, hour: int) -> None:
    found = truth(hour)
    orders = found[ORDERS]
    assert {row["customer_id"] for row in orders.values()} <= found[CUSTOMERS].keys()
    assert {row["order_id"] for row in found[ORDER_ITEMS].values()} == orders.keys()
    assert {row["product_id"] for row in found[ORDER_ITEMS].values()} <= found[PRODUCTS].keys()
    assert {row["order_id"] for row in found[CHARGES].values()} <= orders.keys()


@pytest.mark.parametrize("hour", [-1, 0, max(HOURS)])
def test_money_adds_up(shop: Shop, truth: Truth, hour: int) -> None:
    found = truth(hour)
    debits: Counter[int] = Counter()
    for charge in found[CHARGES].values():
        if charge["kind"] == "debit":
            debits[charge["order_id"]] += charge["amount"]
    pieces: Counter[int] = Counter()
    for item in found[ORDER_ITEMS].values():
        pieces[item["order_id"]] += item["quantity"]
    for number, order in found[ORDERS].items():
        assert pieces[number] == order["total_items"]
        assert order["amount"].as_tuple().exponent == -2
        is_paid = any(entry["status"] == 2 for entry in order["status_history"])
        assert debits[number] == (order["amount"] if is_paid else 0)


def test_order_dates_never_change(shop: Shop, truth: Truth) -> None:
    first = {key: row["order_date"] for key, row in truth(0)[ORDERS].items()}
    last = truth(max(HOURS))[ORDERS]
    assert {key: last[key]["order_date"] for key in first} == first


def test_what_raw_tables_are_partitioned_by_never_changes(shop: Shop) -> None:
    """Of any version of a row, also one that came and went within an hour."""
    created: dict[tuple[str, Any], set[datetime]] = {}
    for dataset_id in (CUSTOMERS, CHARGES, ORDER_ITEMS):
        for key, row in shop.truth(-1)[dataset_id].items():
            created[dataset_id, key] = {row["created_at"]}
        for hour in HOURS:
            for key, version in plan(shop, hour).changed[dataset_id].items():
                created.setdefault((dataset_id, key), set()).add(version.row["created_at"])
    assert {len(stamps) for stamps in created.values()} == {1}
    assert None not in set().union(*created.values())


def test_bad_rows_have_keys_of_their_own_and_one_is_put_right(shop: Shop, truth: Truth) -> None:
    last = truth(max(HOURS))
    bad = shop.bad_rows(max(HOURS))
    assert {row.dataset_id for row in bad} == set(STAMPED)
    fixed = [row for row in bad if row.until is not None and row.until <= max(HOURS)]
    assert len(fixed) >= len(HOURS)
    for row in fixed:
        assert row.key not in truth(row.since)[row.dataset_id]
        assert row.key in truth(row.until or 0)[row.dataset_id]
    for row in bad:
        if row.until is None and row.dataset_id in (CUSTOMERS, ORDERS, CHARGES):
            assert row.key not in last[row.dataset_id]
    assert len({row.reason for row in bad}) >= 12


def test_hours_need_no_order(shop: Shop) -> None:
    other = Shop(5, 0.05, ANCHOR)
    assert other.truth(3) == shop.truth(3)
    assert other.quarantined(1) == shop.quarantined(1)


@pytest.mark.parametrize("hour", [-1, 2])
def test_rows_are_a_stream_of_the_truth(shop: Shop, hour: int) -> None:
    stream = shop.rows(ORDERS, hour)
    assert next(stream)[0] in shop.truth(hour)[ORDERS]
    assert 1 + sum(1 for _ in stream) == len(shop.truth(hour)[ORDERS])


@pytest.mark.parametrize(
    ("anchor", "scale"),
    [
        (ANCHOR + timedelta(minutes=1), 1.0),
        (ANCHOR.replace(tzinfo=None), 1.0),
        (ANCHOR, 0.0),
    ],
)
def test_a_shop_that_cannot_be_is_refused(anchor: datetime, scale: float) -> None:
    with pytest.raises(ValueError, match="the shop's"):
        Shop(1, scale, anchor)


def test_a_shop_without_history_is_refused() -> None:
    with pytest.raises(ValueError, match="the shop's history must be above 0 days, not 0"):
        Shop(1, 1.0, ANCHOR, 0)


def test_scale_one_has_the_promised_size() -> None:
    counts = {dataset_id: sum(1 for _ in Shop(1, 1.0, ANCHOR).rows(dataset_id, -1)) for dataset_id in STAMPED}
    assert counts[ORDERS] == 10_000
    assert counts[CUSTOMERS] == 4_000
    assert counts[PRODUCTS] == 500
    assert 24_000 < counts[ORDER_ITEMS] < 26_000
    assert 11_000 < counts[CHARGES] < 13_000


def test_a_longer_history_has_more_rows_and_hours_that_change_as_many() -> None:
    shops = [Shop(1, 0.5, ANCHOR, days) for days in (400, 800)]
    history = [shop.truth(-1) for shop in shops]
    first = [min(row["order_date"] for row in truth[ORDERS].values()) for truth in history]
    assert [(ANCHOR.date() - day).days for day in first] == [400, 800]
    for dataset_id in (ORDERS, CUSTOMERS, PRODUCTS):
        short, long = (len(truth[dataset_id]) for truth in history)
        assert long == 2 * short
    for dataset_id in (ORDERS, CHARGES, ORDER_ITEMS):
        short, long = (len(shop._plan(0).changed[dataset_id]) for shop in shops)
        assert 0.8 * short < long < 1.25 * short
    old = ANCHOR.date() - timedelta(days=400)
    changed = [row.row["order_date"] for row in shops[1]._plan(0).changed[ORDERS].values()]
    assert sum(day < old for day in changed) <= LATE_ORDERS, "no more than one of a shorter history"


def test_the_history_streams() -> None:
    seen: list[tuple[str, int]] = []

    class Sink(Targets):
        def insert(self, dataset_id: str, documents: Any) -> None:
            seen.append((dataset_id, sum(1 for _ in documents)))

        def put_object(self, key: str, body: bytes) -> None:
            seen.append((key.split("/", maxsplit=1)[0], len(records(body))))

    Shop(1, 0.5, ANCHOR).open(Sink())
    orders = [count for name, count in seen if name == ORDERS]
    items = [count for name, count in seen if name == "order_items"]
    assert orders == [2000, 2000, 1000, 2]
    assert max(items) < sum(items) / 40
    assert seen.index((ORDERS, 2000)) < len(seen) - seen[::-1].index(("order_items", items[-1]))


def test_batches_hold_everything_once() -> None:
    assert list(batches([{"n": n} for n in range(5)], 2)) == [
        [{"n": 0}, {"n": 1}],
        [{"n": 2}, {"n": 3}],
        [{"n": 4}],
    ]


def test_a_row_that_must_be_there_is_missed_loudly(shop: Shop) -> None:
    draft = Draft(shop._world, HourPlan(99), shop.scope.dice("hour", 99))
    for dataset_id, key in (
        (CUSTOMERS, "C99999999"),
        (PRODUCTS, 10**9),
        (ORDERS, 10**9),
        (CHARGES, "ch_1_77"),
    ):
        with pytest.raises(LookupError, match="has no row"):
            draft.newest(dataset_id, key)
