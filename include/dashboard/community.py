"""The page about the users of the API: what they write, keep and plan to do."""

from __future__ import annotations

import streamlit as st

from dashboard import charts
from dashboard.parts import (
    MOST_ROWS,
    WHOLE,
    ask,
    columns,
    count,
    figures,
    heading,
    is_empty,
    say_most,
    share,
    table,
)

TOTALS = """
select
    count(*) as users,
    sum(post_count) as posts,
    sum(received_comment_count) as comments,
    sum(todo_count) as todos,
    sum(completed_todo_count) as completed
from {marts}.rpt_user_activity"""

COMMENTED = """
select
    user_name,
    received_comment_count
from {marts}.rpt_user_activity
order by received_comment_count desc, user_id
limit 15"""

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
order by post_count desc, user_id"""


def page() -> None:
    """Show it."""
    question = "What do the users of the API write, keep and plan to do?"
    if not heading("API users", question, "rpt_user_activity"):
        return
    users = ask(f"{USERS}\nlimit {MOST_ROWS}")
    if is_empty(users):
        return
    total = ask(TOTALS).iloc[0]
    figures(
        ("Users", count(total["users"]), None),
        ("Posts", count(total["posts"]), None),
        ("Comments on them", count(total["comments"]), None),
        ("To-dos done", share(total["completed"], total["todos"]), None),
    )
    left, right = st.columns(2)
    with left:
        top = users.nlargest(15, "post_count")
        charts.show(charts.ranking(top, "user_name", "post_count", charts.COUNT, "Posts"), "Posts by user")
    with right:
        top = ask(COMMENTED)
        charts.show(
            charts.ranking(top, "user_name", "received_comment_count", charts.COUNT, "Comments"),
            "Comments by user",
        )
    say_most(users, "users with the most posts")
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
