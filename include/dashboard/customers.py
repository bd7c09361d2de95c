"""The page about customers: who is new, who comes back, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts
from dashboard.parts import (
    MONEY,
    PER_CENT,
    WHOLE,
    ask,
    choose,
    columns,
    count,
    figures,
    given,
    heading,
    is_empty,
    matching,
    period,
    share,
    table,
    usd,
)  # fmt: skip

if TYPE_CHECKING:
    from dashboard.marts import Parameters

WEEKS = """
select
    date_trunc(activity_date, week(monday)) as week,
    sum(signup_count) as signups,
    sum(new_buyer_count) as new_buyers,
    sum(order_count) as orders,
    sum(repeat_order_count) as repeat_orders,
    sum(revenue_usd) as revenue
from {marts}.rpt_daily_customers
where activity_date between @first and @last"""

COHORTS = """
select
    cohort_month,
    month_number,
    customer_count,
    buyer_count,
    repeat_customer_count,
    lifetime_revenue_usd,
    min(cohort_month) over () as oldest_month
from {marts}.rpt_customer_cohorts
where cohort_month between date_trunc(@first, month) and @last
qualify count(*) over (order by cohort_month desc) <= 5000
order by 1, 2"""
"""The newest cohorts, each whole, as many as a chart can take."""


def page() -> None:
    """Show it."""
    question = "Who is new, who comes back, and what are they worth?"
    days = heading("Customers", question, "rpt_daily_customers", "activity_date")
    if not days:
        return
    span = period(*days)
    country = choose("Country", "rpt_daily_customers", "country_code")
    where, words = matching(country_code=country), given(country_code=country)
    weeks = ask(f"{WEEKS}{where}\ngroup by 1\norder by 1", **span.parameters, **words)
    if is_empty(weeks):
        return
    total = weeks.drop(columns="week").sum()
    figures(
        ("New customers", count(total["signups"]), None),
        ("First orders", count(total["new_buyers"]), None),
        ("Repeat orders", share(total["repeat_orders"], total["orders"]), None),
        (
            "Spent per order",
            usd(total["revenue"] / total["orders"] if total["orders"] else float("nan")),
            None,
        ),
    )
    kinds = weeks.rename(columns={"new_buyers": "first orders", "repeat_orders": "repeat orders"})
    long = kinds.melt("week", ["first orders", "repeat orders"], "kind", "placed")
    charts.show(charts.over_time(long, "week", "placed", charts.COUNT, "Orders", "kind"), "Orders by week")
    _cohorts(span.parameters)


def _cohorts(asked: Parameters) -> None:
    st.caption("Cohorts are customers by the month of their first order, from all countries.")
    cohorts = ask(COHORTS, **asked)
    if is_empty(cohorts):
        return
    if (shown := cohorts["cohort_month"].min()) > cohorts["oldest_month"].min():
        st.caption(f"The newest ones, from {shown:%Y-%m}; there are older ones.")
    cohorts["cohort"] = cohorts["cohort_month"].dt.strftime("%Y-%m")
    cohorts["active"] = cohorts["buyer_count"] / cohorts["customer_count"]
    cohorts["worth"] = cohorts["lifetime_revenue_usd"] / cohorts["customer_count"]
    cohorts["again"] = cohorts["repeat_customer_count"] / cohorts["customer_count"]
    left, right = st.columns(2)
    with left:
        charts.show(
            charts.heat(cohorts, "month_number", "cohort", "active", "bought"), "Who bought again, by month"
        )
    with right:
        recent = cohorts[cohorts["cohort"].isin(sorted(cohorts["cohort"].unique())[-8:])]
        chart = charts.lines(
            recent, "month_number", "worth", charts.USD, "USD", "cohort", "months since the first order"
        )
        charts.show(chart, "Spent per customer so far")
    newest = cohorts.groupby("cohort", as_index=False).last()
    table(
        newest[["cohort", "customer_count", "again", "worth"]],
        "cohorts",
        columns(
            cohort=("First order in", None),
            customer_count=("Customers", WHOLE),
            again=("Ordered again", PER_CENT),
            worth=("Spent per customer", MONEY),
        ),
    )
