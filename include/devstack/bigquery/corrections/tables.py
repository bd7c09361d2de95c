"""Corrections to tables, their schemas and what is loaded into them."""

from __future__ import annotations

# ruff: noqa: ANN401 - these replace functions of a library that is not installed where types are checked
from contextvars import ContextVar
from typing import Any

from devstack.bigquery.corrections.registry import BIGNUMERIC, DUCKDB_DIGITS, correction, module

_if_match: ContextVar[bytes | None] = ContextVar("if_match", default=None)


@correction
def parquet_by_name() -> None:
    """Parquet columns are matched by position: those of one type swap. Folders named `a=b` become columns."""
    executor = module("jobs.executor")

    def load(path: str, target_ref: str, ctx: Any) -> None:
        ctx.engine.execute(
            f"INSERT INTO {target_ref} BY NAME "  # noqa: S608 - the emulator quotes the reference itself
            "SELECT * FROM read_parquet(?, hive_partitioning = false, union_by_name = true)",
            [path],
        )

    executor._load_parquet = load
    executor._LOAD_FORMAT_HANDLERS["PARQUET"] = load


@correction
def missing_dataset() -> None:
    """`tables.insert` into a dataset that does not exist answers 500 instead of 404."""
    import duckdb

    engine, errors = module("storage.engine").DuckDBEngine, module("domain.errors")
    original = engine.execute

    def execute(self: Any, sql: str, parameters: list[Any] | None = None) -> Any:
        try:
            return original(self, sql, parameters)
        except duckdb.CatalogException as error:
            if sql.startswith("CREATE TABLE") and "Schema with name" in str(error):
                raise errors.NotFoundError("Not found: Dataset of the table") from error
            raise

    engine.execute = execute


@correction
def schema_digits() -> None:
    """A column's precision and scale are dropped when a table is made: its schema reads back as another."""
    tables = module("api.routes.tables")
    parse, render = tables._parse_schema_fields, tables._field_to_rest
    digits = ("precision", "scale")

    def parse_fields(raw: list[dict[str, Any]]) -> tuple[Any, ...]:
        return tuple(
            field.model_copy(update={name: int(given[name]) for name in digits if given.get(name)})
            for field, given in zip(parse(raw), raw, strict=True)
        )

    def field_to_rest(field: Any) -> dict[str, Any]:
        kept = {name: str(getattr(field, name)) for name in digits if getattr(field, name)}
        return {**render(field), **kept}

    # both recurse into records through their module's name, so that nested columns pass here too
    tables._parse_schema_fields, tables._field_to_rest = parse_fields, field_to_rest


def _bignumeric_digits(field: dict[str, Any]) -> tuple[int, int]:
    precision, scale = field.get("precision"), field.get("scale")
    if precision and int(precision) <= DUCKDB_DIGITS:
        return int(precision), int(scale or 0)
    return DUCKDB_DIGITS, min(int(scale), DUCKDB_DIGITS) if precision and scale else DUCKDB_DIGITS // 2


