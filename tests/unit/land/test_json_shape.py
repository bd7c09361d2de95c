"""Only a whole JSON array of objects at the declared place is landed."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tideline.errors import ContractError, SourceUnavailableError
from tideline.land.json_shape import items_in

BODY = json.dumps(
    [{"id": n, "text": 'a "b" \\ é\u4e2d', "deep": {"x": [1.5, None, True]}} for n in range(5)]
).encode()


@pytest.mark.parametrize(
    ("body", "path", "items"),
    [
        (b"[]", (), 0),
        (b' \r\n[{"a":1}]\n ', (), 1),
        (b'\xef\xbb\xbf[{"a":1}]', (), 1),
        (b'{"data":{"rows":[{},{}]}}', ("data", "rows"), 2),
        (b'[{"a":12345678901234567890123456789, "b":1e400}]', (), 1),
        (b"[" + b'{"a":' + b"9" * 5000 + b"}]", (), 1),
        (b'[{"a":"\xff"}]', (), 1),
        (b'[{}, 1, "x"]', (), 3),
        (b'[{"a":NaN},{"a":-Infinity},{"a":[Infinity]}]', (), 3),
    ],
    ids=[
        "empty",
        "spaces",
        "BOM",
        "path",
        "numbers",
        "5000 digits",
        "no UTF-8 in a string",
        "some objects",
        "no numbers",
    ],
)
def test_items_are_counted(body, path, items):
    assert items_in(body, path, "here").number == items


def test_a_body_cut_anywhere_is_never_taken_for_a_shorter_one():
    assert items_in(BODY, (), "here").number == 5
    for cut in range(len(BODY)):
        with pytest.raises(SourceUnavailableError, match=r"empty|cut off"):
            items_in(BODY[:cut], (), "here")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "HTML or XML.*Sign in"),
        (b"Bad Gateway", "no JSON"),
        (b'[{"a":Na', "no JSON"),
        (b'[{"a":nan}]', "no JSON"),
        (b'[{"a":1},]', "no JSON"),
        (b"[{'a':1}]", "no JSON"),
        (b'[{"a":1}] []', "Extra data"),
        (b'[{"a":01}]', "no JSON"),
        (b'[{"a":"\n"}]', "control character"),
    ],
)
def test_what_is_no_json_may_pass(body, found):
    with pytest.raises(SourceUnavailableError, match=found) as raised:
        items_in(body, (), "here")
    assert raised.value.place == "here"


@pytest.mark.parametrize(
    "body", [b'{"a":1}\n{"a":2}\n', b'\xef\xbb\xbf {"a":1}\r\n\r\n{"a":', b'{"a":[]}{"a":2}']
)
def test_json_lines_are_called_so(body):
    """As a page behind others they are no end of a listing either, which a body of another shape may be."""
    with pytest.raises(SourceUnavailableError, match="JSON lines") as refused:
        items_in(body, (), "here")
    assert "an array" in refused.value.remedy
    assert refused.value.place == "here"


@pytest.mark.parametrize(
    ("body", "path", "found", "remedy"),
    [
        (
            b'{"first":1,"next":null,"data":[]}',
            (),
            "an object with the keys first, next, data at its top",
            "[data]",
        ),
        (b'{"message":"x"}', (), "an object with the keys message", "correct path"),
        (b"{}", (), "(none)", "correct path"),
        (b'"x"', (), 'the value "x" at its top', "correct path"),
        (b"null", (), "the value null", "correct path"),
        (b"7", (), 'the value "7"', "correct path"),
        (b"[1, 2]", (), "an array of 2 items, none of them an object", "correct path"),
        (b"[[]]", (), "an array of 1 items", "correct path"),
        (b"[]", ("data",), "expected an object with the key 'data'", "correct path"),
        (b'{"data":{"rows":[]}}', ("data",), "an object with the keys rows at data", "[data, rows]"),
        (b'{"data":{"rows":{}}}', ("data", "rowz"), "an object with the keys rows at data", "correct path"),
    ],
)
def test_another_shape_says_what_it_found_and_what_to_do(body, path, found, remedy):
    with pytest.raises(ContractError) as refused:
        items_in(body, path, "here")
    assert found in str(refused.value)
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("path", [(), ("data",), ("data", "rows")])
def test_a_null_for_the_items_is_empty_where_it_may_be(path):
    body = b"null"
    for key in reversed(path):
        body = b'{"%s": %s}' % (key.encode(), body)

    assert items_in(body, path, "here", null_is_empty=True).number == 0
    with pytest.raises(ContractError, match="the value null"):
        items_in(body, path, "here")


@pytest.mark.parametrize(
    "body",
    [
        b'{"Error": {"code": 5}, "rows": null}',
        b'{"Error": {"code": 5}, "rows": []}',
        b'{"rows": [], "errors": ["the index is away"]}',
        b'{"rows": [], "error": "rate limited"}',
        b'{"error": "rate limited"}',
        b'{"rows": {}, "error": "rate limited"}',
        b'{"rows": [], "success": false, "message": "maintenance"}',
        b'{"rows": null, "Ok": "false"}',
        b'{"rows": [], "isSuccess": false}',
        b'{"rows": [], "status": "Error", "code": 500}',
        b'{"code": 500, "msg": "try later", "rows": null}',
        b'{"statusCode": "429", "rows": []}',
        b'{"status": 503, "title": "away"}',
        b'{"errcode": 45009, "errmsg": "api freq out of limit"}',
        b'{"error_code": "E7", "rows": []}',
    ],
)
def test_nothing_beside_an_error_is_no_empty_listing(body):
    with pytest.raises(SourceUnavailableError, match="no items and tells an error") as failed:
        items_in(body, ("rows",), "here", null_is_empty=True)
    assert "set unrelated_keys: [" in failed.value.remedy
    unrelated = (
        "error",
        "ERRORS",
        "success",
        "ok",
        "issuccess",
        "status",
        "code",
        "statuscode",
        "errcode",
        "error_code",
    )
    with suppress(ContractError):  # of those without an array
        assert items_in(body, ("rows",), "here", null_is_empty=True, unrelated=unrelated).number == 0


@pytest.mark.parametrize(
    "around",
    [
        b'"code": 200, "msg": "ok"', b'"code": 0', b'"code": "SUCCESS"', b'"status": 404', b'"code": [500], "status": {}',
        b'"errcode": 0, "errmsg": "ok"', b'"errno": null', b'"error_code": ""', b'"status": 1, "statusCode": 204',
    ],
)  # fmt: skip
def test_a_code_that_is_no_failure_leaves_a_listing_empty(around):
    assert items_in(b'{"rows": [], %s}' % around, ("rows",), "here").number == 0


@pytest.mark.parametrize("around", [b'"code": 500', b'"status": 500', b'"errcode": 7'])
def test_a_code_beside_items_may_be_any(around):
    assert items_in(b'{"rows": [{"id": 1}], %s}' % around, ("rows",), "here").number == 1


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (b'"errors": [{"message": "timed out", "path": ["rows", 1]}]', "errors"),
        (b'"success": false', "success"),
        (b'"_shards": {"total": 5, "successful": 3, "failed": 2}', "_shards"),
    ],
)
def test_items_beside_an_error_are_not_taken_for_all(told, key):
    body = b'{"rows": [{"id": 1}], %s}' % told
    with pytest.raises(SourceUnavailableError, match=f"has items and tells an error .{key}: ") as failed:
        items_in(body, ("rows",), "here")
    assert f"set unrelated_keys: [{key}]" in failed.value.remedy
    assert items_in(body, ("rows",), "here", unrelated=(key,)).number == 1


def test_shards_that_all_answered_are_no_error():
    body = b'{"_shards": {"total": 5, "successful": 5, "failed": 0}, "rows": [{"id": 1}]}'
    assert items_in(body, ("rows",), "here").number == 1


@pytest.mark.parametrize("error", [b"null", b"[]", b"{}", b'""', b"0", b"false"])
def test_an_error_that_says_nothing_is_none(error):
    assert items_in(b'{"rows": [], "error": %s}' % error, ("rows",), "here").number == 0


@pytest.mark.parametrize("told", [b'"success": true', b'"status": "ok"', b'"status": 200', b'"ok": null'])
def test_what_went_well_is_no_error(told):
    assert items_in(b'{"rows": [], %s}' % told, ("rows",), "here").number == 0


@pytest.mark.parametrize("body", [b'{"rows": {"x": null}}', b'{"data": null}'])
def test_a_null_that_is_not_the_empty_array_is_refused(body):
    with pytest.raises(ContractError):
        items_in(body, ("rows",), "here", null_is_empty=True)


def test_another_encoding_is_named():
    with pytest.raises(ContractError, match="utf-16"):
        items_in(BODY.decode().encode("utf-16"), (), "here")


DEEP = b'{"id":1,"x":' + b"[" * 3000 + b'"]]}\\"[",{"y":[]}' + b"]" * 3000 + b"}"


@pytest.mark.parametrize("deep", [DEEP, b'{"a":' * 50_000 + b"1" + b"}" * 50_000])
def test_an_item_without_measure_is_one_of_the_items(deep):
    body = b'{"rows":[{"id":0},' + deep + b',{"id":2},{"id":"]"}],"next":null}'

    assert items_in(body, ("rows",), "here").number == 4


def test_a_body_with_an_item_without_measure_is_still_seen_to_be_cut():
    body = b'[{"id":0},' + DEEP + b',{"id":"}]"}]'
    for cut in [*range(0, len(body), 97), *range(3000, 3060), *range(len(body) - 30, len(body))]:
        with pytest.raises(SourceUnavailableError, match=r"empty|cut off"):
            items_in(body[:cut], (), "here")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"[" * 100_000, SourceUnavailableError),
        (b'{"a":' * 100_000, SourceUnavailableError),
        (b"[" * 100_000 + b"]" * 100_000, ContractError),
        (b'[{"a":' + b"[" * 3000 + b"]" * 3000 + b"},]", SourceUnavailableError),
        (b'[{"a":' + b"[" * 3000 + b"]" * 3000 + b"}]]", SourceUnavailableError),
    ],
    ids=["brackets", "braces", "no object", "a comma too much", "a bracket too much"],
)
def test_a_bottomless_body_is_refused(body, error):
    with pytest.raises(error):
        items_in(body, (), "here")


def test_arrays_are_told_apart_by_their_items_and_bare_ones_by_their_bytes():
    def digest(body, *path):
        return items_in(body, path, "here").sha256

    assert digest(b'{"at":1,"rows":[{"a":1.0}]}', "rows") == digest(b'{"rows": [{"a":1.0}],"at":2}', "rows")
    assert digest(b'{"rows":[{"a":1.0}]}', "rows") != digest(b'{"rows":[{"a":1.5}]}', "rows")
    assert digest(b'[{"a":1}]') != digest(b'[{"a": 1}]')


def test_items_that_are_nested_too_deeply_to_be_written_are_told_apart_by_the_body(monkeypatch):
    def refuse(found):
        raise RecursionError

    bodies = [b'{"rows":[{"a":1}],"n":%d}' % n for n in range(2)]
    monkeypatch.setattr(json, "dumps", refuse)
    assert len({items_in(body, ("rows",), "here").sha256 for body in bodies}) == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[{"id":1}],"data":[]}',
        b'{"d":{"x":[{"id":1}]},"d":{"data":[]},"data":[],"data":[]}',
        b'\xef\xbb\xbf{"data":[{"id":1}],"\\u0064ata":[]}',
    ],
)
def test_an_empty_array_whose_key_stands_twice_is_no_empty_listing(body):
    with pytest.raises(ContractError, match="'data' stands twice"):
        items_in(body, ("data",), "here")


def test_other_keys_may_stand_twice_around_an_empty_array():
    assert items_in(b'{"a":1,"a":2,"data":[]}', ("data",), "here").number == 0
