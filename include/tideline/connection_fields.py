"""What the fields of an Airflow connection say, and what they must not. Knows neither Airflow nor clients.

Each refusal names the connection and shows nothing that may be secret.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tideline.errors import SettingsError

if TYPE_CHECKING:
    from airflow.sdk import Connection

LAKE = "tideline_lake"
WAREHOUSE = "tideline_warehouse"
SPARK = "tideline_spark"

EXAMPLES = {
    "mongodb": '{"conn_type": "mongo", "host": "mongo.example.com", "login": "…", "password": "…"}',
    "s3_csv": '{"conn_type": "aws", "login": "…", "password": "…", "extra": {"region_name": "us-east-1"}}',
    "rest_api": '{"conn_type": "http", "host": "https://api.example.com"}',
    LAKE: '{"conn_type": "aws", …} for s3:// or {"conn_type": "google_cloud_platform", …} for gs://',
    SPARK: '{"conn_type": "generic", "extra": {"submit": "dataproc", "region": "…", "image": "…"}}',
    WAREHOUSE: '{"conn_type": "google_cloud_platform", "extra": {"project": "my-project"}}',
}
"""By kind of source, or by connection id: how a connection is written."""


def check_extra(connection: Connection) -> None:
    """Airflow takes an extra that it cannot read for an empty one: without `tls`, or as another account.

    Raises:
        SettingsError: It is no JSON object.
    """
    try:
        is_sound = not connection.extra or isinstance(json.loads(connection.extra), dict)
    except ValueError:
        is_sound = False
    if not is_sound:
        raise SettingsError(
            f"the extra of the Airflow connection {connection.conn_id!r} is no JSON object",
            remedy="correct its quotes, commas and braces",
        )


def check_hosts(connection: Connection) -> None:
    """The hook would look for a server called `none`; a whole URI would be shown, with its password.

    Raises:
        SettingsError: There is no host, or a URI in its place.
    """
    if not connection.host:
        raise _without_host(connection, "mongodb")
    if "://" in connection.host:
        raise SettingsError(
            f"the host of the Airflow connection {connection.conn_id!r} is a whole URI",
            remedy="give the names of hosts alone, user and password as login and password, and the URI's "
            f"options as extra; as JSON such as {EXAMPLES['mongodb']}",
        )


def base_url(connection: Connection) -> str:
    """The URL of an API: scheme, host, port and path, whichever of the fields they stand in.

    Raises:
        SettingsError: There is no host.
    """
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
        remedy=f"write it as JSON such as {EXAMPLES[role]}",
    )


def headers_of(connection: Connection) -> dict[str, Any]:
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
