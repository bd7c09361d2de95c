"""The JSON Schema of a catalog file, for editors. Made from the models; checks nothing itself.

`python -m tideline.catalog.schema > include/catalog/catalog.schema.json` writes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, get_args

from pydantic.json_schema import GenerateJsonSchema

from tideline.catalog.column import Column, TypeKind
from tideline.catalog.layout import COLUMN_INHERITED, LAYOUTS
from tideline.catalog.scalars import COLUMN_NAME, NAME, PARAMETER

if TYPE_CHECKING:
    from tideline.catalog.column import Declaration
    from tideline.catalog.layout import Layout

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DIGITS = r"( *\( *[0-9]+ *(, *[0-9]+ *)?\))?"
_TEXT = {"type": ["string", "number", "boolean"]}
"""Where the loader takes an unquoted number or flag as the text that it is."""

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def json_schema() -> Schema:
    """The schema of one catalog file: a top and datasets that depend on its `kind`. Draft 2020-12."""
    definitions: Schema = {"type": _type(), "columns": _columns()}
    for kind, layout in LAYOUTS.items():
        definitions |= _definitions(kind, layout)
    definitions["Column"] = _column(definitions["Column"])
    return {
        "$schema": _DIALECT,
        "title": "Tideline catalog file",
        "description": "One source system: how it is reached, and which datasets are read of it.",
        "type": "object",
        "required": ["source", "kind", "connection", "datasets"],
        "properties": {"kind": {"enum": [*LAYOUTS], "description": "What the source system is."}},
        "allOf": [_when(kind) for kind in LAYOUTS],
        "$defs": definitions,
    }


def _when(kind: str) -> Schema:
    condition = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
    return {"if": condition, "then": {"$ref": f"#/$defs/{kind}_file"}}


def _definitions(kind: str, layout: Layout) -> Schema:
    """The top and the dataset of one kind, with the models that they refer to."""
    head, dataset = _model(layout.head), _model(layout.dataset)
    nested = {name: _untitled(schema) for name, schema in dataset.pop("$defs").items()}
    head["properties"]["kind"] |= {"enum": [kind]}
    _name_to(head["properties"]["datasets"], NAME, {"$ref": f"#/$defs/{kind}_dataset"})
    properties = {key: value for key, value in dataset["properties"].items() if key not in layout.inherited}
    properties["columns"] = {"$ref": "#/$defs/columns"}
    properties["lookback"]["default"] = "0s"
    if "parameters" in properties:
        _name_to(properties["parameters"], PARAMETER, _TEXT)
    if "CsvDialect" in nested:
        nested["CsvDialect"]["properties"]["null_values"]["items"] = _TEXT
    required = set(dataset["required"]) & properties.keys() - {layout.named[0]}
    return nested | {
        f"{kind}_file": head,
        f"{kind}_dataset": {**dataset, "properties": properties, "required": sorted(required)},
    }


def _name_to(schema: Schema, pattern: str, value: Schema) -> None:
    """A mapping of such names to such values; pydantic's patternProperties lets other names pass."""
    schema.pop("patternProperties", None)
    schema |= {"propertyNames": {"pattern": pattern}, "additionalProperties": value}


def _model(model: type[Declaration]) -> Schema:
    return _untitled(model.model_json_schema(schema_generator=_Generator))


def _untitled(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "title"}


def _column(schema: Schema) -> Schema:
    properties = {key: value for key, value in schema["properties"].items() if key not in COLUMN_INHERITED}
    del properties["field"]["default"]
    properties |= {"type": {"$ref": "#/$defs/type"}, "columns": {"$ref": "#/$defs/columns"}}
    return {**schema, "properties": properties, "required": ["type"]}


def _columns() -> Schema:
    return {
        "description": "Columns in the order of the table: name → type, or name → mapping.",
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": COLUMN_NAME},
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/type"}, {"$ref": "#/$defs/Column"}]},
    }


def _type() -> Schema:
    kinds = [f"{kind}{_DIGITS}" if kind.endswith("numeric") else kind for kind in get_args(TypeKind)]
    return {
        "description": str(Column.model_fields["type"].description),
        "type": "string",
        "pattern": f"^({'|'.join(kinds)})$",
        "examples": ["numeric(12, 2)" if kind == "numeric" else kind for kind in get_args(TypeKind)],
    }


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
