"""The text of the merge: one guarded MERGE, and the query that counts beforehand what it will do. Pure.

A row's version is `(version_at, _extracted_at, _raw_uri, _raw_position)`, a total order, with `version_at`
the change column but never later than the row was read, so that a stamp from the future cannot block later
updates. The newest version of each key in the load meets the target's row:

* the target is a tombstone and the row was read after it: the key is *revived*, whatever the stamps say;
* the target has a floor, `_superseded_at`: reads up to that instant count no more. A row read after it wins
  over a target read before, whatever the stamps say; one read before it is *stale* where the target was not;
* the row is newer and its content differs: *updated*, but a tombstone stays one;
* the row is newer and says the same: *unchanged*, and only where and when it was last seen moves on. Without
  that, reads A, B, A merged as 1, 3, 2 would end as B;
* the very record that the target came from, refined differently (the catalog got a column): *updated*;
* anything else is *stale* and changes nothing.

A dataset that is read whole each time (`Dataset.shows_absence`) also says what is not there, and that all
else is as it was read: its row wins over any that was read before, whatever the stamps say. A row of a read
older than the newest whole one, which does not have its key, comes too late: it becomes, or stays, a
tombstone. When that newest read was, the floors of the table's own rows say (`floors.whole_at`): it is never
out of step with them. Which rows a whole read turns into tombstones: `tideline.merge.absences`.

So loads may be merged twice, overlap, or come in any order. All names are quoted and all literals escaped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tideline.merge import floors
from tideline.merge.pruning import predicate
from tideline.merge.values import converted
from tideline.warehouse.names import literal, quote
from tideline.warehouse.schema import METADATA, load_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tideline.catalog.model import Dataset
    from tideline.merge.absences import Absences
    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field

OUTCOMES = ("inserted", "updated", "unchanged", "revived", "stale")
"""What can happen to the newest version of a key; the other rows of its key are duplicates."""

_METADATA_NAMES = {field.name for field in METADATA}
_VERSION = ("_extracted_at", "_raw_uri", "_raw_position")
_SEEN = ("_window_id", *_VERSION)
"""What moves on when a row is seen again as it was."""
_LOADED = ("_extra", "_row_hash", *_SEEN)


@dataclass(frozen=True, slots=True)
class Merge:
    """One load table and the table it goes into."""

    dataset: Dataset
    target: TableName
    fields: tuple[Field, ...]
    """The target's columns as they are, in their order."""
    load: TableName
    window_id: str
    partitions: tuple[str | None, ...] | None = None
    """Starts of the partitions that the load touches, as ISO texts, and None for NULL; None if not known."""
    absences: Absences | None = None
    """What the load says by not having it; None where it says nothing."""

    @property
    def sql(self) -> str:
        """See `merge_sql`."""
        return merge_sql(self)

    @property
    def counts_sql(self) -> str:
        """See `counts_sql`."""
        return counts_sql(self)

    @property
    def pruned(self) -> str | None:
        """What is true of every row of the target that the load can meet."""
        return predicate(self.dataset, None if self.absences else self.partitions, "_t")

    @property
    def same_key(self) -> str:
        """Plain equality: keys are never NULL."""
        return " AND ".join(f"_t.{quote(name)} = _s.{quote(name)}" for name in self.dataset.key)


def merge_sql(merge: Merge) -> str:
    """The MERGE of the load table into its target."""
    dataset = merge.dataset
    columns = [quote(column.name) for column in dataset.columns]
    pruned = f"\n  AND {merge.pruned}" if merge.pruned else ""
    born = floors.born(dataset, merge.absences)
    return f"""\
MERGE {merge.target.sql} AS _t
USING (
{_indent(_newest(merge))}
) AS _s
ON {merge.same_key}{pruned}
WHEN MATCHED AND (
  {floors.revives(dataset)}
  OR (_s._row_hash IS DISTINCT FROM _t._row_hash AND
{_indent(_wins(merge, or_same=True), 2)}
  )
) THEN UPDATE SET
  {_lines(_assignments(merge))}
WHEN MATCHED AND
{_indent(_wins(merge, or_same=False))}
THEN UPDATE SET
  {_lines((*(f"{name} = _s.{name}" for name in _SEEN), *floors.moved_on(dataset, merge.absences)))}
WHEN NOT MATCHED THEN INSERT (
  {_lines((*columns, *_LOADED, "_merged_at", "_deleted_at", "_superseded_at"))}
) VALUES (
  {_lines((*(f"_s.{name}" for name in (*columns, *_LOADED)), "CURRENT_TIMESTAMP()", *born))}
){floors.vanished(dataset, merge.absences)}"""  # noqa: S608 - names are quoted, literals are escaped


