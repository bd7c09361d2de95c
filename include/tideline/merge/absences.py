"""What a whole read says by what it does not have: which rows of the table vanished. Pure, but for asking.

A row vanishes where it was last seen before the read, is no tombstone yet, and the read neither has its key
nor had it in a record that was refused. Does not know how a load is merged (`tideline.merge.sql`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tideline.merge.cap import Deletions
from tideline.warehouse.names import literal, quote
from tideline.warehouse.schema import declared
from tideline.window import as_utc

if TYPE_CHECKING:
    from datetime import datetime

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.merge.sql import Merge
    from tideline.warehouse.bigquery import Warehouse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Absences:
    """A read of everything.

    Attributes:
        read_at: The clock just before the source was first read.
        refused: The keys of refused records, as texts: they are there, whatever else is wrong with them.
    """

    read_at: datetime
    refused: tuple[tuple[str, ...], ...] = ()

    @property
    def at(self) -> str:
        """The instant at which absence was observed, as SQL."""
        return instant_sql(self.read_at)

    def condition(self, dataset: Dataset) -> str:
        """What holds for the rows `t` that vanished, if the load does not have their key."""
        seen_before = f"_t._deleted_at IS NULL AND _t._extracted_at < {self.at}"
        return f"{seen_before} AND NOT ({self._is_refused(dataset)})" if self.refused else seen_before

    def _is_refused(self, dataset: Dataset) -> str:
        types = [declared(dataset.column(name)).bare_sql for name in dataset.key]
        return " OR ".join(
            " AND ".join(
                f"_t.{quote(name)} = CAST({literal(text)} AS {kind})"
                for name, kind, text in zip(dataset.key, types, key, strict=True)
            )
            for key in self.refused
        )


def absences_of(dataset: Dataset, raw: Manifest, refined: Manifest) -> Absences | None:
    """What a load says by what it does not have; None where it is no whole read.

    That a read was whole is what the landing itself says (`details.whole`), not what the catalog says today.
    A refused record whose key cannot be read may be any row, and where rows were on two pages others may have
    been on none, so nothing is concluded then.
    """
    is_whole = raw.details.get("whole") and not raw.details.get("range") and not raw.unchanged
    refused = refined.details.get("refused_keys", None if refined.details.get("quarantined") else [])
    if not dataset.shows_absence or not is_whole:
        return None
    if refused is None:
        log.warning(
            "%s %s: refused records have no key that can be read, so no row counts as vanished",
            dataset.dataset_id, raw.window,
        )  # fmt: skip
        return None
    if moved := refined.details.get("moved_keys"):
        log.warning(
            "%s %s: %d keys were on two pages, so the listing moved while it was read, and no row counts as "
            "vanished; if that does not pass, have it sorted by its key (parameters in the catalog)",
            dataset.dataset_id, raw.window, moved,
        )  # fmt: skip
        return None
    return Absences(raw.extracted_at, tuple(tuple(key) for key in refused))


def vanishing(merge: Merge, warehouse: Warehouse) -> Deletions:
    """How many rows the load would turn into tombstones, of how many."""
    labels = {"source": merge.dataset.source, "dataset": merge.dataset.name}
    (row,) = warehouse.rows(vanishing_sql(merge), kind="absences", labels=labels)
    examples = tuple(str(key) for key in row["examples"] or ())
    return Deletions(int(row["vanished"]), int(row["live"]), examples)


def vanishing_sql(merge: Merge) -> str:
    """One row: live rows, those of them that vanish, and examples of their keys."""
    if merge.absences is None:
        raise ValueError("only a whole read lets rows vanish")
    dataset = merge.dataset
    keys = ", ".join(f"_t.{quote(name)} AS {quote(name)}" for name in dataset.key)
    return f"""\
WITH judged AS (
  SELECT TO_JSON_STRING(STRUCT({keys})) AS key,
    {merge.absences.condition(dataset)}
    AND NOT EXISTS (SELECT 1 FROM {merge.load.sql} AS _s WHERE {merge.same_key}) AS has_vanished
  FROM {merge.target.sql} AS _t
  WHERE _t._deleted_at IS NULL
)
SELECT COUNT(*) AS live, COUNTIF(has_vanished) AS vanished,
  ARRAY(SELECT key FROM judged WHERE has_vanished ORDER BY key LIMIT {Deletions.SHOWN}) AS examples
FROM judged"""  # noqa: S608 - names are quoted, literals are escaped


def instant_sql(instant: datetime) -> str:
    """A timestamp literal."""
    return f"TIMESTAMP '{as_utc(instant).replace(tzinfo=None).isoformat(sep=' ')}+00'"
