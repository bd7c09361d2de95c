"""A landed snapshot is the whole listing as the server sent it, or nothing is committed."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline.catalog.model import HttpDataset
from tideline.errors import ContractError, SourceChangedError, SourceRefusedError, SourceUnavailableError
from tideline.lake import manifest as manifests
from tideline.land import paging
from tideline.land.http import HttpSession
from tideline.land.link_header import links
from tideline.land.rest_api import land


def posts(**changes):
    declared = {
        "name": "posts",
        "source": "api",
        "key": ["id"],
        "columns": [{"name": "id", "type": "int64"}],
        "path": "/posts",
        "paging": {"size": 10},
    }
    return HttpDataset.model_validate({**declared, **changes})


class Listing:
    """An API over a list: page and limit parameters, and whatever headers it is told to give."""

    def __init__(self, site, reply, items, *, total=False, link=None, etag=False, cap=None, beyond=None):
        self.items = items
        self.options = {"total": total, "link": link, "etag": etag, "cap": cap, "beyond": beyond}
        self.site, self.reply = site, reply
        site.answer = self

    def __call__(self, path, headers):
        query = {k: v[0] for k, v in parse_qs(urlsplit(path).query).items()}
        page = int(query.get("_page", 1))
        size = int(query.get("_limit", 0)) or len(self.items) or 1
        size = min(size, self.options["cap"] or size)
        rows = self.items[(page - 1) * size : page * size]
        if not rows and page > 1 and self.options["beyond"]:
            return self.options["beyond"]
        body = json.dumps(rows).encode()
        return self._reply(body, self._headers(body, page, size), headers)

    def _headers(self, body, page, size):
        headers = {"X-Total-Count": str(len(self.items))} if self.options["total"] else {}
        if self.options["etag"]:
            headers["ETag"] = f'W/"{hash(body)}"'
        if self.options["link"]:
            url = self.options["link"] + "/posts?_page={}&_limit=" + str(size)
            targets = {"first": 1} | ({"next": page + 1} if page * size < len(self.items) else {})
            headers["Link"] = ", ".join(f'<{url.format(n)}>; rel="{rel}"' for rel, n in targets.items())
        return headers

    def _reply(self, body, headers, sent):
        if headers.get("ETag") and sent.get("If-None-Match") == headers["ETag"]:
            return self.reply(status=304, headers=headers)
        return self.reply(body=body, headers=headers)


def rows(count):
    return [{"id": n} for n in range(count)]


@pytest.fixture
def listing(site, reply):
    return lambda items, **options: Listing(site, reply, items, **options)


@pytest.fixture
def landing(session, store, request_for):
    def run(dataset=None, *, session=session, **options):
        return land(request_for(dataset or posts(), **options), session, store)

    return run


def snapshot(store, manifest):
    return [item for part in manifest.parts for item in json.loads(store.read(store.key_of(part.uri)))]


def test_one_request_lands_the_body_byte_for_byte(landing, site, reply, store):
    body = b'[ {"id": 1, "t": "\xc3\xa9\\u0041"} ,{"id":2}]\r\n'
    site.script = [
        reply(body=body, headers={"ETag": '"1"', "Set-Cookie": "s=1", "Content-Type": "application/json"})
    ]

    manifest, uri = landing(posts(paging=None, parameters={"q": "x y"}))

    part = manifest.parts[0]
    assert store.read(store.key_of(part.uri)) == body
    assert part.uri.endswith("/part-00000.json")
    assert (part.records, manifest.records, manifest.unchanged) == (2, 2, False)
    assert (part.origin["url"], part.origin["status"]) == (site.url + "/posts?q=x+y", 200)
    assert part.origin["etag"] == '"1"'
    assert part.origin["headers"]["content-type"] == "application/json"
    assert "set-cookie" not in part.origin["headers"]
    assert manifests.read(store, uri) == manifest
    assert len(site.requests) == 1


def test_what_one_record_has_wrong_is_landed_for_refine_to_refuse(landing, site, reply, store, naps):
    deep = b'{"id":2,"x":' + b"[" * 3000 + b"]" * 3000 + b"}"
    body = b'[{"id":1,"v":NaN},' + deep + b',{"id":3,"v":1.5}]'
    site.script = [reply(body=body)]

    manifest, _ = landing(posts(paging=None))

    assert manifest.records == 3
    assert store.read(store.key_of(manifest.parts[0].uri)) == body
    assert naps == []


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25, 30, 100])
@pytest.mark.parametrize("how", ["plain", "total", "link", "both"])
def test_all_pages_come_once(landing, listing, site, store, count, how):
    listing(rows(count), total=how in ("total", "both"), link=site.url if how in ("link", "both") else None)

    manifest, _ = landing()

    assert snapshot(store, manifest) == rows(count)
    assert manifest.records == count
    pages = -(-count // 10)
    assert len(manifest.parts) == pages
    if how == "plain":
        assert len(site.requests) == pages + 1 or count == 0
    else:
        assert len(site.requests) == max(pages, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 20),
    cap=st.one_of(st.none(), st.integers(1, 20)),
    total=st.booleans(),
    beyond=st.sampled_from([None, 404]),
)
def test_no_item_is_missed_whatever_the_server_says_about_its_pages(
    site, reply, session, count, size, cap, total, beyond
):
    options = {"cap": cap, "total": total, "beyond": reply(status=beyond) if beyond else None}
    Listing(site, reply, rows(count), **options)

    pages = list(paging.walk(posts(paging={"size": size}), session))

    assert [item for page in pages for item in json.loads(page.answer.body)] == rows(count)


def test_a_server_that_caps_pages_silently_is_noticed(landing, listing, store, caplog):
    listing(rows(35), cap=4)

    assert snapshot(store, landing()[0]) == rows(35)
    assert "gives 4 items on page 1, where the catalog asks for 10" in caplog.text


@pytest.mark.parametrize("sizes", [(10, 10, 4, 10, 6), (10, 9, 10, 3), (4, 4, 2, 4, 1), (10, 1, 1)])
@pytest.mark.parametrize("end", ["empty", "400", "404", "the last page", "the first page"])
def test_a_short_page_is_not_taken_for_the_last(landing, flagged, site, reply, sizes, end):
    """The size is capped from now on, or what we may not see was left out after the page was cut."""
    dataset, plain = flagged(sizes, lambda number, last: {}), site.answer
    pages = len(sizes)

    def answer(path, headers):
        number = int(parse_qs(urlsplit(path).query)["_page"][0])
        if number <= pages or end == "empty":
            return plain(path, headers)
        if end in ("400", "404"):
            return reply(status=int(end))
        return plain(f"/posts?_page={pages if end == 'the last page' else 1}", headers)

    site.answer = answer
    assert landing(dataset)[0].records == sum(sizes)


def test_a_cache_on_the_way_is_asked_to_look_itself(landing, listing, site, store):
    """One page from before an item went and the next from after it, and an item between them is on neither."""
    items, kept = rows(12), {}
    listing(items, total=False)
    origin = site.answer

    def cache(path, headers):
        if "_page=1" in path and "no-cache" not in headers.get("Cache-Control", ""):
            return kept.setdefault(path, origin(path, headers))
        return origin(path, headers)

    site.answer = cache
    assert snapshot(store, landing()[0]) == items
    del items[0]
    assert snapshot(store, landing()[0]) == items


def test_a_server_without_paging_gives_everything_on_a_short_first_page(landing, site, reply, store):
    site.answer = lambda path, headers: reply(rows(4))

    assert snapshot(store, landing()[0]) == rows(4)


def test_a_server_that_refuses_the_page_after_the_last_is_fine(landing, listing, reply, store):
    listing(rows(4), beyond=reply(status=404))

    assert snapshot(store, landing()[0]) == rows(4)


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_a_second_page_that_is_refused_to_us_is_no_end(
    landing, listing, reply, status, assert_nothing_committed
):
    """A server that caps the page size has most of its rows behind it."""
    listing(rows(4), beyond=reply(status=status))

    with pytest.raises(SourceRefusedError, match=f"status {status}"):
        landing()
    assert_nothing_committed()


AWAY = {
    "a part": {"status": 206},
    "never": {"status": 501},
    "a login page": {"status": 302, "headers": {"Location": "http://localhost:9/login"}},
    "unreadable": {"headers": {"Content-Encoding": "br"}, "body": b"x"},
}


@pytest.mark.parametrize("beyond", AWAY.values(), ids=AWAY)
def test_a_second_page_that_is_there_but_cannot_be_had_is_no_end(
    site, listing, reply, store, request_for, beyond, assert_nothing_committed
):
    session = HttpSession(site.url, auth=("u", "p"))
    listing(rows(4), beyond=reply(**beyond))

    with closing(session), pytest.raises(SourceRefusedError):
        land(request_for(posts()), session, store)
    assert_nothing_committed()


@pytest.mark.parametrize("beyond", AWAY.values(), ids=AWAY)
def test_an_unchanged_listing_whose_end_cannot_be_seen_is_not_called_so(
    site, listing, reply, store, request_for, beyond
):
    session = HttpSession(site.url, auth=("u", "p"))
    made = listing(rows(4), etag=True)
    with closing(session):
        first, _ = land(request_for(posts()), session, store)
        made.options["beyond"] = reply(**beyond)
        with pytest.raises(SourceRefusedError):
            land(request_for(posts(), previous=first), session, store)


@pytest.mark.parametrize("count", [4, 10, 30])
@pytest.mark.parametrize("end", ["204", "null"])
def test_a_page_after_the_last_may_be_nothing_at_all(landing, listing, reply, count, end):
    beyond = reply(status=204, body=b"") if end == "204" else reply(body=b"null")
    listing(rows(count), beyond=beyond)

    assert landing()[0].records == count


def test_nothing_in_place_of_items_ends_a_listing_behind_links(landing, site, reply):
    site.script = [
        reply(rows(3), headers={"Link": "</posts?c=x>; rel=next"}),
        reply(status=204, body=b""),
    ]

    assert landing(posts(paging=None))[0].records == 3


@pytest.mark.parametrize("nothing", [None, []])
def test_nothing_for_items_ends_a_listing_unless_an_error_is_told(landing, site, reply, nothing):
    full = reply({"rows": rows(10), "errors": []})
    site.script = [full, reply({"rows": nothing, "errors": []})]
    assert landing(posts(records_at=("rows",)))[0].records == 10

    site.answer = lambda path, headers: (
        full if "_page=1" in path else reply({"rows": nothing, "error": "try later"})
    )
    with pytest.raises(SourceUnavailableError, match=r"tells an error \(error: .try later.\)"):
        landing(posts(records_at=("rows",)))
    assert landing(posts(records_at=("rows",), unrelated_keys=("error",)))[0].records == 10


@pytest.mark.parametrize(
    "page", [{"error": "rate limited"}, {"success": False, "data": {}}, {"code": 500, "msg": "away"}]
)
def test_an_error_in_place_of_the_page_after_a_short_one_is_no_end(
    landing, listing, reply, page, assert_nothing_committed
):
    """A server that caps the page size has most of its rows behind it."""
    capped = listing(rows(23), cap=5)
    capped.site.answer = lambda path, sent: reply(page) if "_page=2" in path else capped(path, sent)

    with pytest.raises(SourceUnavailableError, match="no items and tells an error"):
        landing()
    assert_nothing_committed()


@pytest.mark.parametrize("paging", [None, {"size": 10}])
@pytest.mark.parametrize("first", ["204", "null"])
def test_a_first_page_must_be_an_array(landing, site, reply, first, paging, assert_nothing_committed):
    """Empty it would say that all rows are gone."""
    site.script = [reply(status=204, body=b"") if first == "204" else reply({"rows": None})]

    with pytest.raises((SourceRefusedError, ContractError), match=r"status 204|the value null at rows"):
        landing(posts(records_at=("rows",), paging=paging))
    assert_nothing_committed()


@pytest.mark.parametrize("end", ["400", "the last page"])
def test_another_answer_than_an_empty_page_is_no_end(landing, listing, reply, end, assert_nothing_committed):
    listing(rows(20), beyond=reply(status=400) if end == "400" else reply(rows(20)[10:]))

    with pytest.raises((SourceRefusedError, ContractError), match=r"status 400|has the body of page 2"):
        landing()
    assert_nothing_committed()


def test_a_full_page_before_a_missing_one_must_still_be_there(landing, site, reply, assert_nothing_committed):
    site.script = [reply(rows(10)), reply(status=404), reply(rows(9))]

    with pytest.raises(SourceChangedError, match="changed while the one after it vanished"):
        landing()

    assert_nothing_committed()


def test_page_parameters_are_those_of_the_catalog(landing, site, reply):
    site.script = [reply(rows(2)), reply([{"id": 9}]), reply([])]
    declared = {"size": 2, "first": 0, "page_parameter": "p", "size_parameter": "per"}

    landing(posts(paging=declared, parameters={"sort": "id"}, path="/v1/posts"))

    assert site.paths == [f"/v1/posts?sort=id&p={page}&per=2" for page in range(3)]


def test_links_are_followed_to_wherever_they_lead(landing, site, reply, store):
    site.script = [
        reply([{"id": 1}], headers={"Link": '</posts?cursor=abc>; rel="next"'}),
        reply([], headers={"Link": "<?cursor=def>; rel=next"}),
        reply([{"id": 2}], headers={"Link": '<x>; rel="prev"'}),
    ]

    assert snapshot(store, landing()[0]) == [{"id": 1}, {"id": 2}]
    assert site.paths == ["/posts?_page=1&_limit=10", "/posts?cursor=abc", "/posts?cursor=def"]


def test_links_are_followed_without_declared_paging_too(landing, site, reply, store):
    site.script = [reply([{"id": 1}], headers={"Link": '<?page=2>; rel="next"'}), reply([{"id": 2}])]

    assert snapshot(store, landing(posts(paging=None))[0]) == [{"id": 1}, {"id": 2}]


def test_a_link_is_followed_past_a_comma_in_its_title(landing, site, reply, store):
    link = '</posts?page=2>; title="next, please"; rel="next"'
    site.script = [reply([{"id": 1}], headers={"Link": link}), reply([{"id": 2}])]

    assert snapshot(store, landing(posts(paging=None))[0]) == [{"id": 1}, {"id": 2}]


def test_a_link_that_says_http_where_we_use_another_door_is_ours(landing, listing, site, store):
    """As the public JSONPlaceholder does; here the port is the difference."""
    listing(rows(25), link="http://127.0.0.1:9")

    assert snapshot(store, landing()[0]) == rows(25)


def test_a_link_to_another_host_keeps_our_credentials(site, reply, store, request_for, other_site):
    session = HttpSession(site.url, auth=("u", "p"))
    site.script = [reply([{"id": 1}], headers={"Link": '<http://localhost:9/x>; rel="next"'})]

    with pytest.raises(SourceRefusedError, match="credentials"):
        land(request_for(posts()), session, store)
    session.close()


def pages_of(reply, *pages):
    return [reply(page) for page in pages]


def test_a_page_that_comes_again_is_named(landing, site, reply, assert_nothing_committed):
    site.answer = lambda path, headers: reply(rows(10))

    with pytest.raises(ContractError, match="page 2 has the body of page 1") as refused:
        landing()

    assert "_page=2" in refused.value.place
    assert "may ignore them" in refused.value.remedy
    assert (refused.value.source, refused.value.dataset) == ("api", "posts")
    assert_nothing_committed()


@pytest.fixture
def clocked(site, reply):
    """An API whose envelopes have a time; the items of a page are the function's."""

    def serve(items_of):
        def answer(path, headers):
            number = int(parse_qs(urlsplit(path).query).get("_page", ["1"])[0])
            items = items_of(number)
            if items is None:
                return reply(status=404)
            return reply({"took": len(site.requests), "rows": items})

        site.answer = answer
        return posts(records_at=("rows",))

    return serve


