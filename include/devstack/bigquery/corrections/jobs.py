"""Corrections to jobs, uploads and start-up."""

from __future__ import annotations

# ruff: noqa: ANN401 - these replace functions of a library that is not installed where types are checked
import importlib
import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from devstack.bigquery.corrections.registry import correction, module

MUCH_BYTES = 8 << 20
"""Of a file that is loaded: what is asked of its rows is more than waking threads costs."""
_upload_job_id: ContextVar[str | None] = ContextVar("upload_job_id", default=None)


@correction
def upload_media_types() -> None:
    """`load_table_from_file` and `load_table_from_json` send `*/*`, which is refused with 400."""
    upload = module("api.routes.upload")
    upload._PERMITTED_MEDIA_CONTENT_TYPES = (*upload._PERMITTED_MEDIA_CONTENT_TYPES, "*/*")


@correction
def job_ids() -> None:
    """A job id that exists runs again instead of answering 409, and uploads run under ids of their own."""
    jobs, upload, errors = module("api.routes.jobs"), module("api.routes.upload"), module("domain.errors")
    query, load, run_load = (
        jobs._handle_query_job,
        jobs._handle_load_job_with_async_envelope,
        upload._run_load,
    )
    configuration_of, new_job_id = upload._load_configuration_from_envelope, upload._new_job_id

    def refuse_twice(ctx: Any, project_id: str, job_id: str) -> None:
        if ctx.catalog.get_job(project_id, job_id) is not None:
            raise errors.AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")

    async def handle_query(project_id: str, job_id: str, config: Any, *, ctx: Any, **rest: Any) -> Any:
        refuse_twice(ctx, project_id, job_id)
        return await query(project_id, job_id, config, ctx=ctx, **rest)

    async def handle_load(project_id: str, job_id: str, config: Any, ctx: Any) -> Any:
        refuse_twice(ctx, project_id, job_id)
        return await load(project_id, job_id, config, ctx)

    def load_configuration(envelope: dict[str, Any]) -> dict[str, Any]:
        asked = (envelope.get("jobReference") or {}).get("jobId")
        return {**configuration_of(envelope), "_tideline_job_id": asked}

    async def run_upload(*, project_id: str, configuration: dict[str, Any], ctx: Any, **rest: Any) -> Any:
        asked = configuration.pop("_tideline_job_id", None)
        if asked:
            refuse_twice(ctx, project_id, asked)
        token = _upload_job_id.set(asked)
        try:
            return await run_load(project_id=project_id, configuration=configuration, ctx=ctx, **rest)
        finally:
            _upload_job_id.reset(token)

    jobs._handle_query_job, jobs._handle_load_job_with_async_envelope = handle_query, handle_load
    upload._load_configuration_from_envelope, upload._run_load = load_configuration, run_upload
    upload._new_job_id = lambda: _upload_job_id.get() or new_job_id()


@correction
def job_configuration() -> None:
    """`jobs.get` forgets a query job's labels and its limit on billed bytes."""
    jobs = module("api.routes.jobs")
    query = jobs._handle_query_job

    async def handle_query(project_id: str, job_id: str, config: Any, **rest: Any) -> Any:
        meta = await query(project_id, job_id, config, **rest)
        if isinstance(meta, dict):
            return meta
        merged = {
            **config,
            **meta.configuration,
            "query": {**config["query"], **meta.configuration.get("query", {})},
        }
        return meta.model_copy(update={"configuration": merged})

    jobs._handle_query_job = handle_query


@correction
def copy_jobs() -> None:
    """A copy that replaces a table keeps its old schema and fills it by position; its job id runs again."""
    executor, jobs, errors = module("jobs.executor"), module("api.routes.jobs"), module("domain.errors")
    quoted = module("storage.sql_identifiers").quoted_table_ref
    copy, execute = executor._copy_table_into_destination, jobs.execute_copy_job
    shape = ("schema_", "time_partitioning", "range_partitioning", "clustering")

    async def copy_table(*, write_disposition: str, ctx: Any, **names: Any) -> None:
        source, destination = (
            [names[f"{side}_{part}"] for part in ("proj", "ds", "table_id")] for side in ("src", "dst")
        )
        old, new = ctx.catalog.get_table(*destination), ctx.catalog.get_table(*source)
        if write_disposition != "WRITE_TRUNCATE" or old is None or new is None:
            await copy(write_disposition=write_disposition, ctx=ctx, **names)
            return
        async with ctx.engine.write_lock():
            ctx.engine.execute(
                f"CREATE OR REPLACE TABLE {quoted(*destination)} AS SELECT * FROM {quoted(*source)}"  # noqa: S608
            )
            ctx.catalog.update_table(old.model_copy(update={name: getattr(new, name) for name in shape}))

    async def execute_copy(project_id: str, job_id: str, config: Any, ctx: Any) -> Any:
        if ctx.catalog.get_job(project_id, job_id) is not None:
            raise errors.AlreadyExistsError(f"Already Exists: Job {project_id}:US.{job_id}")
        return await execute(project_id, job_id, config, ctx)

    executor._copy_table_into_destination, jobs.execute_copy_job = copy_table, execute_copy


@correction
def spatial_from_package() -> None:
    """Start-up downloads an extension, or copies 78 MB of it under the home folder; a package has it."""
    engine = module("storage.engine").DuckDBEngine

    def load(self: Any) -> None:
        package = Path(str(importlib.import_module("duckdb_extension_spatial").__file__)).parent
        (extension,) = package.glob("extensions/*/spatial.duckdb_extension")
        self._connection.execute(f"LOAD '{extension}'")

    engine._load_spatial = load


@correction
def jobs_in_memory() -> None:
    """Each job is written to disk twice, a fifth of the work of a query; it is read from memory only."""
    module("catalog.duckdb_repository").DuckDBCatalogRepository._write_job = lambda self, job: None


@correction
def one_thread() -> None:
    """A statement wakes a thread for every core, a sixth of the work of small ones, until much is loaded."""
    engine, executor = module("storage.engine").DuckDBEngine, module("jobs.executor")
    pragmas, load = engine._apply_session_pragmas, executor._load_path_into_target

    def apply(self: Any) -> None:
        pragmas(self)
        self._connection.execute("SET threads = 1")

    def load_path(path: str, job: Any, ctx: Any) -> None:
        if Path(path).stat().st_size > MUCH_BYTES:
            ctx.engine.execute(f"SET threads = {os.cpu_count() or 1}")
        load(path, job, ctx)

    engine._apply_session_pragmas, executor._load_path_into_target = apply, load_path


@correction
def requests_unwatched() -> None:
    """Each request passes three layers that count, log and name it for nobody, a tenth of its work."""
    application = module("api.app")
    for layer in ("MetricsMiddleware", "AccessLogMiddleware", "CorrelationIdMiddleware"):
        setattr(application, layer, lambda app, **_: app)
