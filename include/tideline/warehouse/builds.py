"""The table in which dbt notes what it builds: which months it touched, and up to when. Knows no client.

Tideline only makes the table: nothing here reads or writes it. A model that is touched and not built since
has begun to write and not ended, so whoever reads it takes what it touched in with the next build.
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
            description="Of built: of the model's code and seeds. With another it is built anew, whole.",
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
