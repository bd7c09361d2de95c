import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.catalog.model import HttpDataset
from tideline.errors import ContractError
from tideline.lake.manifest import Part
from tideline.refine import json as module
from tideline.refine.json import decode_json

COLUMNS = [
    {"name": "id", "type": "int64"},
    {"name": "user_id", "type": "int64", "field": "userId"},
    {"name": "title", "type": "string"},
    {"name": "amount", "type": "numeric(12, 2)"},
    {"name": "extra", "type": "json"},
    {
        "name": "address",
        "type": "record",
        "columns": [{"name": "city", "type": "string"}, {"name": "zip", "type": "string", "nullable": False}],
    },
    {"name": "tags", "type": "string", "repeated": True},
    {
        "name": "lines",
        "type": "record",
        "repeated": True,
        "columns": [{"name": "n", "type": "int64"}, {"name": "ok", "type": "bool", "repeated": True}],
    },
]
PART = Part("s3://raw/api/posts/part-00000.json", 0, "")


def dataset(columns=COLUMNS, **declared):
    return HttpDataset(name="posts", source="api", path="/posts", key=("id",), columns=columns, **declared)


def decode(body, **declared):
    raw = body if isinstance(body, bytes) else body.encode()
    return list(decode_json(dataset(**declared), PART, io.BytesIO(raw)))


def one(body, **declared):
    (decoded,) = decode(body, **declared)
    decoded.batch.validate(full=True)
    assert decoded.records == decoded.batch.num_rows + len(decoded.rejects)
    return decoded


def refused(item, **declared):
    (reject,) = one(f"[{item}]", **declared).rejects
    return reject.column, reject.reason


# ---------------------------------------------------------------- rows


def test_a_whole_item():
    item = """{"id": 7, "userId": 1, "title": "é\\n", "amount": 12.30, "extra": {"b": 1.50, "a": [1E2, null]},
        "address": {"city": "Köln", "zip": "50667"}, "tags": ["a", ""],
        "lines": [{"n": 1, "ok": [true]}, {}]}"""
    (row,) = one(f"[{item}]").batch.to_pylist()
    assert row == {
        "id": 7,
        "user_id": 1,
        "title": "é\n",
        "amount": Decimal("12.30"),
        "extra": '{"b":1.50,"a":[1E2,null]}',
        "address": {"city": "Köln", "zip": "50667"},
        "tags": ["a", ""],
        "lines": [{"n": 1, "ok": [True]}, {"n": None, "ok": []}],
        "_extra": None,
        "_raw_position": 0,
    }


def test_missing_and_null_fields_are_null_and_arrays_empty():
    rows = one('[{"id":1},{"id":2,"title":null,"tags":null,"address":null,"lines":null}]').batch.to_pylist()
    for row in rows:
        assert row["title"] is row["address"] is row["amount"] is None
        assert row["tags"] == row["lines"] == []


@pytest.mark.parametrize(
    ("item", "column", "reason"),
    [
        ('{"title":"x"}', "id", "missing_required"),
        ('{"id":null}', "id", "null_required"),
        ('{"id":"1"}', "id", "type_mismatch"),
        (f'{{"id":{"9" * 5000}}}', "id", "out_of_range"),
        ('{"id":1,"title":5}', "title", "type_mismatch"),
        ('{"id":1,"address":[]}', "address", "type_mismatch"),
        ('{"id":1,"address":{"zip":null}}', "address.zip", "null_required"),
        ('{"id":1,"address":{}}', "address.zip", "missing_required"),
        ('{"id":1,"address":{"zip":"1","zip":"2"}}', "address.zip", "duplicate_key"),
        ('{"id":1,"tags":"x"}', "tags", "type_mismatch"),
        ('{"id":1,"tags":["x",5]}', "tags[1]", "type_mismatch"),
        ('{"id":1,"tags":["x",null]}', "tags[1]", "null_item"),
        ('{"id":1,"lines":[{"n":1},{"ok":[true,1]}]}', "lines[1].ok[1]", "type_mismatch"),
        ('{"id":1,"lines":[null]}', "lines[0]", "null_item"),
        ('{"id":1,"id":2}', "id", "duplicate_key"),
        ('{"id":1,"new":1,"new":1}', "new", "duplicate_key"),
        ('{"id":1,"address.x":1,"address":{"zip":"1","x":2}}', "address.x", "duplicate_key"),
        ('{"id":1,"extra":NaN}', "extra", "bad_json"),
        ('{"id":1,"new":[Infinity]}', "new", "bad_json"),
        ('{"id":NaN}', "id", "bad_json"),
        ('{"id":1,"address":-Infinity}', "address", "bad_json"),
        ('{"id":1,"title":"\\ud800"}', "title", "bad_utf8"),
        ('{"id":1,"extra":{"\\udfff":1}}', "extra", "bad_utf8"),
        ('{"id":1,"new":"\\ud83d"}', "new", "bad_utf8"),
        ('{"id":1,"\\ud83d":1}', "", "bad_utf8"),
        ("5", "", "not_an_object"),
        ("[]", "", "not_an_object"),
        ("null", "", "not_an_object"),
        ('"x"', "", "not_an_object"),
        ("NaN", "", "not_an_object"),
    ],
)
def test_an_item_that_does_not_conform_is_refused_alone(item, column, reason):
    decoded = one(f'[{{"id":1}}, {item} ,{{"id":3}}]')
    (reject,) = decoded.rejects
    assert (reject.position, reject.column, reject.reason, reject.raw) == (1, column, reason, item.encode())
    assert decoded.batch.column("id").to_pylist() == [1, 3]
    assert decoded.batch.column("_raw_position").to_pylist() == [0, 2]


