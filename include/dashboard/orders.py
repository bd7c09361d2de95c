"""The page about orders: in which status they are, and how long they stay there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard import charts
from dashboard.parts import (
    MONEY,
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
    from dashboard.parts import Span

MIX = """
select
    status,
    any_value(is_open) as is_open,
    sum(order_count) as orders,
    sum(order_amount_usd) as amount
from {marts}.rpt_order_status_mix
where order_date between @first and @last"""

DAYS = """
select
    status_date,
    status,
    sum(order_count) as orders
from {marts}.rpt_daily_order_statuses
where
    status_date between @first and @last
    and status not in unnest(@final)
    and mod(date_diff(@last, status_date, day), @step) = 0
group by 1, 2
order by 1, 2"""

STAYS = """
select
    status,
    sum(hours_in_status) / sum(left_count) as hours,
    sum(left_count) as went_on
from {marts}.rpt_daily_order_statuses
where status_date between @first and @last
group by 1
having sum(left_count) > 0"""

FINAL = ("delivered", "returned", "cancelled")
"""Where orders end: these grow for ever and would flatten the others in one chart."""

LONG_DAYS = 750
"""Of a longer time the end of each week is enough: a line has no more points than that."""


def page() -> None:
    """Show it."""
    question = "In which status are orders, and how long do they stay there?"
    placed = ("rpt_order_status_mix", "order_date")
    days = heading("Orders", question, "rpt_daily_order_statuses", "status_date", placed)
    if not days:
        return
    span = period(*days)
    channel = choose("Sales channel", "rpt_order_status_mix", "sales_channel")
    where, words = matching(sales_channel=channel), given(sales_channel=channel)
    mix = ask(f"{MIX}{where}\ngroup by 1\norder by orders desc", **span.parameters, **words)
    if is_empty(mix):
        return
    total, is_open = mix["orders"].sum(), mix["is_open"].astype(bool)
    figures(
        ("Orders", count(total), None),
        ("Still open", count(mix.loc[is_open, "orders"].sum()), None),
        ("Worth of open orders", usd(mix.loc[is_open, "amount"].sum()), None),
        ("Cancelled", share(mix.loc[mix["status"] == "cancelled", "orders"].sum(), total), None),
    )
    charts.show(
        charts.ranking(mix, "status", "orders", charts.COUNT, "Orders"),
        "Orders placed in this period, by status now",
    )
    _movement(span)
    st.markdown("#### By status")
    named = columns(
        status=("Status", None), is_open=("Open", None), orders=("Orders", WHOLE), amount=("Amount", MONEY)
    )
    table(mix, "order-status", named)


def _movement(span: Span) -> None:
    st.caption("Below: all sales channels.")
    is_long = (span.last - span.first).days > LONG_DAYS
    moving = ask(DAYS, **span.parameters, final=list(FINAL), step=7 if is_long else 1)
    stays = ask(STAYS, **span.parameters)
    if moving.empty and is_empty(stays):
        return
    left, right = st.columns(2)
    with left:
        charts.show(
            charts.lines(moving, "status_date", "orders", charts.COUNT, "Orders", "status"),
            f"Open orders at the end of each {'week' if is_long else 'day'}",
        )
    with right:
        charts.show(
            charts.ranking(stays, "status", "hours", charts.HOURS, "Hours"), "Average hours in a status"
        )
