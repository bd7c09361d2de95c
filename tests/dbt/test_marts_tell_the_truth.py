"""What reports answer after two hours of the shop is what the generator knows to be true, to the cent.

The whole way is walked: servers, land, refine, merge, dbt. The answers are made from the truth here in a few lines of
Python each, without looking at how the models do it.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import reference
from worlds import World, embedded, make_world

from tideline.warehouse import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.dbt.conftest import Dbt

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HOURS = 2
CENT = Decimal("0.01")
CANCELLED, RETURNED = 7, 6
CHANNELS = {0: "in store", 1: "web", 2: "app"}


class Truth:
    """The generator's rows, with what an item costs and which orders are sales."""

    def __init__(self, world: World) -> None:
        rows = world.shop.truth(HOURS - 1)
        self.customers, self.orders = rows["shop_mongodb.customers"], rows["shop_mongodb.orders"]
        self.charges, self.products = rows["shop_mongodb.charges"].values(), rows["shop_s3.products"]
        self.api = {
            name: list(rows[f"jsonplaceholder.{name}"].values()) for name in ("users", "posts", "todos")
        }
        items = [row for row in rows["shop_s3.order_items"].values() if row["order_id"] in self.orders]
        self.items = [{**row, **self._order_of(row), "revenue": revenue(row)} for row in items]
        self.sold = [row for row in self.items if row["status"] != CANCELLED]
        self.sales = {key: row for key, row in self.orders.items() if row["status"] != CANCELLED}
        self.of_order: dict[int, Decimal] = defaultdict(Decimal)
        for row in self.items:
            self.of_order[row["order_id"]] += row["revenue"]

    def _order_of(self, row: dict[str, Any]) -> dict[str, Any]:
        order = self.orders[row["order_id"]]
        return {"status": order["status"], "order_date": order["order_date"]}


def revenue(item: dict[str, Any]) -> Decimal:
    gross = item["quantity"] * item["unit_amount"]
    return gross - (gross * Decimal(str(item["discount_rate"] or 0))).quantize(CENT, ROUND_HALF_UP)


