"""What documents become, swept and walked: rows, rejects, undeclared fields, names of any kind."""

from struct import pack

import bson
import pytest

from tideline.catalog.model import MongoDataset
from tideline.refine.bson import BsonDecoder

COLUMNS = [
    {"name": "id", "type": "int64", "field": "_id"},
    {"name": "name", "type": "string"},
    {"name": "amount", "type": "numeric(12, 2)"},
    {"name": "shipping", "type": "record", "columns": [{"name": "carrier", "type": "string"}]},
    {
        "name": "history",
        "type": "record",
        "repeated": True,
        "columns": [
            {"name": "status", "type": "int64"},
            {"name": "note", "type": "string", "nullable": False},
        ],
    },
]


def dataset(columns=COLUMNS, key=("id",), **declared):
    return MongoDataset(
        name="orders", source="shop", database="shop", collection="o", key=key, columns=columns, **declared
    )


def document(number, **members):
    return bson.encode({"_id": number, "name": f"n{number}", **members})


def elements(*members):
    body = b"".join(bytes([kind]) + key.encode() + b"\0" + payload for kind, key, payload in members)
    return pack("<i", len(body) + 5) + body + b"\0"


INT = pack("<i", 1)


def test_a_whole_document(way):
    members = {
        "amount": bson.Decimal128("12.30"),
        "shipping": {"carrier": "dhl"},
        "history": [{"status": 1, "note": "a"}, {"note": "b"}],
    }
    decoded = BsonDecoder(dataset(), **way).decode(document(7, **members))
    (row,) = decoded.batch.to_pylist()
    assert str(row.pop("amount")) == "12.30"
    assert row == {
        "id": 7,
        "name": "n7",
        "shipping": {"carrier": "dhl"},
        "history": [{"status": 1, "note": "a"}, {"status": None, "note": "b"}],
        "_extra": None,
        "_raw_position": 0,
    }


@pytest.mark.parametrize(
    ("members", "path", "reason"),
    [
        ({"_id": None}, "id", "null_required"),
        ({"name": 1}, "name", "type_mismatch"),
        ({"amount": 1.5}, "amount", "type_mismatch"),
        ({"shipping": {"carrier": 1}}, "shipping.carrier", "type_mismatch"),
        ({"shipping": "x"}, "shipping", "type_mismatch"),
        ({"history": {"status": 1}}, "history", "type_mismatch"),
        ({"history": [{"status": 1, "note": "a"}, 5]}, "history[1]", "type_mismatch"),
        ({"history": [{"status": 1, "note": "a"}, None]}, "history[1]", "null_item"),
        ({"history": [{"note": ""}, {"status": 1}]}, "history[1].note", "missing_required"),
        ({"history": [{"note": None}]}, "history[0].note", "null_required"),
        ({"history": [{"note": "a", "status": "x"}]}, "history[0].status", "type_mismatch"),
    ],
)
def test_a_reject_says_where_and_why_and_takes_the_whole_row(way, members, path, reason):
    bad = bson.encode({"_id": 2, **members})
    decoded = BsonDecoder(dataset(), **way).decode(document(1) + bad + document(3))
    (reject,) = decoded.rejects
    assert (reject.column, reject.reason, reject.raw) == (path, reason, bad)
    assert reject.position == len(document(1))
    assert reject.detail
    assert decoded.batch.column("id").to_pylist() == [1, 3]


def test_a_missing_key_is_refused(way):
    decoded = BsonDecoder(dataset(), **way).decode(bson.encode({"name": "x"}))
    assert [(reject.column, reject.reason) for reject in decoded.rejects] == [("id", "missing_required")]


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (elements((16, "_id", INT), (16, "_id", INT)), "id"),
        (elements((16, "_id", INT), (10, "name", b""), (10, "name", b"")), "name"),
        (elements((16, "_id", INT), (16, "u", INT), (16, "u", INT)), "u"),
        (elements((16, "_id", INT), (16, "u", INT), (2, "name", b"\1\0\0\0\0"), (16, "u", INT)), "u"),
        (
            elements((3, "shipping", elements((10, "carrier", b""), (10, "carrier", b""))), (16, "_id", INT)),
            "shipping.carrier",
        ),
        (
            elements((16, "_id", INT), (16, "shipping.x", INT), (3, "shipping", elements((16, "x", INT)))),
            "shipping.x",
        ),
    ],
)
def test_a_duplicate_key_is_refused(way, raw, path):
    decoded = BsonDecoder(dataset(), **way).decode(raw * 400)
    assert {(reject.column, reject.reason) for reject in decoded.rejects} == {(path, "duplicate_key")}
    assert decoded.batch.num_rows == 0


