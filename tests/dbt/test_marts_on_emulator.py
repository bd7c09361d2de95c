"""Marts after hours of late, changed and deleted rows equal a plain computation and a full refresh."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlglot
from sqlglot import exp

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).resolve().parents[2]
CENT = Decimal("0.01")
FACTS = {
    "fct_orders": "order_id",
    "fct_order_items": "order_item_id",
    "fct_charges": "charge_id",
    "fct_order_status_changes": "order_status_change_id",
}
REPORTS = {
    "rpt_daily_geography": "daily_geography_id",
    "rpt_daily_payments": "daily_payments_id",
    "rpt_order_status_mix": "order_status_mix_id",
    "rpt_daily_charges": "daily_charges_id",
    "rpt_daily_order_statuses": "daily_order_status_id",
    "rpt_weekly_product_sales": "weekly_product_sales_id",
    "rpt_daily_customers": "daily_customers_id",
    "rpt_customer_cohorts": "customer_cohort_id",
}
VERSIONS = {"dim_customer_versions": "customer", "dim_product_versions": "product"}
LEAST = datetime(1, 1, 1, tzinfo=UTC)
HOURLY = (
    "config.materialized:incremental",
    "dim_products",
    "int_product_groups",
    "int_customer_days",
    "rpt_daily_sales",
    *REPORTS,
)
RANDOM_HOURS = 4
OTHER_PARTITIONS = {
    2: {"shop_mongodb.charges": {"updated_at": ["2020-01-01"]}},
    3: {"shop_s3.order_items": {"created_at": ["2026"]}},
}
MONTHS = 6
"""In how many months random orders were placed; an hour touches some of them."""
FAR = {920: 1, 921: 2, 922: 3}
"""Orders alone in their months, which are far from the days on which their items come."""
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What systems write where they have no date: the ends of the calendar."""
RETURNED = 6
CUSTOMERS, ORDERS, CHARGES = (f"shop_mongodb.{name}" for name in ("customers", "orders", "charges"))
PRODUCTS, ITEMS = "shop_s3.products", "shop_s3.order_items"