def test_a_server_that_ignores_paging_is_seen_through_a_changing_envelope(landing, clocked, site, store):
    manifest, _ = landing(clocked(lambda number: rows(4)))

    assert manifest.records == 4
    assert len(site.requests) == 2


def test_full_pages_that_repeat_are_named_through_a_changing_envelope(landing, clocked, site):
    dataset = clocked(lambda number: rows(10))

    with pytest.raises(ContractError, match="page 2 has the body of page 1"):
        landing(dataset)
    assert len(site.requests) == 2


def test_a_missing_page_after_the_last_is_its_end_through_a_changing_envelope(landing, clocked):
    manifest, _ = landing(clocked(lambda number: rows(10) if number == 1 else None))

    assert manifest.records == 10


MORE = [
    {"next": "https://api/posts?after=9"},
    {"has_more": True},
    {"meta": {"pagination": {"nextPage": 2}}},
    {"response_metadata": {"next_cursor": "dXNlcjpV"}},
    {"@odata.nextLink": "https://api/posts?$skip=9"},
    {"_links": {"next": {"href": "/posts?p=2"}}},
    {"links": [{"rel": "self", "href": "/posts"}, {"rel": "next", "href": "/posts?p=2"}]},
    {"last": False, "totalPages": 4},
    {"isLast": False},
    {"truncated": True},
    {"cursor": "abc"},
    {"total": 4, "limit": 3, "offset": 0},
    {"pagination": {"page": 1, "pages": 2}},
]
WHOLE = [
    {"next": None, "has_more": False, "meta": {"next_page": 0}, "response_metadata": {"next_cursor": ""}},
    {
        "nextSyncToken": "x",
        "links": {"self": "/posts", "next": None},
        "paging": {"cursors": {"before": "w", "after": "x"}},
    },
    {"last": True, "isLast": True, "cursor": "abc", "totalPages": 1, "page": {"totalElements": 3}},
    {"total": 3, "count": 2, "pages": 1, "limit": 100, "offset": 10, "amount": {"total": 900}},
    {"lines": [{"total": 9, "last": False, "next": "x"}]},
]