def test_undeclared_fields_are_kept_and_counted(way):
    decoded = BsonDecoder(dataset(), **way).decode(
        document(1, zone="a", shipping={"carrier": "x", "zone": {"n": [1, 2.5]}})
        + document(2, history=[{"note": "", "by": 1}, {"note": "", "by": "x"}], zone=None)
        + document(3)
    )
    assert decoded.batch.column("_extra").to_pylist() == [
        '{"zone":"a","shipping.zone":{"n":[1,2.5]}}',
        '{"history[0].by":1,"history[1].by":"x","zone":null}',
        None,
    ]
    assert decoded.drift == {
        "zone": (2, "string"),
        "shipping.zone": (1, "document"),
        "history[].by": (1, "int32"),
    }
    assert decoded.rejects == []


def test_undeclared_fields_may_be_refused(way):
    decoder = BsonDecoder(dataset(unknown_columns="refuse"), **way)
    decoded = decoder.decode(document(1, zone="a") + document(2) + document(3, shipping={"zone": 1}))
    assert [(reject.column, reject.reason, reject.detail) for reject in decoded.rejects] == [
        ("zone", "unknown_field", "string"),
        ("shipping.zone", "unknown_field", "int32"),
    ]
    assert decoded.batch.column("id").to_pylist() == [2]


def test_drift_counts_a_thousand_paths_by_name_and_the_others_together():
    documents = b"".join(document(number, **{f"k{number}": 1}) for number in range(1005))
    drift = BsonDecoder(dataset()).decode(documents).drift
    assert len(drift) == 1001
    assert drift["…"] == (5, "more than 1000 paths")


def test_a_huge_name_is_kept_whole_in_the_row_and_short_in_reports(way):
    name = "k" * 10_000
    decoder = BsonDecoder(dataset(), **way)
    decoded = decoder.decode(document(1, **{name: 1}) + elements((16, name, INT), (16, name, INT)))
    assert decoded.batch.column("_extra").to_pylist() == [f'{{"{name}":1}}']
    assert [len(path) for path in decoded.drift] == [300]
    assert len(decoded.rejects[0].column) == 300


def test_a_name_that_is_not_utf8_is_refused_however_many_have_it(way):
    raw = elements((16, "_id", INT), (16, "?", INT)).replace(b"?", b"\xff")
    decoded = BsonDecoder(dataset(), **way).decode(raw * 400)
    assert {(reject.column, reject.reason) for reject in decoded.rejects} == {("", "bad_utf8")}
    assert len(decoded.rejects) == 400


def test_field_names_may_be_anything(way):
    names = [
        "$a.b",
        "a.b",
        "é日本",
        " ",
        "x" * 200,
        "seven77",
        "eight888",
        "nine99999",
        "or'; DROP",
        "\0",
        "a\0b",
    ]
    columns = [{"name": "id", "type": "int64", "field": "_id"}]
    columns += [{"name": f"c{index}", "type": "int64", "field": name} for index, name in enumerate(names)]
    speakable = [index for index, name in enumerate(names) if "\0" not in name]
    raw = b"".join(
        bson.encode({"_id": number, **{names[index]: index for index in speakable}}) for number in range(40)
    )
    decoded = BsonDecoder(dataset(columns), **way).decode(raw)
    for index in range(len(names)):
        expected = index if index in speakable else None
        assert set(decoded.batch.column(f"c{index}").to_pylist()) == {expected}
    assert decoded.batch.column("_extra").null_count == 40


def test_a_declared_name_with_a_zero_byte_is_never_found(way):
    """`a`, an int32 that begins `b`, zero byte; then a null: with one name, it would be another int32."""
    columns = [COLUMNS[0], {"name": "x", "type": "int64", "field": "a\0b"}]
    raw = elements((16, "_id", INT), (16, "a", b"b\0\1\2"), (10, "", b""))
    decoded = BsonDecoder(dataset(columns), **way).decode(raw)
    assert decoded.batch.column("x").to_pylist() == [None]
    assert decoded.batch.column("_extra").to_pylist() == ['{"a":33620066,"":null}']


def test_an_empty_name_is_a_name(way):
    decoded = BsonDecoder(dataset(), **way).decode(document(1, **{"": 5}))
    assert decoded.batch.column("_extra").to_pylist() == ['{"":5}']


def test_ten_thousand_keys(way):
    members = {f"key{number}": number for number in range(10_000)}
    decoded = BsonDecoder(dataset(), **way).decode(document(1, **members) * 3)
    assert decoded.batch.num_rows == 3
    assert decoded.batch.column("_extra").to_pylist()[0].count(":") == 10_000
