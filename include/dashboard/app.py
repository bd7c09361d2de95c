"""The app: one page for each question. `streamlit run include/dashboard/app.py`, or `make dashboard`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import community, customers, health, money, orders, places, products
from dashboard.marts import Problem
from dashboard.target import TargetError, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger(__name__)
PAGES: dict[str, tuple[str, str, Callable[[], None]]] = {
    "products": ("Products", ":material/checkroom:", products.page),
    "customers": ("Customers", ":material/group:", customers.page),
    "orders": ("Orders", ":material/local_shipping:", orders.page),
    "places": ("Places", ":material/public:", places.page),
    "money": ("Money", ":material/payments:", money.page),
    "api-users": ("API users", ":material/forum:", community.page),
    "health": ("Data health", ":material/monitor_heart:", health.page),
}


def guarded(page: Callable[[], None]) -> Callable[[], None]:
    """The page, or in plain words why there is none; what nobody thought of goes to the log."""

    def show() -> None:
        try:
            page()
        except (Problem, TargetError) as problem:
            title, remedy = (
                (problem.title, problem.remedy)
                if isinstance(problem, Problem)
                else ("Not set up.", str(problem))
            )
            st.error(title, icon=":material/cloud_off:")
            st.write(remedy)
        except Exception:  # the last resort of a page that people look at
            LOG.exception("the page failed")
            st.error(
                "This page could not be made. The log of the dashboard says why.", icon=":material/error:"
            )

    show.__name__ = page.__module__.rpartition(".")[2]
    return show


def main() -> None:
    """Navigation, and the page that was chosen."""
    st.set_page_config(page_title="Tideline", page_icon=":material/waves:", layout="wide")
    made = [
        st.Page(guarded(page), title=title, icon=icon, url_path=path, default=path == "products")
        for path, (title, icon, page) in PAGES.items()
    ]
    chosen = st.navigation(made)
    chosen.run()
    try:
        st.sidebar.caption(f"Tideline: {from_environment().name}")
    except TargetError:
        st.sidebar.caption("Tideline: no warehouse")


if __name__ == "__main__":
    main()
