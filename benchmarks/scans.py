"""What BigQuery reads for a statement of dbt: which columns, and whether constants prune the partitions.

Views are opened, and columns that nobody uses further up are left out, as BigQuery does; joins and subqueries
prune nothing. Knows no sizes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import expressions as exp
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import traverse_scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DIALECT = "bigquery"
VIEW = re.compile(r"\s*(/\*.*?\*/)?\s*create or replace view\b", re.IGNORECASE | re.DOTALL)
"""Behind dbt's comment."""
TEMPORARY = re.compile(r"__dbt_tmp\d+$")


@dataclass(frozen=True)
class Scan:
    """One table that a statement reads."""

    table: str
    """`dataset.table`."""
    columns: frozenset[str]
    pruned: bool
    """Whether the conditions compare the partition column with constants: those of what was touched."""
    recent_days: int | None = None
    """How far back it reads, where the condition says that instead."""
    writes: bool = False
    """Whether all columns of the partitions are billed beside: a MERGE updates them."""


def views(statements: list[str]) -> dict[str, exp.Expression]:
    """The queries of the views that the statements make."""
    found = {}
    for sql in statements:
        if VIEW.match(sql):
            made = sqlglot.parse_one(sql, read=DIALECT)
            target = made.find(exp.Table)
            found[name_of(target)] = made.expression
    return found


def name_of(table: exp.Expression | None) -> str:
    """`dataset.table`, without the number of a temporary one; empty for a CTE."""
    return (
        f"{table.db}.{TEMPORARY.sub('__dbt_tmp', table.name)}"
        if isinstance(table, exp.Table) and table.db
        else ""
    )


class Reader:
    """Reads statements over tables and views.

    Args:
        schema: Table → column → type.
        partitions: Table → its partition column.
        opened: View → its query.
    """

    def __init__(
        self, schema: Mapping[str, Mapping[str, str]], partitions: Mapping[str, str],
        opened: Mapping[str, exp.Expression],
    ) -> None:  # fmt: skip
        self._partitions, self._opened = partitions, opened
        self._schema: dict[str, dict[str, dict[str, str]]] = {}
        for table, columns in schema.items():
            dataset, _, name = table.partition(".")
            named = self._schema.setdefault(dataset, {})
            named[name] = named[f"{name}__dbt_tmp"] = dict(columns)

    def scans(self, sql: str) -> list[Scan]:
        """What the statement reads; nothing for one that makes a view, or reads no table."""
        statement = sqlglot.parse_one(sql, read=DIALECT)
        if isinstance(statement, exp.Create):
            if statement.args["kind"] != "TABLE" or statement.expression is None:
                return []
            return self._query(statement.expression)
        if isinstance(statement, exp.Merge):
            return self._merge(statement)
        return self._query(statement) if isinstance(statement, exp.Query) else []

    def _merge(self, merge: exp.Merge) -> list[Scan]:
        target, alias = merge.this, merge.this.alias
        on = merge.args["on"]
        whens = merge.args["whens"].expressions
        # of what is not matched by any row of the source: what the statement deletes
        others = [when.args["condition"] for when in whens if when.args.get("source")]
        conditions = [on, *others]
        columns = frozenset(
            c.name for one in conditions for c in one.find_all(exp.Column) if c.table == alias
        )
        name = name_of(target)
        pruned, _ = self._pruned(name, others if others else [on])
        return [Scan(name, columns, pruned, writes=True)]

    def _query(self, query: exp.Expression) -> list[Scan]:
        whole = self._open(query.copy())
        for table in whole.find_all(exp.Table):
            table.set("catalog", None)
            table.this.set("this", TEMPORARY.sub("__dbt_tmp", table.name))
        for cut in list(whole.find_all(exp.DateTrunc, exp.TimestampTrunc)):  # else made a range, which prunes
            cut.replace(exp.Anonymous(this="cut", expressions=[cut.this]))
        whole = qualify(
            whole,
            schema=self._schema,
            dialect=DIALECT,
            validate_qualify_columns=False,
            quote_identifiers=False,
        )
        whole = pushdown_projections(pushdown_predicates(whole, dialect=DIALECT))
        return list(self._read(whole))

    def _open(self, query: exp.Expression) -> exp.Expression:
        for table in list(query.find_all(exp.Table)):
            view = self._opened.get(name_of(table))
            if view is not None:
                inner = self._open(view.copy())
                table.replace(exp.Subquery(this=inner, alias=exp.to_identifier(table.alias_or_name)))
        return query

    def _read(self, whole: exp.Expression) -> Iterator[Scan]:
        for scope in traverse_scope(whole):
            for alias, source in scope.sources.items():
                if not isinstance(source, exp.Table) or not (name := name_of(source)):
                    continue
                if (alias, source) not in [(a, s) for a, (_, s) in scope.selected_sources.items()]:
                    continue
                columns = frozenset(column.name for column in scope.columns if column.table == alias)
                where = scope.expression.args.get("where")
                inner = [join for join in scope.expression.args.get("joins") or () if not join.side]
                conditions = [where.this] if where else []
                conditions += [join.args["on"] for join in inner if join.args.get("on")]
                yield Scan(name, columns, *self._pruned(name, conditions))

    def _pruned(self, table: str, conditions: list[exp.Expression]) -> tuple[bool, int | None]:
        column = self._partitions.get(table)
        if column is None:
            return False, None
        parts = [part for one in conditions for part in _conjuncts(one)]
        if any(_compares(part, column) for part in parts) or _is_stretch(parts, column):
            return True, None
        return False, min(filter(None, (_recent_days(part, column) for part in parts)), default=None)


