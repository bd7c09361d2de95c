"""What a sweep takes by itself: fields in any order, mixed types, fields that many documents have."""

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


@pytest.fixture
def only_sweeps(monkeypatch):
    """Fails where a document is left to the walker."""

    def walk(_, raw):
        raise AssertionError(f"left to the walker: {bson.decode(raw)}")

    monkeypatch.setattr("tideline.refine.bson_walker.Walker.row", walk)


NUMBERS = range(400)


@pytest.mark.usefixtures("only_sweeps")
@pytest.mark.parametrize(
    "order",
    [lambda keys, _: keys, lambda keys, _: keys[::-1], lambda keys, n: keys[n % 5 :] + keys[: n % 5]],
    ids=["declared", "reversed", "rotated"],
)
def test_a_sweep_takes_fields_in_any_order(order):
    members = {"_id": 1, "name": "x", "amount": 2, "shipping": {"carrier": "c"}, "history": [{"note": "n"}]}
    documents = [
        bson.encode({key: number if key == "_id" else members[key] for key in order(list(members), number)})
        for number in NUMBERS
    ]
    decoded = BsonDecoder(dataset()).decode(b"".join(documents))
    assert decoded.batch.column("id").to_pylist() == list(NUMBERS)
    assert decoded.batch.column("history").to_pylist() == [[{"status": None, "note": "n"}]] * len(NUMBERS)


@pytest.mark.usefixtures("only_sweeps")
def test_a_sweep_takes_mixed_types_nulls_and_missing_fields():
    columns = [*COLUMNS, {"name": "oid", "type": "string"}, {"name": "real", "type": "float64"}]
    oid = bson.ObjectId(b"0123456789ab")
    documents = [
        bson.encode(
            {
                "_id": bson.Int64(number) if number % 2 else number,
                **({"amount": [bson.Decimal128("1.5"), number, bson.Int64(number), None][number % 4]}),
                **({"oid": [oid, "text"][number % 2]} if number % 3 else {}),
                "real": [1.5, 2, bson.Int64(3), float("inf")][number % 4],
            }
        )
        for number in NUMBERS
    ]
    decoded = BsonDecoder(dataset(columns)).decode(b"".join(documents))
    assert decoded.batch.column("id").to_pylist() == list(NUMBERS)
    assert decoded.batch.column("oid").to_pylist()[:4] == [None, "text", str(oid), None]
    assert decoded.batch.column("real").to_pylist()[:4] == [1.5, 2, 3, float("inf")]
    assert [str(value) for value in decoded.batch.column("amount").to_pylist()[:4]] == [
        "1.50",
        "1.00",
        "2.00",
        "None",
    ]


@pytest.mark.usefixtures("only_sweeps")
def test_a_sweep_adopts_undeclared_fields_that_many_documents_have():
    documents = [
        document(number, zone="é", shipping={"floor": number}, n=number, deep={"a": [True]})
        for number in NUMBERS
    ]
    decoded = BsonDecoder(dataset()).decode(b"".join(documents))
    assert decoded.batch.column("_extra").to_pylist()[3] == (
        '{"zone":"é","shipping.floor":3,"n":3,"deep":{"a":[true]}}'
    )
    assert decoded.drift["deep"] == (len(NUMBERS), "document")


@pytest.mark.usefixtures("only_sweeps")
def test_a_sweep_takes_absent_records_whose_fields_are_required_or_also_outside():
    columns = [
        COLUMNS[0],
        {"name": "r", "type": "record", "columns": [{"name": "must", "type": "int64", "nullable": False}]},
        {
            "name": "s",
            "type": "record",
            "columns": [{"name": "next", "type": "int64"}, {"name": "id", "type": "int64", "field": "_id"}],
        },
        {"name": "next", "type": "int64"},
    ]
    members = [{"r": None, "s": {}, "next": 1}, {"s": {"next": 2}, "next": 1}, {"r": {"must": 3}, "next": 1}]
    raw = b"".join(bson.encode({"_id": number, **members[number % 3]}) for number in NUMBERS)
    decoded = BsonDecoder(dataset(columns)).decode(raw)
    assert decoded.batch.column("r").to_pylist()[:3] == [None, None, {"must": 3}]
    assert decoded.batch.column("s").to_pylist()[:3] == [
        {"next": None, "id": None},
        {"next": 2, "id": None},
        None,
    ]
    assert set(decoded.batch.column("next").to_pylist()) == {1}


def test_a_sweep_forgets_nothing_that_it_does_not_adopt():
    documents = [document(number, **{f"only{number}": number}) for number in NUMBERS]
    decoded = BsonDecoder(dataset()).decode(b"".join(documents))
    assert decoded.batch.column("_extra").to_pylist() == [f'{{"only{n}":{n}}}' for n in NUMBERS]


def test_no_more_than_64_fields_are_adopted_at_a_level():
    members = {f"u{number}": number for number in range(100)}
    decoded = BsonDecoder(dataset()).decode(b"".join(document(number, **members) for number in range(4000)))
    assert decoded.batch.num_rows == 4000
    assert decoded.drift["u99"] == (4000, "int32")
