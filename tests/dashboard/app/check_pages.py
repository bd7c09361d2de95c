"""Every page shows its figures, filters them, and says plainly when there is nothing to show."""

from __future__ import annotations

import socket
from datetime import date, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from conftest import FORMULA, HOSTILE, LONG, TODAY, ago, monday

NAMES = ("products", "customers", "orders", "places", "money", "api-users", "health")
SCRIPT = "from dashboard.app import PAGES, guarded\nguarded(PAGES[{name!r}][2])()"


def opened(name: str) -> AppTest:
    return AppTest.from_string(SCRIPT.format(name=name), default_timeout=60).run()


def figures(page: AppTest) -> dict[str, str]:
    assert not page.exception, page.exception[0].message
    assert not page.error, page.error[0].value
    return {metric.label: metric.value for metric in page.metric}


FIGURES = {
    "products": {"Revenue": "$150.50", "Units": "5", "Average price": "$30.10", "Sent back": "16.6%"},
    "customers": {
        "New customers": "6",
        "First orders": "4",
        "Repeat orders": "60.0%",
        "Spent per order": "$50.00",
    },
    "orders": {"Orders": "10", "Still open": "6", "Worth of open orders": "$20.00", "Cancelled": "20.0%"},
    "places": {"Orders sent": "4", "Revenue sent": "$60.00", "Countries": "1", "Cities": "2"},
    "money": {"Due": "$60.00", "Charged": "$30.00", "Unpaid": "$30.00", "Overpaid": "$0.00"},
    "api-users": {"Users": "1", "Posts": "5", "Comments on them": "9", "To-dos done": "25.0%"},
    "health": {"Datasets": "2", "Late or with a gap": "0", "Rows loaded": "990", "Rows refused": "1.0%"},
}


@pytest.mark.parametrize("name", NAMES)
def test_figures(environ, name):
    assert figures(opened(name)).items() >= FIGURES[name].items()


def test_the_app_opens_on_products(environ):
    from dashboard import app

    page = AppTest.from_file(app.__file__, default_timeout=60).run()
    assert not page.exception
    assert page.title[0].value == "Products"


def test_a_week_is_compared_with_the_one_before_and_the_one_a_year_ago(environ):
    page = opened("products")
    deltas = {metric.label: (metric.value, metric.delta) for metric in page.metric}
    assert deltas["Week before"] == ("$200.00", "+0.0%")
    assert deltas["Same week last year"] == ("$88.00", "+127.3%")


def test_a_week_is_compared_when_it_is_over(environ, monkeypatch):
    """On its Sunday it is not, and would be compared with seven whole days."""
    from dashboard import parts

    week, before = monday(9), monday(16)
    monkeypatch.setattr(parts, "today", lambda: week + timedelta(days=6))
    page = opened("products")
    page.selectbox(key="period").set_value("Everything").run()
    assert f"Week of {before:%d %B}" in figures(page)
    monkeypatch.setattr(parts, "today", lambda: week + timedelta(days=7))
    assert f"Week of {week:%d %B}" in figures(page.run())


def test_filters_change_figures(environ):
    page = opened("products")
    assert figures(page)["Revenue"] == "$150.50"
    page.multiselect(key="category").set_value(["tops"]).run()
    assert figures(page)["Revenue"] == "$100.00"
    page.selectbox(key="period").set_value("Everything").run()
    assert figures(page)["Revenue"] == "$110.00"
    page.multiselect(key="gender").set_value(["men"]).run()
    assert not page.metric
    assert "Nothing matches" in page.info[0].value


def test_own_dates_and_half_a_choice_of_them(environ):
    page = opened("products")
    page.selectbox(key="period").set_value("Own dates").run()
    assert figures(page)["Revenue"] == "$160.50"
    page.date_input(key="days").set_value((ago(200), ago(200))).run()
    assert figures(page)["Revenue"] == "$10.00"
    page.date_input(key="days").set_value((ago(3),)).run()
    assert figures(page)["Revenue"] == "$150.50"


def test_figures_are_of_all_rows_also_of_those_that_no_table_shows(environ, warehouse):
    warehouse.fill("many_")
    many = "generate_array(1, 1500)"
    warehouse.repeat("many_", "rpt_daily_geography", many, city="concat('city ', cast(n as string))")
    warehouse.repeat("many_", "rpt_user_activity", many, user_id="n + 1", received_comment_count="n")
    environ("many_")
    places = opened("places")
    expected = {"Orders sent": "3,004", "Revenue sent": usd(45_060), "Cities": "1,502"}
    assert figures(places).items() >= expected.items()
    assert "The 1,000 places with the most revenue" in [caption.value for caption in places.caption][-1]
    users = opened("api-users")
    assert figures(users).items() >= {"Users": "1,501", "Posts": "7,505"}.items()
    assert figures(users)["Comments on them"] == f"{9 + 1500 * 1501 // 2:,}"


