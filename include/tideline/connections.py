"""Airflow connections → clients. The only module that imports Airflow; dags, plugins and the CLI import it.

Knows connection ids and hooks. Does not know windows, datasets' contents, or what is done with a client.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tideline import settings as settings_module
from tideline.catalog.loader import load_catalog
from tideline.errors import SettingsError, StoreUnavailableError, TidelineError, WarehouseUnavailableError
from tideline.pipeline import Deployment
from tideline.plan import RunRequest
from tideline.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow.sdk import Connection

    from tideline.catalog.model import Source
    from tideline.lake.store import Store
    from tideline.plan import Kind
    from tideline.settings import Settings
    from tideline.spark.order import Order
    from tideline.warehouse.bigquery import Warehouse

LAKE = "tideline_lake"
WAREHOUSE = "tideline_warehouse"
SPARK = "tideline_spark"
POOL = 32
"""Connections that one S3 client keeps open: the status report asks from two dozen threads."""

_KINDS: dict[str, Kind] = {"scheduled": "scheduled", "backfill": "backfill"}
_EXAMPLES = {
    "mongodb": '{"conn_type": "mongo", "host": "mongo.example.com", "login": "…", "password": "…"}',
    "s3_csv": '{"conn_type": "aws", "login": "…", "password": "…", "extra": {"region_name": "us-east-1"}}',
    "rest_api": '{"conn_type": "http", "host": "https://api.example.com"}',
    LAKE: '{"conn_type": "aws", …} for s3:// or {"conn_type": "google_cloud_platform", …} for gs://',
    SPARK: '{"conn_type": "generic", "extra": {"submit": "dataproc", "region": "…", "image": "…"}}',
    WAREHOUSE: '{"conn_type": "google_cloud_platform", "extra": {"project": "my-project"}}',
}


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


def filled_form(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params of an Airflow run. Airflow takes any others too, so that a `dryrun` would be none.

    Raises:
        SettingsError: The run was given one that its DAG has not.
    """
    known = context["dag"].params
    for name in context["dag_run"].conf or {}:
        if name not in known:
            raise SettingsError(
                f"the run was triggered with {name!r}, which is no param of {context['dag'].dag_id}",
                remedy=f"trigger it anew with {', '.join(known)}, or without params",
            )
    params: Mapping[str, Any] = context["params"]
    return params


def run_request(context: Mapping[str, Any]) -> RunRequest:
    """What an Airflow run asks for: its type, its interval if it has one, and the params of its form.

    Raises:
        SettingsError: A window param is not an instant, or a param is none of the form's.
    """
    params = filled_form(context)
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    return RunRequest(
        run_id=context["run_id"],
        kind=_kind(context["dag_run"].run_type),
        interval=(start, end) if start and end else None,
        datasets=tuple(params["datasets"]) or None,
        window=_override(params["window_start"], params["window_end"]),
        catch_up=bool(params["catch_up"]),
        now=datetime.now(UTC),
    )


def _kind(run_type: object) -> Kind:
    """What made a run. Under a scheduler its type is an enum's member, whose `str` is not its value."""
    return _KINDS.get(str(getattr(run_type, "value", run_type)), "manual")


def _override(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    if start and end:
        return parse_instant(start), parse_instant(end)
    if start or end:
        raise SettingsError(
            f"only window_{'start' if start else 'end'} is given",
            remedy="give both ends of the window, or neither",
        )
    return None


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

        _check_hosts(connection)
        with _using(connection.conn_id, "mongodb"):
            hook = MongoHook(mongo_conn_id=connection.conn_id)
            hook.extras.setdefault("serverSelectionTimeoutMS", 20_000)
            hook.extras.setdefault("socketTimeoutMS", int(self._settings.deadline_seconds * 1000))
            client = hook.get_conn()
        self._closing.callback(client.close)
        return client

    def _http(self, connection: Connection) -> Any:
        from tideline.land.http import HttpSession

        session = HttpSession(
            _base_url(connection),
            headers={key: str(value) for key, value in _headers(connection).items()},
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
            remedy=f"create it, or set AIRFLOW_CONN_{conn_id.upper()} to JSON such as {_EXAMPLES[role]}",
        ) from None
    except (ValueError, json.JSONDecodeError) as error:
        raise SettingsError(
            f"the Airflow connection {conn_id!r} cannot be read: {error}",
            remedy=f"write it as JSON such as {_EXAMPLES[role]}",
        ) from error
    _check_extra(connection)
    return connection


def _check_extra(connection: Connection) -> None:
    """Airflow takes an extra that it cannot read for an empty one: without `tls`, or as another account."""
    try:
        is_sound = not connection.extra or isinstance(json.loads(connection.extra), dict)
    except ValueError:
        is_sound = False
    if not is_sound:
        raise SettingsError(
            f"the extra of the Airflow connection {connection.conn_id!r} is no JSON object",
            remedy="correct its quotes, commas and braces",
        )


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
    with _using(connection.conn_id, "s3_csv"):
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
    from airflow.sdk.exceptions import AirflowException

    try:
        context = get_current_context()
    except RuntimeError as error:
        raise SettingsError(
            f"a job with submit: {mode} is sent by an Airflow task, and this is none",
            remedy="clear the refine task in Airflow, or give tideline_spark submit: local here",
        ) from error
    name = submit.name_of(order, context["ti"].try_number)
    try:
        _operator(mode, order, extra, name).execute(context)
    except AirflowException as error:
        raise submit.lost(order, name, error) from error


def _operator(mode: str, order: Order, extra: dict[str, Any], name: str) -> Any:
    """The provider's operator, used as a client: it submits, waits, and shows the driver's log."""
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
        )
    from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator

    return SparkKubernetesOperator(
        task_id=name,
        namespace=extra.get("namespace", "default"),
        name=name,
        template_spec={"spark": submit.spark_application(order, extra, name)},
        get_logs=True,
        delete_on_termination=True,
    )


