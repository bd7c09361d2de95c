"""A table held against another that was built beside it: rows, keys, and every column by count and checksum.

Only rows that are there count: tombstones are told apart. A checksum does not depend on the order of rows:
it is the XOR of a fingerprint of key and value of each. Knows SQL, not how either table came to be.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tideline.warehouse.names import quote
from tideline.warehouse.schema import METADATA, from_api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tideline.catalog.model import Dataset
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field

EXAMPLES = 5
_EXTRA = "_extra"
_COUNTS = (
    "live_rows",
    "shadow_rows",
    "live_tombstones",
    "shadow_tombstones",
    "only_live",
    "only_shadow",
)
_METADATA_NAMES = {field.name for field in METADATA} - {_EXTRA}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of both tables. `differing` counts keys of both whose values differ."""

    name: str
    live_checksum: int | None
    shadow_checksum: int | None
    differing: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs.

    Attributes:
        live_rows: Rows of the live table, tombstones left out.
        shadow_rows: The same of the other.
        live_tombstones: Its tombstones.
        shadow_tombstones: The same of the other.
        only_live: Keys that only the live table has.
        only_shadow: Keys that only the other has.
        columns: The columns that both have with the same type.
        reshaped: Columns that only one has, or that have another type there, in words.
        examples: Some keys that only the live table has.
    """

    live_rows: int
    shadow_rows: int
    live_tombstones: int
    shadow_tombstones: int
    only_live: int
    only_shadow: int
    columns: tuple[Column, ...]
    reshaped: tuple[str, ...]
    examples: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether the tables say the same."""
        return not (
            self.only_live or self.only_shadow or self.reshaped or any(c.differing for c in self.columns)
        )

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        lists = {key: list(getattr(self, key)) for key in ("reshaped", "examples")}
        columns = [asdict(column) for column in self.columns]
        return {**asdict(self), **lists, "columns": columns, "is_same": self.is_same}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """Undo `to_json`."""
        given = {key: value for key, value in data.items() if key != "is_same"}
        columns = tuple(Column(**column) for column in data["columns"])
        lists = {key: tuple(data[key]) for key in ("reshaped", "examples")}
        return cls(**{**given, **lists, "columns": columns})


def compare(dataset: Dataset, live: TableName, shadow: TableName, warehouse: Warehouse) -> Comparison:
    """Hold the live table against its shadow.

    Raises:
        WarehouseRefusedError: One of them is not there.
    """
    fields = [_fields(warehouse, name) for name in (live, shadow)]
    shared, reshaped = _shared(*fields)
    labels = {"source": dataset.source, "dataset": dataset.name}
    sql = comparison_sql(dataset.key, shared, live, shadow)
    (row,) = warehouse.rows(sql, kind="compare", labels=labels)
    return Comparison(
        **{name: int(row[name]) for name in _COUNTS},
        columns=tuple(
            Column(name, row[f"live_{n}"], row[f"shadow_{n}"], int(row[f"differing_{n}"]))
            for n, name in enumerate(shared)
        ),
        reshaped=reshaped,
        examples=tuple(row["examples"] or ()),
    )


def comparison_sql(key: Sequence[str], columns: Sequence[str], live: TableName, shadow: TableName) -> str:
    """One row with everything that `Comparison` says of rows, keys and these columns."""
    per_column = [
        f"BIT_XOR(FARM_FINGERPRINT(CONCAT({t}.key, ':', {t}.v{n}))) AS {side}_{n}"
        for n in range(len(columns))
        for t, side in (("l", "live"), ("s", "shadow"))
    ]
    differing = [
        f"COUNTIF(l.key IS NOT NULL AND s.key IS NOT NULL AND l.v{n} != s.v{n}) AS differing_{n}"
        for n in range(len(columns))
    ]
    lines = ",\n  ".join((*per_column, *differing))
    return f"""\
WITH l AS (
{_rows(key, columns, live)}
),
s AS (
{_rows(key, columns, shadow)}
)
SELECT
  COUNT(l.key) AS live_rows,
  COUNT(s.key) AS shadow_rows,
  (SELECT COUNT(*) FROM {live.sql} WHERE _deleted_at IS NOT NULL) AS live_tombstones,
  (SELECT COUNT(*) FROM {shadow.sql} WHERE _deleted_at IS NOT NULL) AS shadow_tombstones,
  COUNTIF(s.key IS NULL) AS only_live,
  COUNTIF(l.key IS NULL) AS only_shadow,
  ARRAY(
    SELECT l.key FROM l LEFT JOIN s ON l.key = s.key WHERE s.key IS NULL ORDER BY l.key LIMIT {EXAMPLES}
  ) AS examples,
  {lines}
FROM l FULL JOIN s ON l.key = s.key"""  # noqa: S608 - names are quoted


def _rows(key: Sequence[str], columns: Sequence[str], table: TableName) -> str:
    keys = ", ".join(f"t.{quote(name)} AS {quote(name)}" for name in key)
    values = "".join(
        f",\n    IFNULL(TO_JSON_STRING(t.{quote(name)}), 'null') AS v{n}" for n, name in enumerate(columns)
    )
    return f"""\
  SELECT
    TO_JSON_STRING(STRUCT({keys})) AS key{values}
  FROM {table.sql} AS t
  WHERE t._deleted_at IS NULL"""  # noqa: S608 - names are quoted


def _fields(warehouse: Warehouse, name: TableName) -> tuple[Field, ...]:
    table = warehouse.tables.get(name)
    found = () if table is None else from_api(table.schema)
    return tuple(field for field in found if field.name not in _METADATA_NAMES)


def _shared(live: Sequence[Field], shadow: Sequence[Field]) -> tuple[list[str], tuple[str, ...]]:
    """Columns that both have with the same type; and the others, in words."""
    before, after = ({field.name.lower(): field for field in fields} for fields in (live, shadow))
    shared, others = [], []
    for name in dict.fromkeys((*after, *before)):
        old, new = before.get(name), after.get(name)
        if old and new and old.type_sql == new.type_sql:
            shared.append(new.name)
        else:
            others.append(_reshaped(old, new))
    return shared, tuple(others)


def _reshaped(old: Field | None, new: Field | None) -> str:
    if old and new:
        return f"{new.name} becomes {new.type_sql}, was {old.type_sql}"
    if new:
        return f"{new.name} {new.type_sql} is new"
    return f"{old.name if old else ''} is gone"
