"""Drift in the ledger: how a row spells it, and the SQL that takes it apart. Knows no client.

A row's `drift` is a JSON array of `{"path", "kind", "count", "example"}`, since BigQuery takes arrays apart
and not objects; its `empty_columns` is a JSON array of names.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NEW_FIELD = "new_field"


def drift_items(drift: Mapping[str, Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """What a manifest says of drift, one item for each difference, its path without the mark of its kind."""
    return [
        {
            "path": _bare(path, str(entry.get("kind", NEW_FIELD))),
            "kind": str(entry.get("kind", NEW_FIELD)),
            "count": int(entry.get("count", 0)),
            "example": str(entry.get("example", "")),
        }
        for path, entry in (drift or {}).items()
    ]


def drift_text(drift: Mapping[str, Mapping[str, Any]] | None) -> str | None:
    """The same as a ledger row has it; None for none."""
    found = drift_items(drift)
    return json.dumps(found, ensure_ascii=False) if found else None


def names_text(names: Iterable[str] | None) -> str | None:
    """Column names as a ledger row has them; None for none."""
    found = list(names or ())
    return json.dumps(found, ensure_ascii=False) if found else None


def reasons_text(reasons: Mapping[str, int] | None) -> str | None:
    """Reasons for refusal with their counts, as a ledger row has them; None for none."""
    return json.dumps(dict(reasons), ensure_ascii=False) if reasons else None


def array_sql(column: str) -> str:
    """The items of a JSON array in a text column; none where it holds anything else."""
    return f"UNNEST(JSON_QUERY_ARRAY(IF(STARTS_WITH({column}, '['), {column}, NULL)))"


def _bare(path: str, kind: str) -> str:
    """The path without the mark of its kind: `(missing column) title` → `title`."""
    mark = f"({kind.replace('_', ' ')}) "
    return path.removeprefix(mark) if kind != NEW_FIELD else path
