"""Every BSON value in every kind of place, from a real collection to Parquet: kept exactly, or in quarantine."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import bson
import pytest
from arena import mongo_client
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions
from bson.dbref import DBRef
from bson.raw_bson import RawBSONDocument
from survival import harvest

KIND = "mongodb"
STAMP = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
REFUSED = object()
DIGITS = "1234567890123456789012345678901234"


def milliseconds(value):
    return bson.datetime_ms.DatetimeMS(value)


VALUES = {
    # column, value, what becomes of it
    "Decimal128 exact": ("amount", Decimal128("12.30"), Decimal("12.30")),
    "Decimal128 with zeros": ("amount", Decimal128("1.2300000"), Decimal("1.23")),
    "Decimal128 in powers": ("amount", Decimal128("12E+3"), Decimal(12000)),
    "Decimal128 minus zero": ("amount", Decimal128("-0"), Decimal(0)),
    "Decimal128 NaN": ("amount", Decimal128("NaN"), REFUSED),
    "Decimal128 sNaN": ("amount", Decimal128("sNaN"), REFUSED),
    "Decimal128 infinity": ("amount", Decimal128("Infinity"), REFUSED),
    "Decimal128 minus infinity": ("amount", Decimal128("-Infinity"), REFUSED),
    "Decimal128 of 34 digits": ("amount", Decimal128(DIGITS), REFUSED),
    "Decimal128 of 34 digits after the point": ("amount", Decimal128(f"0.{DIGITS}"), REFUSED),
    "Decimal128 of three places": ("amount", Decimal128("1.005"), REFUSED),
    "Decimal128 tiny": ("amount", Decimal128("1E-6176"), REFUSED),
    "Decimal128 huge": ("amount", Decimal128("9E+6144"), REFUSED),
    "int32 as money": ("amount", 7, Decimal(7)),
    "int64 as money": ("amount", Int64(7_000_000_000), Decimal(7_000_000_000)),
    "int64 too large": ("amount", Int64(1 << 62), REFUSED),
    "double as money": ("amount", 0.1, REFUSED),
    "double NaN": ("amount", float("nan"), REFUSED),
    "text as money": ("amount", "12.30", REFUSED),
    "bool as money": ("amount", True, REFUSED),
    "document as money": ("amount", {"a": 1}, REFUSED),
    "array as money": ("amount", [1], REFUSED),
    "null as money": ("amount", None, None),
    "text": ("note", "naïve ☃ \U0001f600", "naïve ☃ \U0001f600"),
    "text with NUL": ("note", "a\0b", "a\0b"),
    "empty text": ("note", "", ""),
    "ObjectId as text": ("note", ObjectId("0123456789abcdef01234567"), "0123456789abcdef01234567"),
    "int as text": ("note", 7, REFUSED),
    "double as text": ("note", 7.5, REFUSED),
    "document as text": ("note", {"a": 1}, REFUSED),
    "array as text": ("note", ["a"], REFUSED),
    "binary as text": ("note", Binary(b"\xff\0"), REFUSED),
    "regex as text": ("note", Regex("a.b", "i"), REFUSED),
    "code as text": ("note", Code("1;"), REFUSED),
    "MinKey as text": ("note", MinKey(), REFUSED),
    "MaxKey as text": ("note", MaxKey(), REFUSED),
    "Timestamp as text": ("note", Timestamp(7, 1), REFUSED),
    "date as text": ("note", STAMP, REFUSED),
    "null as text": ("note", None, None),
    "date before 1970": ("updated_at", milliseconds(-1), datetime(1969, 12, 31, 23, 59, 59, 999000, UTC)),
    "first date": ("updated_at", milliseconds(-62_135_596_800_000), datetime(1, 1, 1, tzinfo=UTC)),
    "date of year 0": ("updated_at", milliseconds(-62_135_596_800_001), REFUSED),
    "date of year 10000": ("updated_at", milliseconds(253_402_300_800_000), REFUSED),
    "last date there is": ("updated_at", milliseconds((1 << 63) - 1), REFUSED),
    "first date there is": ("updated_at", milliseconds(-(1 << 63)), REFUSED),
    "text as date": ("updated_at", "2026-03-01", REFUSED),
    "number as date": ("updated_at", 1_772_000_000, REFUSED),
    "Timestamp as date": ("updated_at", Timestamp(1_772_000_000, 1), REFUSED),
    "text as key": ("id", "7", REFUSED),
    "double as key": ("id", 7.0, REFUSED),
    "null as key": ("id", None, REFUSED),
    "array as key": ("id", [7], REFUSED),
    "int64 as key": ("id", Int64((1 << 63) - 1), (1 << 63) - 1),
}


def write(lane, *documents):
    things = mongo_client(lane.servers.mongo)[lane.name]["things"]
    things.insert_many(list(documents))


def good(number):
    return {
        "_id": f"good {number}", "id": number, "note": f"n{number}", "amount": Decimal128(f"{number}.50"),
        "updated_at": STAMP,
    }  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_kept_exactly_or_its_document_is_in_quarantine(faults, arena, name):
    column, value, expected = VALUES[name]
    lane = arena.lane()
    write(lane, good(1), {**good(99), "_id": "odd", column: value}, good(2))
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
    odd = [row for row in crop.rows if row["id"] not in (1, 2)]
    assert {row["id"]: row["amount"] for row in crop.rows if row["id"] in (1, 2)} == {
        1: Decimal("1.50"), 2: Decimal("2.50"),
    }  # fmt: skip
    assert [row[column] for row in odd] == ([] if expected is REFUSED else [expected])
    faults.quarantined(found=crop.refused, injected=int(expected is REFUSED))
    faults.tried()


UNDECLARED = {
    "double": 1.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "text": "x",
    "document": {"a": {"b": [1, {"c": None}]}},
    "array": [1, "a", [2.5], {"b": 1}],
    "binary": Binary(b"\0\xff"),
    "UUID": Binary(b"\1" * 16, 4),
    "old UUID": Binary(b"\1" * 16, 3),
    "user binary": Binary(b"\1", 128),
    "ObjectId": ObjectId(),
    "bool": False,
    "date": STAMP,
    "date out of Python's range": milliseconds(1 << 60),
    "null": None,
    "regex": Regex("^a", "imsx"),
    "DBRef": DBRef("things", 1),
    "code": Code("function() { return 1 }"),
    "code with scope": Code("x", {"x": 1}),
    "int32": -1,
    "int64": Int64(1 << 60),
    "Timestamp": Timestamp(1, 2),
    "Decimal128": Decimal128(DIGITS),
    "Decimal128 NaN": Decimal128("NaN"),
    "MinKey": MinKey(),
    "MaxKey": MaxKey(),
    "deep": bson.decode(bson.encode({"a": {}})),
}


@pytest.mark.parametrize("name", UNDECLARED)
def test_an_undeclared_value_of_any_type_is_kept_beside_the_row(faults, arena, name):
    lane = arena.lane()
    write(lane, good(1), {**good(2), "surprise": UNDECLARED[name]})
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
    extras = {row["id"]: row["_extra"] for row in crop.rows}
    assert extras[1] == '{"_id":"good 1"}'
    assert extras[2].startswith('{"_id":"good 2","surprise":')
    faults.quarantined(found=crop.refused, injected=0)
    faults.tried()


def nested(levels):
    value = {"leaf": 1}
    for _ in range(levels):
        value = {"n": value}
    return value


@pytest.mark.parametrize("levels", [10, 100, 127, 128, 129, 200])
def test_deep_documents_are_kept_up_to_the_cap_and_refused_beyond(faults, arena, levels):
    lane = arena.lane()
    document = {**good(99), "_id": "deep", "deep": nested(levels)}
    things = mongo_client(lane.servers.mongo)[lane.name]["things"].with_options(CodecOptions(RawBSONDocument))
    write(lane, good(1), good(2))
    things.insert_one(RawBSONDocument(bson.encode(document)))
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
    kept = [row for row in crop.rows if row["id"] == 99]
    assert len(crop.rows) == 2 + len(kept)
    assert len(kept) == (levels < 128)
    faults.quarantined(found=crop.refused, injected=int(levels >= 128))
    faults.tried()


@pytest.mark.parametrize("fields", [1_000, 10_000, 50_000])
def test_wide_documents_are_kept_whole(faults, arena, fields):
    import json

    lane = arena.lane()
    write(lane, good(1), {**good(2), **{f"f{n}": n for n in range(fields)}})
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
    extra = {row["id"]: row["_extra"] for row in crop.rows}[2]
    assert json.loads(extra) == {"_id": "good 2"} | {f"f{n}": n for n in range(fields)}
    faults.tried()
