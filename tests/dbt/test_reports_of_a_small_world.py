"""Every column of every report of a small hand-made shop is what its description says, computed plainly from the rows.

The shop has what a generator seldom makes: NULL in every nullable column, negative quantities, rates that are none, a leap day
and a week 53, orders in the same microsecond, customers and articles that are gone, refunds above what was paid.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

CUSTOMERS, ORDERS, CHARGES = (f"shop_mongodb.{name}" for name in ("customers", "orders", "charges"))
PRODUCTS, ITEMS = "shop_s3.products", "shop_s3.order_items"
API = "jsonplaceholder."
READ = datetime(2026, 11, 22, 10, tzinfo=UTC)
MADE, JULY = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
STATUSES = dict(enumerate(("placed", "paid", "packed", "shipped", "delivered", "returned", "cancelled"), 1))
DELIVERED, RETURNED, CANCELLED = 5, 6, 7
CHANNELS = {0: "in store", 1: "web", 2: "app"}
BERN = {"carrier": "post", "city": "Bern", "state": None, "country": "CH", "weight_kg": 1.5}
LONG = "x" * 10_240
GONE = {"_deleted_at": READ}

Rows = dict[Any, dict[str, Any]]


class Shop:
    """Rows of the raw tables; what a row does not say is NULL."""

    def __init__(self) -> None:
        self.tables: dict[str, Rows] = defaultdict(dict)

    def add(self, dataset: str, key: Any, **values: Any) -> None:
        stamps = {"_extracted_at": READ, "_merged_at": READ, "_deleted_at": None}
        if not dataset.startswith(API):
            stamps["updated_at"] = READ
        self.tables[dataset][key] = {"id": key, **stamps, **values}

    def customer(self, key: str, **values: Any) -> None:
        self.add(CUSTOMERS, key, **{"created_at": MADE, "country": "US", **values})

    def order(
        self, key: int, customer: str | None, day: date, status: int | None = DELIVERED, **values: Any
    ) -> None:
        moves = [{"status": 1, "changed_at": MADE}, {"status": status, "changed_at": MADE + DAY}]
        common = {
            "customer_id": customer,
            "order_date": day,
            "status": status,
            "online_order": 1,
            "shipping": BERN,
        }
        usual = {"amount": Decimal(100), "status_history": moves, "created_at": MADE}
        self.add(ORDERS, key, **{**common, **usual, **values})

    def item(
        self, key: int, order: int, quantity: int | None = 1, price: str | None = "10.00", **values: Any
    ) -> None:
        amount = None if price is None else Decimal(price)
        usual = {"product_id": 1, "is_returned": False, "created_at": MADE}
        self.add(ITEMS, key, order_id=order, quantity=quantity, unit_amount=amount, **{**usual, **values})

    def charge(
        self, key: str, order: int | None, amount: str | None, kind: str | None = "debit", **values: Any
    ) -> None:
        usual = {"currency": "USD", "method": "card", "charged_at": MADE, "created_at": MADE}
        given = None if amount is None else Decimal(amount)
        self.add(CHARGES, key, order_id=order, amount=given, kind=kind, **{**usual, **values})

    def live(self, dataset: str) -> Rows:
        return {key: row for key, row in self.tables[dataset].items() if row["_deleted_at"] is None}

    def sales(self) -> Rows:
        return {key: row for key, row in self.live(ORDERS).items() if row.get("status") != CANCELLED}

    def sold(self) -> Iterator[dict[str, Any]]:
        """Items of orders that are sales, with their order, what they cost, and whether they came back."""
        orders = self.sales()
        for row in self.live(ITEMS).values():
            if order := orders.get(row["order_id"]):
                back = bool(row.get("is_returned")) or order.get("status") == RETURNED
                yield {**row, **priced(row), "order": order, "back": back, "units": row.get("quantity") or 0}

    def buyers(self) -> dict[str, list[tuple[date, datetime, int]]]:
        """Customer → sales, the first one first."""
        found = defaultdict(list)
        for key, row in self.sales().items():
            if row.get("customer_id") is not None:
                found[row["customer_id"]].append((row["order_date"], row["created_at"], key))
        return {customer: sorted(orders) for customer, orders in found.items()}

    def net(self, order: int) -> Decimal:
        return sum(
            (priced(row)["net"] for row in self.live(ITEMS).values() if row["order_id"] == order), Decimal(0)
        )

    def units(self, order: int) -> int:
        return sum(row.get("quantity") or 0 for row in self.live(ITEMS).values() if row["order_id"] == order)


def priced(item: dict[str, Any]) -> dict[str, Decimal]:
    if item.get("quantity") is None or item.get("unit_amount") is None:
        return dict.fromkeys(("gross", "discount", "net"), Decimal(0))
    gross = item["quantity"] * item["unit_amount"]
    rate = Decimal(repr(item.get("discount_rate") or 0)).quantize(Decimal("1e-9"), ROUND_HALF_UP)
    discount = (gross * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return {"gross": gross, "discount": discount, "net": gross - discount}


def word(value: str | None) -> str:
    return value or "unknown"


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def month(day: date) -> date:
    return day.replace(day=1)


@pytest.fixture(scope="module")
def shop() -> Shop:
    made = Shop()
    _people(made)
    _baskets(made)
    _money(made)
    _ways(made)
    _api(made)
    return made


def _people(shop: Shop) -> None:
    """Who buys when: a cancelled first order, twins in one microsecond, somebody who is gone, nobody."""
    shop.customer("three")
    for key, day, status in (
        (1, date(2026, 1, 5), CANCELLED),
        (2, date(2026, 2, 5), 5),
        (3, date(2026, 3, 5), 5),
    ):
        shop.order(key, "three", day, status)
    shop.customer("never")
    shop.order(4, "never", date(2026, 1, 5), CANCELLED)
    shop.customer("gone", **GONE)
    for key in (5, 6):
        shop.order(key, "gone", date(2026, 1, 9))
    for key in (7, 8):
        shop.order(key, None, date(2026, 1, 10))
    shop.customer("twin", country="")
    for key, day in ((9, date(2024, 2, 29)), (10, date(2024, 2, 29)), (11, date(2024, 3, 1))):
        shop.order(key, "twin", day)
    shop.customer("unsigned", country=None, created_at=None, updated_at=None)
    shop.customer("midnight", created_at=JULY)
    shop.customer("before", created_at=JULY - MICROSECOND)
    shop.customer("long", first_name=LONG, delivery_city=LONG)
    days = ((2020, 12, 27), (2020, 12, 28), (2020, 12, 31), (2021, 1, 3), (2021, 1, 4), (2021, 12, 27))
    for key, day in enumerate(days, 20):
        shop.order(
            key,
            "long",
            date(*day),
            shipping={**BERN, "city": LONG, "state": "", "country": None, "weight_kg": None},
        )
        shop.item(key, key, key)
    shop.order(32, "three", date(2026, 4, 7), **GONE)


def _baskets(shop: Shop) -> None:
    """What was bought, and came back."""
    words = {"category": "shoes", "sub_category": "boots", "gender": "women", "created_at": MADE}
    for key, values in ((1, {}), (2, {"category": "tops"}), (3, GONE)):
        shop.add(PRODUCTS, key, **{**words, "title": "same", **values})
    shop.add(PRODUCTS, 4)
    shop.add(ORDERS, 12, order_date=date(2021, 1, 3), updated_at=None)
    shop.add(ITEMS, 12, order_id=12, product_id=1, updated_at=None)
    rates = ((2, -3, "9.99", 0.15), (3, 2, "0.05", 0.1), (3, 1, "0.03", 0.5), (3, 1, "10.00", 1.5), (3, 1, "10.00", -0.1),
             (10, 5, "1.05", 1 / 3), (11, 1, "0.50", 0.01), (9, 0, "5.00", None), (3, None, "1.00", None), (3, 1, None, None))  # fmt: skip
    for key, (order, quantity, price, rate) in enumerate(rates, 200):
        shop.item(key, order, quantity, price, discount_rate=rate, product_id=2 if order > 9 else 1)
    for key, (order, product) in enumerate(((1, 1), (999, 1), (5, 3), (6, 4), (7, 77), (32, 1)), 220):
        shop.item(key, order, product_id=product)
    shop.item(230, 6, 2, is_returned=True)
    shop.item(231, 11, is_returned=None)
    shop.item(232, 31, 7, **GONE)
    shop.order(30, "three", date(2026, 4, 5), RETURNED)
    shop.item(233, 30, 2)
    shop.order(31, "three", date(2026, 4, 6))
    shop.item(234, 31, 3, is_returned=True)
    shop.item(235, 31, 1)
    for key, day in ((70, date(2026, 11, 16)), (71, date(2025, 11, 17)), (72, date(2026, 11, 9))):
        shop.order(key, "three", day)
        shop.item(key, key, key)


PAID = {1: "refunded too much", 2: "overpaid", 3: "part paid", 6: "overpaid", 30: "refunded", 31: "unpaid",
        40: "nothing due", 41: "no amount", 42: "paid", 43: "unpaid", 44: "overpaid", 45: "paid"}  # fmt: skip


def _money(shop: Shop) -> None:
    for key, amount in ((40, "0"), (41, None), (42, "0"), (43, "100"), (44, "-10"), (45, "100")):
        shop.order(key, "three", date(2026, 5, key - 39), amount=None if amount is None else Decimal(amount))
    debits = (
        (2, "300"),
        (3, "60"),
        (30, "100"),
        (31, "100"),
        (41, "100"),
        (42, "0"),
        (43, None),
        (45, "100"),
        (6, "120"),
    )
    credits = ((1, "30"), (2, "150"), (30, "100"), (31, "100"))
    for kind, charges in (("debit", debits), ("credit", credits)):
        for order, amount in charges:
            shop.charge(f"{kind}{order}", order, amount, kind)
    shop.charge("euro", 3, "40", currency="EUR")
    shop.charge("nothing", None, None, None, currency=None, method=None, charged_at=None, created_at=None)
    shop.charge("orphan", 999, "1")
    shop.charge("kindless", 5, "1", None)
    shop.charge("undated", 45, "0", charged_at=None)
    shop.charge("gone", 31, "5", **GONE)
    shop.charge("midnight", 45, "0", charged_at=JULY)
    shop.charge("before", 45, "0", charged_at=JULY - MICROSECOND)


def _ways(shop: Shop) -> None:
    """Where orders go, and how they move between statuses."""
    us = {"carrier": "post", "country": "US", "weight_kg": 1.0}
    ways = ({"online_order": None, "shipping": None}, {"online_order": 9}, {"shipping": {**us, "city": "S", "state": "IL"}},
            {"shipping": {**us, "city": "S", "state": "MA"}}, {"shipping": {**us, "city": None, "state": None}})  # fmt: skip
    for key, way in enumerate(ways, 50):
        shop.order(key, "three", date(2026, 6, 1), **way)
        shop.item(key, key, key, "1.00")
    late = JULY + 3 * DAY
    histories = ((2, None), (3, [(1, JULY), (2, JULY), (3, JULY)]), (88, [(88, JULY), (99, late), (88, late + DAY)]),
                 (1, [(1, JULY), (1, late)]), (2, [(2, late), (1, late - MICROSECOND)]), (3, [(1, JULY), (3, None)]))  # fmt: skip
    for key, (status, told) in enumerate(histories, 60):
        moves = None if told is None else [{"status": s, "changed_at": at} for s, at in told]
        shop.order(key, "three", date(2026, 7, 1), status, status_history=moves)


def _api(shop: Shop) -> None:
    """A user with all, one with nothing, and what belongs to nobody who is there."""
    shop.add(API + "users", 1, username="ann", company={"name": ""}, address={"city": "Bern"})
    shop.add(API + "users", 2)
    shop.add(API + "users", 3, **GONE)
    rows = {"posts": ("user_id", (1, 1, 3, None)), "comments": ("post_id", (0, 0, 1, 2, 9, None)),
            "todos": ("user_id", (1, 1, 1, 3)), "albums": ("user_id", (1, 1, 3)), "photos": ("album_id", (0, 0, 0, 1, 2, 9))}  # fmt: skip
    for name, (parent, parents) in rows.items():
        for key, value in enumerate(parents):
            shop.add(API + name, key, **{parent: value})
    for key, value in ((0, True), (1, False), (2, None)):
        shop.add(API + "todos", key, user_id=1, is_completed=value)
    shop.add(API + "photos", 7, album_id=0, **GONE)


@pytest.fixture(scope="module")
def tables(shop, bigquery_emulator, new_raw_tables, dbt_on):
    made = new_raw_tables()
    for dataset, rows in shop.tables.items():
        made.fill(dataset, rows.values())
    dbt_on(bigquery_emulator.url, made.settings).run("build", "--exclude", "resource_type:unit_test")
    return made


def sums(found: dict[Any, Counter[str]], key: tuple[Any, ...], **values: Any) -> None:
    for name, value in values.items():
        found[key][name] += value or 0


def expected_sales(shop: Shop) -> dict[Any, Any]:
    """order_date, category, sub_category, gender, country_code."""
    found, orders, products = defaultdict(Counter), defaultdict(set), shop.live(PRODUCTS)
    for row in shop.sold():
        words = [
            word(products.get(row["product_id"], {}).get(name))
            for name in ("category", "sub_category", "gender")
        ]
        key = (row["order"]["order_date"], *words, word((row["order"].get("shipping") or {}).get("country")))
        orders[key].add(row["order_id"])
        money = {
            "gross_amount_usd": row["gross"],
            "discount_amount_usd": row["discount"],
            "revenue_usd": row["net"],
        }
        came = {
            "returned_unit_count": row["back"] * row["units"],
            "returned_amount_usd": row["back"] * row["net"],
        }
        sums(
            found,
            key,
            unit_count=row["units"],
            net_revenue_usd=(not row["back"]) * row["net"],
            **money,
            **came,
        )
    for key, row in found.items():
        row["order_count"] = len(orders[key])
    return found


def expected_weeks(shop: Shop) -> dict[Any, Any]:
    """week_start_date, product_id."""
    found = defaultdict(Counter)
    newest = monday(max(row["order"]["order_date"] for row in shop.sold()))
    for row in shop.sold():
        week, amounts = (
            monday(row["order"]["order_date"]),
            {"unit_count": row["units"], "revenue_usd": row["net"]},
        )
        back = {
            "returned_unit_count": row["back"] * row["units"],
            "returned_amount_usd": row["back"] * row["net"],
        }
        sums(found, (week, row["product_id"]), **amounts, **back)
        for name, days in (("previous", 7), ("last_year", 364)):
            if (later := week + timedelta(days=days)) <= newest:
                sums(
                    found,
                    (later, row["product_id"]),
                    **{f"{name}_{what}": value for what, value in amounts.items()},
                )
    return found


def expected_places(shop: Shop) -> dict[Any, Any]:
    """order_date, country_code, state, city, sales_channel."""
    found = defaultdict(Counter)
    for number, row in shop.sales().items():
        way = row.get("shipping") or {}
        where = [word(way.get(name)) for name in ("country", "state", "city")]
        key = (row["order_date"], *where, CHANNELS.get(row.get("online_order"), "unknown"))
        sent = {"order_amount_usd": row.get("amount"), "shipping_weight_kg": way.get("weight_kg")}
        sums(found, key, order_count=1, unit_count=shop.units(number), revenue_usd=shop.net(number), **sent)
    return found


def expected_customers(shop: Shop) -> dict[Any, Any]:
    """activity_date, country_code."""
    found, buyers, customers = defaultdict(Counter), defaultdict(set), shop.live(CUSTOMERS)
    for row in customers.values():
        if row["created_at"]:
            sums(found, (row["created_at"].date(), word(row["country"])), signup_count=1)
    first = {orders[0][2] for orders in shop.buyers().values()}
    for number, row in shop.sales().items():
        key = (row["order_date"], word(customers.get(row.get("customer_id"), {}).get("country")))
        buyers[key] |= {row.get("customer_id")} - {None}
        is_first, net = number in first, shop.net(number)
        orders = {"order_count": 1, "new_buyer_count": is_first, "repeat_order_count": not is_first}
        sums(found, key, **orders, revenue_usd=net, first_order_revenue_usd=is_first * net)
    for key, row in found.items():
        row["buyer_count"] = len(buyers[key])
    return found


def expected_cohorts(shop: Shop) -> dict[Any, Any]:
    """cohort_month, order_month."""
    found, members = {}, defaultdict(list)
    for orders in shop.buyers().values():
        members[month(orders[0][0])].append([(month(day), number) for day, _, number in orders])
    newest = max(at for cohort in members.values() for orders in cohort for at, _ in orders)
    for began, cohort in members.items():
        at = began
        while at <= newest:
            now = [number for orders in cohort for when, number in orders if when == at]
            so_far = [number for orders in cohort for when, number in orders if when <= at]
            second = [orders[1][0] for orders in cohort if len(orders) > 1]
            found[began, at] = {
                "month_number": (at.year - began.year) * 12 + at.month - began.month,
                "customer_count": len(cohort),
                "buyer_count": sum(any(when == at for when, _ in orders) for orders in cohort),
                "order_count": len(now),
                "new_repeat_customer_count": sum(when == at for when in second),
                "repeat_customer_count": sum(when <= at for when in second),
                "revenue_usd": sum(map(shop.net, now), Decimal(0)),
                "lifetime_revenue_usd": sum(map(shop.net, so_far), Decimal(0)),
            }
            at = month(at + timedelta(days=32))
    return found


def expected_mix(shop: Shop) -> dict[Any, Any]:
    """order_date, status_code, status, sales_channel, is_open."""
    found = defaultdict(Counter)
    for number, row in shop.live(ORDERS).items():
        code = row.get("status")
        key = (
            row["order_date"],
            code,
            STATUSES.get(code, "unknown"),
            CHANNELS.get(row.get("online_order"), "unknown"),
        )
        amounts = {"order_amount_usd": row.get("amount"), "net_amount_usd": shop.net(number)}
        sums(found, (*key, code in (1, 2, 3, 4)), order_count=1, **amounts)
    return found


def expected_moves(shop: Shop) -> dict[Any, Any]:
    """status_date, status_code."""
    found, longest = defaultdict(Counter), {}
    for row in shop.live(ORDERS).values():
        told = [
            (one["changed_at"], one["status"]) for one in row.get("status_history") or () if one["changed_at"]
        ]
        moves = sorted(told, key=lambda move: move[0])
        if not moves or moves[-1][1] != row.get("status"):
            moves.append((row["updated_at"] or row["_extracted_at"], row.get("status")))
        known = [(at, code if code in STATUSES else -1) for at, code in moves]
        for at, code in known:
            sums(found, (at.date(), code), entered_count=1)
        for (began, code), (ended, _) in pairwise(known):
            hours, key = (ended - began) / timedelta(hours=1), (ended.date(), code)
            sums(found, key, left_count=1, hours_in_status=hours)
            longest[key] = max(hours, longest.get(key, 0.0))
    first, last = min(day for day, _ in found), max(day for day, _ in found)
    days = [first + n * DAY for n in range((last - first).days + 1)]
    every, names = {}, ("entered_count", "left_count", "hours_in_status")
    for code in {code for _, code in found}:
        there = 0
        for day in days:
            row = found.get((day, code), Counter())
            there += row["entered_count"] - row["left_count"]
            shown = {name: round(row[name], 6) for name in names}
            every[day, code] = {
                **shown,
                "order_count": there,
                "longest_hours_in_status": longest.get((day, code)),
            }
    return every


def expected_payments(shop: Shop) -> dict[Any, Any]:
    """order_date, payment_status, sales_channel."""
    found = defaultdict(Counter)
    for number, row in shop.live(ORDERS).items():
        charges = [
            c for c in shop.live(CHARGES).values() if c["order_id"] == number and c["currency"] == "USD"
        ]
        debit, credit = (
            sum(c["amount"] or 0 for c in charges if c["kind"] == kind) for kind in ("debit", "credit")
        )
        due = 0 if row.get("status") in (RETURNED, CANCELLED) else row.get("amount")
        status = PAID.get(number, "no amount" if due is None else "unpaid" if due else "nothing due")
        key = (row["order_date"], status, CHANNELS.get(row.get("online_order"), "unknown"))
        paid = {
            "debited_amount_usd": debit,
            "credited_amount_usd": credit,
            "charged_amount_usd": debit - credit,
        }
        left = 0 if due is None else due - (debit - credit)
        amounts = {"order_amount_usd": row.get("amount"), "due_amount_usd": due}
        judged = {"unpaid_amount_usd": max(left, 0), "overpaid_amount_usd": max(-left, 0)}
        sums(found, key, order_count=1, **paid, **amounts, **judged)
    return found


def expected_charges(shop: Shop) -> dict[Any, Any]:
    """charge_date, charge_kind, charge_method, currency_code."""
    found, orders = defaultdict(Counter), shop.live(ORDERS)
    for row in shop.live(CHARGES).values():
        if row["charged_at"]:
            words = [word(row[name]) for name in ("kind", "method", "currency")]
            sign = {"debit": 1, "credit": -1}.get(row["kind"], 0) if row["currency"] == "USD" else 0
            usd = {"amount": row["amount"], "signed_amount_usd": sign * (row["amount"] or 0)}
            sums(
                found,
                (row["charged_at"].date(), *words),
                charge_count=1,
                **usd,
                orphan_charge_count=row["order_id"] not in orders,
            )
    return found


def expected_users(shop: Shop) -> dict[Any, Any]:
    """user_id."""
    found = {}
    for number, row in shop.live(API + "users").items():
        posts, albums, todos = (
            {key: one for key, one in shop.live(API + name).items() if one["user_id"] == number}
            for name in ("posts", "albums", "todos")
        )
        found[number,] = {
            "user_name": word(row.get("username")),
            "company_name": word((row.get("company") or {}).get("name")),
            "city": word((row.get("address") or {}).get("city")),
            "post_count": len(posts),
            "received_comment_count": sum(
                one["post_id"] in posts for one in shop.live(API + "comments").values()
            ),
            "todo_count": len(todos),
            "completed_todo_count": sum(bool(one.get("is_completed")) for one in todos.values()),
            "album_count": len(albums),
            "photo_count": sum(one["album_id"] in albums for one in shop.live(API + "photos").values()),
        }
    return found


EXPECTED = {
    "rpt_user_activity": expected_users,
    "rpt_daily_sales": expected_sales,
    "rpt_weekly_product_sales": expected_weeks,
    "rpt_daily_geography": expected_places,
    "rpt_daily_customers": expected_customers,
    "rpt_customer_cohorts": expected_cohorts,
    "rpt_order_status_mix": expected_mix,
    "rpt_daily_order_statuses": expected_moves,
    "rpt_daily_payments": expected_payments,
    "rpt_daily_charges": expected_charges,
}
LEFT_OUT = {"data_as_of", "status", "product_title", "category", "sub_category", "gender"}
"""Columns of words that belong to the key's, and the one that no row of a source says."""


@pytest.mark.parametrize("report", EXPECTED)
def test_each_column_is_what_it_says(tables, shop, report):
    compute = EXPECTED[report]
    key = [name.strip(" .") for name in (compute.__doc__ or "").split(",")]
    where = " where week_start_date >= '1900-01-01'" if report == "rpt_weekly_product_sales" else ""
    rows = tables.rows(f"marts.{report}{where}")
    values = {name for name in rows[0] if not name.endswith(("_id",)) or name in key} - set(key) - LEFT_OUT
    found = {tuple(row[name] for name in key): {name: rounded(row[name]) for name in values} for row in rows}
    expected = {words: {name: row[name] for name in values} for words, row in compute(shop).items()}
    assert len(found) == len(rows)
    differ = [
        (words, found.get(words), expected.get(words))
        for words in found | expected
        if found.get(words) != expected.get(words)
    ]
    assert differ == []


def rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