def test_cities_of_one_name_are_not_one_and_a_city_that_nobody_knows_is_none(environ, warehouse, drawn):
    warehouse.fill("cities_")
    there = {"IL": "Springfield", "MA": "Springfield", "unknown": "unknown"}
    for state, city in there.items():
        one = {"country_code": "'US'", "state": f"'{state}'", "city": f"'{city}'"}
        warehouse.repeat("cities_", "rpt_daily_geography", "[1]", **one)
    environ("cities_")
    page = opened("places")
    assert figures(page).items() >= {"Orders sent": "10", "Countries": "2", "Cities": "4"}.items()
    assert {"Springfield, IL, US", "Springfield, MA, US", "Utrecht, NH, NL"} < set(drawn["By city"]["place"])
    page.multiselect(key="country_code").set_value(["US"]).run()
    assert figures(page).items() >= {"Orders sent": "6", "Cities": "2"}.items()
    assert set(drawn["By city"]["place"]) == {"Springfield, IL, US", "Springfield, MA, US"}


def test_places_of_which_no_city_is_known(environ, warehouse):
    warehouse.fill("nocity_")
    warehouse.repeat("nocity_", "rpt_daily_geography", "[1]", country_code="'US'", city="'unknown'")
    environ("nocity_")
    page = opened("places")
    page.multiselect(key="country_code").set_value(["US"]).run()
    assert figures(page).items() >= {"Orders sent": "2", "Countries": "1", "Cities": "0"}.items()


def usd(amount: float) -> str:
    from dashboard import parts

    return parts.usd(amount)


@pytest.fixture
def drawn(monkeypatch):
    """What each chart is drawn from, by its title."""
    from dashboard import charts

    found = {}
    monkeypatch.setattr(charts, "show", lambda chart, title: found.update({title: chart.data}))
    return found


def test_orders_of_many_years_are_shown_to_the_newest_day(environ, warehouse, drawn):
    warehouse.fill("days_")
    days = "generate_date_array(date '2012-01-01', current_date())"
    for n in range(5):
        warehouse.repeat("days_", "rpt_daily_order_statuses", days, status_date="n", status=f"'status {n}'")
    environ("days_")
    page = opened("orders")
    page.selectbox(key="period").set_value("Everything").run()
    figures(page)
    ends = drawn["Open orders at the end of each week"]
    assert ends["status_date"].max().date() == TODAY
    assert ends["status_date"].min().year == 2012
    assert drawn["Average hours in a status"]["went_on"].max() == 2 * ((TODAY - date(2012, 1, 1)).days + 1)
    page.selectbox(key="period").set_value("Last 12 months").run()
    assert len(drawn["Open orders at the end of each day"]) == 5 * 365 + 1


def test_everything_is_all_days_of_both_reports_of_a_page(environ, warehouse, drawn):
    """Orders placed before the first status that is known, and money that went back after the last order."""
    also = {
        "rpt_order_status_mix": {"order_date": ago(300), "order_count": 7},
        "rpt_daily_charges": {"charge_date": TODAY, "signed_amount_usd": 5.0},
    }
    warehouse.fill("both_", also=also)
    environ("both_")
    orders = opened("orders")
    assert figures(orders)["Orders"] == "10"
    orders.selectbox(key="period").set_value("Everything").run()
    assert figures(orders)["Orders"] == "17"
    money = opened("money")
    money.selectbox(key="period").set_value("Everything").run()
    assert figures(money)
    assert drawn["How customers pay"]["amount"].sum() == 45.0


def test_cohorts_of_many_years_are_shown_to_the_newest_and_whole(environ, warehouse, drawn):
    warehouse.fill("cohorts_")
    first, last = date(2012, 1, 1), TODAY.replace(day=1)
    count = (last.year - 2012) * 12 + last.month
    pairs = f"generate_array(0, {count * count - 1})"
    cohort, month = f"cast(div(n, {count}) as int64)", f"mod(n, {count})"
    warehouse.repeat(
        "cohorts_",
        "rpt_customer_cohorts",
        pairs,
        cohort_month=f"date_add(date '{first}', interval {cohort} month)",
        month_number=month,
        lifetime_revenue_usd=f"numeric '10' * ({month} + 1)",
    )
    environ("cohorts_")
    warehouse.repeat("cohorts_", "rpt_daily_customers", "[1]", activity_date=f"date '{first}'")
    page = opened("customers")
    page.selectbox(key="period").set_value("Everything").run()
    figures(page)
    table = page.dataframe[0].value
    assert table["cohort"].max() == f"{last:%Y-%m}"
    assert set(table.loc[table["cohort"] != f"{ago(60):%Y-%m}", "worth"].round(6)) == {count}