def _conjuncts(condition: exp.Expression) -> Iterator[exp.Expression]:
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition


def _compares(condition: exp.Expression, column: str) -> bool:
    """Whether it leaves out every partition that no constant names."""
    condition = condition.unnest()
    if isinstance(condition, exp.Or):
        return _compares(condition.left, column) and _compares(condition.right, column)
    if isinstance(condition, exp.Boolean):
        return not condition.this
    if isinstance(condition, exp.And):
        return _is_stretch(list(_conjuncts(condition)), column)
    if not _is_of(condition, column):
        return False
    if isinstance(condition, exp.In):
        return not condition.args.get("query") and all(map(_is_constant, condition.expressions))
    return isinstance(condition, exp.EQ | exp.Is) and _is_constant(condition.expression)


def _is_stretch(parts: list[exp.Expression], column: str) -> bool:
    """Whether they are a first and a last of neighbouring partitions; one of them alone is no help."""
    kinds = [exp.GTE, exp.LT]
    bounds = [part.unnest() for part in parts]
    return all(
        any(type(b) is kind and _is_of(b, column) and _is_constant(b.expression) for b in bounds)
        for kind in kinds
    )


def _is_of(condition: exp.Expression, column: str) -> bool:
    return isinstance(condition.this, exp.Column) and condition.this.name == column


def _recent_days(condition: exp.Expression, column: str) -> int | None:
    """How many days back from today a condition reaches; rows without a date may be meant too."""
    condition = condition.unnest()
    if isinstance(condition, exp.Or):
        sides = [one.unnest() for one in condition.flatten()]
        rest = [one for one in sides if not (isinstance(one, exp.Is) and _is_of(one, column))]
        return _recent_days(rest[0], column) if len(rest) == 1 else None
    if not (isinstance(condition, exp.GTE) and _is_of(condition, column)):
        return None
    if not condition.find(exp.CurrentDate, exp.CurrentTimestamp) or not _is_constant(condition.expression):
        return None
    numbers = [int(number.this) for number in condition.find_all(exp.Literal) if number.this.isdigit()]
    return numbers[0] if len(numbers) == 1 else None


def _is_constant(value: exp.Expression) -> bool:
    return not list(value.find_all(exp.Column, exp.Query))