# ---------------------------------------------------------------- undeclared fields


def test_undeclared_fields_are_kept_and_counted():
    decoded = one(
        '[{"id":1,"z":{"k":[1.0,"é"]},"address":{"zip":"1","x":true}},'
        '{"id":2,"lines":[{"m":1},{"m":null}],"z":null},{"id":3}]'
    )
    assert decoded.batch.column("_extra").to_pylist() == [
        '{"z":{"k":[1.0,"é"]},"address.x":true}',
        '{"lines[0].m":1,"lines[1].m":null,"z":null}',
        None,
    ]
    assert decoded.drift == {"z": (2, "object"), "address.x": (1, "boolean"), "lines[].m": (1, "number")}


def test_undeclared_fields_may_be_refused():
    assert refused('{"id":1,"z":1}', unknown_columns="refuse") == ("z", "unknown_field")
    assert refused('{"id":1,"address":{"zip":"","z":1}}', unknown_columns="refuse") == (
        "address.z",
        "unknown_field",
    )


# ---------------------------------------------------------------- bodies


def test_long_bodies_come_in_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH_ITEMS", 10)
    batches = decode(json.dumps([{"id": number} for number in range(25)]))
    assert [decoded.batch.num_rows for decoded in batches] == [10, 10, 5]
    positions = [
        position for decoded in batches for position in decoded.batch.column("_raw_position").to_pylist()
    ]
    assert positions == list(range(25))


