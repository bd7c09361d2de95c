"""The tables in which dbt notes what it builds: which months it touched, up to when, where rows lie.

Tideline only makes them: nothing here reads or writes one, or knows a client. A model that is touched and
not built since has begun to write and not ended, so whoever reads it takes what it touched in with the next
build.
"""

from __future__ import annotations

from tideline.warehouse.schema import REQUIRED, Field, Layout

LAYOUT = Layout(
    fields=(
        Field("model", "STRING", REQUIRED, description="The model, as dbt calls it."),
        Field(
            "event",
            "STRING",
            REQUIRED,
            description="touched: rows of this month may have changed; "
            "built: all that was touched before was taken in.",
        ),
        Field(
            "fingerprint",
            "STRING",
            description="Of built: of the model's code, views and seeds. With another it is built anew, "
            "whole.",
        ),
        Field("month", "DATE", description="Its first day; NULL for any month, and of an event built."),
        Field(
            "logged_at",
            "TIMESTAMP",
            REQUIRED,
            description="When the build began, by the warehouse's clock: the same in all its rows.",
        ),
        Field("finished_at", "TIMESTAMP", description="Of built: when all that it wrote could be read."),
    ),
    partition_column="logged_at",
    clustering=("model",),
    description="What dbt's models touched and built; they write it themselves.",
)

PLACES = Layout(
    fields=(
        Field("model", "STRING", REQUIRED, description="The model, as dbt calls it."),
        Field("day", "DATE", description="On which its rows were created; NULL where they do not say."),
        Field(
            "month", "DATE", REQUIRED, description="First day of a month in which some of them lie, or lay."
        ),
    ),
    clustering=("model", "day"),
    description="In which months of a fact the rows of a day of its raw table lie. "
    "dbt's models write it themselves.",
)
