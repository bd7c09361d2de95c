"""The warehouse: queries and loads of one BigQuery project. Knows the client, not what the tables hold."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from tideline.warehouse import names
from tideline.warehouse.client import bigquery
from tideline.warehouse.failures import CLIENT_ERRORS, is_transient, translate
from tideline.warehouse.jobs import Jobs, Work
from tideline.warehouse.patience import Patience
from tideline.warehouse.replies import refuse_cut_heads
from tideline.warehouse.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO, TypeAlias

    from google.cloud.bigquery.table import Row

    from tideline.settings import Settings
    from tideline.warehouse.jobs import Job
    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field

    Parameter: TypeAlias = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter

PARQUET = "PARQUET"
NDJSON = "NEWLINE_DELIMITED_JSON"
_SHOWN_LINES = 3


class Warehouse:
    """One BigQuery project, with labels and limits on every job and bounded retries around every call."""

    def __init__(
        self,
        client: bigquery.Client,
        settings: Settings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        refuse_cut_heads(client)
        self.client = client
        self.settings = settings
        self.patience = Patience(settings.deadline_seconds, sleep=sleep, clock=clock, dice=dice)
        self.tables = Tables(client, settings, self.patience)
        self._jobs = Jobs(client, settings, self.patience)

    def run(
        self,
        sql: str,
        *,
        kind: str,
        key: str,
        labels: Mapping[str, str] | None = None,
        parameters: Sequence[Parameter] = (),
    ) -> bigquery.QueryJob:
        """Run a statement once for its key; a retry finds the job instead of repeating it.

        Args:
            sql: The statement; it must be harmless to run twice all the same.
            kind: One word for the job id and the label `kind`.
            key: What makes it this statement and no other, on any machine.
            labels: Further labels of the job.
            parameters: Query parameters.

        Raises:
            WarehouseUnavailableError: What went wrong may pass.
            WarehouseRefusedError: It does not pass.
            IntegrityError: Another statement ran under the same key.
        """
        config = bigquery.QueryJobConfig(
            labels=names.labels(self.settings, {"kind": kind, **(labels or {})}),
            maximum_bytes_billed=self.settings.maximum_bytes_billed,
            query_parameters=list(parameters),
            use_legacy_sql=False,
        )

        def begin(job_id: str, seconds: float) -> bigquery.QueryJob:
            return self.client.query(
                sql,
                job_config=config,
                job_id=job_id,
                location=self.settings.location,
                retry=None,
                job_retry=None,
                timeout=seconds,
            )

        shown = " ".join(sql.split("\n")[:_SHOWN_LINES])
        work = Work(kind, key, begin, lambda job: getattr(job, "query", None) == sql, reuse=True, place=shown)
        return self._jobs.run(work)

    def rows(
        self,
        sql: str,
        *,
        kind: str,
        labels: Mapping[str, str] | None = None,
        parameters: Sequence[Parameter] = (),
        page_size: int | None = None,
    ) -> Iterator[Row]:
        """Run a query and stream its rows, page by page; every call asks anew.

        Raises:
            WarehouseUnavailableError: What went wrong may pass.
            WarehouseRefusedError: It does not pass.
        """
        job = self.run(sql, kind=kind, key=uuid4().hex, labels=labels, parameters=parameters)
        seconds = self.settings.deadline_seconds
        retry = bigquery.DEFAULT_RETRY.with_predicate(is_transient).with_timeout(seconds)
        try:
            yield from job.result(page_size=page_size, retry=retry, job_retry=None, timeout=seconds)
        except CLIENT_ERRORS as error:
            raise translate(error, f"job {job.job_id}") from error

    def count(self, table: TableName) -> int:
        """How many rows the table has, by its own account and free of charge."""
        (row,) = self.rows(f"SELECT COUNT(*) AS n FROM {table.sql}", kind="count")  # noqa: S608
        return int(row["n"])

    def load_uris(
        self,
        table: TableName,
        uris: Sequence[str],
        fields: Sequence[Field],
        *,
        key: str,
        truncate: bool = True,
        labels: Mapping[str, str] | None = None,
    ) -> bigquery.LoadJob:
        """Load Parquet objects of Cloud Storage in one job that replaces what the table holds or adds to it.

        A job of the key that runs is waited for; one that is over is repeated: only the caller can tell
        whether what it loaded is still there.

        Raises:
            WarehouseUnavailableError: What went wrong may pass.
            WarehouseRefusedError: It does not pass.
        """
        config = self._load_config(fields, PARQUET, labels, truncate=truncate)

        def begin(job_id: str, seconds: float) -> bigquery.LoadJob:
            return self.client.load_table_from_uri(
                list(uris),
                str(table),
                job_config=config,
                job_id=job_id,
                location=self.settings.location,
                retry=None,
                timeout=seconds,
            )

        return self._jobs.run(self._load_work(table, key, begin))

    def load_file(
        self,
        table: TableName,
        body: IO[bytes],
        fields: Sequence[Field],
        *,
        key: str,
        truncate: bool,
        source_format: str = PARQUET,
        labels: Mapping[str, str] | None = None,
    ) -> bigquery.LoadJob:
        """Upload a seekable file, replacing what the table holds or adding to it; else as `load_uris`."""
        config = self._load_config(fields, source_format, labels, truncate=truncate)

        def begin(job_id: str, seconds: float) -> bigquery.LoadJob:
            return self.client.load_table_from_file(
                body,
                str(table),
                rewind=True,
                num_retries=0,
                job_config=config,
                job_id=job_id,
                location=self.settings.location,
                timeout=seconds,
            )

        return self._jobs.run(self._load_work(table, key, begin))

    def copy(self, source: TableName, target: TableName, *, key: str, replace: bool) -> bigquery.CopyJob:
        """Copy a table whole, with its schema and layout, in one job: readers see the old rows or the new.

        Args:
            source: The table to copy.
            target: Where to; without `replace` there must be nothing.
            key: What makes it this copy and no other, on any machine; done once for its key.
            replace: Put it in the place of the table that is there.

        Raises:
            WarehouseUnavailableError: What went wrong may pass.
            WarehouseRefusedError: It does not pass.
        """
        config = bigquery.CopyJobConfig(
            labels=names.labels(self.settings, {"kind": "copy"}),
            write_disposition="WRITE_TRUNCATE" if replace else "WRITE_EMPTY",
            create_disposition="CREATE_IF_NEEDED",
        )

        def begin(job_id: str, seconds: float) -> bigquery.CopyJob:
            return self.client.copy_table(
                str(source),
                str(target),
                job_config=config,
                job_id=job_id,
                location=self.settings.location,
                retry=None,
                timeout=seconds,
            )

        def is_same(job: Job) -> bool:
            return str(getattr(job, "destination", None)) == str(target)

        return self._jobs.run(Work("copy", key, begin, is_same, reuse=True, place=f"{source} into {target}"))

    def _load_work(self, table: TableName, key: str, begin: Callable[[str, float], bigquery.LoadJob]) -> Work:
        def is_same(job: Job) -> bool:
            return str(getattr(job, "destination", None)) == str(table)

        return Work("load", key, begin, is_same, reuse=False, place=f"into {table}")

    def _load_config(
        self, fields: Sequence[Field], source_format: str, labels: Mapping[str, str] | None, *, truncate: bool
    ) -> bigquery.LoadJobConfig:
        config = bigquery.LoadJobConfig(
            schema=[field.to_api() for field in fields],
            source_format=source_format,
            write_disposition="WRITE_TRUNCATE" if truncate else "WRITE_APPEND",
            create_disposition="CREATE_IF_NEEDED",
            autodetect=False,
            labels=names.labels(self.settings, {"kind": "load", **(labels or {})}),
        )
        if source_format == PARQUET:
            config.parquet_options = bigquery.ParquetOptions.from_api_repr({"enableListInference": True})
        return config