@pytest.mark.parametrize("far", [TODAY + timedelta(days=400), date(9999, 12, 31)], ids=str)
def test_an_order_dated_in_the_future_does_not_move_the_last_days_to_itself(environ, warehouse, far):
    prefix = f"y{far.year}_"
    warehouse.fill(prefix, also={"rpt_daily_payments": {"order_date": far, "due_amount_usd": 5.0}})
    environ(prefix)
    page = opened("money")
    assert figures(page).items() >= FIGURES["money"].items()
    page.selectbox(key="period").set_value("Everything").run()
    assert figures(page)["Due"] == "$65.00"


def test_a_filter_with_hostile_words_is_a_parameter(environ):
    page = opened("customers")
    page.multiselect(key="country_code").set_value([HOSTILE]).run()
    assert figures(page)["New customers"] == "3"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_warehouse_is_a_state(environ, name):
    environ("empty_")
    page = opened(name)
    assert figures(page) == {}
    assert "no data yet" in page.info[0].value


@pytest.mark.parametrize("name", NAMES)
def test_missing_tables_say_what_to_run(environ, name):
    environ("nowhere_")
    page = opened(name)
    assert not page.exception
    assert page.error[0].value.startswith("The reports are not built yet")
    assert "make run" in page.markdown[0].value


@pytest.mark.parametrize("name", NAMES)
def test_old_data_are_said_to_be_old(environ, name):
    environ("stale_")
    page = opened(name)
    assert figures(page)
    assert "4 days old" in page.warning[0].value or "96 hours old" in page.warning[0].value


def test_data_of_which_a_part_was_never_loaded(environ):
    environ("partly_")
    assert "Not every dataset" in opened("money").warning[0].value


def test_fresh_data_say_so_without_a_warning(environ):
    assert not opened("money").warning


def test_what_was_never_read_from_its_beginning_is_not_as_of_the_others(environ, warehouse):
    warehouse.fill("gap_", also={"rpt_freshness": {"dataset_id": "shop.backfilled", "data_as_of": None}})
    environ("gap_")
    page = opened("health")
    assert figures(page)["Late or with a gap"] == "1"
    assert "Not every dataset" in page.warning[0].value


def test_a_warehouse_that_is_down_is_a_state_and_not_a_wait(environ):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ(url=f"http://127.0.0.1:{port}")
    page = opened("orders")
    assert not page.exception
    assert page.error[0].value == "The warehouse does not answer."


def test_a_name_that_would_be_sql_is_refused(environ):
    environ(prefix="x`; drop table y; --")
    page = opened("orders")
    assert page.error[0].value == "Not set up."
    assert not page.exception


def test_what_nobody_thought_of_is_no_stack_trace(environ, monkeypatch):
    from dashboard import places

    monkeypatch.setattr(places, "heading", lambda *_: 1 / 0)
    page = opened("places")
    assert not page.exception
    assert "could not be made" in page.error[0].value


@pytest.mark.parametrize("name", NAMES)
def test_text_of_data_is_never_markdown(environ, name):
    page = opened(name)
    shown = [*page.markdown, *page.caption, *page.title, *page.subheader]
    for element in shown:
        assert "onerror" not in str(element.value)
        assert FORMULA not in str(element.value)
        assert LONG not in str(element.value)


def test_downloads_hold_no_formulas():
    import pandas as pd

    from dashboard.parts import as_csv

    words = [FORMULA, "+1", "-1", "@x", "\tx", "plain", None, "ä"]
    text = as_csv(pd.DataFrame({"word": words, "n": [-1.5] * len(words)})).decode("utf-8-sig")
    lines = text.splitlines()[1:]
    assert not [line for line in lines if line.lstrip('"')[:1] in "=+-@\t"]
    assert "plain,-1.5" in lines
    assert "ä,-1.5" in lines


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0.00"), (-7.891, "-$7.89"), (9_999, "$9,999.00"), (12_345, "$12.35 k"), (1_234_567, "$1.23 M"),
     (-2e9, "-$2.00 bn"), (float("nan"), "n/a")],
)  # fmt: skip
def test_amounts(amount, said):
    from dashboard.parts import usd

    assert usd(amount) == said


def test_a_range_that_ends_before_it_begins_cannot_be_asked(environ):
    page = opened("money")
    page.selectbox(key="period").set_value("Own dates").run()
    chosen = page.date_input(key="days")
    assert chosen.max <= TODAY
    assert chosen.min >= TODAY - timedelta(days=2)