def _google_credentials(conn_id: str) -> tuple[Any, str | None]:
    from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

    _connection(conn_id, conn_id)
    with _using(conn_id, conn_id):
        credentials, project = GoogleBaseHook(gcp_conn_id=conn_id).get_credentials_and_project_id()
    return credentials, project


@contextmanager
def _using(conn_id: str, role: str) -> Iterator[None]:
    """Turn what a provider's hook says of a connection that it makes no client of into our error."""
    try:
        yield
    except Exception as error:
        raise _unusable(conn_id, role, error) from error


def _unusable(conn_id: str, role: str, error: Exception) -> TidelineError:
    """No server was asked, but for Google's metadata server: it may be silent while a pod is young."""
    from google.auth.exceptions import GoogleAuthError

    if not isinstance(error, GoogleAuthError):
        return SettingsError(
            f"the Airflow connection {conn_id!r} cannot be used: {error}",
            remedy=f"write it as JSON such as {_EXAMPLES[role]}",
        )
    kind = WarehouseUnavailableError if conn_id == WAREHOUSE else StoreUnavailableError
    return kind(
        f"the Airflow connection {conn_id!r} gives no credentials: {error}",
        remedy="give it a key, or its pod an account (Workload Identity); if it has one, retry",
    )


def _check_hosts(connection: Connection) -> None:
    """The hook would look for a server called `none`; a whole URI would be shown, with its password."""
    if not connection.host:
        raise _without_host(connection, "mongodb")
    if "://" in connection.host:
        raise SettingsError(
            f"the host of the Airflow connection {connection.conn_id!r} is a whole URI",
            remedy="give the names of hosts alone, user and password as login and password, and the URI's "
            f"options as extra; as JSON such as {_EXAMPLES['mongodb']}",
        )


def _base_url(connection: Connection) -> str:
    host = connection.host or ""
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if not host:
        raise _without_host(connection, "rest_api")
    scheme, _, rest = url.partition("://")
    end = next((at for at, mark in enumerate(rest) if mark in "/?#"), len(rest))
    door = f":{connection.port}" if connection.port else ""
    return f"{scheme}://{rest[:end]}{door}{rest[end:]}"


def _without_host(connection: Connection, role: str) -> SettingsError:
    return SettingsError(
        f"the Airflow connection {connection.conn_id!r} has no host",
        remedy=f"write it as JSON such as {_EXAMPLES[role]}",
    )


def _headers(connection: Connection) -> dict[str, Any]:
    """What is sent along. A token that is left out may get an API's answer to strangers: fewer rows.

    Raises:
        SettingsError: The extra holds anything else, such as headers that are not under `headers`, where
            Airflow's own hook has them.
    """
    # a form leaves null and false for what nobody has filled in
    extra = {name: value for name, value in connection.extra_dejson.items() if value not in (None, False, "")}
    headers = extra.pop("headers", {})
    if extra or not isinstance(headers, dict):
        names = ", ".join(map(repr, sorted(extra)))
        raise SettingsError(
            f"the extra of the Airflow connection {connection.conn_id!r} has "
            + (names or "headers that are no JSON object"),
            remedy='write nothing there but headers, as JSON such as {"headers": {"Authorization": "…"}}',
        )
    return headers