@dataclass
class RawShop:
    """What merge has left in the raw tables, and how it changes."""

    tables: dict[str, dict[Any, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    touched: dict[str, set[date | None]] = field(default_factory=lambda: defaultdict(set))
    """Dataset → first days of the partitions in which rows were merged since the last load."""
    deletions: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    other_partitions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """What loads of a dataset say of their partitions, where not those of the rows."""

    def merge(self, dataset: str, merged_at: datetime, key: Any, **values: Any) -> None:
        """Insert or change a row; changing one that was deleted revives it."""
        row = self.tables[dataset].setdefault(key, {"id": key, "created_at": merged_at})
        if dataset == ORDERS and "order_date" in row:  # immutable, says the catalog
            values.pop("order_date", None)
        row |= {**values, "updated_at": merged_at, "_extracted_at": merged_at}
        row |= {"_merged_at": merged_at, "_deleted_at": None}
        self.touched[dataset].add(partition_of(dataset, row))

    def delete(self, dataset: str, merged_at: datetime, key: Any) -> None:
        self.tables[dataset][key] |= {"_merged_at": merged_at, "_deleted_at": merged_at}
        self.deletions[dataset].append(merged_at)

    def live(self, dataset: str) -> dict[Any, dict[str, Any]]:
        return {key: row for key, row in self.tables[dataset].items() if row["_deleted_at"] is None}


def partition_of(dataset: str, row: dict[str, Any]) -> date | None:
    """The first day of the partition in which a raw row lies, as the catalog says."""
    if dataset == ORDERS:
        return row["order_date"]
    day = row["created_at"].date()
    return day.replace(day=1) if dataset == CUSTOMERS else day


def order(customer="c1", day=1, status=2, amount="20.00", country="US", history=None, month=10):
    return {
        "customer_id": customer,
        "order_date": date(2026, month, day),
        "status": status,
        "online_order": 1,
        "amount": Decimal(amount),
        "total_items": 1,
        "shipping": {"carrier": "post", "city": "Bern", "country": country, "weight_kg": 0.5},
        "status_history": [{"status": 1, "changed_at": NOON}] if history is None else history,
        "tags": ["gift"],
    }


def item(order_id, product_id=1, quantity=1, unit_amount="10.00", discount_rate=None, is_returned=False):
    return {
        "order_id": order_id,
        "product_id": product_id,
        "quantity": quantity,
        "unit_amount": Decimal(unit_amount),
        "discount_rate": discount_rate,
        "is_returned": is_returned,
    }


def charge(order_id, amount="20.00", kind="debit", currency="USD", at=NOON):
    return {
        "order_id": order_id,
        "kind": kind,
        "amount": Decimal(amount),
        "currency": currency,
        "method": "card",
        "processor": '{"code": "ok"}',
        "charged_at": at,
    }


def first_hour(shop: RawShop, now: datetime) -> None:
    """Rows of every kind; the cases that later hours turn upon have numbers above 900."""
    for key in ("c1", "c2", "gone"):
        shop.merge(CUSTOMERS, now, key, first_name="Ä'\"\n", last_name=None, gender="Female", country="US")
    shop.delete(CUSTOMERS, now, "gone")
    shop.merge(CUSTOMERS, now, "blank", country="")
    # a CSV says nothing by an empty text
    for key, category in ((1, "shoes"), (2, "shirts"), (3, None), (4, "")):
        shop.merge(PRODUCTS, now, key, title=f"t{key}", category=category, gender="women", is_active=True)
    for key in (901, 902, 903, 904, 905, 906):
        shop.merge(ORDERS, now, key, **order())
    shop.delete(ORDERS, now, 906)
    for key, day in (
        (910, 20),
        (911, 21),
        (912, 22),
    ):  # alone on their days: left alone, deleted, told shorter
        shop.merge(ORDERS, now, key, **order(day=day))
    for key, month in FAR.items():
        shop.merge(ORDERS, now, key, **order(month=month))
    shop.merge(ITEMS, now, 9010, **item(901, quantity=3, unit_amount="9.99", discount_rate=0.15))
    shop.merge(ITEMS, now, 9011, **item(901))  # deleted in the second hour
    shop.merge(ITEMS, now, 9020, **item(902))  # moves to order 903
    shop.merge(ITEMS, now, 9040, **item(904))  # its order is deleted
    shop.merge(ITEMS, now, 9060, **item(906))  # its order is revived
    shop.merge(ITEMS, now, 9090, **item(909, product_id=77))  # before its order, and of no known article
    shop.merge(CHARGES, now, "h901", **charge(901))
    shop.merge(CHARGES, now, "h902", **charge(902))  # deleted in the second hour
    shop.merge(CHARGES, now, "h904", **charge(904))  # its order is deleted
    shop.merge(CHARGES, now, "h909", **charge(909, kind="credit"))  # before its order
    shop.merge(CHARGES, now, "none", **charge(None))
    shop.merge(CHARGES, now, "euro", **charge(905, currency="EUR"))
    shop.merge(CHARGES, now, "fee", **charge(905, kind="fee"))
    shop.merge(ORDERS, now, 913, **order(day=23, status=-1, history=[{"status": None, "changed_at": NOON}]))
    shop.merge(ORDERS, now, 914, **order(day=23, status=None, history=[{"status": -1, "changed_at": NOON}]))
    blank = {"carrier": "", "city": "", "state": "", "country": "", "weight_kg": None}
    shop.merge(ORDERS, now, 915, **{**order(customer="blank", day=24), "shipping": blank})
    shop.merge(ITEMS, now, 9150, **item(915, product_id=4))
    shop.merge(CHARGES, now, "h915", **{**charge(915), "method": ""})
    # the newest rows: what was merged before is out of the look-back from now on
    shop.merge(ORDERS, NOON, 907, **order())
    shop.merge(ITEMS, NOON, 9070, **item(907))
    shop.merge(CHARGES, NOON, "h907", **charge(907))


def second_hour(shop: RawShop, now: datetime) -> None:
    shop.delete(ITEMS, now, 9011)
    shop.merge(ITEMS, now, 9020, order_id=903)
    shop.delete(CHARGES, now, "h902")
    shop.delete(ORDERS, now, 904)
    shop.merge(ORDERS, now, 905, status=7)
    shop.merge(ORDERS, now, 906, status=5)
    shop.delete(ORDERS, now, 911)
    shop.merge(ORDERS, now, 912, status_history=[])
    # an old order, merged by a statement that began before what the first build saw and committed after it
    shop.merge(ORDERS, NOON - timedelta(hours=5, minutes=59), 909, **order(day=2))
    shop.merge(ITEMS, now, 9200, **item(920))  # of an order that is far from its own day
    shop.merge(ITEMS, now, 9220, **item(9999))  # without an order, and moves later to one that is far
    shop.merge(ITEMS, now, 9210, **item(905))  # moves later to such an order, and back
    shop.merge(PRODUCTS, now, 77, title="late", category="hats", gender="kids", is_active=True)
    for key, at in ((930, FIRST), (931, LAST)):
        shop.merge(ORDERS, now, key, **order(status=1, history=[{"status": 1, "changed_at": at}]))
        shop.merge(ITEMS, now, 9000 + key, created_at=at, **item(key))
        shop.merge(CHARGES, now, f"h{key}", created_at=at, **charge(key, at=at))
        shop.merge(CUSTOMERS, now, f"c{key}", created_at=at, country="US")
    shop.merge(ORDERS, now, 932, **{**order(), "order_date": LAST.date()})
    shop.merge(ITEMS, now, 9932, **item(932))
    # a zero as a date
    shop.merge(ORDERS, now, 933, **{**order(customer=None), "order_date": date(1970, 1, 1)})
    shop.merge(ITEMS, now, 9933, **item(933))


def random_rows(shop: RawShop, now: datetime, chance: random.Random, newest: datetime | None = None) -> None:
    """New rows and changes of old ones; some by merges that began, in the look-back, before the newest.

    Only orders of one month change, and rows of theirs, but for those that move.
    """
    months = {chance.randrange(MONTHS)} if newest else set(range(MONTHS))

    def moment() -> datetime:
        late = newest - timedelta(minutes=chance.choice((100, 359))) if newest else now
        return chance.choice((now, now, now, late))

    for dataset, (make, key_of) in RANDOM.items():
        for key in filter(is_random, list(shop.tables[dataset])):
            if number_of(shop, dataset, key) % MONTHS in months:
                values = make(chance, months)
                _change(shop, dataset, key, {"read": now, "late": moment()}, values, chance.random())
        for _ in range(60 if newest is None else 15):
            number = chance.choice([n for n in range(1, 130) if n % MONTHS in months])
            values, key = make(chance, months), key_of(number)
            if dataset == ORDERS:
                values["order_date"] = values["order_date"].replace(month=5 + number % MONTHS)
            if dataset in (ITEMS, CHARGES):  # made in the month of the order that they first belong to
                born = NOON.replace(month=5 + (values["order_id"] or 0) % MONTHS, day=1 + number % 28)
                shop.tables[dataset].setdefault(key, {"id": key, "created_at": born})
            shop.merge(dataset, moment(), key, **values)


def _change(
    shop: RawShop, dataset: str, key: Any, at: dict[str, datetime], values: dict[str, Any], fate: float
) -> None:
    """What may happen to a row that is there."""
    if fate < 0.1:
        shop.delete(dataset, at["read"], key)
    elif fate < 0.35:
        shop.merge(dataset, at["late"], key, **values)
    elif fate < 0.45 and shop.tables[dataset][key]["_deleted_at"] is None:
        shop.merge(dataset, at["late"], key)  # the same row again


def number_of(shop: RawShop, dataset: str, key: int | str) -> int:
    """Of the order that the row belongs to, or of the row."""
    if dataset in (ITEMS, CHARGES):
        return shop.tables[dataset][key]["order_id"] or 0
    return key if isinstance(key, int) else int(key[1:])


def random_parent(chance: random.Random, months: set[int]) -> int:
    """An order, seldom of another month."""
    return chance.choice([n for n in range(1, 130) if n % MONTHS in months or chance.random() < 0.004])


def is_random(key: int | str) -> bool:
    return key.startswith("r") if isinstance(key, str) else key < 900 or (key > 1000 and key < 2000)


def random_order(chance: random.Random, _: set[int]) -> dict[str, Any]:
    amount = f"{chance.randrange(0, 9000) / 100:.2f}"
    status, country = chance.choice((1, 2, 5, 6, 7, 88, None)), chance.choice(("US", "CH", None))
    customer, day = chance.choice(("c1", "c2", "nobody")), chance.randrange(1, 15)
    return order(customer, day, status, amount, country, random_history(chance, status))


def random_history(chance: random.Random, status: int | None) -> list[dict[str, Any]]:
    """What an order tells of itself: in any order, with ties and gaps, and not always how it stands now."""
    told = [chance.choice((1, 2, 3, 5, None)) for _ in range(chance.randrange(0, 4))]
    moments = [NOON - timedelta(minutes=30 * chance.randrange(1, 300)) for _ in told]
    history = [{"status": s, "changed_at": at} for s, at in zip(told, moments, strict=True)]
    if chance.random() < 0.2:
        history.append({"status": 4, "changed_at": None})
    return [*history, {"status": status, "changed_at": NOON}] if chance.random() < 0.5 else history


def random_customer(chance: random.Random, _: set[int]) -> dict[str, Any]:
    return {
        "first_name": chance.choice("ab"),
        "gender": "Female",
        "email": chance.choice(("a@example.com", None)),
        "delivery_city": chance.choice(("Bern", "Brno", None)),
        "country": "US",
        "marketing": {"is_opted_in": chance.choice((True, False, None))},
    }


def random_product(chance: random.Random, _: set[int]) -> dict[str, Any]:
    return {
        "title": "t",
        "category": chance.choice(("shoes", "shirts", None)),
        "description": chance.choice("xyz"),
        "unit_amount": Decimal(chance.choice(("1.00", "2.50"))),
        "is_active": True,
    }


def random_item(chance: random.Random, months: set[int]) -> dict[str, Any]:
    price, rate = (
        f"{chance.randrange(1, 5000) / 100:.2f}",
        chance.choice((None, 0.0, 0.05, 0.125, 0.333, 1.0)),
    )
    quantity = chance.choice((None, 1, 2, 3, 7))
    parent, product = random_parent(chance, months), chance.choice((1, 2, 3, 78))
    return item(parent, product, quantity, price, rate, chance.random() < 0.2)


def random_charge(chance: random.Random, months: set[int]) -> dict[str, Any]:
    at = NOON - timedelta(minutes=chance.randrange(0, 90_000))
    kind, currency = (
        chance.choice(("debit", "debit", "credit", "fee")),
        chance.choice(("USD", "USD", "EUR", None)),
    )
    parent = None if chance.random() < 0.05 else random_parent(chance, months)
    return charge(parent, f"{chance.randrange(1, 9000) / 100:.2f}", kind, currency, at)


RANDOM = {
    ORDERS: (random_order, int),
    ITEMS: (random_item, int),
    CHARGES: (random_charge, "r{}".format),
    CUSTOMERS: (random_customer, "r{}".format),
    PRODUCTS: (random_product, lambda number: 1000 + number),
}
"""Dataset → how a row of it is made, and the key of its n-th row; apart from the hand-made rows."""


def total(rows, name, keep=lambda row: True):
    return sum((row[name] for row in rows if row[name] is not None and keep(row)), start=Decimal(0))


def expected_items(shop: RawShop) -> dict[int, dict[str, Any]]:
    found, orders = {}, shop.live(ORDERS)
    for key, row in shop.live(ITEMS).items():
        parent = orders.get(row["order_id"])
        gross = None if row["quantity"] is None else row["quantity"] * row["unit_amount"]
        rate = Decimal(str(row["discount_rate"] or 0))
        discount = None if gross is None else (gross * rate).quantize(CENT, ROUND_HALF_UP)
        found[key] = {
            "order_item_id": key,
            "order_id": row["order_id"],
            "product_id": row["product_id"],
            "customer_id": parent and parent["customer_id"],
            "quantity": row["quantity"],
            "unit_amount_usd": row["unit_amount"],
            "discount_rate": row["discount_rate"],
            "gross_amount_usd": gross,
            "discount_amount_usd": discount,
            "net_amount_usd": None if gross is None else gross - discount,
            "is_returned": row["is_returned"],
            "has_order": parent is not None,
            "order_date": parent and parent["order_date"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "_merged_at": row["_merged_at"],
        }
    return found


def expected_charges(shop: RawShop) -> dict[str, dict[str, Any]]:
    found, orders = {}, shop.live(ORDERS)
    for key, row in shop.live(CHARGES).items():
        parent = orders.get(row["order_id"])
        sign = {"debit": 1, "credit": -1}.get(row["kind"]) if row["currency"] == "USD" else None
        found[key] = {
            "charge_id": key,
            "order_id": row["order_id"],
            "customer_id": parent and parent["customer_id"],
            "charge_kind": row["kind"],
            "charge_method": row["method"],
            "currency_code": row["currency"],
            "amount": row["amount"],
            "signed_amount_usd": sign and sign * row["amount"],
            "has_order": parent is not None,
            "order_date": parent and parent["order_date"],
            "charge_date": row["charged_at"].date(),
            "charged_at": row["charged_at"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "_merged_at": row["_merged_at"],
        }
    return found


def expected_orders(shop: RawShop) -> dict[int, dict[str, Any]]:
    found, all_items, all_charges = {}, expected_items(shop).values(), expected_charges(shop).values()
    for key, row in shop.live(ORDERS).items():
        items = [one for one in all_items if one["order_id"] == key]
        charges = [one for one in all_charges if one["order_id"] == key]
        back = [one for one in items if one["is_returned"] or row["status"] == RETURNED]
        charged = total(charges, "signed_amount_usd")
        moments = [one["charged_at"] for one in charges]
        found[key] = {
            "order_id": key,
            "customer_id": row["customer_id"],
            "status_code": row["status"],
            "online_order_code": row["online_order"],
            "shipping_carrier": row["shipping"]["carrier"],
            "shipping_city": row["shipping"]["city"],
            "shipping_state": row["shipping"].get("state"),
            "shipping_country_code": row["shipping"]["country"],
            "amount_usd": row["amount"],
            "declared_item_count": row["total_items"],
            "order_item_count": len(items),
            "unit_count": total(items, "quantity"),
            "returned_unit_count": total(back, "quantity"),
            "gross_amount_usd": total(items, "gross_amount_usd"),
            "discount_amount_usd": total(items, "discount_amount_usd"),
            "net_amount_usd": total(items, "net_amount_usd"),
            "returned_amount_usd": total(back, "net_amount_usd"),
            "charge_count": len(charges),
            "debited_amount_usd": total(
                charges, "signed_amount_usd", lambda one: one["signed_amount_usd"] > 0
            ),
            "credited_amount_usd": -total(
                charges, "signed_amount_usd", lambda one: one["signed_amount_usd"] < 0
            ),
            "charged_amount_usd": charged,
            "balance_usd": row["amount"] - charged,
            "shipping_weight_kg": row["shipping"]["weight_kg"],
            "is_paid": bool(charges) and charged >= row["amount"],
            "is_overpaid": charged > row["amount"],
            "order_date": row["order_date"],
            "first_charged_at": min(moments, default=None),
            "last_charged_at": max(moments, default=None),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "_merged_at": max(one["_merged_at"] for one in [row, *items, *charges]),
        }
    return found


def expected_status_changes(shop: RawShop) -> dict[str, dict[str, Any]]:
    return {
        row["order_status_change_id"]: row
        for key, one in shop.live(ORDERS).items()
        for row in status_changes(key, one)
    }


def status_changes(key: int, row: dict[str, Any]) -> list[dict[str, Any]]:
    places = enumerate(row["status_history"])
    told = sorted((one["changed_at"], place, one["status"]) for place, one in places if one["changed_at"])
    entries = [(at, status, False) for at, _, status in told]
    last_at, last_status = (told[-1][0], told[-1][2]) if told else (LEAST, "no status")
    if last_status != row["status"]:
        entries.append((max(row["updated_at"], last_at), row["status"], True))
    following = [*entries[1:], (None, None, None)]
    return [
        {
            "order_status_change_id": f"{key}-{number}",
            "order_id": key,
            "status_code": status,
            "next_status_code": next_status,
            "sequence_number": number,
            "hours_in_status": left and (left - at) / timedelta(hours=1),
            "is_current": left is None,
            "is_inferred": is_inferred,
            "entered_date": at.date(),
            "order_date": row["order_date"],
            "entered_at": at,
            "left_at": left,
            "_merged_at": row["_merged_at"],
        }
        for number, ((at, status, is_inferred), (left, next_status, _)) in enumerate(
            zip(entries, following, strict=True), start=1
        )
    ]


def customer_attributes(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "email": row.get("email"),
        "gender": (row.get("gender") or "unknown").lower(),
        "delivery_city": row.get("delivery_city"),
        "delivery_state": None,
        "delivery_postal_code": None,
        "country_code": row.get("country"),
        "is_marketing_opted_in": bool((row.get("marketing") or {}).get("is_opted_in")),
    }


def product_attributes(row: dict[str, Any]) -> dict[str, Any]:
    same = ("title", "category", "sub_category", "gender", "is_active")
    return {name: row.get(name) for name in same} | {"unit_amount_usd": row.get("unit_amount")}


@dataclass
class Versions:
    """The versions that builds saw, kept here as plainly as possible."""

    key: str
    dataset: str
    attributes: Any
    rows: dict[Any, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def look(self, shop: RawShop, closed_at: dict[tuple[Any, datetime], datetime]) -> None:
        """What one build adds; `closed_at` tells when it noticed that a row was gone, which is by the clock."""
        live = shop.live(self.dataset)
        for key, row in live.items():
            self._see(key, row, min(row["updated_at"], row["_extracted_at"]))
        for key, versions in self.rows.items():
            if key not in live and versions[-1]["valid_to"] is None:
                versions[-1]["valid_to"] = closed_at[key, versions[-1]["valid_from"]]
                assert versions[-1]["valid_to"] > versions[-1]["valid_from"]

    def _see(self, key: Any, row: dict[str, Any], version_at: datetime) -> None:
        begins, attributes = min(row["created_at"], version_at), self.attributes(row)
        if versions := self.rows[key]:
            newest = versions[-1]
            is_open = newest["valid_to"] is None
            if is_open and {name: newest[name] for name in attributes} == attributes:
                return
            begins = max(version_at, newest["valid_from"] + timedelta(microseconds=1))
            if is_open:
                newest["valid_to"] = begins
            else:
                begins = max(version_at, newest["valid_to"])
        versions.append(
            {
                **attributes,
                f"{self.key}_id": key,
                **({"customer_since": row["created_at"].date()} if self.key == "customer" else {}),
                "valid_from": begins,
                "valid_to": None,
                "_merged_at": row["_merged_at"],
            }
        )

    def expected(self) -> dict[tuple[Any, datetime], dict[str, Any]]:
        found = [one for versions in self.rows.values() for one in versions]
        return {
            (one[f"{self.key}_id"], one["valid_from"]): {**one, "is_current": one["valid_to"] is None}
            for one in found
        }


def expected_sales(shop: RawShop) -> dict[tuple[Any, ...], dict[str, Any]]:
    orders, products, groups = shop.live(ORDERS), shop.live(PRODUCTS), defaultdict(list)
    for row in expected_items(shop).values():
        parent = orders.get(row["order_id"])
        if parent is None or parent["status"] == 7:
            continue
        article = products.get(row["product_id"], {})
        place = parent["shipping"]["country"] or "unknown"
        words = (*(article.get(name) or "unknown" for name in ("category", "sub_category", "gender")), place)
        returned = row["is_returned"] or parent["status"] == RETURNED
        groups[parent["order_date"], *words].append({**row, "is_returned": returned})
    return {group: summary(rows) for group, rows in groups.items()}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    revenue = total(rows, "net_amount_usd")
    returned = total(rows, "net_amount_usd", lambda row: row["is_returned"])
    return {
        "order_count": len({row["order_id"] for row in rows}),
        "unit_count": total(rows, "quantity"),
        "gross_amount_usd": total(rows, "gross_amount_usd"),
        "discount_amount_usd": total(rows, "discount_amount_usd"),
        "revenue_usd": revenue,
        "returned_unit_count": total(rows, "quantity", lambda row: row["is_returned"]),
        "returned_amount_usd": returned,
        "net_revenue_usd": revenue - returned,
    }


@dataclass(frozen=True)
class Hour:
    """What the marts held after a build, and what they should have held."""

    built: dict[str, dict[Any, dict[str, Any]]]
    reports: dict[str, dict[Any, dict[str, Any]]]
    expected: dict[str, dict[Any, dict[str, Any]]]
    customers: set[str]


class Life:
    """A shop whose hours are merged and built one by one, and what was found after each."""

    def __init__(self, dbt: Any, raw_tables: Any) -> None:
        self._dbt, self._raw_tables = dbt, raw_tables
        self.shop, self.found = RawShop(), {"touched": [], "searches": {}}
        self._seen = {
            "dim_customer_versions": Versions("customer", CUSTOMERS, customer_attributes),
            "dim_product_versions": Versions("product", PRODUCTS, product_attributes),
        }
        self._ledger: list[dict[str, Any]] = []

    def merge(self) -> None:
        """Seven hours pass: what was merged before is out of the look-back, this is committed just within it."""
        for dataset, rows in self.shop.tables.items():
            self._raw_tables.fill(dataset, rows.values())
        self._raw_tables.let_pass(timedelta(hours=7))
        for load in self._ledger:
            load["committed_at"] -= timedelta(hours=7)
        self._ledger.extend(loads(self.shop, datetime.now(UTC) - timedelta(hours=12, minutes=50)))
        self._raw_tables.fill_ledger(self._ledger)

    def build(self, name: str, command: str, *arguments: str) -> None:
        said = self._dbt.target / "logs" / "dbt.log"
        before = len(said.read_text()) if said.exists() else 0
        self._dbt.run(command, *arguments)
        searched = re.findall(r"-- searches all of (.+)", said.read_text()[before:])
        self.found["searches"][name] = {table.partition(".")[2].replace("`", "") for table in searched}
        self.found[name] = read(self._raw_tables, self.shop, self._seen)

    def random_hour(self, number: int, now: datetime, newest: datetime, chance: random.Random) -> None:
        """What happens in it by chance, and the cases that it is there for."""
        random_rows(self.shop, now, chance, newest)
        if number == 0:  # articles that sold in months which nobody touches
            self.shop.merge(PRODUCTS, now, 3, category="socks")
            self.shop.delete(PRODUCTS, now, 2)
        self.shop.other_partitions = OTHER_PARTITIONS.get(number, {})
        if number in MOVES:
            self.shop.merge(ITEMS, now, 9210, order_id=MOVES[number])
        self.merge()
        if number == 1:  # an hour whose run ended early: what it built tells the next one
            self._dbt.run("run", "--select", "fct_order_items", "fct_charges", "dim_products")
            random_rows(self.shop, now, chance, newest)
            self.merge()
        places = self._raw_tables.places()
        self.build(f"random {number}", "run", "--select", *HOURLY)
        touched = re.findall(r"-- touched (.*) as of", merge_of(self._dbt, "fct_orders", "compiled"))
        self.found["touched"].append(touched)
        if number == DIES:
            self._raw_tables.let_die("fct_order_items", places)


@pytest.fixture(scope="module")
def hours(dbt, raw_tables):
    """Hand-made and random hours and one in which nothing happens, built one by one, then from nothing."""
    chance, life = random.Random(20261120), Life(dbt, raw_tables)
    shop, found = life.shop, life.found
    random_rows(shop, NOON - timedelta(days=3), chance)
    first_hour(shop, NOON - timedelta(days=2))
    life.merge()
    life.build("first", "build")
    raw_tables.forget("dim_customer_versions", "customer_since", "customer_id in ('c1', 'c2')")
    second_hour(shop, NOON + timedelta(hours=1))
    random_rows(shop, NOON + timedelta(hours=1), chance, NOON)
    life.merge()
    life.build("second", "build", "--exclude", "resource_type:unit_test")
    found["compiled second"] = merge_of(dbt, "fct_order_status_changes", "compiled")
    newest = NOON + timedelta(hours=1)
    for number in range(RANDOM_HOURS):
        now = newest + timedelta(hours=chance.choice((1, 2, 29)))
        life.random_hour(number, now, newest, chance)
        newest = now
    found["merge"] = {name: merge_of(dbt, name) for name in FACTS}
    shop.other_partitions = {}
    shop.merge(ITEMS, newest, 9220, order_id=922)
    life.merge()
    life.build("quiet", "run", "--select", *HOURLY)
    life.build("again", "run", "--select", *HOURLY)
    raw_tables.let_pass(timedelta(hours=7))
    raw_tables.change_code("rpt_daily_payments")
    raw_tables.log_builds("fct_orders", "rpt_daily_geography", OTHER_BUILDS)
    raw_tables.lose_places("fct_charges")
    dbt.run("compile", "--select", *ALTERED)
    texts = compiled(dbt)
    found["after a change of code"] = {
        name: re.findall(r"-- touched (.*)as of", texts[name]) for name in ALTERED
    }
    life.build("anew", "run", "--full-refresh", "--select", *HOURLY)
    found["compiled"] = compiled(dbt)
    return found


ALTERED = ("rpt_daily_payments", "rpt_daily_geography", "fct_charges", "fct_order_items")
"""What is looked at after a change of code, of another model's builds and of places."""
DIES = 2
"""The random hour in which the build of order items ends between its rows and what it notes of them."""
MOVES = {DIES: 921, DIES + 1: 905}
"""To which order an item moves then, and back."""
HOURS = ["first", "second", *(f"random {number}" for number in range(RANDOM_HOURS)), "quiet", "again", "anew"]


def loads(shop: RawShop, committed_at: datetime) -> list[dict[str, Any]]:
    """The ledger's rows for what was merged since the last ones, but for products, which nobody has read.

    A load says which partitions it touched. One of deletions does not: the rows are known by their key alone.
    """
    counts = ("landed", "refined", "quarantined", "inserted", "updated", "unchanged", "revived", "stale")
    rest = dict.fromkeys((*counts, "duplicates", "deleted", "raw_bytes", "processed_bytes"), 0)
    names = ("run_id", "window_id", "attempt_id", "raw_manifest_uri", "processed_manifest_uri")
    rest |= dict.fromkeys((*names, "catalog_fingerprint", "code_version"), "x")
    rest |= {"mode": "scheduled", "window_end": NOON, "committed_at": committed_at, "unchanged_source": False}
    found = []
    for dataset in (CUSTOMERS, ORDERS, CHARGES, ITEMS):
        source, _, name = dataset.partition(".")
        days = sorted(day.isoformat() for day in shop.touched.pop(dataset, ()))
        column = "order_date" if dataset == ORDERS else "created_at"
        starts = [day[:7] if dataset == CUSTOMERS else day for day in days]
        told = {column: starts} if starts else {}
        if dataset in shop.other_partitions:  # the catalog had other ones when the load was refined
            told = {**shop.other_partitions[dataset]}
        said = [(json.dumps(told), NOON)]
        if gone := shop.deletions.pop(dataset, ()):
            said.append((None, min(gone)))
        for partitions, read_at in said:
            load_id = f"{dataset}:{uuid4().hex}"
            found.append(
                {**rest, "load_id": load_id, "source": source, "dataset": name}
                | {"partitions": partitions, "extracted_at": read_at}
            )
    return found


def read(raw_tables: Any, shop: RawShop, seen: dict[str, Versions]) -> Hour:
    built = {name: {row[key]: row for row in raw_tables.rows(f"marts.{name}")} for name, key in FACTS.items()}
    groups = ("order_date", "category", "sub_category", "gender", "country_code")
    sales = raw_tables.rows("marts.rpt_daily_sales", "* except (daily_sales_id, data_as_of)")
    built["rpt_daily_sales"] = {tuple(row.pop(name) for name in groups): row for row in sales}
    for name, entity in VERSIONS.items():
        rows = raw_tables.rows(f"marts.{name}", f"* except ({entity}_version_id, attributes_hash)")
        built[name] = {(row[f"{entity}_id"], row["valid_from"]): row for row in rows}
        seen[name].look(shop, {key: row["valid_to"] for key, row in built[name].items()})
    counts = {name: len(raw_tables.rows(f"marts.{name}", "1 as one")) for name in built}
    assert counts == {name: len(rows) for name, rows in built.items()}, "a key stands twice"
    expected = {
        "fct_orders": expected_orders(shop),
        "fct_order_items": expected_items(shop),
        "fct_charges": expected_charges(shop),
        "fct_order_status_changes": expected_status_changes(shop),
        "rpt_daily_sales": expected_sales(shop),
        **{name: versions.expected() for name, versions in seen.items()},
    }
    reports = {
        name: {row[key]: row for row in raw_tables.rows(report_of(name), "* except (data_as_of)")}
        for name, key in REPORTS.items()
    }
    customers = {row["customer_id"] for row in raw_tables.rows("marts.dim_customers")}
    return Hour(built, reports, expected, customers)


def report_of(name: str) -> str:
    """The weekly one is guarded against questions without a date."""
    where = " where week_start_date > '2000-01-01'" if "weekly" in name else ""
    return f"marts.{name}{where}"


def compiled(dbt: Any) -> dict[str, str]:
    """The SELECT of every model and test of the last runs."""
    files = (dbt.target / "compiled").rglob("*.sql")
    others = ("dim_dates", "unit_tests.yml")
    return {file.stem: file.read_text() for file in files if not any(name in str(file) for name in others)}


def merge_of(dbt: Any, name: str, folder: str = "run") -> str:
    """The statement that the last run merged with, or what was compiled for it."""
    return (dbt.target / f"{folder}/tideline/models/marts/core/{name}.sql").read_text()


def differences(these: dict[Any, Any], those: dict[Any, Any]) -> list[tuple[Any, ...]]:
    """Rows that only one side has, and for the others the columns in which they differ."""
    alone = [(key, "only on one side") for key in these.keys() ^ those.keys()]
    return alone + [
        (key, column, these[key].get(column), those[key].get(column))
        for key in these.keys() & those.keys()
        for column in {**these[key], **those[key]}
        if these[key].get(column, "no such column") != those[key].get(column, "no such column")
    ]


@pytest.mark.parametrize("mart", [*FACTS, *VERSIONS, "rpt_daily_sales"])
@pytest.mark.parametrize("hour", HOURS)
def test_marts_equal_the_plain_computation(hours, hour, mart):
    assert len(hours[hour].built[mart]) > 10
    assert differences(hours[hour].built[mart], hours[hour].expected[mart]) == []


@pytest.mark.parametrize("mart", [*FACTS, *VERSIONS, "rpt_daily_sales"])
def test_building_hour_by_hour_ends_as_building_from_nothing(hours, mart):
    assert differences(hours["again"].built[mart], hours["anew"].built[mart]) == []


def test_cases_happened(hours):
    """The hand-made rows did what they are there for; without this the comparison could be empty of them."""
    first, second = hours["first"].built, hours["second"].built
    assert 906 not in first["fct_orders"]
    assert second["fct_orders"][906]["order_item_count"] == 1
    assert first["fct_order_items"][9090]["has_order"] is False
    assert second["fct_order_items"][9090]["order_date"] == date(2026, 10, 2)
    assert (date(2026, 10, 2), "hats", "unknown", "kids", "US") in second["rpt_daily_sales"]
    assert second["fct_order_items"].keys() & {9011} == set()
    assert (first["fct_orders"][901]["order_item_count"], second["fct_orders"][901]["order_item_count"]) == (
        2,
        1,
    )
    assert (first["fct_orders"][902]["order_item_count"], second["fct_orders"][902]["order_item_count"]) == (
        1,
        0,
    )
    assert second["fct_orders"][903]["order_item_count"] == 1
    assert second["fct_orders"][902]["charge_count"] == 0
    assert 904 not in second["fct_orders"]
    assert second["fct_order_items"][9040]["has_order"] is False
    assert second["fct_charges"]["h904"]["customer_id"] is None
    assert first["fct_orders"][905]["charged_amount_usd"] == 0


def test_all_is_searched_only_where_nothing_near_by_has_it(hours):
    """By what each build asked: for items of orders far away, one of which had none, and after one that had died."""
    for name, (hour, table) in {
        "far": ("second", "raw_shop_mongodb.orders"),
        "died": (f"random {DIES + 1}", "marts.fct_order_items"),
        "orphan": ("quiet", "raw_shop_mongodb.orders"),
    }.items():
        assert any(searched.endswith(table) for searched in hours["searches"][hour]), name
    assert hours["searches"]["again"] == set()
    assert not any("marts" in table for table in hours["searches"][f"random {DIES}"])
    assert hours["second"].built["fct_order_items"][9200]["order_date"] == date(2026, 1, 1)
    moved = [hours[f"random {n}"].built["fct_order_items"][9210]["order_date"].month for n in MOVES]
    assert moved == [2, 10]
    assert hours["second"].built["fct_order_items"][9220]["has_order"] is False
    assert hours["quiet"].built["fct_order_items"][9220]["order_date"] == date(2026, 3, 1)


def test_dates_at_the_ends_of_the_calendar_are_rows_like_others_and_not_every_day_until_then(hours):
    second = hours["second"]
    assert second.built["fct_orders"][932]["order_item_count"] == 1
    assert {second.built["fct_order_items"][9000 + key]["created_at"] for key in (930, 931)} == {FIRST, LAST}
    days = {row["status_date"] for row in second.reports["rpt_daily_order_statuses"].values()}
    assert {FIRST.date(), LAST.date()} < days
    assert len(days) < 400
    months = {row["order_month"] for row in second.reports["rpt_customer_cohorts"].values()}
    assert date(9999, 12, 1) in months
    assert len(months) < 30


def test_no_report_has_a_group_without_a_name(hours):
    first = hours["first"]
    assert (date(2026, 10, 24), "unknown", "unknown", "women", "unknown") in first.built["rpt_daily_sales"]
    for name, rows in first.reports.items():
        assert not [row for row in rows.values() if "" in row.values()], name


def test_deleted_customers_do_not_reach_the_mart(hours):
    first = hours["first"].customers
    assert {"c1", "c2"} <= first
    assert "gone" not in first
    assert hours["first"].expected["dim_customer_versions"].keys() >= {("c1", NOON - timedelta(days=2))}


def test_every_kind_of_version_and_status_happened(hours):
    customers = hours["anew"].built["dim_customer_versions"]
    per_customer = defaultdict(list)
    for (key, _), row in customers.items():
        per_customer[key].append(row)
    assert any(len(versions) > 2 for versions in per_customer.values())
    assert any(not any(row["is_current"] for row in versions) for versions in per_customer.values())
    changes = hours["anew"].built["fct_order_status_changes"].values()
    assert {row["is_inferred"] for row in changes} == {True, False}
    before, after = (hours[name].built["fct_order_status_changes"] for name in ("first", "anew"))
    still_there = {row["order_id"] for row in after.values()}
    assert any(row["order_id"] in still_there and key not in after for key, row in before.items())


def test_the_model_of_ones_own_that_the_docs_show_is_built(
    hours, bigquery_emulator, raw_tables, dbt_on, tmp_path
):
    project = tmp_path / "dbt"
    shutil.copytree(REPOSITORY / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    text = (REPOSITORY / "docs" / "marts.md").read_text()
    blocks = re.findall(r"```(?:sql|yaml)\n(?:--|#) dbt/(\S+fct_refunds\S+)\n(.+?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for name, body in blocks:
        (project / name).write_text(body)
    dbt = dbt_on(bigquery_emulator.url, raw_tables.settings, project)
    for _ in range(2):
        dbt.run("build", "--select", "fct_refunds", "--exclude", "resource_type:unit_test")
    orders = hours["anew"].built["fct_orders"]
    found = {row["order_id"]: row["returned_amount_usd"] for row in raw_tables.rows("marts.fct_refunds")}
    assert found == {
        key: row["returned_amount_usd"] for key, row in orders.items() if row["returned_amount_usd"] > 0
    }
    assert len(found) > 3


def test_a_report_that_got_a_column_is_right_in_the_hours_after(
    hours, bigquery_emulator, raw_tables, dbt_on, tmp_path
):
    """The table has it at its end, the model where it belongs."""
    project = tmp_path / "dbt"
    shutil.copytree(REPOSITORY / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    room = project / "models" / "marts" / "orders"
    model, contract = room / "rpt_order_status_mix.sql", room / "_orders__models.yml"
    total = "coalesce(sum(amount_usd), 0) as order_amount_usd,"
    text = model.read_text().replace(total, f"{total} max(amount_usd) as greatest_amount_usd,")
    model.write_text(text.replace(" order_amount_usd,\n   ", " order_amount_usd, greatest_amount_usd,\n   "))
    name = "      - name: order_amount_usd\n"
    added = "      - {name: greatest_amount_usd, data_type: 'numeric(38, 9)', description: Of one order.}\n"
    head, _, rest = contract.read_text().partition("- name: rpt_order_status_mix\n")
    contract.write_text(head + "- name: rpt_order_status_mix\n" + rest.replace(name, added + name, 1))
    dbt = dbt_on(bigquery_emulator.url, raw_tables.settings, project)
    for _ in range(2):
        dbt.run("run", "--select", "rpt_order_status_mix")
    found = raw_tables.rows("marts.rpt_order_status_mix", "* except (data_as_of, greatest_amount_usd)")
    assert {row["order_status_mix_id"]: row for row in found} == hours["anew"].reports["rpt_order_status_mix"]


PARTITION_COLUMNS = {
    "order_date", "charge_date", "entered_date", "status_date", "activity_date", "load_date",
    "week_start_date", "cohort_month", "committed_at",
}  # fmt: skip


def test_filters_leave_partition_columns_bare(hours):
    """BigQuery leaves a partition unread only where its column stands in a comparison as it is."""
    wrapped, looked_at = [], 0
    for text in hours["compiled"].values():
        for filter_ in sqlglot.parse_one(text, dialect="bigquery").find_all(exp.Where, exp.Having):
            for column in filter_.find_all(exp.Column):
                if column.name in PARTITION_COLUMNS and column.find_ancestor(exp.Select) is filter_.parent:
                    looked_at += 1
                    if not isinstance(column.parent, exp.Predicate):
                        wrapped.append(filter_.sql())
    assert wrapped == []
    assert looked_at >= 4


@pytest.mark.parametrize(("keys", "wrong"), [((1, 2), 0), ((1, 2, 2), 1), ((1, None), 1), ((), 0)])
def test_a_key_is_in_every_row_and_in_one_only(hours, raw_tables, keys, wrong):
    text = hours["compiled"]["is_key_fct_orders_order_id"]
    (table,) = re.findall(r"from \(select \* from (\S+) where", text)
    values = ", ".join("null" if key is None else str(key) for key in keys)
    rows = f"(select order_id, current_date() as order_date from unnest(cast([{values}] as array<int64>)) as order_id)"
    assert len(list(raw_tables._query(text.replace(table, rows)))) == wrong


def test_reports_promise_nothing_when_a_dataset_was_never_read(hours, raw_tables):
    (sales,) = raw_tables.rows("marts.rpt_daily_sales", "distinct data_as_of")
    assert sales["data_as_of"] is None, "nobody has read products"
    (customers,) = raw_tables.rows("marts.rpt_daily_customers", "distinct data_as_of")
    assert customers["data_as_of"] == NOON


@pytest.mark.parametrize("report", REPORTS)
def test_reports_of_touched_months_end_as_from_nothing(hours, report):
    again, anew = hours["again"].reports[report], hours["anew"].reports[report]
    assert len(anew) > 5
    assert rounded(again) == rounded(anew)


def rounded(rows: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Hours and kilograms are added up in another order."""
    return {
        key: {name: round(v, 6) if isinstance(v, float) else v for name, v in row.items()}
        for key, row in rows.items()
    }


def test_an_hour_builds_the_months_that_it_touched(hours):
    touched = [months.split() for (months,) in hours["touched"]]
    assert len(touched) == RANDOM_HOURS
    assert all("all" not in months for months in touched)
    all_months = MONTHS + len(FAR)
    assert sum(1 <= len(months) < all_months for months in touched) >= 2, "else nothing would be left alone"
    (second,) = re.findall(r"-- touched (.*) as of", hours["compiled second"])
    assert "2026-10-01" in second
    assert "all" not in second


OTHER_BUILDS = {
    "2030-01-01": (-60, -30, False),
    "2030-02-01": (-90, 10, True),
    "2030-03-01": (-70, None, True),
    "2030-04-01": (-180, None, False),
    "2030-05-01": (60, 90, True),
}
"""Month → when a build of orders began and ended, in minutes after the report was last built; whether it counts:
not where it had ended by then, nor where it began longer ago than a build can take."""


def test_what_another_model_had_not_ended_when_a_model_was_built_is_taken_in(hours):
    (months,) = hours["after a change of code"]["rpt_daily_geography"]
    found = {month for month in months.split() if month.startswith("2030")}
    assert found == {month for month, (_, _, counts) in OTHER_BUILDS.items() if counts}


def test_a_model_whose_code_or_seed_changed_is_built_whole(hours):
    said = hours["after a change of code"]
    assert said["rpt_daily_payments"] == ["all "]
    (of_same_code,) = said["rpt_daily_geography"]
    assert "all" not in of_same_code


def test_a_fact_whose_view_changed_is_built_whole(hours, bigquery_emulator, raw_tables, dbt_on, tmp_path):
    """What a view said of months that nobody touches is in no ledger."""
    project = tmp_path / "dbt"
    shutil.copytree(REPOSITORY / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    view = project / "models/staging/shop_mongodb/stg_shop_mongodb__charges.sql"
    view.write_text(view.read_text().replace("lower(kind)", "upper(kind)"))
    dbt = dbt_on(bigquery_emulator.url, raw_tables.settings, project)
    facts = ("fct_charges", "fct_order_items")
    dbt.run("compile", "--select", *facts)
    texts = compiled(dbt)
    said = {name: re.findall(r"-- touched (.*)as of", texts[name]) for name in facts}
    assert said["fct_charges"] == ["all "]
    assert said["fct_order_items"] != ["all "]


def test_a_fact_whose_places_were_lost_is_built_whole(hours):
    said = hours["after a change of code"]
    assert said["fct_charges"] == ["all "]
    (of_known_places,) = said["fct_order_items"]
    assert "all" not in of_known_places


def test_what_was_deleted_or_told_shorter_is_gone(hours):
    first, second = (hours[name].built["fct_order_status_changes"] for name in ("first", "second"))
    assert {key for key, row in first.items() if row["order_id"] in (910, 911)} >= {"910-1", "911-1"}
    left = {key for key, row in second.items() if row["order_id"] in (910, 911, 912)}
    assert left == {"910-1", "910-2", "912-1"}


@pytest.mark.parametrize("mart", FACTS)
def test_merges_name_the_partitions_they_touch(hours, mart):
    (condition,) = re.findall(r"when not matched by source and (.+) then delete", hours["merge"][mart])
    assert re.search(r"DBT_INTERNAL_DEST\.order_date >= date '20\d\d-\d\d-01'", condition)
    assert "select" not in condition.lower()