@pytest.mark.parametrize("envelope", MORE, ids=[next(iter(envelope)) for envelope in MORE])
def test_a_body_that_says_that_there_is_more_is_not_landed_as_the_whole(
    landing, site, reply, envelope, assert_nothing_committed
):
    site.script = [reply({**envelope, "rows": rows(3)})]

    with pytest.raises(ContractError, match="3 items and says that there are more") as refused:
        landing(posts(paging=None, records_at=("rows",)))

    assert "declare paging" in refused.value.remedy
    assert_nothing_committed()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Content-Range", "0-2/4"),
        ("X-Total", "4"),
        ("X-Next-Page", "2"),
        ("X-WP-TotalPages", "2"),
        ("X-Has-More", "true"),
        ("X-Pagination", '{"totalCount": 4, "pageSize": 3}'),
    ],
)
def test_a_head_that_says_that_there_is_more_is_not_landed_as_the_whole(
    landing, site, reply, name, text, assert_nothing_committed
):
    site.script = [reply(rows(3), headers={name: text})]

    with pytest.raises(ContractError, match="3 items and says that there are more") as refused:
        landing(posts(paging=None))

    assert name.lower() in str(refused.value)
    assert_nothing_committed()


def test_a_head_that_says_that_it_is_all_is_believed(landing, site, reply):
    headers = {"Content-Range": "bytes 0-99/100", "X-Total": "3", "X-Next-Page": "", "X-Total-Pages": "1"}
    site.script = [reply(rows(3), headers=headers)]

    assert landing(posts(paging=None))[0].records == 3


