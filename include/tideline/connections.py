"""Airflow connections → clients. The only module that imports Airflow; dags, plugins and the CLI import it.

Knows connection ids and hooks. Does not know windows, datasets' contents, or what is done with a client.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from tideline import settings as settings_module
from tideline.catalog.loader import load_catalog
from tideline.connection_errors import using
from tideline.connection_fields import (
    EXAMPLES,
    LAKE,
    SPARK,
    WAREHOUSE,
    base_url,
    check_extra,
    check_hosts,
    headers_of,
)
from tideline.errors import SettingsError
from tideline.pipeline import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Connection

    from tideline.catalog.model import Source
    from tideline.lake.store import Store
    from tideline.settings import Settings
    from tideline.spark.order import Order
    from tideline.warehouse.bigquery import Warehouse

POOL = 32
"""Connections that one S3 client keeps open: the status report asks from two dozen threads."""


@contextmanager
def open_deployment(settings: Settings | None = None) -> Iterator[Deployment]:
    """Everything the task bodies need, with clients made when they are first asked for and closed at the end.

    Raises:
        SettingsError: A variable or connection is missing or malformed; says which, and an example.
        CatalogError: The catalog does not load.
    """
    active = settings or settings_module.from_environment()
    catalog = load_catalog(active.catalog_dir)
    with ExitStack() as closing:
        clients = _Clients(active, closing)
        yield Deployment(
            settings=active,
            catalog=catalog,
            open_source=clients.source,
            raw=clients.store(active.raw_uri),
            processed=clients.store(active.processed_uri),
            quarantine=clients.store(active.quarantine_uri),
            open_warehouse=cache(clients.warehouse),
            submit_spark=_submit_spark,
        )


class _Clients:
    """Makes each client once and remembers how to close it."""

    def __init__(self, settings: Settings, closing: ExitStack) -> None:
        self._settings = settings
        self._closing = closing
        # One for the three stores: making an S3 client takes 0.2 s of CPU.
        self._s3 = cache(_lake_s3)
        self._gcs = cache(self._lake_gcs)

    def source(self, source: Source) -> Any:
        """The client of a source system: a MongoClient, a boto3 S3 client or an HttpSession."""
        connection = _connection(source.connection, source.kind)
        if source.kind == "mongodb":
            return self._mongo(connection)
        if source.kind == "s3_csv":
            return _s3_client(connection)
        return self._http(connection)

    def _mongo(self, connection: Connection) -> Any:
        from airflow.providers.mongo.hooks.mongo import MongoHook

        check_hosts(connection)
        with using(connection.conn_id, "mongodb"):
            hook = MongoHook(mongo_conn_id=connection.conn_id)
            hook.extras.setdefault("serverSelectionTimeoutMS", 20_000)
            hook.extras.setdefault("socketTimeoutMS", int(self._settings.deadline_seconds * 1000))
            client = hook.get_conn()
        self._closing.callback(client.close)
        return client

    def _http(self, connection: Connection) -> Any:
        from tideline.land.http import HttpSession

        session = HttpSession(
            base_url(connection),
            headers={key: str(value) for key, value in headers_of(connection).items()},
            auth=(connection.login, connection.password or "") if connection.login else None,
            deadline_seconds=self._settings.deadline_seconds,
            body_limit_bytes=self._settings.body_bytes,
        )
        self._closing.callback(session.close)
        return session

    def store(self, uri: str) -> Store:
        """The write-once store at that URI."""
        from tideline.lake.store import DEFAULT_PATIENCE, open_store

        patience = DEFAULT_PATIENCE.within(self._settings.deadline_seconds)
        return open_store(uri, s3_client=self._s3, gcs_client=self._gcs, patience=patience)

    def _lake_gcs(self) -> Any:
        from google.cloud import storage

        credentials, project = _google_credentials(LAKE)
        client = storage.Client(project=project or self._settings.project, credentials=credentials)
        self._closing.callback(client.close)
        return client

    def warehouse(self) -> Warehouse:
        """BigQuery, with the settings' project as the one that holds tables and runs jobs."""
        from tideline.warehouse.bigquery import Warehouse
        from tideline.warehouse.client import bigquery

        credentials, _ = _google_credentials(WAREHOUSE)
        client = bigquery.Client(
            project=self._settings.project, credentials=credentials, location=self._settings.location
        )
        self._closing.callback(client.close)
        return Warehouse(client, self._settings)


