"""The API on a port: status, headers, conditional requests, the admin path."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from devstack import foreground, http_server
from devstack.http_server import PlaceholderServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[PlaceholderServer]:
    with PlaceholderServer(seed=5) as server:
        yield server


class Reply:
    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()


def ask(
    server: PlaceholderServer, target: str, method: str = "GET", body: Any = None, **headers: str
) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, None if body is None else json.dumps(body), sent)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def test_a_listing_is_json_with_caching_headers(server: PlaceholderServer) -> None:
    found = ask(server, "/users")
    assert (found.status, len(json.loads(found.body))) == (200, 10)
    assert found.headers["Content-Type"] == "application/json; charset=utf-8"
    assert found.headers["Cache-Control"] == "max-age=43200"
    assert int(found.headers["Content-Length"]) == len(found.body)
    assert found.headers["ETag"].startswith('W/"')


def test_links_lead_back_to_the_server(server: PlaceholderServer) -> None:
    header = ask(server, "/posts?_page=1&_limit=10").headers["Link"]
    assert f'<{server.url}/posts?_page=2&_limit=10>; rel="next"' in header


@pytest.mark.parametrize("form", ["{}", '"x", {}', "*"])
def test_what_the_client_has_is_not_sent_again(server: PlaceholderServer, form: str) -> None:
    etag = ask(server, "/posts").headers["ETag"]
    found = ask(server, "/posts", If_None_Match=form.format(etag))
    assert (found.status, found.body, found.headers["ETag"]) == (304, b"", etag)


def test_etags_are_compared_weakly(server: PlaceholderServer) -> None:
    etag = ask(server, "/posts/1").headers["ETag"].removeprefix("W/")
    assert ask(server, "/posts/1", If_None_Match=etag).status == 304
    assert ask(server, "/posts/1", If_None_Match='"other"').status == 200


def test_what_is_missing_is_404_even_if_the_client_has_something(server: PlaceholderServer) -> None:
    found = ask(server, "/posts/9999", If_None_Match="*")
    assert (found.status, found.body) == (404, b"{}")


def test_head_has_the_headers_and_no_body(server: PlaceholderServer) -> None:
    full, head = ask(server, "/albums"), ask(server, "/albums", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == full.headers["Content-Length"]


def test_a_connection_serves_many_requests(server: PlaceholderServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    for number in (1, 2, 3):
        connection.request("GET", f"/todos/{number}")
        assert json.loads(connection.getresponse().read())["id"] == number
    connection.close()


def test_the_shop_changes_items(server: PlaceholderServer) -> None:
    etag = ask(server, "/albums").headers["ETag"]
    assert ask(server, "/_admin/albums", "POST", [{"userId": 1, "id": 1, "title": "é"}]).status == 204
    changed = ask(server, "/albums", If_None_Match=etag)
    assert (changed.status, json.loads(changed.body)[0]["title"]) == (200, "é")
    assert ask(server, "/_admin/albums", "PUT", []).status == 204
    assert ask(server, "/albums").body == b"[]"


@pytest.mark.parametrize(("method", "target"), [("POST", "/posts"), ("PUT", "/_admin/nope")])
def test_nothing_else_can_be_written(server: PlaceholderServer, method: str, target: str) -> None:
    assert ask(server, target, method, []).status == 404


def test_the_command_line_serves_the_items_of_its_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: PlaceholderServer
) -> None:
    seen: list[Any] = []

    def look() -> None:
        connection = http.client.HTTPConnection(capsys.readouterr().out.split()[1], timeout=10)
        connection.request("GET", "/users")
        seen.append(json.loads(connection.getresponse().read()))
        connection.close()

    monkeypatch.setattr(foreground, "_wait", look)
    http_server.main(["--seed", "5"])
    assert seen == [server.items.get("users")]