@pytest.mark.parametrize("paging", [None, {"size": 10}])
def test_keys_that_say_something_else_are_named_in_the_catalog(landing, site, reply, paging):
    body = {"meta": {"Total": 900, "pages": 12}, "isLast": False, "rows": rows(3)}
    site.answer = lambda path, headers: reply(body, headers={"X-Total": "900", "X-Total-Count": "7"})
    unrelated = ("total", "pages", "isLast", "X-Total", "X-Total-Count")

    manifest, _ = landing(posts(paging=paging, records_at=("rows",), unrelated_keys=unrelated))

    assert manifest.records == 3
    assert manifest.details["source"] == {"kind": "none", "count": None}


@pytest.mark.parametrize("envelope", WHOLE, ids=["nothing", "other", "flags", "counts", "another array"])
def test_an_envelope_that_says_that_it_is_all_is_believed(landing, site, reply, envelope):
    site.script = [reply({"rows": rows(3), **envelope})]

    assert landing(posts(paging=None, records_at=("rows",)))[0].records == 3


def test_what_a_total_or_links_say_comes_before_the_body(landing, site, reply):
    site.script = [reply({"rows": rows(3), "has_more": True}, headers={"X-Total-Count": "3"})]
    assert landing(posts(paging=None, records_at=("rows",)))[0].records == 3
    site.script = [reply({"rows": rows(3), "next": "x"}, headers={"Link": "</posts>; rel=first"})]
    assert landing(posts(paging=None, records_at=("rows",)))[0].records == 3


@pytest.fixture
def flagged(site, reply):
    """An API whose pages have so many rows each, with an envelope that says whether there are more."""

    def serve(sizes, more):
        def answer(path, headers):
            number = int(parse_qs(urlsplit(path).query).get("_page", ["1"])[0])
            size = sizes[number - 1] if number <= len(sizes) else 0
            items = [{"id": 100 * number + n} for n in range(size)]
            return reply({**more(number, len(sizes)), "rows": items})

        site.answer = answer
        return posts(records_at=("rows",))

    return serve


@pytest.mark.parametrize("sizes", [(10, 3, 10, 2), (10, 0, 5), (4, 10, 1), (0, 3), (10, 10)])
def test_short_and_empty_pages_in_the_middle_do_not_end_a_listing_that_says_so(landing, flagged, sizes):
    dataset = flagged(sizes, lambda number, last: {"has_more": number < last})

    assert landing(dataset)[0].records == sum(sizes)


