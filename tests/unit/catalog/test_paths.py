"""Drift's paths lead to declared columns, through records and arrays."""

import pytest

from tideline.catalog.model import Column
from tideline.catalog.paths import resolve

COLUMNS = (
    Column(name="id", field="_id", type="string"),
    Column(name="dotted", field="a.b", type="string"),
    Column(name="shipping", type="record", columns=(Column(name="city", field="City", type="string"),)),
    Column(
        name="items", field="lines", type="record", repeated=True,
        columns=(Column(name="by", type="record", columns=(Column(name="name", type="string"),)),),
    ),
    Column(name="tags", type="string", repeated=True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("path", "records", "field", "column"),
    [
        ("_id", [], "_id", "id"),
        ("id", [], "id", None),
        ("a.b", [], "a.b", "dotted"),
        ("a.c", [], "a.c", None),
        ("shipping.City", ["shipping"], "City", "city"),
        ("shipping.a.b", ["shipping"], "a.b", None),
        ("lines[].by.name", ["items", "by"], "name", "name"),
        ("lines[].by.age", ["items", "by"], "age", None),
        ("lines.by", [], "lines.by", None),
        ("tags[].x", [], "tags[].x", None),
    ],
)
def test_where_a_path_leads(path, records, field, column):
    place = resolve(COLUMNS, path)
    assert [record.name for record in place.records] == records
    assert place.field == field
    assert (place.column.name if place.column else None) == column
