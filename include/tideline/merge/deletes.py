"""Events into a table: keys that were seen absent, or otherwise, at the source. Pure SQL text.

An event says of a key that at `_observed_at` the source did not have it (*deleted*), or showed it with an
older stamp than the table has (*superseded*). Either way reads up to that instant count no more: the key's
floor, `_superseded_at`, is raised. What was last seen at or before a deletion becomes a tombstone, and a key
that the table does not have gets one without content, so that a late older row finds it. Only a row read
after the deletion brings the key back (`tideline.merge.sql`), so events and rows may come in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tideline.merge.floors import OLDEST, raised
from tideline.warehouse.names import quote
from tideline.warehouse.schema import Field, declared

if TYPE_CHECKING:
    from tideline.catalog.model import Dataset
    from tideline.warehouse.names import TableName

DELETED, SUPERSEDED = "deleted", "superseded"
"""All kinds of event."""

OUTCOMES = ("deleted", "updated", "unchanged", "stale")
"""What can happen to a key: its row became a tombstone; only the floor or the tombstone moved, or the key was
not known; the table knew; the row was seen after its deletion. The other events of a key are duplicates."""

_IS_GONE = f"IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, {OLDEST}), FALSE)"
_IS_LATER = f"_s._superseded_at > IFNULL(_t._superseded_at, {OLDEST})"
_CHANGES = (
    f"{_IS_LATER} OR ({_IS_GONE} AND (_t._deleted_at IS NULL OR _s._deleted_at > _t._deleted_at))"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Events:
    """One load table of events and the table that they are about."""

    dataset: Dataset
    target: TableName
    load: TableName

    @property
    def sql(self) -> str:
        """See `events_sql`."""
        return events_sql(self)

    @property
    def counts_sql(self) -> str:
        """See `event_counts_sql`."""
        return event_counts_sql(self)

    @property
    def same_key(self) -> str:
        """Plain equality: keys are never NULL."""
        return " AND ".join(f"_t.{quote(name)} = _s.{quote(name)}" for name in self.dataset.key)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns, quoted."""
        return tuple(quote(name) for name in self.dataset.key)


def event_fields(dataset: Dataset) -> tuple[Field, ...]:
    """The columns of a load table of events, which are those of its Parquet."""
    keys = (replace(declared(dataset.column(name)), description="") for name in dataset.key)
    return (
        *keys,
        Field("_event", "STRING"),
        Field("_observed_at", "TIMESTAMP"),
        Field("_raw_uri", "STRING"),
        Field("_raw_position", "INT64"),
    )


def events_sql(events: Events) -> str:
    """The MERGE of the events into the table."""
    keys = ", ".join(events.keys)
    values = ", ".join(f"_s.{name}" for name in events.keys)
    return f"""\
MERGE {events.target.sql} AS _t
USING (
{_latest(events)}
) AS _s
ON {events.same_key}
WHEN MATCHED AND ({_CHANGES}) THEN UPDATE SET
  _merged_at = IF({_IS_GONE} AND _t._deleted_at IS NULL, CURRENT_TIMESTAMP(), _t._merged_at),
  _deleted_at = IF({_IS_GONE}, GREATEST(IFNULL(_t._deleted_at, {OLDEST}), _s._deleted_at), _t._deleted_at),
  _superseded_at = {raised("_s._superseded_at")}
WHEN NOT MATCHED THEN INSERT ({keys}, _merged_at, _deleted_at, _superseded_at)
VALUES ({values}, CURRENT_TIMESTAMP(), IFNULL(_s._deleted_at, {OLDEST}), _s._superseded_at)"""  # noqa: S608


def event_counts_sql(events: Events) -> str:
    """One row that says what `events_sql` will do with each event; the counts add up to the load's rows."""
    known = ", ".join(
        f"_t.{name}" for name in (*events.keys, "_extracted_at", "_deleted_at", "_superseded_at")
    )
    counted = ",\n  ".join(f"COUNTIF(outcome = '{outcome}') AS {outcome}" for outcome in OUTCOMES)
    return f"""\
WITH _s AS (
{_latest(events)}
),
_t AS (
  SELECT {known} FROM {events.target.sql} AS _t
),
outcomes AS (
  SELECT CASE
    WHEN _t.{events.keys[0]} IS NULL THEN 'updated'
    WHEN {_IS_GONE} AND _t._deleted_at IS NULL THEN 'deleted'
    WHEN _s._deleted_at < _t._extracted_at AND _t._deleted_at IS NULL THEN 'stale'
    WHEN {_CHANGES} THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM _s LEFT JOIN _t ON {events.same_key}
)
SELECT
  {counted},
  (SELECT COUNT(*) FROM {events.load.sql}) - COUNT(*) AS duplicates
FROM outcomes"""  # noqa: S608 - names are quoted, literals are escaped


def _latest(events: Events) -> str:
    """Per key when it was last seen absent, if ever, and when it was last seen absent or otherwise.

    They are called as metadata columns are, as no column of a key is.
    """
    keys = ", ".join(f"_l.{name}" for name in events.keys)
    return f"""\
  SELECT {keys},
    MAX(IF(_l._event = '{DELETED}', _l._observed_at, NULL)) AS _deleted_at,
    MAX(_l._observed_at) AS _superseded_at
  FROM {events.load.sql} AS _l
  GROUP BY {keys}"""  # noqa: S608 - names are quoted
