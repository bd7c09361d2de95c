"""The queries behind a report. Pure text over the ledger's table; each bounds its days and its rows.

Knows the ledger's columns. A load is a row of any mode but `rewind`. Where loads of one raw manifest are
counted (what is refused, what differs), the newest counts: a replay says anew what its records are worth.
"""

from __future__ import annotations

from tideline.warehouse.drift import array_sql
from tideline.warehouse.state import REWIND

COUNTS = (
    "landed",
    "refined",
    "quarantined",
    "inserted",
    "updated",
    "unchanged",
    "revived",
    "stale",
    "duplicates",
    "deleted",
)
"""The ledger's counts of rows, in the order in which people read them."""
_NEWEST = "QUALIFY ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY committed_at DESC, load_id DESC) = 1"
# by the attempt, which names one landing wherever the lake lies
_NEWEST_OF_RAW = _NEWEST.format(key="source, dataset, REGEXP_EXTRACT(raw_manifest_uri, r'[^/]+/[^/]+$')")


def summary_sql(table: str) -> str:
    """Per dataset its newest load, the sums of the loads since @day, and what is refused and open."""
    sums = ", ".join(f"SUM({name}) AS {name}" for name in COUNTS)
    return f"""\
WITH loads AS (
  SELECT * FROM {table} WHERE committed_at >= @since AND mode != '{REWIND}'
),
newest AS (
  SELECT * FROM loads
  {_NEWEST.format(key="source, dataset")}
),
opened AS (
  SELECT source, dataset, SUM(quarantined) AS quarantined_open, COUNTIF(quarantined > 0) AS quarantined_loads
  FROM (
    SELECT source, dataset, quarantined FROM loads
    {_NEWEST_OF_RAW}
  )
  GROUP BY source, dataset
),
days AS (
  SELECT source, dataset, COUNT(*) AS loads, {sums}
  FROM loads WHERE committed_at >= @day
  GROUP BY source, dataset
)
SELECT n.source, n.dataset, n.load_id, n.run_id, n.mode, n.window_start, n.window_end, n.extracted_at,
  n.committed_at, n.landed AS last_landed, n.refined AS last_refined, n.quarantined AS last_quarantined,
  o.quarantined_open, o.quarantined_loads, IFNULL(d.loads, 0) AS loads,
  {", ".join(f"IFNULL(d.{name}, 0) AS {name}" for name in COUNTS)}
FROM newest AS n
LEFT JOIN opened AS o ON o.source = n.source AND o.dataset = n.dataset
LEFT JOIN days AS d ON d.source = n.source AND d.dataset = n.dataset"""  # noqa: S608 - the name is quoted


def loads_sql(table: str) -> str:
    """The newest rows of one dataset, rewinds too."""
    return f"""\
SELECT * FROM {table}
WHERE committed_at >= @since AND source = @source AND dataset = @dataset
ORDER BY committed_at DESC, load_id DESC
LIMIT @rows"""  # noqa: S608 - the name is quoted


def load_sql(table: str) -> str:
    """One load. Its id begins with its dataset, so that clustering serves it."""
    return f"""\
SELECT * FROM {table}
WHERE committed_at >= @since AND source = @source AND dataset = @dataset AND load_id = @load_id
ORDER BY committed_at
LIMIT 1"""  # noqa: S608 - the name is quoted


def refused_sql(table: str) -> str:
    """The newest load of each raw manifest that refused rows: what is open."""
    return f"""\
SELECT source, dataset, load_id, raw_manifest_uri, quarantine_manifest_uri, landed, quarantined, reasons,
  extracted_at, committed_at
FROM (
  SELECT * FROM {table}
  WHERE committed_at >= @since AND mode != '{REWIND}' AND (@source IS NULL OR source = @source)
    AND (@dataset IS NULL OR dataset = @dataset)
  {_NEWEST_OF_RAW}
)
WHERE quarantined > 0
ORDER BY committed_at DESC, load_id DESC
LIMIT @rows"""  # noqa: S608 - the name is quoted


