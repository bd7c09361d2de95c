"""What the fields of a connection come to."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection

from tideline.connection_fields import base_url

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("api.invalid", None, "https://api.invalid"),
        ("http://api.invalid", 8080, "http://api.invalid:8080"),
        ("https://u:p@api.invalid/a/b/", 8443, "https://u:p@api.invalid:8443/a/b/"),
        ("https://api.invalid/v1", 8443, "https://api.invalid:8443/v1"),
        ("api.invalid/v1/?key=a:b", 8443, "https://api.invalid:8443/v1/?key=a:b"),
        ("http://[::1]?key=k", 8080, "http://[::1]:8080?key=k"),
    ],
)
def test_a_port_belongs_to_the_host_whatever_follows_it(host: str, port: int | None, url: str) -> None:
    assert base_url(Connection(conn_id="api", conn_type="http", host=host, port=port)) == url


def test_a_scheme_may_stand_in_a_field_of_its_own() -> None:
    api = Connection(conn_id="api", conn_type="http", host="api.invalid", schema="http", port=80)
    assert base_url(api) == "http://api.invalid:80"
