"""The page about products: what sells, at which price, and what comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts, parts
from dashboard.parts import (
    MONEY,
    PER_CENT,
    WHOLE,
    ask,
    change,
    choose,
    columns,
    count,
    figures,
    given,
    heading,
    is_empty,
    matching,
    period,
    say_most,
    share,
    table,
    usd,
)  # fmt: skip

if TYPE_CHECKING:
    from dashboard.marts import Parameters

SOLD = """
select
    date_trunc(order_date, week(monday)) as week,
    category,
    sub_category,
    gender,
    sum(unit_count) as units,
    sum(revenue_usd) as revenue,
    sum(returned_amount_usd) as returned
from {marts}.rpt_daily_sales
where order_date between @first and @last"""

EACH = "\ngroup by grouping sets ((week, category), (sub_category), (gender))"
"""Each row belongs to one of the three charts, and has no value in what the others group by."""

COMPARED = """
select
    week_start_date,
    sum(revenue_usd) as revenue,
    sum(previous_revenue_usd) as previous,
    sum(last_year_revenue_usd) as last_year
from {marts}.rpt_weekly_product_sales
where
    week_start_date >= date_sub(@last, interval 28 day)
    and week_start_date <= date_sub(@last, interval 6 day)"""
"""By the last day that is over: only whole weeks are compared."""

ARTICLES = """
select
    product_title,
    category,
    sum(unit_count) as units,
    sum(revenue_usd) as revenue,
    sum(revenue_usd) / nullif(sum(unit_count), 0) as price,
    sum(returned_amount_usd) / nullif(sum(revenue_usd), 0) as returned,
    sum(revenue_usd) / nullif(sum(last_year_revenue_usd), 0) - 1 as on_last_year
from {marts}.rpt_weekly_product_sales
where week_start_date between date_sub(@first, interval 6 day) and @last"""

MOST_ARTICLES = 200


def page() -> None:
    """Show it."""
    days = heading(
        "Products", "What sells, at which price, and what comes back?", "rpt_daily_sales", "order_date"
    )
    if not days:
        return
    span = period(*days)
    category = choose("Category", "rpt_daily_sales", "category")
    gender = choose("Made for", "rpt_daily_sales", "gender")
    where, words = matching(category=category, gender=gender), given(category=category, gender=gender)
    asked = {**span.parameters, **words}
    over = min(span.last, parts.today() - timedelta(days=1))
    compared = ask(f"{COMPARED}{where}\ngroup by 1\norder by 1 desc\nlimit 1", last=over, **words)
    sold = ask(f"{SOLD}{where}{EACH}", **asked)
    if is_empty(sold):
        return
    totals = sold.loc[sold["gender"].notna(), ["units", "revenue", "returned"]].sum()
    figures(
        ("Revenue", usd(totals["revenue"]), None),
        ("Units", count(totals["units"]), None),
        (
            "Average price",
            usd(totals["revenue"] / totals["units"] if totals["units"] else float("nan")),
            None,
        ),
        ("Sent back", share(totals["returned"], totals["revenue"]), None),
    )
    if not compared.empty:
        _weeks(compared.iloc[0])
    charts.show(
        charts.over_time(
            sold[sold["week"].notna()], "week", "revenue", charts.USD, "Revenue (USD)", "category"
        ),
        "Revenue by week",
    )
    left, right = st.columns(2)
    with left:
        by = sold[sold["sub_category"].notna()]
        charts.show(
            charts.ranking(by, "sub_category", "revenue", charts.USD, "Revenue (USD)"), "By sub-category"
        )
    with right:
        by = sold[sold["gender"].notna()]
        charts.show(
            charts.ranking(by, "gender", "revenue", charts.USD, "Revenue (USD)"), "By who it is made for"
        )
    _articles(f"{ARTICLES}{where}\ngroup by 1, 2\nhaving sum(unit_count) > 0\norder by revenue desc", asked)


def _weeks(week: dict[str, float]) -> None:
    against = f"Week of {week['week_start_date']:%d %B}"
    figures(
        (against, usd(week["revenue"]), None),
        ("Week before", usd(week["previous"]), change(week["revenue"], week["previous"])),
        ("Same week last year", usd(week["last_year"]), change(week["revenue"], week["last_year"])),
    )


def _articles(sql: str, asked: Parameters) -> None:
    st.markdown("#### Articles")
    st.caption("In whole weeks, also those of which only a part is in the period.")
    articles = ask(f"{sql}\nlimit {MOST_ARTICLES}", **asked)
    say_most(articles, "articles with the most revenue", MOST_ARTICLES)
    table(
        articles,
        "articles",
        columns(
            product_title=("Article", None),
            category=("Category", None),
            units=("Units", WHOLE),
            revenue=("Revenue", MONEY),
            price=("Average price", MONEY),
            returned=("Sent back", PER_CENT),
            on_last_year=("On last year", PER_CENT),
        ),
    )