@pytest.mark.parametrize("sizes", [(10, 3, 10, 2), (10, 0, 5), (4, 10, 1), (0, 3), (10, 10)])
@pytest.mark.parametrize("key", ["last", "pages"])
def test_a_negated_flag_or_a_number_of_pages_leads_on_too(landing, flagged, sizes, key):
    said = {
        "last": lambda number, last: {"last": number >= last},
        "pages": lambda number, last: {"totalPages": last},
    }

    assert landing(flagged(sizes, said[key]))[0].records == sum(sizes)


@pytest.mark.parametrize("sizes", [(10, 9, 10, 5), (10, 10), (7, 7, 7, 2)])
@pytest.mark.parametrize("where", ["body", "head"])
def test_a_total_that_was_not_reached_leads_on(landing, flagged, site, sizes, where):
    total = sum(sizes)
    dataset = flagged(sizes, lambda number, last: {"total": total} if where == "body" else {})
    if where == "head":
        plain = site.answer
        site.answer = lambda path, headers: replace(plain(path, headers), headers={"X-Total": str(total)})

    assert landing(dataset)[0].records == total


def test_a_total_that_pages_do_not_reach_is_a_change(landing, flagged, assert_nothing_committed):
    dataset = flagged((10, 9), lambda number, last: {"meta": {"total": 20 if number == 1 else 19}})

    with pytest.raises(SourceChangedError, match=r"than the 19 that came \(meta.total: 20\)") as changed:
        landing(dataset)

    assert "unrelated_keys: [total]" in changed.value.remedy
    assert_nothing_committed()


def test_a_total_that_links_do_not_reach_is_a_change(landing, site, reply, assert_nothing_committed):
    link = {"X-Total": "5", "Link": "</posts?c=x>; rel=next"}
    site.script = [reply(rows(3), headers=link), reply([{"id": 9}], headers={"X-Total": "5"})]

    with pytest.raises(SourceChangedError, match=r"x-total: 5"):
        landing(posts(paging=None))
    assert_nothing_committed()


def test_a_missing_page_is_no_end_where_the_one_before_says_that_there_are_more(
    landing, site, reply, assert_nothing_committed
):
    full = reply({"rows": rows(10), "has_more": True})
    site.script = [full, reply(status=404), full]

    with pytest.raises(ContractError, match="says that there are more"):
        landing(posts(records_at=("rows",)))
    assert_nothing_committed()


@pytest.mark.parametrize("second", ["the same", "refused"])
@pytest.mark.parametrize("said", [{"last": False}, {"total": 4}, {"pages": 2}])
def test_what_a_short_first_page_says_must_be_satisfied(
    landing, site, reply, second, said, assert_nothing_committed
):
    body = {"rows": rows(3), **said}
    site.answer = lambda path, headers: (
        reply(status=400) if second == "refused" and "_page=2" in path else reply(body)
    )

    with pytest.raises(ContractError, match="says that there are more"):
        landing(posts(records_at=("rows",)))
    assert_nothing_committed()


@pytest.mark.parametrize("pages", [1, 2])
def test_a_refusal_behind_as_many_pages_as_a_header_says_is_the_end(landing, flagged, site, reply, pages):
    """As WordPress does, where the last page is full."""
    dataset = flagged((10,) * pages, lambda number, last: {})
    plain, total = site.answer, {"X-WP-TotalPages": str(pages)}
    site.answer = lambda path, headers: (
        reply(status=400) if f"_page={pages + 1}" in path else replace(plain(path, headers), headers=total)
    )

    assert landing(dataset)[0].records == 10 * pages


@pytest.mark.parametrize("said", [{"total": 20}, {"pages": 2}, {}])
def test_a_refusal_behind_full_pages_is_no_end_by_what_a_body_counts(
    landing, flagged, site, reply, said, assert_nothing_committed
):
    """A search shows its first 10,000 results, counts no more of them, and refuses the page after those."""
    dataset, plain = flagged((10, 10), lambda number, last: said), site.answer
    site.answer = lambda path, headers: reply(status=400) if "_page=3" in path else plain(path, headers)

    with pytest.raises(SourceRefusedError, match="400"):
        landing(dataset)
    assert_nothing_committed()


@pytest.mark.parametrize("pages", [2, 3])
def test_the_last_page_again_is_the_end_where_the_total_was_read(landing, flagged, site, pages):
    """As Magento does, where the last page is full."""
    dataset = flagged((10,) * pages, lambda number, last: {"total_count": 10 * pages})
    plain = site.answer
    site.answer = lambda path, headers: plain(path.replace(f"_page={pages + 1}", f"_page={pages}"), headers)

    assert landing(dataset)[0].records == 10 * pages


def test_the_last_page_again_says_what_helps_where_nothing_is_counted(
    landing, flagged, site, assert_nothing_committed
):
    dataset, plain = flagged((10, 10), lambda number, last: {}), site.answer
    site.answer = lambda path, headers: plain(path.replace("_page=3", "_page=2"), headers)

    with pytest.raises(ContractError, match="page 3 has the body of page 2") as refused:
        landing(dataset)

    assert "another page size" in refused.value.remedy
    assert_nothing_committed()


@pytest.mark.parametrize("said", [{"count": 10}, {"total": 10}, {"count": 10, "has_more": True}])
def test_the_first_page_again_is_no_end_by_a_count_that_may_be_its_own(
    landing, flagged, site, said, assert_nothing_committed
):
    dataset, plain = flagged((10,), lambda number, last: said), site.answer
    site.answer = lambda path, headers: plain(path.replace("_page=2", "_page=1"), headers)

    with pytest.raises(ContractError, match="page 2 has the body of page 1"):
        landing(dataset)
    assert_nothing_committed()


