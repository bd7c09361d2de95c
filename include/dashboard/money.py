"""The page about money: what was charged against what is due."""

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

STATUSES = """
select
    payment_status,
    sum(order_count) as orders,
    sum(due_amount_usd) as due,
    sum(charged_amount_usd) as charged,
    sum(unpaid_amount_usd) as unpaid,
    sum(overpaid_amount_usd) as overpaid
from {marts}.rpt_daily_payments
where order_date between @first and @last"""

CHARGES = """
select
    date_trunc(charge_date, week(monday)) as week,
    charge_kind,
    charge_method,
    sum(signed_amount_usd) as amount
from {marts}.rpt_daily_charges
where charge_date between @first and @last
group by 1, 2, 3"""


def page() -> None:
    """Show it."""
    question, moved = "Was paid what is due, and what went back?", ("rpt_daily_charges", "charge_date")
    days = heading("Money", question, "rpt_daily_payments", "order_date", moved)
    if not days:
        return
    span = period(*days)
    channel = choose("Sales channel", "rpt_daily_payments", "sales_channel")
    where, words = matching(sales_channel=channel), given(sales_channel=channel)
    statuses = ask(f"{STATUSES}{where}\ngroup by 1\norder by orders desc", **span.parameters, **words)
    if is_empty(statuses):
        return
    total = statuses.drop(columns="payment_status").sum()
    figures(
        ("Due", usd(total["due"]), None),
        ("Charged", usd(total["charged"]), None),
        ("Unpaid", usd(total["unpaid"]), None),
        ("Overpaid", usd(total["overpaid"]), None),
    )
    chart = charts.ranking(statuses, "payment_status", "orders", charts.COUNT, "Orders")
    charts.show(chart, "Orders by payment")
    _charges(span.parameters)
    table(
        statuses,
        "payments",
        columns(
            payment_status=("Payment", None),
            orders=("Orders", WHOLE),
            due=("Due", MONEY),
            charged=("Charged", MONEY),
            unpaid=("Unpaid", MONEY),
            overpaid=("Overpaid", MONEY),
        ),
    )


def _charges(asked: Parameters) -> None:
    st.caption("Below: by the day the money moved, all sales channels.")
    charges = ask(CHARGES, **asked)
    if is_empty(charges):
        return
    by_kind = charges.groupby("charge_kind")["amount"].sum()
    back = share(-by_kind.get("credit", 0.0), by_kind.get("debit", 0.0))
    charts.show(
        charts.over_time(charges, "week", "amount", charts.USD, "USD", "charge_kind"),
        f"Debits and credits by week: {back} went back",
    )
    paid = charges[charges["charge_kind"] == "debit"].groupby("charge_method", as_index=False)["amount"].sum()
    charts.show(
        charts.ranking(paid, "charge_method", "amount", charts.USD, "Paid (USD)"), "How customers pay"
    )
    st.markdown("#### By payment")
