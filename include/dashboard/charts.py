"""The charts of all pages, alike: sorted axes, units in titles, one palette for dark and light.

Knows no queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import streamlit as st

if TYPE_CHECKING:
    import pandas as pd

PALETTE = ["#3B82C4", "#E08A3C", "#4FA36B", "#B5679D", "#8A8F98", "#C9A93B", "#5FB3B3", "#C4574F"]
USD, COUNT, PER_CENT, HOURS = "$,.4~s", ",.4~s", ".0%", ",.0f"
HEIGHT = 280
LONGEST = 220
"""Pixels of the longest label on an axis; what does not fit is cut."""


def show(chart: alt.Chart | alt.LayerChart, title: str) -> None:
    """A chart under its title, as wide as there is room."""
    st.markdown(f"#### {title}")
    st.altair_chart(chart, width="stretch")


def over_time(
    frame: pd.DataFrame, day: str, value: str, form: str, name: str, by: str | None = None
) -> alt.Chart:
    """Bars by week or day, stacked by `by`."""
    axis = alt.Axis(format="%d %b %y", labelAngle=0, labelOverlap="greedy")
    tooltip = [
        alt.Tooltip(f"{day}:T", title="from", format="%Y-%m-%d"),
        alt.Tooltip(f"sum({value}):Q", title=name, format=",.2f"),
    ]
    colour = alt.value(PALETTE[0])
    if by:
        legend = alt.Legend(orient="top")
        colour = alt.Color(f"{by}:N", title=None, scale=alt.Scale(range=PALETTE), legend=legend)
        tooltip.append(alt.Tooltip(f"{by}:N", title=by.replace("_", " ")))
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(f"yearmonthdate({day}):O", title=None, axis=axis),
            y=alt.Y(f"sum({value}):Q", title=name, axis=alt.Axis(format=form)),
            color=colour,
            tooltip=tooltip,
        )
        .properties(height=HEIGHT)
    )


def lines(
    frame: pd.DataFrame, x: str, value: str, form: str, name: str, by: str, x_title: str | None = None
) -> alt.Chart:
    """Lines, one for each `by`."""
    kind = "T" if str(frame[x].dtype).startswith("datetime") else "Q"
    return (
        alt.Chart(frame)
        .mark_line(point=len(frame) < 200)  # noqa: PLR2004
        .encode(
            x=alt.X(f"{x}:{kind}", title=x_title),
            y=alt.Y(f"{value}:Q", title=name, axis=alt.Axis(format=form)),
            color=alt.Color(
                f"{by}:N", title=None, scale=alt.Scale(range=PALETTE), legend=alt.Legend(orient="top")
            ),
            tooltip=[f"{x}:{kind}", f"{by}:N", alt.Tooltip(f"{value}:Q", title=name, format=",.2f")],
        )
        .properties(height=HEIGHT)
    )


def ranking(frame: pd.DataFrame, word: str, value: str, form: str, name: str) -> alt.Chart:
    """Bars across, the greatest first."""
    words = alt.Axis(labelLimit=LONGEST, labelOverlap=False)
    return (
        alt.Chart(frame)
        .mark_bar(color=PALETTE[0])
        .encode(
            x=alt.X(f"{value}:Q", title=name, axis=alt.Axis(format=form, tickCount=6)),
            y=alt.Y(f"{word}:N", sort="-x", title=None, axis=words),
            tooltip=[
                alt.Tooltip(f"{word}:N", title=word.replace("_", " ")),
                alt.Tooltip(f"{value}:Q", title=name, format=",.2f"),
            ],
        )
        .properties(height=26 * len(frame) + 70)
    )


def heat(frame: pd.DataFrame, x: str, y: str, value: str, name: str) -> alt.Chart:
    """A share for each pair, darker where it is greater."""
    return (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=alt.X(f"{x}:O", title="months since the first order"),
            y=alt.Y(f"{y}:O", title=None),
            color=alt.Color(
                f"{value}:Q", title=None, scale=alt.Scale(scheme="blues"), legend=alt.Legend(format=".0%")
            ),
            tooltip=[f"{y}:O", f"{x}:O", alt.Tooltip(f"{value}:Q", title=name, format=".1%")],
        )
        .properties(height=24 * frame[y].nunique() + 80)
    )
