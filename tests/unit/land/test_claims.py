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
        # Chargebee, Zoho CRM and Books, Zendesk's exports, Reddit, GoCardless, Datadog
        ({"next_offset": '["1","2"]'}, {"lead": """next_offset: "[\\"1\\",\\"2\\"]\""""}),
        ({"info": {"more_records": True}}, {"flag": "info.more_records: true"}),
        ({"page_context": {"has_more_page": True}}, {"flag": "page_context.has_more_page: true"}),
        (
            {"end_of_stream": False, "after_cursor": "c"},
            {"flag": "end_of_stream: false", "lead": 'after_cursor: "c"'},
        ),
        ({"after": "t3_x", "before": None}, {"lead": 'after: "t3_x"'}),
        ({"meta": {"cursors": {"before": None, "after": "ID"}}}, {"lead": 'meta.cursors.after: "ID"'}),
        ({"meta": {"page": {"after": "e"}}}, {"lead": 'meta.page.after: "e"'}),
        # ArcGIS, Gong, Dynamics, Marketo, Ashby, Discourse, Elasticsearch, GeoServer, NOAA, Typesense
        ({"exceededTransferLimit": True}, {"flag": "exceededTransferLimit: true"}),
        (
            {"records": {"totalRecords": 263, "cursor": "e"}},
            {"lead": 'records.cursor: "e"', "total": "records.totalRecords: 263"},
        ),
        (
            {"@Microsoft.Dynamics.CRM.morerecords": True},
            {"flag": "@Microsoft.Dynamics.CRM.morerecords: true"},
        ),
        ({"moreResult": True}, {"flag": "moreResult: true"}),
        ({"moreDataAvailable": True}, {"flag": "moreDataAvailable: true"}),
        ({"more_topics_url": "/latest?page=1"}, {"lead": 'more_topics_url: "/latest?page=1"'}),
        ({"timed_out": True}, {"flag": "timed_out: true"}),
        ({"numberMatched": 9, "numberReturned": 3}, {"total": "numberMatched: 9"}),
        ({"metadata": {"resultset": {"count": 9}}}, {"total": "metadata.resultset.count: 9"}),
        ({"found": 9, "out_of": 100}, {"total": "found: 9"}),
        # openFDA, SmartRecruiters, the New York Times, Meilisearch, DataTables
        ({"meta": {"results": {"skip": 0, "limit": 1, "total": 882}}}, {"total": "meta.results.total: 882"}),
        ({"limit": 10, "offset": 0, "totalFound": "47"}, {"total": "totalFound: 47"}),
        ({"meta": {"hits": 8000, "offset": 0, "time": 24}}, {"total": "meta.hits: 8000"}),
        ({"estimatedTotalHits": 976}, {"total": "estimatedTotalHits: 976"}),
        ({"draw": 1, "recordsTotal": 57}, {"total": "recordsTotal: 57"}),
    ],
)
def test_what_says_that_there_is_more_is_found(envelope, found):
    assert said(envelope) == found


@pytest.mark.parametrize(
    "envelope",
    [
        {"has_more": False, "cursor": "abc"},
        {"isLast": True, "offset": "itr"},
        {"end_of_stream": True, "after_cursor": "c", "after_url": "/x"},
        {"paging": {"cursors": {"before": "a", "after": "b"}}},
        {"next_payment": "2026-02-01", "more_info": True, "timed_out": False, "partial": "x", "after": None},
        {"truncated": False, "has_more": "false", "next": ""},
        {"offset": 10, "limit": 10, "page": 2, "size": 10},
        {"cursor": 0, "next": 0, "links": [{"rel": "self", "href": "/"}, {"rel": 7}, "next"]},
        {"links": [{"rel": "next", "href": None}]},
        {"total": "many", "pages": [1, 2], "count": -1, "total_count": 0, "last": "/posts?p=9"},
        {"total": 1.5, "totalItems": "9" * 19},
        {"order": {"total": 900, "next": "x", "last": False}},
        {"meta": {"meta": {"meta": {"meta": {"has_more": True}}}}},
        {"nextSyncToken": "x", "subtotal": 9, "accounts": 9},
        {"results": [{"total": 9}, {"count": 9}], "hits": {"relation": "eq"}},
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
        ({"x-pagination-total-count": "35"}, {"total": "x-pagination-total-count: 35"}),
        ({"x-next-page": "", "x-has-more": "False", "x-total": "0", "total": "35", "next": "x"}, {}),
    ],
)
def test_headers_say_it_too(headers, found):
    assert said(headers=headers) == found


def test_time_enough_does_not_say_that_a_cursor_leads_nowhere():
    assert said({"timed_out": False, "cursor": "abc"}) == {"lead": 'cursor: "abc"'}


def test_unrelated_keys_are_passed_over_wherever_they_stand():
    envelope = {"Total": 9, "meta": {"total": 8, "pages": 3}, "links": {"next": "x"}}

    assert said(envelope, {"x-total": "7"}, ("total", "X-Total", "links")) == {"pages": "meta.pages: 3"}
    assert total_of({"x-total-count": "7"}, ("total",)) == 7
    assert total_of({"x-total-count": "7"}, ("X-Total-Count",)) is None
