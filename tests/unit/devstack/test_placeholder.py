"""What the API answers, as json-server 0.17 does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from devstack.placeholder import Items, answer
from devstack.shop.api_items import SIZES, resources

HOST = "api.test:8080"


@pytest.fixture(scope="module")
def items() -> Items:
    return Items(resources(3))


def get(items: Items, target: str) -> Any:
    found = answer(items, target, HOST)
    assert found.status == 200
    return json.loads(found.body)


def links(items: Items, target: str) -> dict[str, str]:
    header = answer(items, target, HOST).headers.get("Link", "")
    return {name: url for url, name in re.findall(r'<([^>]+)>; rel="(\w+)"', header)}


@pytest.mark.parametrize(("resource", "size"), SIZES.items())
def test_every_resource_has_the_public_services_size(items: Items, resource: str, size: int) -> None:
    found = get(items, f"/{resource}")
    assert [item["id"] for item in found] == list(range(1, size + 1))
    assert "X-Total-Count" not in answer(items, f"/{resource}", HOST).headers


@pytest.mark.parametrize(
    ("resource", "fields"),
    [
        ("users", ["id", "name", "username", "email", "address", "phone", "website", "company"]),
        ("posts", ["userId", "id", "title", "body"]),
        ("comments", ["postId", "id", "name", "email", "body"]),
        ("albums", ["userId", "id", "title"]),
        ("photos", ["albumId", "id", "title", "url", "thumbnailUrl"]),
        ("todos", ["userId", "id", "title", "completed"]),
    ],
)
def test_items_have_the_public_services_shape(items: Items, resource: str, fields: list[str]) -> None:
    assert {tuple(item) for item in get(items, f"/{resource}")} == {tuple(fields)}


def test_every_reference_leads_somewhere(items: Items) -> None:
    for resource, field, parent in (
        ("posts", "userId", "users"),
        ("comments", "postId", "posts"),
        ("albums", "userId", "users"),
        ("photos", "albumId", "albums"),
        ("todos", "userId", "users"),
    ):
        assert {item[field] for item in get(items, f"/{resource}")} == set(range(1, SIZES[parent] + 1))


def test_bodies_are_written_for_people(items: Items) -> None:
    body = answer(items, "/posts?id=1&id=2", HOST).body.decode()
    assert body.startswith('[\n  {\n    "userId": 1,\n    "id": 1,')
    assert len(json.loads(body)) == 2


def test_the_same_seed_gives_the_same_items() -> None:
    assert resources(3) == resources(3)
    assert resources(3) != resources(4)


def test_one_item_is_an_object(items: Items) -> None:
    assert get(items, "/posts/7")["id"] == 7


@pytest.mark.parametrize(
    "target",
    ["/", "/nope", "/posts/0", "/posts/101", "/posts/x", "/posts/1/nope", "/todos/1/posts", "/a/b/c/d"],
)
def test_what_is_not_there_is_an_empty_object_with_404(items: Items, target: str) -> None:
    found = answer(items, target, HOST)
    assert (found.status, found.body) == (404, b"{}")


def test_children_are_listed_below_their_parent(items: Items) -> None:
    assert [item["id"] for item in get(items, "/posts/2/comments")] == [6, 7, 8, 9, 10]
    assert [item["id"] for item in get(items, "/posts/2/comments?_limit=2")] == [6, 7]


@pytest.mark.parametrize(
    ("target", "ids"),
    [
        ("/posts?userId=2&_limit=3", [11, 12, 13]),
        ("/posts?userId=1&userId=3&_start=9&_end=11", [10, 21]),
        ("/posts?nosuchfield=1&_limit=2", [1, 2]),
        ("/posts?userId=99", []),
        ("/posts?_sort=id&_order=desc&_limit=2", [100, 99]),
        ("/posts?_sort=id&_limit=2", [1, 2]),
        ("/posts?_start=98", [99, 100]),
        ("/posts?_page=0&_limit=2", [1, 2]),
        ("/posts?_page=2&_limit=x", list(range(11, 21))),
    ],
)
def test_filters_and_slices(items: Items, target: str, ids: list[int]) -> None:
    assert [item["id"] for item in get(items, target)] == ids


def test_booleans_are_filtered_by_their_json_text(items: Items) -> None:
    done, open_ = get(items, "/todos?completed=true"), get(items, "/todos?completed=false")
    assert {item["completed"] for item in done} == {True}
    assert len(done) + len(open_) == SIZES["todos"]


@pytest.mark.parametrize(("size", "pages"), [(10, 10), (30, 4), (100, 1), (1000, 1)])
def test_following_next_reads_everything_once(items: Items, size: int, pages: int) -> None:
    target, ids, count = f"/posts?_page=1&_limit={size}", [], 0
    while target:
        ids += [item["id"] for item in get(items, target)]
        count += 1
        following = links(items, target).get("next", "")
        target = following.removeprefix(f"http://{HOST}")
    assert (ids, count) == (list(range(1, 101)), pages)


def test_pages_link_to_their_neighbours_and_count_everything(items: Items) -> None:
    url = f"http://{HOST}/posts?userId=1&_page=%d&_limit=4"
    found = answer(items, "/posts?userId=1&_page=2&_limit=4", HOST)
    assert found.headers["X-Total-Count"] == "10"
    assert found.headers["Access-Control-Expose-Headers"] == "X-Total-Count, Link"
    assert links(items, "/posts?userId=1&_page=2&_limit=4") == {
        "first": url % 1, "prev": url % 1, "next": url % 3, "last": url % 3,
    }  # fmt: skip
    assert set(links(items, "/posts?_page=1&_limit=4")) == {"first", "next", "last"}
    assert set(links(items, "/posts?_page=25&_limit=4")) == {"first", "prev", "last"}


def test_beyond_the_last_page_there_is_an_empty_list_without_links(items: Items) -> None:
    assert get(items, "/posts?_page=26&_limit=4") == []
    assert links(items, "/posts?_page=26&_limit=4") == {}


def test_items_change_while_they_are_served() -> None:
    items = Items(resources(3))
    before = answer(items, "/todos", HOST).etag
    items.put("todos", [{"id": 5, "title": "new"}, {"id": 900, "title": "added"}])
    found = get(items, "/todos")
    assert (found[4], found[-1], len(found)) == (
        {"id": 5, "title": "new"},
        {"id": 900, "title": "added"},
        201,
    )
    assert answer(items, "/todos", HOST).etag != before
    items.replace("todos", [{"id": 1}])
    assert get(items, "/todos") == [{"id": 1}]
