"""Corrections to how SQL is translated."""

from __future__ import annotations

# ruff: noqa: ANN401 - these replace functions of a library that is not installed where types are checked
import re
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from devstack.bigquery.corrections.registry import BIGNUMERIC, correction, module

if TYPE_CHECKING:
    from collections.abc import Callable

_CAST_WITH_DIGITS = re.compile(
    r"CAST\s*\(.*\bAS\s+(?:BIG)?(?:NUMERIC|DECIMAL|STRING|BYTES)\s*\(", re.IGNORECASE | re.DOTALL
)
_PLACES = {"line", "col", "start", "end"}


@correction
def ctas_parentheses() -> None:
    """`CREATE TABLE t (columns) AS (SELECT …)`, the form of dbt's contracts, is refused with 400."""
    from sqlglot import exp

    rewriter = module("sql.rewriter.create_table_schema_ctas")
    original = rewriter._apply_schema_ctas_rewrite

    def apply(create: Any) -> bool:
        while isinstance(create.expression, exp.Subquery) and not create.expression.alias:
            create.set("expression", create.expression.this)
        return bool(original(create))

    rewriter._apply_schema_ctas_rewrite = apply


@correction
def decimal_width() -> None:
    """NUMERIC becomes DECIMAL(18, 3) and BIGNUMERIC DECIMAL(38, 5): values are rounded, or overflow."""
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB

    widths = {exp.DataType.Type.DECIMAL: "DECIMAL(38, 9)", exp.DataType.Type.BIGDECIMAL: BIGNUMERIC}

    transforms = DuckDB.Generator.TRANSFORMS  # a table, as the class itself is compiled
    original = transforms[exp.DataType]

    def datatype_sql(generator: Any, kind: Any) -> str:
        bare = not kind.expressions and kind.this in widths
        return widths[kind.this] if bare else str(original(generator, kind))

    transforms[exp.DataType] = datatype_sql


@correction
def cast_digits() -> None:
    """`CAST(x AS NUMERIC(12, 2))` is taken; BigQuery takes no digits, nor lengths, in a cast."""
    from sqlglot import exp, parse_one

    translator, results = module("sql.translator").SQLTranslator, module("domain.result")
    refusal = module("domain.errors").InvalidQueryError
    translate = translator.translate

    def has_digits(sql: str) -> bool:
        casts = parse_one(sql, read="bigquery").find_all(exp.Cast)
        return any(cast.to.find(exp.DataTypeParam) for cast in casts)

    def checked(own: Any, sql: str, **options: Any) -> Any:
        found = translate(own, sql, **options)
        if _CAST_WITH_DIGITS.search(sql) and isinstance(found, results.Ok) and has_digits(sql):
            return results.Err(refusal("Parameterized types are not allowed in CAST expressions."))
        return found

    translator.translate = checked


@correction
def array_agg_distinct() -> None:
    """`ARRAY_AGG(DISTINCT x IGNORE NULLS)` becomes SQL that does not parse."""
    from sqlglot import exp

    rewriter = module("sql.rewriter.aggregate_variants")
    original = rewriter._filter_target

    def filter_target(operand: Any) -> Any:
        target = original(operand)
        return target.expressions[0] if isinstance(target, exp.Distinct) else target

    rewriter._filter_target = filter_target


@correction
def offsets_in_nested_arrays() -> None:
    """`WITH OFFSET` of an array within an array of records is left out: a binder error, or no order."""
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB

    def unnest_sql(generator: Any, unnest: Any) -> str:
        return str(generator.unnest_sql(unnest.copy()))  # writes a record twice, and unnest once only

    DuckDB.Generator.TRANSFORMS[exp.Unnest] = unnest_sql


@correction
def starred_records() -> None:
    """`SELECT *` leaves out records where the query also holds a function that is rewritten: UPPER."""
    schema = module("sql.catalog_schema")
    duckdb_type = schema._safe_bq_to_duckdb
    schema._safe_bq_to_duckdb = lambda bq_type: duckdb_type(bq_type) or "UNKNOWN"


@correction
def names_in_lower_case() -> None:
    """Names are in lower case where the query also holds a function that is rewritten: COUNTIF."""
    from sqlglot import errors

    translator = module("sql.translator")
    qualify = translator.qualify

    def spelled(tree: Any, **options: Any) -> Any:
        try:
            return qualify(
                tree.copy(), **options | {"dialect": "duckdb, normalization_strategy = case_sensitive"}
            )
        except errors.OptimizeError:  # a name that is spelled otherwise in the table, which BigQuery allows
            return qualify(tree.copy(), **options)

    translator.qualify = spelled


