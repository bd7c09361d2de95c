"""The shared table of cases: every source value in every column type, by every way to decode BSON and from JSON."""

import io
import json
from functools import cache
from pathlib import Path
from struct import pack

import pyarrow as pa
import pytest

from tideline.catalog.model import HttpDataset, MongoDataset
from tideline.lake.manifest import Part
from tideline.refine.bson import BsonDecoder
from tideline.refine.json import decode_json

TABLE = json.loads((Path(__file__).parents[2] / "cases" / "decoding.json").read_text())
COLUMNS = TABLE["columns"]
REPEATED = {name for name, column in COLUMNS.items() if column.get("repeated")}


def expected_of(case, column):
    """("gives", value) or ("refused", reason)."""
    if "gives_everywhere" in case:
        return "gives", [] if column in REPEATED else None
    if "refused_everywhere" in case:
        return "refused", case["refused_everywhere"]
    if column in case.get("gives", {}):
        return "gives", case["gives"][column]
    return "refused", case.get("refused", {}).get(column, "type_mismatch")


def spell(value, kind):  # noqa: C901, PLR0911 - one line per kind
    """A decoded value as the table writes it."""
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [spell(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: spell(value[field.name], field.type) for field in kind}
    if pa.types.is_decimal(kind):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if pa.types.is_timestamp(kind):
        return f"{value.year:04d}-{value:%m-%dT%H:%M:%S.%fZ}"
    if pa.types.is_date(kind):
        return value.isoformat()
    if pa.types.is_binary(kind):
        return value.hex()
    if pa.types.is_floating(kind):
        odd = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "-0.0": "-0.0"}
        return odd.get(str(value), value)
    return value


@cache
def bson_dataset(column):
    columns = declaration(column)
    return MongoDataset(name="t", source="s", database="d", collection="c", key=("id",), columns=columns)


@cache
def http_dataset(column):
    return HttpDataset(name="t", source="s", path="/", key=("id",), columns=declaration(column))


def declaration(column):
    return [{"name": "id", "type": "int64", "field": "_id"}, {"name": "x", **COLUMNS[column]}]


def outcome(decoded):
    assert decoded.records == decoded.batch.num_rows + len(decoded.rejects)
    decoded.batch.validate(full=True)
    found = {("refused", reject.reason) for reject in decoded.rejects}
    values = decoded.batch.column("x")
    found |= {("gives", json.dumps(spell(value, values.type))) for value in values.to_pylist()}
    (only,) = found
    return only if only[0] == "refused" else ("gives", json.loads(only[1]))


def bson_document(case, number):
    element = bytes([case["type"]]) + b"x\0" + bytes.fromhex(case["payload"])
    body = b"\x10_id\0" + pack("<i", number) + element + b"\0"
    return pack("<i", len(body) + 4) + body


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("case", TABLE["bson"], ids=lambda case: case["value"])
def test_bson_value_in_column(case, column, way):
    documents = b"".join(bson_document(case, number) for number in range(3))
    decoder = BsonDecoder(bson_dataset(column), **way)
    assert outcome(decoder.decode(documents)) == expected_of(case, column)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("case", TABLE["json"], ids=lambda case: case["text"])
def test_json_value_in_column(case, column):
    body = f'[{{"_id":1,"x":{case["text"]}}}]'.encode()
    (decoded,) = decode_json(http_dataset(column), Part("part.json", len(body), ""), io.BytesIO(body))
    assert outcome(decoded) == expected_of(case, column)


def test_the_table_covers_every_bson_type():
    types = {case["type"] for case in TABLE["bson"]}
    assert types >= {*range(1, 20), 127, 255}
