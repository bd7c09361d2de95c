"""Airflow connections as clients: what they are told beyond what the connection says."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import dns.exception
import dns.resolver
import pytest
from airflow.providers.google.cloud.operators.dataproc import DataprocCreateBatchOperator
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import ClientError, EndpointConnectionError
from google.api_core.exceptions import Forbidden

from tideline import connections
from tideline.catalog.model import Column, CsvDataset
from tideline.errors import (
    SettingsError,
    SourceUnavailableError,
    SparkError,
    StoreUnavailableError,
    WarehouseUnavailableError,
)
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.settings import Settings
from tideline.spark import submit
from tideline.spark.order import Order

pytestmark = pytest.mark.airflow


def connection(**extra: Any) -> str:
    return json.dumps({"conn_type": "aws", "login": "key", "password": "secret", "extra": extra})


def client(monkeypatch: Any, **extra: Any) -> Any:
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_LAKE", connection(region_name="us-east-1", **extra))
    return connections._lake_s3()


def test_s3_clients_do_not_retry_by_themselves(monkeypatch: Any) -> None:
    config = client(monkeypatch).meta.config

    assert config.retries["total_max_attempts"] == 1
    assert (config.connect_timeout, config.read_timeout) == (10, 60)


def test_what_the_connection_says_is_kept(monkeypatch: Any) -> None:
    kwargs = {"s3": {"addressing_style": "path"}, "read_timeout": 7}
    config = client(monkeypatch, config_kwargs=kwargs).meta.config

    assert config.s3["addressing_style"] == "path"
    assert config.read_timeout == 7
    assert config.retries["total_max_attempts"] == 1


class _Busy(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_lake_that_stays_busy_is_asked_as_often_as_patience_says(monkeypatch: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    server.requests = 0  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    quick = replace(DEFAULT_PATIENCE, attempts=3, sleep=lambda _: None)
    monkeypatch.setattr("tideline.lake.store.DEFAULT_PATIENCE", quick)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    extra = {"endpoint_url": url, "config_kwargs": {"proxies": {}, "s3": {"addressing_style": "path"}}}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_LAKE", connection(region_name="us-east-1", **extra))

    settings = Settings(raw_uri="s3://lake/raw")
    with connections.open_deployment(settings) as deployment, pytest.raises(StoreUnavailableError):
        deployment.raw.put("k", b"body")
    server.shutdown()
    server.server_close()

    assert server.requests == 3  # type: ignore[attr-defined]


def spark_order() -> Order:
    columns = (Column(name="id", type="int64"),)
    dataset = CsvDataset(
        name="items", source="shop", bucket="drops", prefix="items/", key=("id",), columns=columns
    )
    return Order(
        dataset, "gs://raw/a/b/_manifest.json", "run", "gs://raw", "gs://processed", "gs://quarantine"
    )


def test_a_spark_job_runs_where_its_connection_says(monkeypatch: Any) -> None:
    ran = []
    extra = {"submit": "local", "master": "local[2]"}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_SPARK", json.dumps({"conn_type": "generic", "extra": extra}))
    monkeypatch.setattr(submit, "run_locally", lambda *given: ran.append(given))
    order = spark_order()

    connections._submit_spark(order)

    assert ran == [(order, extra)]


class _Operator:
    """In the place of a provider's: what it was asked for, and how it ends."""

    def __init__(self, error: Exception | None) -> None:
        self.error, self.given = error, None

    def execute(self, context: Any) -> None:
        self.given = context
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        None,
        AirflowException("Batch job failed"),
        Forbidden("Batch job failed"),
        AirflowException("Batch job failed\nremote_pod: {'api_version': 'v1'}"),
    ],
    ids=repr,
)
def test_a_job_on_a_cluster_that_is_lost_may_be_tried_again(error: Any, monkeypatch: Any) -> None:
    extra = {"submit": "dataproc", "region": "europe-west1", "image": "spark:1"}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_SPARK", json.dumps({"conn_type": "generic", "extra": extra}))
    monkeypatch.setattr("airflow.sdk.get_current_context", lambda: {"ti": SimpleNamespace(try_number=2)})
    asked, operator = [], _Operator(error)
    monkeypatch.setattr(connections, "_operator", lambda *given: asked.append(given) or operator)

    if error:
        with pytest.raises(SparkError, match=r"shop\.items: .*Batch job failed") as raised:
            connections._submit_spark(spark_order())
        assert "api_version" not in str(raised.value)
    else:
        connections._submit_spark(spark_order())

    ((mode, _, given, name),) = asked
    assert (mode, given, name[-2:]) == ("dataproc", extra, "-2")
    assert operator.given is not None


