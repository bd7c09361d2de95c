"""The page about the data: how far each dataset has come, what was refused, what nobody declared."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts
from dashboard.parts import (
    MOMENT,
    PER_CENT,
    STALE_HOURS,
    WHOLE,
    ask,
    columns,
    count,
    figures,
    heading,
    is_empty,
    share,
    table,
)

DATASETS = """
select
    dataset_id,
    data_as_of,
    last_committed_at,
    has_gap,
    load_count,
    refined_count,
    quarantined_count,
    quarantined_count / nullif(refined_count + quarantined_count, 0) as refused_share,
    deleted_count,
    drift_fields
from {marts}.rpt_freshness
order by dataset_id
limit 1000"""

DAYS = """
select
    load_date,
    source_name,
    sum(inserted_count + updated_count + revived_count) as written,
    sum(quarantined_count) as refused,
    sum(load_seconds) as seconds
from {marts}.rpt_daily_loads
where load_date >= @first
group by 1, 2
order by 1, 2"""


def page() -> None:
    """Show it."""
    question = "How far has each dataset come, what was refused, and what turned up that nobody declared?"
    if not heading("Data health", question, "rpt_freshness"):
        return
    found = ask(DATASETS)
    lag = (pd.Timestamp.now(tz="UTC") - found["data_as_of"]).dt.total_seconds() / 3600
    late = lag.isna() | (lag > STALE_HOURS) | found["has_gap"].astype(bool)
    refused, rows = found["quarantined_count"].sum(), found["refined_count"].sum()
    figures(
        ("Datasets", count(len(found)), None),
        ("Late or with a gap", count(late.sum()), None),
        ("Rows loaded", count(rows), None),
        ("Rows refused", share(refused, refused + rows), None),
    )
    found.insert(1, "state", ["late" if is_late else "fresh" for is_late in late])
    found.insert(3, "lag_hours", lag.round(1))
    shown = _columns()
    table(found[list(shown)], "datasets", shown)
    _days()


def _columns() -> dict[str, object]:
    return columns(
        dataset_id=("Dataset", None),
        state=("State", None),
        data_as_of=("Data as of (UTC)", MOMENT),
        lag_hours=("Lag in hours", WHOLE),
        refined_count=("Rows", WHOLE),
        quarantined_count=("Refused", WHOLE),
        refused_share=("Refused in %", PER_CENT),
        drift_fields=("Fields that differ", None),
        has_gap=("Gap", None),
        load_count=("Loads", WHOLE),
        deleted_count=("Deleted", WHOLE),
        last_committed_at=("Last load (UTC)", MOMENT),
    )


def _days() -> None:
    first = (pd.Timestamp.now(tz="UTC") - pd.Timedelta(days=60)).date()
    daily = ask(DAYS, first=first)
    if is_empty(daily):
        return
    left, right = st.columns(2)
    with left:
        charts.show(
            charts.over_time(daily, "load_date", "written", charts.COUNT, "Rows", "source_name"),
            "Rows written by day",
        )
    with right:
        charts.show(
            charts.over_time(daily, "load_date", "refused", charts.COUNT, "Rows", "source_name"),
            "Rows refused by day",
        )
