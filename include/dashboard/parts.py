"""What all pages are made of: heading, filters, figures, tables, downloads, and the states without data.

Text that comes from data is shown in tables and charts only, never as Markdown or HTML.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from dashboard import marts
from dashboard.target import from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.cloud import bigquery

    from dashboard.marts import Parameters, Value

STALE_HOURS = 3
KEPT_SECONDS = 300
MOST_ROWS = 1000
"""Rows of a table that people look at; figures and charts are made of all."""
PERIODS = {"Last 30 days": 30, "Last 90 days": 90, "Last 12 months": 365, "Everything": None, "Own dates": 0}
OLDEST = "1900-01-01"
"""The first day that is shown; before it lie only wrong ones."""
NONE = "n/a"
NOTHING = "Nothing matches these filters. Choose a longer period or fewer filters."
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Span:
    """The days that a page looks at, both included."""

    first: date
    last: date

    @property
    def parameters(self) -> Parameters:
        """As queries take them."""
        return {"first": self.first, "last": self.last}


@st.cache_resource
def client() -> bigquery.Client:
    """One client for all sessions."""
    return marts.connect(from_environment())


@st.cache_data(ttl=KEPT_SECONDS, show_spinner=False)
def _asked(sql: str, parameters: Parameters) -> pd.DataFrame:
    return marts.ask(client(), from_environment(), sql, parameters)


def ask(sql: str, **parameters: Value) -> pd.DataFrame:
    """The rows that a query finds; asked again after five minutes."""
    return _asked(sql, parameters)


def heading(
    title: str, question: str, table: str, day: str | None = None, also: tuple[str, str] | None = None
) -> tuple[date, date] | None:
    """Title, question and until when the numbers are complete.

    Args:
        title: Of the page.
        question: What it answers.
        table: The report that says until when.
        day: Its column of days; the first and the last one are returned.
        also: Another report of the page and its column of days, which are among them too.

    Returns:
        The first and last day; None where the table is empty, which is said.
    """
    st.title(title)
    span = f"min({day}) as first_day, max({day}) as last_day" if day else "count(*) as first_day"
    guard = f"where {day} >= '{OLDEST}'" if day else ""
    as_of = "if(count(data_as_of) = count(*), min(data_as_of), null)"
    asked = f"select {as_of} as data_as_of, count(*) as row_count,"
    found = ask(f"{asked} {span} from {{marts}}.{table} {guard}").iloc[0]
    st.caption(question)
    _say_as_of(found["data_as_of"])
    if not found["row_count"]:
        st.info("There is no data yet. The next hourly run will bring it.", icon=":material/inbox:")
        return None
    if not day:
        return date.min, date.max
    ends = [found["first_day"], found["last_day"]]
    if also:
        other, column = also
        asked = f"select min({column}) as first_day, max({column}) as last_day from {{marts}}.{other}"  # noqa: S608 - names of ours
        ends.extend(ask(f"{asked} where {column} >= '{OLDEST}'").iloc[0].dropna())
    return min(ends).date(), max(ends).date()


def _say_as_of(moment: pd.Timestamp) -> None:
    if pd.isna(moment):
        st.warning(
            "Not every dataset of this page has been loaded yet: numbers may be incomplete.",
            icon=":material/warning:",
        )
        return
    hours = (pd.Timestamp.now(tz="UTC") - moment).total_seconds() / 3600
    text = f"Data as of {moment:%Y-%m-%d %H:%M} UTC"
    if hours > STALE_HOURS:
        age = f"{hours:,.0f} hours" if hours < 72 else f"{hours / 24:,.0f} days"  # noqa: PLR2004
        st.warning(f"{text}: {age} old. See Data health.", icon=":material/schedule:")
    else:
        st.badge(text, icon=":material/schedule:", color="green")


def period(first: date, last: date) -> Span:
    """The filter of days, in the side bar; the last ones end with today, where wrong dates lie beyond it."""
    choice = st.sidebar.selectbox("Period", list(PERIODS), index=1, key="period")
    days = PERIODS[choice]
    if days is None:
        return Span(first, last)
    if days:
        newest = last if first > today() else min(last, today())
        return Span(max(first, newest - timedelta(days=days - 1)), newest)
    chosen = st.sidebar.date_input("Days", (first, last), min_value=first, max_value=last, key="days")
    both = tuple(chosen) if isinstance(chosen, tuple | list) else (chosen,)
    return Span(both[0] if both else first, both[-1] if both else last)


def today() -> date:
    """The day that is not over yet (UTC)."""
    return datetime.now(UTC).date()


def choose(label: str, table: str, column: str, where: str = "true") -> list[str]:
    """A filter of words, in the side bar; an empty list lets everything through."""
    sql = (
        f"select distinct {column} as word from {{marts}}.{table} where {where} order by 1 limit {MOST_ROWS}"  # noqa: S608 - names of ours
    )
    words = [str(word) for word in ask(sql)["word"]]
    return list(st.sidebar.multiselect(label, words, key=column, placeholder="All"))


def matching(**chosen: list[str]) -> str:
    """The condition of such filters; their values go in as parameters of the same names."""
    return "".join(f" and {name} in unnest(@{name})" for name, words in chosen.items() if words)


def given(**chosen: list[str]) -> Parameters:
    """The parameters that `matching` needs."""
    return {name: list(words) for name, words in chosen.items() if words}


def figures(*shown: tuple[str, str, str | None]) -> None:
    """Figures side by side: label, value, and how it compares."""
    for column, (label, value, change) in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(label, value, change, border=True, height="stretch")


def usd(amount: float) -> str:
    """An amount as people say it: $1.23 M, $45.6 k, $7.89."""
    if pd.isna(amount):
        return NONE
    for size, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(amount) >= size * 10 or (size > 1e3 and abs(amount) >= size):  # noqa: PLR2004
            return f"{'-' if amount < 0 else ''}${abs(amount) / size:,.2f}{unit}"
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def count(number: float) -> str:
    """A whole number with separators."""
    return NONE if pd.isna(number) else f"{number:,.0f}"


def share(part: float, whole: float) -> str:
    """A share in per cent, with two digits where it is below one."""
    if not whole:
        return NONE
    return f"{part / whole:.2%}" if abs(part) < abs(whole) / 100 else f"{part / whole:.1%}"


def change(now: float, before: float) -> str | None:
    """How something compares with before."""
    return f"{(now - before) / before:+.1%}" if before else None


def table(frame: pd.DataFrame, name: str, columns: dict[str, Any] | None = None) -> None:
    """Rows to look at, and to download as CSV."""
    st.dataframe(frame, hide_index=True, width="stretch", column_config=columns or {})
    st.download_button(
        "Download as CSV",
        as_csv(frame),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        key=f"csv-{name}",
    )


def say_most(frame: pd.DataFrame, which: str, rows: int = MOST_ROWS) -> None:
    """That a table was cut, where it may have been."""
    if len(frame) >= rows:
        st.caption(f"The {rows:,} {which}. The figures above are of all.")


def as_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 CSV in which no cell is a formula: spreadsheets would run one."""
    safe = frame.copy()
    for name in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[name] = [_harmless(value) for value in safe[name]]
    text: str = safe.to_csv(index=False)
    return text.encode("utf-8-sig")


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def is_empty(frame: pd.DataFrame, *needed: str) -> bool:
    """Whether there is nothing to show, which is then said."""
    nothing = frame.empty or bool(needed and frame[list(needed)].fillna(0).eq(0).all(axis=None))
    if nothing:
        st.info(NOTHING, icon=":material/filter_alt_off:")
    return nothing


MONEY = st.column_config.NumberColumn(format="dollar")
WHOLE = st.column_config.NumberColumn(format="localized")
MOMENT = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")
PER_CENT = st.column_config.NumberColumn(format="percent")


def columns(**kinds: Sequence[Any]) -> dict[str, Any]:
    """Formats of a table's columns: `name=(label, format)`."""
    made: dict[str, Any] = {}
    for name, (label, kind) in kinds.items():
        made[name] = {**kind, "label": label} if kind else st.column_config.Column(label)
    return made