@correction
def bignumeric_tables() -> None:
    """A table with a BIGNUMERIC column is refused (500); Parquet decimals of over 38 digits become doubles.

    DuckDB has 38 digits: a column gets those it declares, else 19 before and 19 after the point. A value that
    does not fit fails its load.
    """
    types, executor = module("storage.type_map"), module("jobs.executor")
    columns, load_parquet = types.bq_schema_to_duckdb_columns, executor._load_parquet

    def duckdb_columns(fields: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return [
            (name, kind.replace("DECIMAL(76, 38)", _bignumeric(field.get("precision"), field.get("scale"))))
            for field, (name, kind) in zip(fields, columns(fields), strict=True)
        ]

    def load(path: str, target_ref: str, ctx: Any) -> None:
        narrow = _narrowed(path)
        if narrow is None:
            load_parquet(path, target_ref, ctx)
            return
        ctx.engine.connection.register("_tideline_load", narrow)
        try:
            ctx.engine.execute(f"INSERT INTO {target_ref} BY NAME SELECT * FROM _tideline_load")  # noqa: S608
        finally:
            ctx.engine.connection.unregister("_tideline_load")

    # it calls itself for records through its module's name, so that nested columns pass here too
    types.bq_schema_to_duckdb_columns = duckdb_columns
    module("api.routes.tables").bq_schema_to_duckdb_columns = duckdb_columns
    executor._load_parquet = load
    executor._LOAD_FORMAT_HANDLERS["PARQUET"] = load


@correction
def record_names() -> None:
    """A record with a field that DuckDB reserves, such as `at`, is refused (500): its name is not quoted."""
    types = module("storage.type_map")
    columns = types.bq_schema_to_duckdb_columns

    def quoted(field: dict[str, Any]) -> dict[str, Any]:
        inside = [{**child, "name": f'"{child["name"]}"'} for child in field.get("fields") or ()]
        return {**field, "fields": inside} if inside else field

    def duckdb_columns(fields: list[dict[str, Any]]) -> Any:
        return columns([quoted(field) for field in fields])

    # it calls itself for records through its module's name: each level quotes the one below
    types.bq_schema_to_duckdb_columns = duckdb_columns
    module("api.routes.tables").bq_schema_to_duckdb_columns = duckdb_columns


def _bignumeric(precision: Any, scale: Any) -> str:
    if precision is None or (int(precision), int(scale or 0)) == (76, 38):
        return BIGNUMERIC
    return f"DECIMAL({min(int(precision), DUCKDB_DIGITS)}, {int(scale or 0)})"


def _narrowed(path: str) -> Any:
    """The file as a table whose decimals DuckDB reads without loss; None where it reads the file itself."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def narrow(kind: Any) -> Any:
        if pa.types.is_decimal256(kind):
            digits = _bignumeric(kind.precision, kind.scale).removeprefix("DECIMAL(").removesuffix(")")
            return pa.decimal128(*map(int, digits.split(",")))
        if pa.types.is_struct(kind):
            return pa.struct([field.with_type(narrow(field.type)) for field in kind])
        return pa.list_(narrow(kind.value_type)) if pa.types.is_list(kind) else kind

    schema = pq.read_schema(path)
    wanted = pa.schema([field.with_type(narrow(field.type)) for field in schema])
    return None if wanted.equals(schema) else pq.read_table(path, partitioning=None).cast(wanted)


@correction
def schema_changes() -> None:
    """`tables.patch` with a schema changes what `tables.get` says and leaves the table as it was."""
    repository = module("catalog.duckdb_repository").DuckDBCatalogRepository
    tables, types = module("api.routes.tables"), module("storage.type_map")
    quoted = module("storage.sql_identifiers").quoted_table_ref
    original = repository.update_table

    def update_table(self: Any, meta: Any) -> Any:
        before = self.get_table(meta.project_id, meta.dataset_id, meta.table_id)
        if meta.table_type == "TABLE" and before is not None and before.schema_ != meta.schema_:
            table = quoted(meta.project_id, meta.dataset_id, meta.table_id)
            wanted = types.bq_schema_to_duckdb_columns(
                [tables._field_to_rest(f) for f in meta.schema_.fields]
            )
            for statement in _alterations(self._engine, table, wanted):
                self._engine.execute(statement)
        return original(self, meta)

    repository.update_table = update_table


@correction
def update_conditions() -> None:
    """`tables.patch` and `tables.update` ignore `If-Match`: of two writers at once both succeed."""
    errors, gzip = module("domain.errors"), module("api.middleware").GzipRequestMiddleware
    repository = module("catalog.duckdb_repository").DuckDBCatalogRepository
    call, update = gzip.__call__, repository.update_table

    answer = {"http_status": 412, "bq_reason": "conditionNotMet", "grpc_status_name": "FAILED_PRECONDITION"}
    failed = type("PreconditionFailedError", (errors.DomainError,), answer)

    async def with_condition(self: Any, scope: Any, receive: Any, send: Any) -> None:
        token = _if_match.set(dict(scope.get("headers") or ()).get(b"if-match"))
        try:
            await call(self, scope, receive, send)
        finally:
            _if_match.reset(token)

    def update_table(self: Any, meta: Any) -> Any:
        wanted, now = _if_match.get(), self.get_table(meta.project_id, meta.dataset_id, meta.table_id)
        if wanted and now is not None and now.etag != wanted.decode():
            raise failed("Precondition check failed.")
        return update(self, meta)

    gzip.__call__, repository.update_table = with_condition, update_table


def _alterations(engine: Any, table: str, wanted: list[tuple[str, str]]) -> list[str]:
    """The statements that give the table these columns; types are compared as DuckDB spells them."""
    have = {name.lower(): kind for name, kind, *_ in engine.execute(f"DESCRIBE {table}").fetchall()}
    if not set(have) <= {name.lower() for name, _ in wanted}:
        raise module("domain.errors").InvalidQueryError(
            "Provided Schema does not match Table: a column is missing"
        )
    statements = []
    for name, kind in wanted:
        if name.lower() not in have:
            statements.append(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
        elif have[name.lower()] != _spelt(engine, kind):
            statements.append(f'ALTER TABLE {table} ALTER COLUMN "{name}" TYPE {kind}')
    return statements


def _spelt(engine: Any, kind: str) -> str:
    return str(engine.execute(f"SELECT typeof(CAST(NULL AS {kind}))").fetchone()[0])


@correction
def snapshot_copies() -> None:
    """Every statement and load copies its whole table, for time travel: an hourly merge fills the disk."""
    snapshots = module("versioning.snapshots").SnapshotManager
    original = snapshots.capture

    def capture(self: Any, *table: str, kind: str = "AUTO") -> Any:
        return original(self, *table, kind=kind) if kind == "USER" else None

    snapshots.capture = capture
