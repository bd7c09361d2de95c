"""The page about the users of the API: what they write, keep and plan to do."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.parts import WHOLE, ask, columns, count, figures, heading, is_empty, share, table

USERS = """
select
    user_name,
    company_name,
    city,
    post_count,
    received_comment_count,
    todo_count,
    completed_todo_count,
    album_count,
    photo_count
from {marts}.rpt_user_activity
order by post_count desc, user_id
limit 1000"""


def page() -> None:
    """Show it."""
    question = "What do the users of the API write, keep and plan to do?"
    if not heading("API users", question, "rpt_user_activity"):
        return
    users = ask(USERS)
    if is_empty(users):
        return
    figures(
        ("Users", count(len(users)), None),
        ("Posts", count(users["post_count"].sum()), None),
        ("Comments on them", count(users["received_comment_count"].sum()), None),
        ("To-dos done", share(users["completed_todo_count"].sum(), users["todo_count"].sum()), None),
    )
    left, right = st.columns(2)
    with left:
        top = users.nlargest(15, "post_count")
        charts.show(charts.ranking(top, "user_name", "post_count", charts.COUNT, "Posts"), "Posts by user")
    with right:
        top = users.nlargest(15, "received_comment_count")
        charts.show(
            charts.ranking(top, "user_name", "received_comment_count", charts.COUNT, "Comments"),
            "Comments by user",
        )
    table(
        users,
        "api-users",
        columns(
            user_name=("User", None),
            company_name=("Company", None),
            city=("City", None),
            post_count=("Posts", WHOLE),
            received_comment_count=("Comments", WHOLE),
            todo_count=("To-dos", WHOLE),
            completed_todo_count=("Done", WHOLE),
            album_count=("Albums", WHOLE),
            photo_count=("Photos", WHOLE),
        ),
    )