def summed(rows: Any, key: Callable[[Any], Any], value: Callable[[Any], Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = defaultdict(Decimal)
    for row in rows:
        found[key(row)] += value(row)
    return dict(found)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("world"), embedded())


@pytest.fixture(scope="module")
def built(world, dbt_on) -> Dbt:
    return dbt_on(os.environ["BIGQUERY_EMULATOR_HOST"], world.deployment.open_warehouse().settings)


@pytest.fixture(scope="module")
def truth(world, built) -> Truth:
    for hour in range(HOURS):
        world.shop.advance(hour, world.targets)
        world.run(world.request(hour))
    built.run("build", "--exclude", "resource_type:unit_test")
    return Truth(world)


@pytest.fixture(scope="module")
def ask(world, truth) -> Callable[[str], dict[Any, Any]]:
    """Answers of a mart, as first column → second column."""

    def answer(columns: str, mart: str, rest: str = "group by 1") -> dict[Any, Any]:
        warehouse = world.deployment.open_warehouse()
        table = names.quote(f"{warehouse.settings.dataset_prefix}marts")
        rows = warehouse.rows(f"select {columns} from {table}.{mart} {rest}", kind="test")
        return {tuple(row.values())[:-1]: tuple(row.values())[-1] for row in rows}

    return answer


def test_revenue_by_category_and_day(ask, truth):
    def words(row: dict[str, Any]) -> tuple[Any, ...]:
        product = truth.products.get(row["product_id"]) or {}
        return row["order_date"], *(
            product.get(name) or "unknown" for name in ("category", "sub_category", "gender")
        )

    found = ask(
        "order_date, category, sub_category, gender, sum(revenue_usd)",
        "rpt_daily_sales",
        "group by 1, 2, 3, 4",
    )
    assert len(found) > 300
    assert found == summed(truth.sold, words, lambda row: row["revenue"])


def test_returned_units(ask, truth):
    found = ask("1 as one, sum(returned_unit_count)", "rpt_daily_sales")
    back = (row for row in truth.sold if row["is_returned"] or row["status"] == RETURNED)
    assert found == {(1,): sum(row["quantity"] for row in back)}


@pytest.mark.parametrize(
    ("column", "days"), [("revenue_usd", 0), ("previous_revenue_usd", 7), ("last_year_revenue_usd", 364)]
)
def test_revenue_by_week_and_product_beside_earlier_weeks(ask, truth, column, days):
    found = ask(
        f"week_start_date, product_id, {column}",
        "rpt_weekly_product_sales",
        f"where week_start_date >= '2000-01-01' and {column} != 0",
    )
    newest = monday(max(row["order_date"] for row in truth.sold))
    expected = summed(
        truth.sold,
        lambda row: (monday(row["order_date"]) + timedelta(days=days), row["product_id"]),
        lambda row: row["revenue"],
    )
    assert found == {key: amount for key, amount in expected.items() if key[0] <= newest and amount}
    assert len(found) > 10


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def test_revenue_by_place(ask, truth):
    def place(row: dict[str, Any]) -> tuple[str, ...]:
        shipping = row["shipping"] or {}
        return *(shipping.get(name) or "unknown" for name in ("country", "state", "city")), CHANNELS[
            row["online_order"]
        ]

    columns = "country_code, state, city, sales_channel"
    found = ask(f"{columns}, sum(order_count)", "rpt_daily_geography", "group by 1, 2, 3, 4")
    assert found == dict(Counter(map(place, truth.sales.values())))
    found = ask(f"{columns}, sum(revenue_usd)", "rpt_daily_geography", "group by 1, 2, 3, 4")
    assert found == summed(truth.sales.values(), place, lambda row: truth.of_order[row["id"]])


def test_customers_who_came_and_who_bought_for_the_first_time(ask, truth):
    came = Counter((row["created_at"].date(),) for row in truth.customers.values())
    assert (
        ask(
            "activity_date, sum(signup_count)",
            "rpt_daily_customers",
            "group by 1 having sum(signup_count) > 0",
        )
        == came
    )
    first = Counter((day,) for day in first_days(truth).values())
    found = ask(
        "activity_date, sum(new_buyer_count)",
        "rpt_daily_customers",
        "group by 1 having sum(new_buyer_count) > 0",
    )
    assert found == first
    total = ask("1 as one, sum(revenue_usd)", "rpt_daily_customers")
    assert total == {(1,): sum(row["revenue"] for row in truth.sold)}


def first_days(truth: Truth) -> dict[str, date]:
    found: dict[str, date] = {}
    for row in truth.sales.values():
        found[row["customer_id"]] = min(found.get(row["customer_id"], date.max), row["order_date"])
    return found


def test_cohorts_and_their_worth(ask, truth):
    first = first_days(truth)
    worth = summed(
        truth.sales.values(),
        lambda row: (first[row["customer_id"]].replace(day=1), row["order_date"].replace(day=1)),
        lambda row: truth.of_order[row["id"]],
    )
    assert (
        ask("cohort_month, order_month, revenue_usd", "rpt_customer_cohorts", "where order_count > 0")
        == worth
    )
    orders = Counter(row["customer_id"] for row in truth.sales.values())
    again = Counter((first[customer].replace(day=1),) for customer, count in orders.items() if count > 1)
    found = ask("cohort_month, max(repeat_customer_count)", "rpt_customer_cohorts")
    assert {key: count for key, count in found.items() if count} == again


def test_orders_by_status_now_and_every_status_they_had(ask, truth):
    codes = Counter((row["status"],) for row in truth.orders.values())
    assert ask("status_code, sum(order_count)", "rpt_order_status_mix") == codes
    entered = Counter(
        (entry["status"], entry["changed_at"].date())
        for row in truth.orders.values()
        for entry in row["status_history"]
    )
    found = ask(
        "status_code, status_date, entered_count", "rpt_daily_order_statuses", "where entered_count > 0"
    )
    assert found == entered
    newest = "where status_date = (select max(status_date) from marts.rpt_daily_order_statuses) and order_count > 0"
    assert ask("status_code, order_count", "rpt_daily_order_statuses", newest) == codes


def test_hours_in_each_status(ask, truth):
    spent: dict[Any, float] = defaultdict(float)
    for row in truth.orders.values():
        history = row["status_history"]
        for entry, following in pairwise(history):
            spent[(entry["status"],)] += (following["changed_at"] - entry["changed_at"]) / timedelta(hours=1)
    found = ask(
        "status_code, sum(hours_in_status)",
        "rpt_daily_order_statuses",
        "group by 1 having sum(left_count) > 0",
    )
    assert found == pytest.approx(spent)


def test_money_charged_against_money_due(ask, truth):
    charged = summed(
        truth.charges,
        lambda row: row["order_id"],
        lambda row: row["amount"] * (1 if row["kind"] == "debit" else -1),
    )
    due = {
        key: Decimal(0) if row["status"] in (CANCELLED, RETURNED) else row["amount"]
        for key, row in truth.orders.items()
    }
    unpaid = sum(max(due[key] - charged.get(key, Decimal(0)), Decimal(0)) for key in due)
    over = sum(max(charged.get(key, Decimal(0)) - due[key], Decimal(0)) for key in due)
    assert ask("1 as one, sum(unpaid_amount_usd)", "rpt_daily_payments") == {(1,): unpaid}
    assert ask("1 as one, sum(overpaid_amount_usd)", "rpt_daily_payments") == {(1,): over}
    assert unpaid > 0
    found = ask("charge_date, charge_kind, sum(amount)", "rpt_daily_charges", "group by 1, 2")
    assert found == summed(
        truth.charges, lambda row: (row["charged_at"].date(), row["kind"]), lambda row: row["amount"]
    )


def test_what_users_of_the_api_did(ask, truth):
    users = {row["id"] for row in truth.api["users"]}
    posts = Counter(row["user_id"] for row in truth.api["posts"])
    done = Counter(row["user_id"] for row in truth.api["todos"] if row["is_completed"])
    assert ask("user_id, post_count", "rpt_user_activity", "") == {(key,): posts[key] for key in users}
    assert ask("user_id, completed_todo_count", "rpt_user_activity", "") == {
        (key,): done[key] for key in users
    }


def test_every_report_is_as_of_the_end_of_the_last_hour(world, ask, truth):
    end = world.end_of(HOURS - 1)
    reports = ("rpt_daily_sales", "rpt_daily_geography", "rpt_daily_customers", "rpt_customer_cohorts")
    reports += ("rpt_order_status_mix", "rpt_daily_order_statuses", "rpt_daily_payments", "rpt_daily_charges")
    for report in (*reports, "rpt_user_activity", "rpt_freshness"):
        assert ask("1 as one, min(data_as_of)", report) == {(1,): end}, report


def test_what_was_refused_is_counted(world, ask, truth):
    found = ask("dataset_id, sum(quarantined_count)", "rpt_freshness")
    expected = Counter()
    for hour in range(HOURS):
        expected.update({(name,): sum(c.values()) for name, c in world.shop.quarantined(hour).items()})
    assert found == {key: expected[key] for key in found}
    assert sum(found.values()) > 0


READ_NOW = ("_built_at", "grouped_at", "checked_at", "lag_minutes")
"""Columns that say when a model was built."""


def test_every_model_is_what_the_reference_implementation_of_googlesql_makes_of_its_inputs(
    world, built, truth
):
    """Another engine, Google's own: what the emulator's functions do wrong would be in the marts that tests see."""
    warehouse = world.deployment.open_warehouse()
    nodes = json.loads((built.target / "manifest.json").read_text())["nodes"].values()
    models = [node for node in nodes if node["resource_type"] == "model"]
    names_of = {full_name(node): node for node in models}
    views = {name: node["compiled_code"] for name, node in names_of.items() if is_view(node)}
    tables = {
        str(table.reference): table_of(warehouse, table)
        for dataset in warehouse.client.list_datasets()
        for table in warehouse.client.list_tables(dataset.dataset_id)
        if table.table_type == "TABLE" and not dataset.dataset_id.endswith("_load")
    }
    differing = {}
    for name, node in names_of.items():
        found = reference.evaluate(node["compiled_code"], tables, views)
        here = tables[name].rows if name in tables else rows_of(warehouse, name)
        assert found, name
        if rows := reference.differences(here, found, READ_NOW):
            differing[name] = len(rows), rows[:3]
    assert len(names_of) > 30
    assert not differing, json.dumps(differing, indent=1)


def full_name(node):
    return f"{node['database']}.{node['schema']}.{node['alias']}"


def is_view(node):
    return node["config"]["materialized"] == "view"


def table_of(warehouse, listed):
    table = warehouse.client.get_table(listed.reference)
    return reference.Table([field.to_api_repr() for field in table.schema], rows_of(warehouse, table))


def rows_of(warehouse, name):
    return [dict(row) for row in warehouse.rows(f"SELECT * FROM `{name}`", kind="test")]