@correction
def merges_in_order() -> None:
    """A MERGE that updates rows in another order than they lie takes seconds for ten thousand of them.

    Each update then rewrites the list of all updates of its block. So the source is sorted like the target.
    """
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB

    def merge_sql(generator: Any, merge: Any) -> str:
        target, source, on = merge.this, merge.args["using"], merge.args["on"]
        columns = (column for part in (source, on) for column in part.find_all(exp.Column))
        is_written = any(column.name == "rowid" for column in columns)
        if source.alias and target.alias and list(on.find_all(exp.EQ)) and not is_written:
            rowid = exp.func("min", exp.column("rowid", target.alias))
            lies = exp.select(rowid).from_(target.copy()).where(on.copy())
            every = exp.Column(this=exp.Star(), table=exp.to_identifier(source.alias))
            ordered = exp.select(every).from_(source.copy()).order_by(lies.subquery())
            merge.set("using", ordered.subquery(source.alias))
        return str(generator.merge_sql(merge))

    DuckDB.Generator.TRANSFORMS[exp.Merge] = merge_sql


@correction
def merges_on_false() -> None:
    """`MERGE … ON FALSE`, with which dbt replaces partitions, holds every row against every other.

    With the square of them it takes seconds for some thousands. So they meet by an equality that none meets,
    and that is looked up: no row's number in its table is below 0.
    """
    from sqlglot import exp
    from sqlglot.dialects.duckdb import DuckDB

    transforms = DuckDB.Generator.TRANSFORMS
    original = transforms.get(exp.Merge, lambda generator, merge: generator.merge_sql(merge))

    def merge_sql(generator: Any, merge: Any) -> str:
        target, source, on = merge.this, merge.args["using"], merge.args["on"]
        if target.alias and source.alias and isinstance(on, exp.Boolean) and not on.this:
            number, row = exp.column("rowid", target.alias), exp.func("HASH", exp.column(source.alias))
            below = exp.Sub(this=exp.Literal.number(-1), expression=exp.cast(row, "INT128"))
            merge.set("on", exp.EQ(this=exp.cast(number, "INT128"), expression=below))
        return str(original(generator, merge))

    transforms[exp.Merge] = merge_sql


@correction
def parsed_once() -> None:
    """Every statement is parsed twenty times over, four fifths of the work; copies are half of the rest.

    Most who parse only look: they are lent the same tree. Who changes it does so by `set` or `append`, which
    forget its hash, and then writes it out: such a tree is lent to nobody else, nor copied to be written.
    """
    import sqlglot
    from sqlglot.dialects.dialect import Dialect

    parse, generate = sqlglot.parse_one, Dialect.generate
    part, statement = lru_cache(maxsize=64)(parse), lru_cache(maxsize=64)(lambda *_, **__: _Lent())
    last: deque[Any] = deque(maxlen=32)

    def lend(sql: str, **options: Any) -> Any:
        if options.get("into"):  # a type, which is put into other trees
            return part(sql, **options).copy()
        tree = statement(sql, **options).tree(lambda: _bare(parse(sql, **options)))
        if options.get("read"):  # the generator's templates have none; it copies them where it fills them in
            last.append(tree)
        return tree

    def write(dialect: Any, tree: Any, copy: bool = True, **options: Any) -> str:
        is_spent = tree._hash is None and any(tree is one for one in last)
        return str(generate(dialect, tree, copy=copy and not is_spent, **options))

    sqlglot.parse_one, Dialect.generate = lend, write


@correction
def translated_once() -> None:
    """A statement of the same tables is translated each time that it comes, as nearly half of them do."""
    translator, ok = module("sql.translator").SQLTranslator, module("domain.result").Ok
    translate = translator.translate

    @lru_cache(maxsize=256)
    def known(own: Any, sql: str, tables: tuple[Any, ...], caller: Any) -> Any:
        schema = {table: dict(columns) for table, columns in tables}
        found = translate(own, sql, schema=schema or None, caller=caller)
        if not isinstance(found, ok):
            raise _RefusedError(found)
        return found

    def translate_once(own: Any, sql: str, *, schema: Any = None, caller: Any = None, **_: Any) -> Any:
        tables = tuple((table, tuple(columns.items())) for table, columns in (schema or {}).items())
        try:
            return known(own, sql, tables, caller)
        except _RefusedError as refused:
            return refused.result

    translator.translate = translate_once


class _RefusedError(Exception):
    """What cannot be translated is not kept: its error would be raised again and again."""

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


class _Lent:
    """The tree of one statement. From the second change on, one is kept to be copied."""

    def __init__(self) -> None:
        self._tree: Any = None
        self._kept: Any = None

    def tree(self, parse: Callable[[], Any]) -> Any:
        """One that nobody has changed."""
        if self._tree is None:
            self._tree = parse()
        elif self._tree._hash is None:
            self._kept = parse() if self._kept is None else self._kept
            self._tree = self._kept.copy()
        hash(self._tree)  # every node keeps its own until it is changed
        return self._tree


def _bare(tree: Any) -> Any:
    """Without comments and places in the text: nobody asks for them, and they are dear to copy."""
    for node in tree.walk():
        node.comments = None
        if node._meta and node._meta.keys() <= _PLACES:
            node._meta = None
    return tree