@pytest.mark.parametrize("sizes", [(10, 10, 3), (10, 10), (3,), ()])
def test_a_link_that_every_page_has_does_not_lead_on_for_ever(landing, flagged, sizes):
    dataset = flagged(sizes, lambda number, last: {"links": {"next": f"/posts?_page={number + 1}"}})

    assert landing(dataset)[0].records == sum(sizes)


@pytest.mark.parametrize("second", ["the same", "refused"])
def test_a_flag_that_paging_does_not_satisfy_is_an_error(
    landing, site, reply, second, assert_nothing_committed
):
    body = {"rows": rows(3), "has_more": True}
    site.answer = lambda path, headers: (
        reply(status=400) if second == "refused" and "_page=2" in path else reply(body)
    )

    with pytest.raises(ContractError, match="says that there are more"):
        landing(posts(records_at=("rows",)))
    assert_nothing_committed()


def test_a_listing_that_goes_round_by_bodies_is_named(landing, site, reply, assert_nothing_committed):
    first, second = rows(10), [{"id": n} for n in range(10, 20)]
    site.script = pages_of(reply, first, second, first, second)

    with pytest.raises(ContractError, match="page 3 has the body of page 1"):
        landing()

    assert_nothing_committed()


def test_a_listing_that_goes_round_by_links_is_named(landing, site, reply, assert_nothing_committed):
    a, b = {"Link": "</posts?c=A>; rel=next"}, {"Link": "</posts?c=B>; rel=next"}
    site.script = [reply([{"id": n}], headers=headers) for n, headers in enumerate([a, b, a])]

    with pytest.raises(ContractError, match="page 4 has the URL of page 2") as refused:
        landing()

    assert "c=A" in refused.value.place
    assert len(site.requests) == 3
    assert_nothing_committed()


def test_empty_pages_that_link_on_for_ever_end(landing, site, reply, monkeypatch, assert_nothing_committed):
    monkeypatch.setattr(paging, "MOST_PAGES", 50)
    site.answer = lambda path, headers: reply(
        [], headers={"Link": f"</posts?c={len(site.requests)}>; rel=next"}
    )

    with pytest.raises(ContractError, match="more than 50 pages"):
        landing()

    assert len(site.requests) == 50
    assert_nothing_committed()


@pytest.mark.parametrize(
    ("totals", "found"),
    [((25, 26, 26), "changed from 25 to 26"), ((24, 24, 24), "24 items, and 25 came")],
    ids=["changes", "too small"],
)
def test_a_total_that_does_not_fit_is_a_change(landing, site, reply, totals, found, assert_nothing_committed):
    chunks = [rows(25)[:10], rows(25)[10:20], rows(25)[20:]]
    site.script = [reply(c, headers={"X-Total-Count": str(t)}) for c, t in zip(chunks, totals, strict=True)]

    with pytest.raises(SourceChangedError, match=found):
        landing()

    assert_nothing_committed()


def test_fewer_items_than_the_total_is_a_change(landing, site, reply, assert_nothing_committed):
    site.script = [reply(page, headers={"X-Total-Count": "25"}) for page in (rows(10), [])]

    with pytest.raises(SourceChangedError, match="25 items, and 10 came"):
        landing()

    assert_nothing_committed()


def test_more_items_than_one_reply_holds_need_declared_paging(landing, site, reply, assert_nothing_committed):
    site.script = [reply(rows(10), headers={"X-Total-Count": "25"})]

    with pytest.raises(ContractError, match="declare paging"):
        landing(posts(paging=None))

    assert_nothing_committed()


@pytest.mark.parametrize("total", ["many", "-1", "1.5", "٣", "9" * 5_000])
def test_a_total_that_is_no_number_says_nothing(landing, site, reply, store, total):
    site.script = [
        reply(raw=b""),
        reply(rows(3), headers={"X-Total-Count": total.encode().decode("latin-1")}),
    ]
    site.answer = lambda path, headers: reply([])

    assert snapshot(store, landing()[0]) == rows(3)


def test_an_envelope_in_place_of_an_array_is_refused(landing, site, reply, naps, assert_nothing_committed):
    """json-server 1.0 answers the page parameters of 0.17 so, with status 200 and no rows."""
    site.answer = lambda path, headers: reply(
        {"first": 1, "prev": None, "next": None, "last": 1, "pages": 1, "items": 0, "data": []}
    )

    with pytest.raises(ContractError, match=r"keys first, prev, next, last, pages, items, data") as refused:
        landing()

    assert "records_at: [data]" in refused.value.remedy
    assert naps == []
    assert_nothing_committed()


def test_rows_inside_an_envelope_are_found(landing, site, reply, store):
    site.script = [reply({"data": {"rows": rows(3)}})]

    manifest, _ = landing(posts(paging=None, records_at=("data", "rows")))

    assert manifest.records == 3


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b'[{"id": 1}, {"i', b""], ids=["HTML", "cut", "empty"]
)
def test_a_body_that_is_no_json_is_asked_for_again(landing, site, reply, store, naps, body):
    site.script = [reply(body=body), reply(body=body), reply(rows(1)), reply([])]

    assert snapshot(store, landing()[0]) == rows(1)
    assert naps == [0.25, 0.5]


def test_a_page_cut_at_any_byte_never_makes_a_shorter_snapshot(
    landing, site, reply, assert_nothing_committed
):
    """80 cuts of the second page, with a status of 200 and a length that fits."""
    second = json.dumps(rows(10)[::-1]).encode()
    cuts = range(0, len(second), max(1, len(second) // 80))
    refused = 0
    for cut in cuts:
        site.script = [reply(rows(10)), *[reply(body=second[:cut]) for _ in range(4)]]
        with pytest.raises(SourceUnavailableError):
            landing()
        refused += 1
    assert refused == len(cuts) >= 80
    assert_nothing_committed()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 500])