def known_sql(table: str) -> str:
    """The manifests that loads since @since were made from, for telling apart what is not merged yet."""
    return f"""\
SELECT raw_manifest_uri, raw_manifest_uris, quarantine_manifest_uri FROM {table}
WHERE committed_at >= @since AND mode != '{REWIND}' AND (@source IS NULL OR source = @source)
  AND (@dataset IS NULL OR dataset = @dataset)
LIMIT @rows"""  # noqa: S608 - the name is quoted


def drift_sql(table: str) -> str:
    """Per difference when it was first and last seen, in how many loads and records, and its newest example.

    By the time of reading, not of merging: a ledger that was rebuilt from manifests says the same.
    """
    return f"""\
WITH loads AS (
  SELECT source, dataset, load_id, extracted_at, drift FROM {table}
  WHERE committed_at >= @since AND mode != '{REWIND}'
  {_NEWEST_OF_RAW}
)
SELECT l.source, l.dataset, JSON_VALUE(d, '$.path') AS path, JSON_VALUE(d, '$.kind') AS kind,
  SUM(CAST(JSON_VALUE(d, '$.count') AS INT64)) AS records, COUNT(*) AS loads,
  MIN(l.extracted_at) AS first_seen, MAX(l.extracted_at) AS last_seen,
  ARRAY_AGG(JSON_VALUE(d, '$.example') ORDER BY l.extracted_at DESC, l.load_id DESC LIMIT 1)[OFFSET(0)]
    AS example,
  ARRAY_AGG(l.load_id ORDER BY l.extracted_at DESC, l.load_id DESC LIMIT 1)[OFFSET(0)] AS load_id
FROM loads AS l, {array_sql("l.drift")} AS d
GROUP BY source, dataset, path, kind
ORDER BY last_seen DESC, records DESC, source, dataset, path, kind
LIMIT @rows"""  # noqa: S608 - the name is quoted


def vanished_sql(table: str) -> str:
    """Declared columns that had values in nearly every load, and have had none in any since.

    A load does not say which columns were declared: where the catalog changed between the last that does not
    list a column as empty and the first that does, the column may be new, and has not vanished.

    Only loads count that had rows enough to tell (`tideline.refine.drift.MIN_ROWS`): those of fewer rows are
    as likely to lack a rare field by chance.
    """
    return f"""\
WITH loads AS (
  SELECT source, dataset, load_id, extracted_at, refined, empty_columns, catalog_fingerprint FROM {table}
  WHERE committed_at >= @since AND mode != '{REWIND}' AND refined >= @enough
  {_NEWEST_OF_RAW}
),
empty AS (
  SELECT l.source, l.dataset, l.load_id, JSON_VALUE(c, '$') AS path
  FROM loads AS l, {array_sql("l.empty_columns")} AS c
),
paths AS (
  SELECT DISTINCT source, dataset, path FROM empty
),
seen AS (
  SELECT p.source, p.dataset, p.path, l.load_id, l.extracted_at, l.refined, l.catalog_fingerprint,
    e.path IS NULL AS is_there
  FROM paths AS p
  JOIN loads AS l ON l.source = p.source AND l.dataset = p.dataset
  LEFT JOIN empty AS e ON e.load_id = l.load_id AND e.path = p.path
),
marked AS (
  SELECT *, MAX(IF(is_there, extracted_at, NULL)) OVER (PARTITION BY source, dataset, path) AS there_until
  FROM seen
)
SELECT source, dataset, path, SUM(IF(extracted_at > there_until, refined, 0)) AS records,
  COUNTIF(extracted_at > there_until) AS loads,
  MIN(IF(extracted_at > there_until, extracted_at, NULL)) AS first_seen, MAX(extracted_at) AS last_seen,
  MAX(there_until) AS last_there, MAX_BY(load_id, extracted_at) AS load_id
FROM marked
WHERE there_until IS NOT NULL
GROUP BY source, dataset, path
HAVING COUNTIF(extracted_at > there_until) > 0
  AND COUNTIF(is_there) >= @share * COUNTIF(extracted_at <= there_until)
  AND MAX_BY(catalog_fingerprint, IF(extracted_at <= there_until, extracted_at, NULL))
    = MIN_BY(catalog_fingerprint, IF(extracted_at > there_until, extracted_at, NULL))
ORDER BY last_seen DESC, source, dataset, path
LIMIT @rows"""  # noqa: S608 - the name is quoted