def _connection(conn_id: str, role: str) -> Connection:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection = Connection.get(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"the Airflow connection {conn_id!r} is not defined, or Airflow cannot read it",
            remedy=f"create it, or set AIRFLOW_CONN_{conn_id.upper()} to JSON such as {EXAMPLES[role]}",
        ) from None
    except (ValueError, json.JSONDecodeError) as error:
        raise SettingsError(
            f"the Airflow connection {conn_id!r} cannot be read: {error}",
            remedy=f"write it as JSON such as {EXAMPLES[role]}",
        ) from error
    check_extra(connection)
    return connection


def _s3_client(connection: Connection) -> Any:
    """Without retries of its own: `lake.retry` tries again, and boto's would multiply its attempts and time.

    What the connection's `config_kwargs` say comes before this.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    bounded = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=POOL,
    )
    with using(connection.conn_id, "s3_csv"):
        own = S3Hook(aws_conn_id=connection.conn_id).config
        return S3Hook(aws_conn_id=connection.conn_id, config=bounded.merge(own)).get_conn()


def _lake_s3() -> Any:
    return _s3_client(_connection(LAKE, LAKE))


def _submit_spark(order: Order) -> None:
    """Run a Spark job where the connection says, and wait for its end; providers are imported only for it."""
    from tideline.spark import submit

    extra = _connection(SPARK, SPARK).extra_dejson
    mode = submit.mode_of(extra)
    if mode == "local":
        submit.run_locally(order, extra)
        return
    from airflow.sdk import get_current_context

    try:
        context = get_current_context()
    except RuntimeError as error:
        raise SettingsError(
            f"a job with submit: {mode} is sent by an Airflow task, and this is none",
            remedy="clear the refine task in Airflow, or give tideline_spark submit: local here",
        ) from error
    name = submit.name_of(order, context["ti"].try_number)
    operator = _operator(mode, order, extra, name)
    try:
        operator.execute(context)
    except Exception as error:  # Airflow's, or what the cluster's own client raises: nothing of it is ours
        # the provider adds the whole of the driver's pod
        said, *_ = str(error).split("\nremote_pod:", 1)
        raise submit.lost(order, name, said) from error


def _operator(mode: str, order: Order, extra: dict[str, Any], name: str) -> Any:
    """The provider's operator, used as a client: it submits, waits, and shows the driver's log.

    It is told not to defer, whatever Airflow's configuration says (the task that would be resumed is ours and
    not the operator), nor to take up a driver that runs or ended for this task: that may be of another order.
    """
    from tideline.spark import submit

    if mode == "dataproc":
        from airflow.providers.google.cloud.operators.dataproc import DataprocCreateBatchOperator
        from airflow.providers.google.common.hooks.base_google import PROVIDE_PROJECT_ID

        return DataprocCreateBatchOperator(
            task_id=name,
            gcp_conn_id=LAKE,
            region=submit.needed(extra, "region"),
            project_id=extra.get("project", PROVIDE_PROJECT_ID),
            batch_id=name,
            batch=submit.dataproc_batch(order, extra),
            deferrable=False,
        )
    from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator

    return SparkKubernetesOperator(
        task_id=name,
        namespace=extra.get("namespace", "default"),
        name=name,
        template_spec={"spark": submit.spark_application(order, extra, name)},
        get_logs=True,
        delete_on_termination=True,
        deferrable=False,
        reattach_on_restart=False,
    )


def _google_credentials(conn_id: str) -> tuple[Any, str | None]:
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    _connection(conn_id, conn_id)
    with using(conn_id, conn_id):
        credentials, project = GoogleBaseHook(gcp_conn_id=conn_id).get_credentials_and_project_id()
    return credentials, project