def counts_sql(merge: Merge) -> str:
    """One row that says what `merge_sql` will do with each row of the load.

    The six counts add up to the load's rows. A DML statistic cannot tell unchanged from updated.
    """
    dataset = merge.dataset
    stamp = [dataset.change_column] if dataset.change_column else []
    compared = map(quote, dict.fromkeys([*dataset.key, *stamp]))
    known = [f"_t.{name}" for name in (*compared, *_VERSION, "_row_hash", "_deleted_at", "_superseded_at")]
    born = f"IF({floors.LATE}, 'stale', 'inserted')" if dataset.shows_absence else "'inserted'"
    pruned = f"\n  WHERE {merge.pruned}" if merge.pruned else ""
    return f"""\
WITH _s AS (
{_indent(_newest(merge))}
),
_t AS (
  SELECT
    {_lines(known, 4)}
  FROM {merge.target.sql} AS _t{pruned}
),
outcomes AS (
  SELECT CASE
    WHEN _t.{quote(dataset.key[0])} IS NULL THEN {born}
    WHEN {floors.revives(dataset)} THEN 'revived'
    WHEN NOT
{_indent(_wins(merge, or_same=True), 3)}
    THEN 'stale'
    WHEN _s._row_hash IS DISTINCT FROM _t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM _s LEFT JOIN _t ON {merge.same_key}
)
SELECT
  {_lines(f"COUNTIF(outcome = '{outcome}') AS {outcome}" for outcome in OUTCOMES)},
  (SELECT COUNT(*) FROM {merge.load.sql}) - COUNT(*) AS duplicates
FROM outcomes"""  # noqa: S608 - names are quoted, literals are escaped


def _newest(merge: Merge) -> str:
    """The newest version of each key in the load, with the target's types and a hash of its content."""
    dataset = merge.dataset
    targets = {field.name.lower(): field for field in merge.fields}
    content = [field for field in load_fields(dataset) if field.name not in _VERSION]
    values = (
        f"{converted(f'_l.{quote(field.name)}', field, targets[field.name.lower()])} AS {quote(field.name)}"
        for field in content
    )
    hashed = ", ".join(f"_l.{quote(field.name)} AS {quote(field.name)}" for field in content)
    at, *rest = (f"{part} DESC" for part in _version(dataset, "_l"))
    return f"""\
SELECT
  {_lines(values)},
  TO_HEX(MD5(TO_JSON_STRING(STRUCT({hashed})))) AS _row_hash,
  {literal(merge.window_id)} AS _window_id,
  {_lines((*(f"_l.{name}" for name in _VERSION), *floors.whole_at(dataset, merge.target)))}
FROM {merge.load.sql} AS _l
WHERE TRUE
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY {", ".join(f"_l.{quote(name)}" for name in dataset.key)}
  ORDER BY {at}, {", ".join(rest)}
) = 1"""  # noqa: S608 - names are quoted, literals are escaped


def _assignments(merge: Merge) -> Iterator[str]:
    """Everything of the row but its key. What the catalog no longer has becomes NULL."""
    dataset = merge.dataset
    yield from (f"{quote(c.name)} = _s.{quote(c.name)}" for c in dataset.columns if c.name not in dataset.key)
    declared = {column.name.lower() for column in dataset.columns} | _METADATA_NAMES
    yield from (f"{quote(field.name)} = NULL" for field in merge.fields if field.name.lower() not in declared)
    yield from (f"{name} = _s.{name}" for name in _LOADED)
    yield "_merged_at = CURRENT_TIMESTAMP()"
    if not dataset.shows_absence:
        yield f"_deleted_at = IF({floors.REVIVES}, NULL, _t._deleted_at)"
    yield from floors.moved_on(dataset, merge.absences)


def _wins(merge: Merge, *, or_same: bool) -> str:
    """Whether the row of a key takes the target's place, tombstones aside; never NULL."""
    return f"""\
(NOT IFNULL({floors.SUPERSEDED}, FALSE) AND (
  IFNULL({floors.overcomes(merge.absences)}, FALSE)
  OR (
{_indent(_is_newer(merge.dataset, "_s", or_same=or_same), 2)}
  )
))"""


def _version(dataset: Dataset, alias: str) -> tuple[str, str, str, str]:
    """The parts of a row's version, most significant first."""
    seen, uri, position = (f"{alias}.{name}" for name in _VERSION)
    if alias == "_t":  # a tombstone of a key that was never merged has none of them
        seen, uri, position = (
            f"IFNULL({seen}, {floors.OLDEST})",
            f"IFNULL({uri}, '')",
            f"IFNULL({position}, -1)",
        )
    if dataset.change_column is None:
        return seen, seen, uri, position
    stamp = f"{alias}.{quote(dataset.change_column)}"
    return f"IFNULL(LEAST({stamp}, {alias}._extracted_at), {floors.OLDEST})", seen, uri, position


def _is_newer(dataset: Dataset, source: str, *, or_same: bool) -> str:
    """Whether the source's version is above the target's, part by part; `or_same`: or is the target's."""
    *higher, last = dict.fromkeys(zip(_version(dataset, source), _version(dataset, "_t"), strict=True))
    lines = [f"{s} > {t} OR ({s} = {t} AND (" for s, t in higher]
    lines.append(f"{last[0]} {'>=' if or_same else '>'} {last[1]}" + "))" * len(higher))
    return "\n".join(lines)


def _lines(parts: Iterable[str], indent: int = 2) -> str:
    return (",\n" + " " * indent).join(parts)


def _indent(text: str, levels: int = 1) -> str:
    return "\n".join(f"{'  ' * levels}{line}" for line in text.split("\n"))