def test_a_refused_page_commits_nothing(landing, site, reply, status, assert_nothing_committed):
    site.script = [reply(rows(10)), *[reply(status=status) for _ in range(4)]]

    with pytest.raises((SourceRefusedError, SourceUnavailableError), match=f"status {status}") as raised:
        landing()

    assert raised.value.dataset == "posts"
    assert_nothing_committed()


def test_an_empty_listing_commits_an_empty_window(landing, listing, store):
    listing([])

    manifest, uri = landing()

    assert (manifest.parts, manifest.records, manifest.unchanged) == ((), 0, False)
    assert list(store.list("")) == [store.key_of(uri)]


@pytest.fixture
def twice(landing, listing):
    """Lands a listing with ETags, changes it, and lands it again."""

    def run(count, change=lambda items: items, dataset=None, **options):
        made = listing(rows(count), etag=True, **options)
        first, _ = landing(dataset)
        made.items = change(made.items)
        made.site.requests.clear()
        second, _ = landing(dataset, previous=first)
        return first, second

    return run


@pytest.mark.parametrize("count", [1, 10, 15, 30])
@pytest.mark.parametrize("total", [False, True])
def test_an_unchanged_listing_lands_nothing_and_says_so(twice, landing, site, store, count, total):
    first, second = twice(count, total=total)
    third, _ = landing(previous=second)

    for manifest in (second, third):
        assert (manifest.parts, manifest.records, manifest.unchanged) == ((), 0, True)
        assert manifest.details == {**first.details, "source": {"kind": "none", "count": None}}
    conditional = [sent for _, sent in site.requests if "if-none-match" in sent]
    assert len(conditional) == 2 * len(first.parts)


def appended(items):
    return [*items, {"id": 999}]


@pytest.mark.parametrize("count", [1, 9, 10, 15, 20, 30])
@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        appended,
        lambda items: items[:-1] or [{"id": 5}],
        lambda items: [{"id": 7, "new": 1}, *items[1:]],
        lambda items: [*items[:-1], {"id": 7, "new": 1}],
    ],
    ids=["appended", "removed", "first changed", "last changed"],
)
def test_any_change_lands_the_whole_listing_again(twice, site, store, count, link, change):
    _, second = twice(count, change, link=site.url if link else None)

    assert not second.unchanged
    assert snapshot(store, second) == change(rows(count))


def test_rows_added_after_a_full_last_page_of_unknown_urls_are_not_missed(landing, site, reply, store):
    """Pages behind opaque links: whether one has come after the last cannot be asked, so all is read."""
    script = [
        reply(rows(2), headers={"ETag": '"1"', "Link": "</posts?c=x>; rel=next"}),
        reply([{"id": 8}, {"id": 9}], headers={"ETag": '"2"'}),
    ]
    site.script = list(script)
    first, _ = landing(posts(paging=None))
    site.script = [reply(status=304), reply(status=304), *script]

    second, _ = landing(posts(paging=None), previous=first)

    assert snapshot(store, second) == [*rows(2), {"id": 8}, {"id": 9}]


A, B = {"ETag": '"1"', "Link": "</posts?c=x>; rel=next"}, {"ETag": '"2"'}


def test_a_page_that_follows_a_short_one_behind_links_is_not_missed(landing, site, reply, store):
    """Pages behind links are of any size, and a 304 need not say what follows: the last one is asked again."""
    script = [reply(rows(3), headers=A), reply([{"id": 8}], headers=B)]
    site.script = list(script)
    first, _ = landing(posts(paging=None))
    longer = reply([{"id": 8}], headers={**B, "Link": "</posts?c=y>; rel=next"})
    whole = [script[0], longer, reply([{"id": 9}], headers={"ETag": '"3"'})]
    site.script = [reply(status=304), reply(status=304), longer, *whole]

    second, _ = landing(posts(paging=None), previous=first)

    assert snapshot(store, second) == [*rows(3), {"id": 8}, {"id": 9}]


@pytest.mark.parametrize("etag", ['"2"', '"4"'], ids=["as it was", "changed meanwhile"])
def test_short_last_pages_behind_links_cost_one_request_more(landing, site, reply, store, etag):
    script = [reply(rows(3), headers=A), reply([{"id": 8}], headers=B)]
    site.script = list(script)
    first, _ = landing(posts(paging=None))
    site.requests.clear()
    site.script = [reply(status=304), reply(status=304), reply([{"id": 8}], headers={"ETag": etag}), *script]

    second, _ = landing(posts(paging=None), previous=first)

    assert second.unchanged == (etag == '"2"')
    assert len(site.requests) == (3 if second.unchanged else 5)


@pytest.mark.parametrize(
    "head",
    [
        {"Link": "</posts?c=x>; rel=next"},
        {"X-Total-Count": "4"},
        {"X-Total": "4"},
        {"X-Next-Page": "2"},
        {"X-Has-More": "true"},
    ],
    ids=["link", "total", "another total", "next page", "flag"],
)
def test_a_304_whose_head_says_that_there_is_more_is_not_believed(landing, site, reply, store, head):
    """A server that pages without being asked: the first page, and its ETag, stay as they are."""
    site.script = [reply(rows(3), headers={"ETag": '"1"'})]
    first, _ = landing(posts(paging=None))
    link = {"ETag": '"1"', "Link": "</posts?c=x>; rel=next"}
    site.script = [reply(status=304, headers=head), reply(rows(3), headers=link), reply([{"id": 3}])]

    second, _ = landing(posts(paging=None), previous=first)

    assert snapshot(store, second) == rows(4)


