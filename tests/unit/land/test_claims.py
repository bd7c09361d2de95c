"""What APIs call the things that say whether there are more."""

from __future__ import annotations

import json

import pytest

from tideline.land.claims import claims_of, total_of


def said(envelope=None, headers=None, unrelated=()):
    """The claims' texts by kind, of an envelope as it is landed: whole numbers are texts."""
    read = json.loads(json.dumps(envelope or {}), parse_int=str)
    claims = claims_of([read], headers or {}, unrelated)
    return {kind: claim.text for kind, claim in claims._asdict().items() if claim}


@pytest.mark.parametrize(
    ("envelope", "found"),
    [
        ({"hasMore": True}, {"flag": "hasMore: true"}),
        ({"pageInfo": {"hasNextPage": "true"}}, {"flag": 'pageInfo.hasNextPage: "true"'}),
        ({"IsTruncated": True, "NextMarker": "k"}, {"flag": "IsTruncated: true", "lead": 'NextMarker: "k"'}),
        ({"incomplete_results": True}, {"flag": "incomplete_results: true"}),
        ({"done": False, "totalSize": 9}, {"flag": "done: false", "total": "totalSize: 9"}),
        ({"meta": {"is_last": False}}, {"flag": "meta.is_last: false"}),
        ({"metadata": {"continue": "t"}}, {"lead": 'metadata.continue: "t"'}),
        ({"link": [{"relation": "next", "url": "/b"}]}, {"lead": 'link.next: "/b"'}),
        ({"links": [{"rel": ["last", "next"], "href": "/b"}]}, {"lead": 'links.next: "/b"'}),
        ({"offset": "itr1/rec2"}, {"lead": 'offset: "itr1/rec2"'}),
        ({"cursor": "abc", "nextCursor": None}, {"lead": 'cursor: "abc"'}),
        ({"total": {"value": 10000}}, {"total": 'total: {"value": "10000"}'}),
        ({"result_info": {"count": 2, "total_count": 9}}, {"total": "result_info.total_count: 9"}),
        ({"@odata.count": 7}, {"total": "@odata.count: 7"}),
        ({"numFound": 7, "nbPages": 2}, {"total": "numFound: 7", "pages": "nbPages: 2"}),
        ({"meta": {"last_page": 3, "current_page": 1}}, {"pages": "meta.last_page: 3"}),
    ],
)
def test_what_says_that_there_is_more_is_found(envelope, found):
    assert said(envelope) == found


@pytest.mark.parametrize(
    "envelope",
    [
        {"has_more": False, "cursor": "abc"},
        {"isLast": True, "offset": "itr"},
        {"truncated": False, "has_more": "false", "next": ""},
        {"offset": 10, "limit": 10, "page": 2, "size": 10},
        {"cursor": 0, "next": 0, "links": [{"rel": "self", "href": "/"}, {"rel": 7}, "next"]},
        {"links": [{"rel": "next", "href": None}]},
        {"total": "many", "pages": [1, 2], "count": -1, "total_count": 0, "last": "/posts?p=9"},
        {"total": 1.5, "totalItems": "9" * 19},
        {"order": {"total": 900, "next": "x", "last": False}},
        {"meta": {"meta": {"meta": {"meta": {"has_more": True}}}}},
        {"nextSyncToken": "x", "subtotal": 9, "accounts": 9},
    ],
)
def test_what_says_nothing_or_the_contrary_is_passed_over(envelope):
    assert said(envelope) == {}


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-next-page": "2"}, {"lead": "x-next-page: 2"}),
        ({"x-ms-continuation": "t"}, {"lead": 'x-ms-continuation: "t"'}),
        ({"x-wp-total": "35"}, {"total": "x-wp-total: 35"}),
        ({"content-range": "items 0-9/35"}, {"total": "content-range: 35"}),
        ({"content-range": "items 0-9/*"}, {}),
        ({"content-range": "bytes 0-9/35"}, {}),
        ({"x-pagination": '{"TotalPages": 4}'}, {"pages": "x-pagination.TotalPages: 4"}),
        ({"x-pagination": "{4"}, {}),
        ({"x-next-page": "", "x-has-more": "False", "x-total": "0", "total": "35", "next": "x"}, {}),
    ],
)
def test_headers_say_it_too(headers, found):
    assert said(headers=headers) == found


def test_unrelated_keys_are_passed_over_wherever_they_stand():
    envelope = {"Total": 9, "meta": {"total": 8, "pages": 3}, "links": {"next": "x"}}

    assert said(envelope, {"x-total": "7"}, ("total", "X-Total", "links")) == {"pages": "meta.pages: 3"}
    assert total_of({"x-total-count": "7"}, ("total",)) == 7
    assert total_of({"x-total-count": "7"}, ("X-Total-Count",)) is None