def test_the_command_line_says_that_it_cannot_send_a_job_to_a_cluster(monkeypatch: Any) -> None:
    extra = {"submit": "dataproc", "region": "europe-west1", "image": "spark:1"}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_SPARK", json.dumps({"conn_type": "generic", "extra": extra}))
    with pytest.raises(SettingsError, match="sent by an Airflow task"):
        connections._submit_spark(spark_order())


def test_a_batch_is_made_by_the_operator_of_the_provider() -> None:
    extra = {"region": "europe-west1", "project": "acme", "image": "spark:1"}
    made = connections._operator("dataproc", spark_order(), extra, "tideline-x-1")

    assert type(made).__name__ == "DataprocCreateBatchOperator"
    assert (made.region, made.project_id, made.batch_id) == ("europe-west1", "acme", "tideline-x-1")
    assert made.batch["runtime_config"]["container_image"] == "spark:1"


def test_a_batch_is_waited_for_where_airflow_defers_by_default(monkeypatch: Any) -> None:
    """The task that Airflow would resume is `refine`, which is not the operator."""
    defaults = inspect.unwrap(DataprocCreateBatchOperator.__init__).__kwdefaults__
    monkeypatch.setitem(defaults, "deferrable", True)
    extra = {"region": "europe-west1", "project": "acme", "image": "spark:1"}

    assert connections._operator("dataproc", spark_order(), extra, "tideline-x-1").deferrable is False


def test_an_application_is_made_by_the_operator_of_the_provider() -> None:
    pytest.importorskip(
        "airflow.providers.cncf.kubernetes", reason="the provider is in the image only (extra: cluster)"
    )
    made = connections._operator("kubernetes", spark_order(), {"image": "spark:1"}, "tideline-x-1")

    assert type(made).__name__ == "SparkKubernetesOperator"
    assert made.template_spec["spark"]["spec"]["image"] == "spark:1"
    assert (made.deferrable, made.reattach_on_restart) == (False, False)


def open_mongodb(deployment: Any) -> None:
    deployment.open_source(SimpleNamespace(connection="tideline_mongodb", kind="mongodb"))


UNUSABLE = {
    "another type": ("MONGODB", {"conn_type": "http", "host": "h"}, "must be 'mongo'", open_mongodb),
    "no option": ("MONGODB", {"conn_type": "mongo", "host": "h", "extra": {"x": 1}}, "option: x", open_mongodb),
    "no URL": ("LAKE", {"conn_type": "aws", "extra": {"region_name": "x", "endpoint_url": "h:1"}}, "h:1",
               lambda deployment: deployment.raw.put("k", b"")),
    "no key": ("WAREHOUSE", {"conn_type": "google_cloud_platform", "extra": {"key_path": "/none.json"}}, "/none",
               lambda deployment: deployment.open_warehouse()),
}  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "found", "use"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_connection_that_makes_no_client_is_named(
    monkeypatch: Any, name: str, fields: Any, found: str, use: Any
) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_TIDELINE_{name}", json.dumps(fields))
    words = f"'tideline_{name.lower()}' cannot be used: .*{found}"
    with connections.open_deployment(Settings()) as made, pytest.raises(SettingsError, match=words) as error:
        use(made)
    assert "such as" in str(error.value.remedy)


