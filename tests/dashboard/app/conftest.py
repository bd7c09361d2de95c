"""An emulator with hand-made reports, and pages of the dashboard that run on it. Streamlit is imported late: the main
suite passes through this folder without having it.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = "local"
TODAY = datetime.now(UTC).date()
NOW = datetime.now(UTC).replace(microsecond=0)
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> =1+1 **bold** [x](javascript:alert(1))"
FORMULA = '=HYPERLINK("http://evil.example","x")'
LONG = "long " * 2000


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def monday(days: int) -> date:
    day = ago(days)
    return day - timedelta(days=day.weekday())


def sales(
    day: date, category: str, sub_category: str, gender: str, units: int, revenue: float, back: float = 0
) -> dict[str, Any]:
    return {
        "order_date": day, "category": category, "sub_category": sub_category, "gender": gender, "country_code": "NL",
        "unit_count": units, "revenue_usd": revenue, "returned_amount_usd": back, "data_as_of": NOW,
    }  # fmt: skip


def week(
    day: date, title: str, category: str, revenue: float, previous: float, last_year: float
) -> dict[str, Any]:
    return {
        "week_start_date": day, "product_id": 1, "product_title": title, "category": category, "sub_category": "x",
        "gender": "women", "unit_count": 2, "revenue_usd": revenue, "returned_amount_usd": 0.0,
        "previous_revenue_usd": previous, "last_year_revenue_usd": last_year, "data_as_of": NOW,
    }  # fmt: skip


def reports() -> dict[str, list[dict[str, Any]]]:
    """Few rows of every report, with text that nobody should run."""
    return {
        "rpt_daily_sales": [
            sales(ago(3), "tops", "tee", "women", 4, 100.00, 25.00),
            sales(ago(3), "shoes", HOSTILE, "men", 1, 50.50),
            sales(ago(200), "tops", LONG, "women", 1, 10.00),
        ],
        "rpt_weekly_product_sales": [
            week(monday(9), FORMULA, "tops", 110.0, 100.0, 88.0),
            week(monday(9), HOSTILE, "shoes", 90.0, 100.0, 0.0),
            week(monday(16), LONG, "tops", 100.0, 0.0, 0.0),
        ],
        "rpt_daily_customers": [
            {"activity_date": ago(2), "country_code": country, "signup_count": 3, "new_buyer_count": 2, "buyer_count": 4,
             "order_count": 5, "repeat_order_count": 3, "revenue_usd": 250.0, "data_as_of": NOW}
            for country in ("NL", HOSTILE)
        ],
        "rpt_customer_cohorts": [
            {"cohort_month": ago(60).replace(day=1), "order_month": ago(60).replace(day=1), "month_number": n,
             "customer_count": 10, "buyer_count": 10 - 4 * n, "repeat_customer_count": 5 + n,
             "lifetime_revenue_usd": 1000.0 * (n + 1), "data_as_of": NOW}
            for n in range(2)
        ],
        "rpt_order_status_mix": [
            {"order_date": ago(1), "status": status, "sales_channel": "web", "order_count": orders, "order_amount_usd": 20.0,
             "is_open": status == "placed", "data_as_of": NOW}
            for status, orders in (("placed", 6), ("cancelled", 2), (HOSTILE, 2))
        ],
        "rpt_daily_order_statuses": [
            {"status_date": ago(1), "status": "placed", "order_count": 6, "entered_count": 8, "left_count": 2,
             "hours_in_status": 9.0, "data_as_of": NOW}
        ],
        "rpt_daily_geography": [
            {"order_date": ago(1), "country_code": "NL", "state": "NH", "city": city, "sales_channel": "web",
             "order_count": 2, "unit_count": 3, "revenue_usd": 30.0, "data_as_of": NOW}
            for city in ("Utrecht", HOSTILE)
        ],
        "rpt_daily_payments": [
            {"order_date": ago(1), "payment_status": status, "sales_channel": "web", "order_count": 3,
             "due_amount_usd": 30.0, "charged_amount_usd": 30.0 - unpaid, "unpaid_amount_usd": unpaid,
             "overpaid_amount_usd": 0.0, "data_as_of": NOW}
            for status, unpaid in (("paid", 0.0), ("unpaid", 30.0))
        ],
        "rpt_daily_charges": [
            {"charge_date": ago(1), "charge_kind": kind, "charge_method": "card", "signed_amount_usd": amount,
             "data_as_of": NOW}
            for kind, amount in (("debit", 40.0), ("credit", -10.0))
        ],
        "rpt_user_activity": [
            {"user_id": 1, "user_name": HOSTILE, "company_name": FORMULA, "city": LONG, "post_count": 5,
             "received_comment_count": 9, "todo_count": 4, "completed_todo_count": 1, "album_count": 1, "photo_count": 7,
             "data_as_of": NOW}
        ],
        "rpt_freshness": [
            {"dataset_id": "shop.orders", "source_name": "shop", "has_gap": False, "load_count": 3, "refined_count": 990,
             "quarantined_count": 10, "deleted_count": 1, "drift_fields": "<b>utm</b>, title (missing column)",
             "last_committed_at": NOW, "data_as_of": NOW},
            {"dataset_id": "shop.late", "source_name": "shop", "has_gap": False, "load_count": 1, "refined_count": 0,
             "quarantined_count": 0, "deleted_count": 0, "drift_fields": None, "last_committed_at": NOW,
             "data_as_of": NOW - timedelta(hours=1)},
        ],
        "rpt_daily_loads": [
            {"load_date": TODAY, "source_name": "shop", "inserted_count": 5, "updated_count": 4, "revived_count": 1,
             "quarantined_count": 2, "load_seconds": 1.5, "data_as_of": NOW}
        ],
    }  # fmt: skip


def literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"timestamp '{value:%Y-%m-%d %H:%M:%S}+00'"
    if isinstance(value, date):
        return f"date '{value}'"
    if isinstance(value, float):
        return f"numeric '{value}'"
    return (
        str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    )


class Warehouse:
    """Reports on an emulator, one dataset for each set of them."""

    def __init__(self, url: str) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import bigquery

        self.url = url
        self.client = bigquery.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": url})

    def fill(
        self,
        prefix: str,
        change: Callable[[dict[str, Any]], dict[str, Any]] = dict,
        where: str = "true",
        also: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """Make the reports; `also` has, for a table, how one more row differs from its first."""
        self.client.create_dataset(f"{PROJECT}.{prefix}marts")
        for table, rows in reports().items():
            if also and table in also:
                rows.append({**rows[0], **also[table]})
            selects = [", ".join(f"{literal(v)} as {k}" for k, v in change(row).items()) for row in rows]
            union = " union all ".join(f"select {one}" for one in selects)
            self.client.query(
                f"create table {prefix}marts.{table} as select * from ({union}) where {where}", job_retry=None
            ).result(timeout=30)

    def repeat(self, prefix: str, table: str, numbers: str, **replaced: str) -> None:
        """Add the first row once for each number `n` of an array, with columns replaced by SQL over `n`."""
        name, changed = f"{prefix}marts.{table}", ", ".join(f"{v} as {k}" for k, v in replaced.items())
        self.client.query(
            f"insert into {name} select * except (n) replace ({changed}) "
            f"from (select * from {name} limit 1) cross join unnest({numbers}) as n",
            job_retry=None,
        ).result(timeout=30)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    from devstack.bigquery import server

    with server.start(tmp_path_factory.mktemp("bigquery"), tied=True) as emulator:
        found = Warehouse(emulator.url)
        found.fill("")
        found.fill("empty_", where="false")
        found.fill("stale_", lambda row: {**row, "data_as_of": NOW - timedelta(days=4)})
        found.fill("partly_", lambda row: {**row, "data_as_of": None})
        yield found


@pytest.fixture
def environ(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Point the pages at a warehouse; what they remembered of another one is gone."""
    import streamlit as st

    def point(prefix: str = "", url: str = warehouse.url, project: str = PROJECT) -> None:
        for name in [name for name in os.environ if name.startswith(("TIDELINE_", "BIGQUERY_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("TIDELINE_PROJECT", project)
        monkeypatch.setenv("TIDELINE_DATASET_PREFIX", prefix)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", url)
        st.cache_data.clear()
        st.cache_resource.clear()

    point()
    return point
