"""What the ledger says about datasets: plain values, their definition, and the query that finds them.

The high-water mark is defined once (`high_water_mark` here, over `tideline.window`) and spelled in SQL beside
it (`state_sql`): tests hold the two against each other. Knows no client.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tideline import window as windows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tideline.window import Window

CHAIN_MODES = ("scheduled", "exact")
"""Loads that read a window of the source: only they make up the chain of the high-water mark."""
REWIND = "rewind"
ORIGIN = datetime(1, 1, 1, tzinfo=UTC)
"""The window end of a rewind to before everything."""


MOST_PAST = 100
"""Past loads of a dataset that are looked at, and of those of one hour of the week."""


@dataclass(frozen=True, slots=True)
class PastLoad:
    """How much an earlier load had."""

    landed: int
    seconds: float
    """The length of its window."""
    is_same_hour: bool
    """Whether its window ended in the hour of the week that was asked about."""


@dataclass(frozen=True, slots=True)
class DatasetState:
    """How far one dataset has come.

    Attributes:
        high_water_mark: Up to where everything was read, without a gap; None before the first load, and after
            a rewind to the origin.
        previous_manifest_uri: The raw manifest of the newest committed read, since the last rewind, that was
            not "as before".
        previous_fingerprint: The fingerprint of the catalog under which that one was landed.
    """

    high_water_mark: datetime | None = None
    previous_manifest_uri: str | None = None
    previous_fingerprint: str | None = None
    past: tuple[PastLoad, ...] = ()
    """Scheduled loads of bounded windows, newest first; only where they were asked for."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One row of the ledger, as far as the mark asks for it."""

    mode: str
    window: Window
    extracted_at: datetime
    committed_at: datetime
    load_id: str = ""


def high_water_mark(commits: Iterable[Commit]) -> datetime | None:
    """Up to where a dataset was read without a gap, as its ledger tells it.

    A rewind to T says: up to T it was read, and what was read until now counts no more. So the newest rewind
    is the chain's first, unbounded window, and of all others those count that were read, and committed, after
    it. A rewind to the origin begins no chain: the next run reads everything.
    """
    known = list(commits)
    rewinds = [commit for commit in known if commit.mode == REWIND]
    last = max(rewinds, key=lambda commit: (commit.committed_at, commit.load_id), default=None)
    chain = [commit.window for commit in known if commit.mode in CHAIN_MODES and _is_after(commit, last)]
    if last is not None and last.window.end > ORIGIN:
        chain.append(last.window)
    return windows.high_water_mark(chain)


def _is_after(commit: Commit, rewind: Commit | None) -> bool:
    if rewind is None:
        return True
    return commit.committed_at > rewind.committed_at and commit.extracted_at > rewind.extracted_at


def state_sql(table: str, *, with_past: bool = False) -> str:
    """Per dataset its high-water mark (as `high_water_mark`), its newest read and, if asked for, past loads.

    Windows are put in order of their starts, the unbounded first. One that begins after all before it have
    ended opens a gap; the chain is what lies before the first gap. Reads that brought nothing new are passed
    over: conditional requests need the manifest that names the bodies.
    """
    order = "window_start IS NOT NULL, window_start, window_end, load_id"
    over = f"PARTITION BY source, dataset ORDER BY {order} ROWS BETWEEN UNBOUNDED PRECEDING AND"
    modes = ", ".join(f"'{mode}'" for mode in CHAIN_MODES)
    past = f",\n{_past_sql(table)}" if with_past else ""
    joined = "\nLEFT JOIN past USING (source, dataset)" if with_past else ""
    return f"""\
WITH rewinds AS (
  SELECT source, dataset, load_id, extracted_at, committed_at
  FROM {table}
  WHERE mode = '{REWIND}'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, dataset ORDER BY committed_at DESC, load_id DESC) = 1
),
counting AS (
  SELECT l.*
  FROM {table} AS l
  LEFT JOIN rewinds AS r ON l.source = r.source AND l.dataset = r.dataset
  WHERE l.load_id = r.load_id OR r.load_id IS NULL
    OR (l.committed_at > r.committed_at AND l.extracted_at > r.extracted_at)
),
windows AS (
  SELECT source, dataset, window_start, window_end, load_id,
    MAX(window_end) OVER ({over} 1 PRECEDING) AS covered
  FROM counting
  WHERE mode IN ({modes}) OR (mode = '{REWIND}' AND window_end > TIMESTAMP '0001-01-01 00:00:00+00')
),
chains AS (
  SELECT source, dataset, window_end,
    SUM(IF(window_start IS NOT NULL AND (covered IS NULL OR window_start > covered), 1, 0))
      OVER ({over} CURRENT ROW) AS gaps
  FROM windows
),
marks AS (
  SELECT source, dataset, MAX(IF(gaps = 0, window_end, NULL)) AS high_water_mark
  FROM chains
  GROUP BY source, dataset
),
reads AS (
  SELECT source, dataset, raw_manifest_uri, catalog_fingerprint
  FROM counting
  WHERE NOT unchanged_source AND mode != '{REWIND}'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, dataset ORDER BY extracted_at DESC, load_id DESC) = 1
){past}
SELECT source, dataset, high_water_mark, raw_manifest_uri, catalog_fingerprint{", past" if with_past else ""}
FROM (SELECT DISTINCT source, dataset FROM {table})
LEFT JOIN marks USING (source, dataset)
LEFT JOIN reads USING (source, dataset){joined}"""  # noqa: S608 - the name is quoted


def _past_sql(table: str) -> str:
    """The newest past loads, and the newest of the hour of the week of `@at`, as a JSON text per dataset."""
    order = "ORDER BY window_end DESC, committed_at DESC, load_id"
    return f"""\
dated AS (
  SELECT source, dataset, landed, window_end, committed_at, load_id,
    TIMESTAMP_DIFF(window_end, window_start, SECOND) AS seconds,
    EXTRACT(DAYOFWEEK FROM window_end) = EXTRACT(DAYOFWEEK FROM @at)
      AND EXTRACT(HOUR FROM window_end) = EXTRACT(HOUR FROM @at) AS is_same_hour
  FROM {table}
  WHERE mode = 'scheduled' AND window_start IS NOT NULL AND window_end < @at AND NOT unchanged_source
),
aged AS (
  SELECT *,
    ROW_NUMBER() OVER (PARTITION BY source, dataset {order}) AS age,
    ROW_NUMBER() OVER (PARTITION BY source, dataset, is_same_hour {order}) AS age_of_hour
  FROM dated
),
past AS (
  SELECT source, dataset,
    TO_JSON_STRING(ARRAY_AGG(
      STRUCT(landed AS landed, seconds AS seconds, is_same_hour AS is_same_hour) ORDER BY age
    )) AS past
  FROM aged
  WHERE age <= {MOST_PAST} OR (is_same_hour AND age_of_hour <= {MOST_PAST})
  GROUP BY source, dataset
)"""  # noqa: S608 - the name is quoted
