"""The page about places: where orders go."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.parts import (
    MONEY,
    MOST_ROWS,
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
    say_most,
    table,
    usd,
)  # fmt: skip

PLACES = """
select
    country_code,
    state,
    city,
    sum(order_count) as orders,
    sum(unit_count) as units,
    sum(revenue_usd) as revenue
from {marts}.rpt_daily_geography
where
    order_date between @first and @last
    and country_code != 'unknown'"""

CITIES = """
select
    concat(city, if(state = 'unknown', '', concat(', ', state)), ', ', country_code) as place,
    sum(revenue_usd) as revenue,
    count(*) over () as city_count
from {marts}.rpt_daily_geography
where
    order_date between @first and @last
    and country_code != 'unknown'
    and city != 'unknown'"""
"""Cities of one name in two states or countries are two."""

WEEKS = """
select
    date_trunc(order_date, week(monday)) as week,
    country_code,
    sum(order_count) as orders,
    sum(revenue_usd) as revenue
from {marts}.rpt_daily_geography
where
    order_date between @first and @last
    and country_code != 'unknown'"""


def page() -> None:
    """Show it."""
    days = heading("Places", "Where do orders go?", "rpt_daily_geography", "order_date")
    if not days:
        return
    span = period(*days)
    country = choose("Country", "rpt_daily_geography", "country_code", "country_code != 'unknown'")
    where, asked = matching(country_code=country), {**span.parameters, **given(country_code=country)}
    weeks = ask(f"{WEEKS}{where}\ngroup by 1, 2", **asked)
    if is_empty(weeks):
        return
    each = "group by country_code, state, city"
    cities = ask(f"{CITIES}{where}\n{each}\norder by revenue desc\nlimit 15", **asked)
    countries = weeks.groupby("country_code", as_index=False)[["orders", "revenue"]].sum()
    figures(
        ("Orders sent", count(countries["orders"].sum()), None),
        ("Revenue sent", usd(countries["revenue"].sum()), None),
        ("Countries", count(len(countries)), None),
        ("Cities", count(0 if cities.empty else cities["city_count"].max()), None),
    )
    left, right = st.columns(2)
    with left:
        by = countries.nlargest(15, "revenue")
        charts.show(charts.ranking(by, "country_code", "revenue", charts.USD, "Revenue (USD)"), "By country")
    with right:
        charts.show(charts.ranking(cities, "place", "revenue", charts.USD, "Revenue (USD)"), "By city")
    top = list(countries.nlargest(7, "revenue")["country_code"])
    weeks["country"] = weeks["country_code"].where(weeks["country_code"].isin(top), "others")
    charts.show(
        charts.over_time(weeks, "week", "revenue", charts.USD, "Revenue (USD)", "country"), "Revenue by week"
    )
    st.caption("Orders without a country, as those that were taken home from a shop, are not on this page.")
    places = ask(f"{PLACES}{where}\ngroup by 1, 2, 3\norder by revenue desc\nlimit {MOST_ROWS}", **asked)
    say_most(places, "places with the most revenue")
    table(
        places,
        "places",
        columns(
            country_code=("Country", None),
            state=("State", None),
            city=("City", None),
            orders=("Orders", WHOLE),
            units=("Units", WHOLE),
            revenue=("Revenue", MONEY),
        ),
    )