@pytest.mark.parametrize(
    "failure", [dns.exception.Timeout, dns.resolver.NoNameservers, dns.resolver.NXDOMAIN]
)
def test_hosts_of_a_cluster_that_dns_does_not_tell_may_be_told_later(monkeypatch: Any, failure: Any) -> None:
    """pymongo calls each a wrong configuration; as one, the task would not be tried again."""

    def resolve(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("dns.resolver.resolve", resolve)
    fields = {"conn_type": "mongo", "host": "cluster.acme.invalid", "extra": {"srv": True}}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_MONGODB", json.dumps(fields))
    with connections.open_deployment(Settings()) as made:
        with pytest.raises(SourceUnavailableError, match="'tideline_mongodb' cannot be used now") as error:
            open_mongodb(made)
        assert "DNS" in str(error.value.remedy)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(503, "ServiceUnavailable", StoreUnavailableError), (400, "Throttling", StoreUnavailableError),
     (403, "AccessDenied", SettingsError), (None, "", StoreUnavailableError)],
)  # fmt: skip
def test_a_role_that_is_not_given_now_may_be_given_later(
    monkeypatch: Any, status: int | None, code: str, expected: type[Exception]
) -> None:
    """Amazon's hook asks for the role before it makes a client."""

    def call(_: object, operation: str, __: object) -> None:
        if status is None:
            raise EndpointConnectionError(endpoint_url="https://sts.invalid")
        reply: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(reply, operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", call)
    with pytest.raises(expected, match="'tideline_lake' cannot be used"):
        client(monkeypatch, role_arn="arn:aws:iam::123456789012:role/reader")


@pytest.mark.parametrize(
    "host", ["mongodb://reader:hunter2@h:1/shop", "mongodb+srv://reader:hunter2@h", None]
)
def test_a_password_in_a_mongodb_host_is_not_shown(monkeypatch: Any, host: str | None) -> None:
    """What `Connect` of a cloud's console gives, put into the field for hosts."""
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_MONGODB", json.dumps({"conn_type": "mongo", "host": host}))
    words = "'tideline_mongodb' is a whole URI" if host else "'tideline_mongodb' has no host"
    with connections.open_deployment(Settings()) as made, pytest.raises(SettingsError, match=words) as error:
        open_mongodb(made)
    assert "hunter2" not in f"{error.value}{error.value.__cause__}"
    assert "such as" in str(error.value.remedy)


def open_api(deployment: Any) -> Any:
    return deployment.open_source(SimpleNamespace(connection="acme_api", kind="rest_api"))


def test_headers_of_an_api_are_sent_along(monkeypatch: Any) -> None:
    extra = {"headers": {"X-Token": "hunter2", "X-Tenant": 7}, "srv_lookup": None}  # as Airflow's form has it
    fields = {"conn_type": "http", "host": "https://h", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ACME_API", json.dumps(fields))
    with connections.open_deployment(Settings()) as made:
        headers = open_api(made)._headers
    assert (headers["X-Token"], headers["X-Tenant"]) == ("hunter2", "7")


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ({"X-Token": "hunter2"}, "has 'X-Token'"),
        ({"headers": {"X-Token": "hunter2"}, "verify": "/ca.pem"}, "has 'verify'"),
        ({"headers": "X-Token: hunter2"}, "has headers that are no JSON object"),
    ],
    ids=["beside each other", "an option", "a text"],
)
def test_a_header_that_nobody_would_send_is_no_silence(monkeypatch: Any, extra: Any, found: str) -> None:
    """Airflow's own hook takes headers beside each other: without its token an API may give fewer rows."""
    fields = {"conn_type": "http", "host": "https://h", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ACME_API", json.dumps(fields))
    with connections.open_deployment(Settings()) as made, pytest.raises(SettingsError, match=found) as error:
        open_api(made)
    assert "hunter2" not in f"{error.value}"


@pytest.mark.parametrize("extra", ['{"tls": true,}', '["tls"]', "tls=true"])
def test_an_extra_that_is_not_read_is_no_silence(monkeypatch: Any, extra: str) -> None:
    """Airflow goes on without it, and the password would travel unencrypted."""
    fields = {"conn_type": "mongo", "host": "h", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_MONGODB", json.dumps(fields))
    with (
        connections.open_deployment(Settings()) as made,
        pytest.raises(SettingsError, match="no JSON object"),
    ):
        open_mongodb(made)


@pytest.mark.parametrize("text", [None, "{nonsense"])
def test_a_connection_that_is_not_there_or_no_json_is_named(monkeypatch: Any, text: str | None) -> None:
    """Airflow passes over what it cannot read as if it were not there."""
    monkeypatch.delenv("AIRFLOW_CONN_TIDELINE_MONGODB", raising=False)
    if text is not None:
        monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_MONGODB", text)
    with (
        connections.open_deployment(Settings()) as made,
        pytest.raises(SettingsError, match="'tideline_mongodb' is not defined, or Airflow cannot read it"),
    ):
        open_mongodb(made)


def test_credentials_that_are_not_there_yet_may_come(monkeypatch: Any) -> None:
    """A pod's metadata server answers some seconds after the pod has started."""
    from google.auth.exceptions import DefaultCredentialsError

    def refuse(*_: Any, **__: Any) -> None:
        raise DefaultCredentialsError("not found")

    monkeypatch.setenv("AIRFLOW_CONN_TIDELINE_WAREHOUSE", json.dumps({"conn_type": "google_cloud_platform"}))
    monkeypatch.setattr("google.auth.default", refuse)
    with (
        connections.open_deployment(Settings()) as deployment,
        pytest.raises(
            WarehouseUnavailableError, match="'tideline_warehouse' gives no credentials: not found"
        ),
    ):
        deployment.open_warehouse()