def test_a_304_whose_head_agrees_is_believed(landing, site, reply):
    site.script = [reply(rows(3), headers={"ETag": '"1"', "X-Total": "3"})]
    first, _ = landing(posts(paging=None))
    head = {"X-Total": "3", "X-Total-Count": "3", "X-Has-More": "true", "X-Next-Page": ""}
    site.script = [reply(status=304, headers=head)]

    assert landing(posts(paging=None), previous=first)[0].unchanged


@pytest.mark.parametrize("status", [404, 204])
def test_an_unchanged_listing_may_end_in_a_missing_page(twice, reply, status):
    _, second = twice(20, beyond=reply(status=status, body=b""))

    assert second.unchanged


def test_rows_on_a_page_after_a_short_one_that_stays_as_it_is_are_not_missed(landing, site, reply, store):
    """Such a server leaves out of a page what we may not see."""
    pages = {1: rows(10), 2: [{"id": 20}]}

    def answer(path, headers):
        number = int(parse_qs(urlsplit(path).query)["_page"][0])
        etag = f'"{number}"'
        if headers.get("If-None-Match") == etag:
            return reply(status=304, headers={"ETag": etag})
        return reply(pages.get(number, []), headers={"ETag": etag})

    site.answer = answer
    first, _ = landing()
    unchanged, _ = landing(previous=first)
    pages[3] = [{"id": 30}]

    second, _ = landing(previous=unchanged)

    assert unchanged.unchanged
    assert snapshot(store, second) == [*rows(10), {"id": 20}, {"id": 30}]


def test_a_server_without_paging_is_known_by_its_etag_to_give_the_same_again(landing, site, reply):
    """Page parameters that it does not know make no page after the only one."""

    def answer(path, headers):
        is_known = headers.get("If-None-Match") == '"1"'
        return reply(status=304) if is_known else reply(rows(4), headers={"ETag": '"1"'})

    site.answer = answer
    first, _ = landing()

    assert landing(previous=first)[0].unchanged


def test_an_unchanged_listing_does_not_end_in_a_page_that_is_refused_to_us(twice, reply):
    _, second = twice(20, total=True, beyond=reply(status=403, body=b""))

    assert (second.unchanged, second.records) == (False, 20)


def test_without_paging_one_304_is_enough(twice, site):
    _, second = twice(5, dataset=posts(paging=None))

    assert second.unchanged
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda manifest: replace(manifest, catalog_fingerprint="another"),
        lambda manifest: manifests.with_details(manifest, request={}),
        lambda manifest: manifests.with_details(
            manifest, request={k: v for k, v in manifest.details["request"].items() if k != "unrelated_keys"}
        ),
        lambda manifest: manifests.with_details(manifest, pages=[]),
        lambda manifest: manifests.with_details(manifest, pages=[{"url": "u", "etag": None, "items": 1}]),
        lambda manifest: replace(manifest, details={}),
    ],
    ids=["other catalog", "other request", "judged before replies were", "no pages", "no ETag", "no details"],
)
def test_a_previous_manifest_that_does_not_fit_is_not_used(landing, listing, site, spoil):
    listing(rows(5), etag=True)
    first, _ = landing()
    site.requests.clear()

    second, _ = landing(previous=spoil(first))

    assert not second.unchanged
    assert not any("if-none-match" in sent for _, sent in site.requests)


def test_a_key_in_the_base_url_is_not_in_the_lake(landing, listing, site, store, patience):
    """A manifest says what was asked for; who can read the lake need not be able to ask."""
    listing(rows(25), etag=True)
    with (
        closing(HttpSession(site.url + "?key=s3cret", patience=patience)) as session,
        closing(HttpSession(site.url + "?key=another", patience=patience)) as another,
    ):
        first, uri = landing(session=session)
        again, _ = landing(session=session, previous=first)
        other, _ = landing(session=another, previous=first)

    assert all("key=" in path for path, _ in site.requests)
    assert b"s3cret" not in store.read(store.key_of(uri))
    assert (first.records, again.unchanged, other.unchanged) == (25, True, False)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ("<a>", {}),
        ('<a>; rel="next"', {"next": "a"}),
        ("<a>; rel=next", {"next": "a"}),
        ('<a,b;c>; title="x"; REL="Next"', {"next": "a,b;c"}),
        ('<a>; rel="first", <b>; rel="prev last"', {"first": "a", "prev": "b", "last": "b"}),
        ('<a>; rel="next", <b>; rel="next"', {"next": "a"}),
        ('<a>; rel="next"; x, <b>;rel=last', {"next": "a", "last": "b"}),
        ('<a>; title="next, please"; rel="next"', {"next": "a"}),
        (r'<a>; title="a \"b\"; c, <d>; rel=last"; rel="next"', {"next": "a"}),
        ('<a>; title="see; rel=last"; rel = next , <b>; rel="prev"', {"next": "a", "prev": "b"}),
        ('<a>; title=next please; rel="next"', {"next": "a"}),
        ("<a>;; rel=next;, <b>; rel=last", {"next": "a", "last": "b"}),
        ('<a>; rel="prev"; rel="next"; nofollow', {"prev": "a"}),
        ('<a>; title="open, <b>; rel=next', {"next": "b"}),
        ('<a>; xrel=next; data-rel="next"', {}),
    ],
)
def test_link_headers_are_read(header, found):
    assert links({"link": header}) == found