@pytest.mark.parametrize(("bound", "most"), [("BATCH_CELLS", 39), ("BATCH_CHARACTERS", 60)])
def test_batches_are_shorter_where_items_ask_for_much(bound, most, monkeypatch):
    monkeypatch.setattr(module, bound, most)
    plain, wide = '{"id":%d}', '{"id":%d,"lines":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}'
    items = [(wide if 2 <= number < 5 else plain) % number for number in range(8)]
    batches = decode(f"[{','.join(items)}]", columns=[COLUMNS[0], COLUMNS[-1]])
    assert [decoded.records for decoded in batches] == [3, 1, 1, 3]
    rows = [row for decoded in batches for row in decoded.batch.to_pylist()]
    assert [(row["id"], row["_raw_position"]) for row in rows] == [(n, n) for n in range(8)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_letters_may_lie_across_the_blocks_that_are_read(size, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", size)
    body = '\ufeff[{"id":1,"title":"é日\U0001f600"},{"id":2,"title":"?\ufeff"}]'.encode()
    assert one(body).batch.column("title").to_pylist() == ["é日\U0001f600", "?\ufeff"]
    decoded = one(body.replace(b"?", b"\xf0\x9f\x98"))
    assert (decoded.batch.num_rows, [reject.reason for reject in decoded.rejects]) == (1, ["bad_utf8"])


def test_an_empty_array_has_no_batches():
    assert decode(" [ ] \n") == []


def test_a_byte_order_mark_is_no_harm():
    assert one(b'\xef\xbb\xbf[{"id":1}]').batch.num_rows == 1


def test_the_array_may_lie_inside():
    body = '{"meta":{"data":[5]},"data":{"n":1,"rows":[{"id":1}],"end":null},"rows":[]}'
    assert one(body, records_at=("data", "rows")).batch.num_rows == 1


def test_bytes_that_are_not_utf8_cost_their_item_only():
    decoded = one(b'[{"id":1,"title":"\xff"},{"id":2,"title":"\xc3\xa9"}]')
    (reject,) = decoded.rejects
    assert (reject.reason, reject.column, reject.raw) == ("bad_utf8", "title", b'{"id":1,"title":"\xff"}')
    assert decoded.batch.column("title").to_pylist() == ["é"]


@pytest.mark.parametrize(
    ("body", "path", "said"),
    [
        ("", (), "the end of the body"),
        ("<html><body>", (), "<html>"),
        ("[", (), "the end of the body"),
        ('[{"id":1}', (), "the end of the body"),
        ('[{"id":1},', (), "the end of the body"),
        ('[{"id":1},]', (), "']'"),
        ('[{"id":1} {"id":2}]', (), "','"),
        ('[{"id":1}] trailing', (), "trailing"),
        ('[{"id":01}]', (), "expected|Expecting"),
        ("[{'id':1}]", (), "'id'"),
        ('[{"title":"line\nbreak"}]', (), "control character"),
        ("[" * 100_000, (), "does not end"),
        ('{"id":1}', (), "expected an array at the top of the body"),
        ("[]", ("data",), "expected an object that holds 'data'"),
        ("{}", ("data",), "there is no 'data'"),
        ('{"other":1}', ("data",), "there is no 'data'"),
        ('{"other":1,}', ("data",), "','"),
        ('{"other" 1}', ("data",), "expected ':'"),
        ("{1:2}", ("data",), "expected a key"),
        ('{"data":{}}', ("data",), "expected an array at data"),
        ('{"data":[]', ("data",), "the end of the body"),
        ('{"data":[],"data":[]}', ("data",), "twice"),
        ('{"data":[],"x":1,"y":2} x', ("data",), "follows the end"),
        (b"\xff\xfe[\0]\0".decode("utf-8", "surrogateescape"), (), "expected an array"),
    ],
)
def test_a_body_that_is_not_what_is_declared_fails_as_a_whole(body, path, said):
    with pytest.raises(ContractError, match=said) as caught:
        decode(body.encode("utf-8", "surrogateescape"), records_at=path)
    assert "api.posts" in str(caught.value)
    assert "part-00000.json" in str(caught.value)


@pytest.mark.parametrize(("depth", "fits"), [(128, True), (129, False), (5_000, False), (100_000, False)])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
@pytest.mark.parametrize("name", ["extra", "new"])
def test_depth(depth, fits, brackets, name):
    opening = {"[]": "[", "{}": '{"a\\"]":'}[brackets]
    inner = opening * (depth - 1) + brackets + brackets[1] * (depth - 1)
    decoded = one(f'[{{"id":1,"{name}":{inner}}},{{"id":2}}]')
    assert decoded.batch.column("id").to_pylist() == ([1, 2] if fits else [2])
    assert {reject.reason for reject in decoded.rejects} == (set() if fits else {"too_deep"})


def test_depth_counts_declared_records_and_arrays():
    columns = [
        COLUMNS[0],
        {"name": "r", "type": "record", "repeated": True, "columns": [{"name": "x", "type": "json"}]},
    ]
    for depth, expected in ((126, []), (127, ["too_deep"])):
        body = f'[{{"id":1,"r":[{{"x":{"[" * depth}{"]" * depth}}}]}}]'
        assert [reject.reason for reject in one(body, columns=columns).rejects] == expected


def test_caps(monkeypatch):
    monkeypatch.setattr("tideline.refine.rows.MAX_ROW_TEXT", 100)
    monkeypatch.setattr("tideline.refine.rows.MAX_ROW_CELLS", 10)
    assert refused(f'{{"id":1,"extra":"{"x" * 100}"}}') == ("extra", "too_large")
    assert refused(f'{{"id":1,"new":"{"x" * 100}"}}') == ("new", "too_large")
    assert refused('{"id":1,"lines":[{},{},{},{},{},{}]}') == ("lines", "too_large")


def test_an_item_that_no_table_takes_is_refused_alone(monkeypatch):
    """A load job with one row above 50 MB loads nothing."""
    monkeypatch.setattr(module, "ITEM_BYTES", 60)
    items = [
        json.dumps({"id": 1, "title": text}, ensure_ascii=False, separators=(",", ":"))
        for text in ("x" * 41, "x" * 42, "é" * 20, "é" * 21)
    ]
    decoded = one(f"[{','.join(items)}]")
    assert decoded.batch.column("_raw_position").to_pylist() == [0, 2]
    assert [(reject.position, reject.reason) for reject in decoded.rejects] == [
        (1, "too_large"),
        (3, "too_large"),
    ]


# ---------------------------------------------------------------- any JSON at all

jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(jsons, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_undeclared_json_comes_out_as_it_went_in(values, ascii_only, indent):
    body = json.dumps([{"id": 1, "v": value} for value in values], ensure_ascii=ascii_only, indent=indent)
    for decoded in decode(body.encode("utf-8", "surrogatepass")):
        assert not {reject.reason for reject in decoded.rejects} - {"bad_utf8"}
        for text, position in zip(
            decoded.batch.column("_extra").to_pylist(),
            decoded.batch.column("_raw_position").to_pylist(),
            strict=True,
        ):
            assert text == json.dumps({"v": values[position]}, ensure_ascii=False, separators=(",", ":"))


@given(st.binary(max_size=60))
def test_rubbish_never_breaks_anything_else(rubbish):
    for body in (rubbish, b'[{"id":1,"extra":' + rubbish + b"}]", b'[{"id":1},' + rubbish + b',{"id":3}]'):
        try:
            batches = decode(body)
        except ContractError:
            continue
        for decoded in batches:
            decoded.batch.validate(full=True)
            assert decoded.records == decoded.batch.num_rows + len(decoded.rejects)
