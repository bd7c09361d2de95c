"""pydantic's errors in the words of a catalog: where, what was found, what to write instead.

Knows models and pydantic's error types. Does not know files or lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args
from unicodedata import normalize

from tideline.catalog.column import Column, Declaration, KeyPath, MisdeclaredError
from tideline.catalog.layout import COLUMN_INHERITED, LAYOUTS
from tideline.catalog.model import Dataset
from tideline.catalog.scalars import (
    ADVICE,
    COLUMN_NAME,
    NAME,
    Plain,
    did_you_mean,
    listed,
    nearest,
    short,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

    from tideline.catalog.column import Finding
    from tideline.catalog.layout import Layout

_TYPE_SYNONYMS = {
    "string": ("str", "text", "varchar", "char", "uuid", "objectid", "enum", "time"),
    "int64": ("int", "integer", "bigint", "long", "int32", "smallint", "serial"),
    "float64": ("float", "double", "real", "float32"),
    "numeric": ("decimal", "money", "number", "decimal128", "currency"),
    "bool": ("boolean", "bit", "flag"),
    "timestamp": ("datetime", "timestamptz", "instant"),
    "bytes": ("binary", "blob", "bytea"),
    "json": ("variant", "any", "map", "dict"),
    "record": ("struct", "object", "document"),
}
_KEY_SYNONYMS = {
    "key": ("primary_key", "unique_key", "keys", "pk"),
    "change_column": ("cursor", "cursor_field", "incremental_key", "updated_at", "watermark", "change_key"),
    "columns": ("schema", "fields"),
    "nullable": ("required", "not_null", "optional"),
    "partition": ("partition_by", "partitioning"),
    "cluster_by": ("clustering", "cluster"),
    "delimiter": ("separator", "sep"),
    "connection": ("conn_id", "connection_id"),
    "parameters": ("params", "query"),
    "records_at": ("records_path", "data_path", "root"),
}


_PLAIN_ADVICE = {
    "string_type": "write a text (quoted, if it is to be empty or null)",
    "string_unicode": "write text without surrogates",
    "too_short": "write at least {min_length}",
    "too_long": "write at most {max_length}",
    "string_too_short": "write at least {min_length} character",
    "string_too_long": "write at most {max_length} characters",
    "greater_than_equal": "write at least {ge}",
    "less_than_equal": "write at most {le}",
}
"""Of pydantic's error types those that the catalog's models can raise and that need no more thought."""


def explain(error: ValidationError, model: type[Declaration]) -> Iterator[Finding]:
    """Every fault of a declaration: its place in the model, and what to do."""
    items = [(tuple(step for step in item["loc"] if step != "[key]"), item) for item in error.errors()]
    causes = set(_causes(items, model))
    for path, item in items:
        if not (path in causes and item["type"] in ("missing", "too_short")):
            yield from _explain(item, model, path)


def _causes(items: list[tuple[KeyPath, Any]], model: type[Declaration]) -> Iterator[KeyPath]:
    """Where a fault explains a second one: the key that was mistyped, the list whose item is refused."""
    for path, item in items:
        yield from (path[:length] for length in range(len(path)))
        if item["type"] == "extra_forbidden" and (near := meant(str(path[-1]), model_at(model, path[:-1]))):
            yield (*path[:-1], near)


def _explain(item: Any, model: type[Declaration], path: KeyPath) -> Iterator[Finding]:  # noqa: ANN401  (pydantic's)
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, MisdeclaredError):
        yield from ((path + at, text) for at, text in cause.findings)
    elif item["type"] == "extra_forbidden":
        yield path, unknown_key(str(path[-1]), model_at(model, path[:-1]))
    elif item["type"] == "missing":
        yield path, f"missing; write, for example, {_example(model_at(model, path[:-1]), str(path[-1]))}"
    else:
        yield path, f"found {shown(item['input'])}; {_advice(item, model, path)}"


def model_at(model: type[Declaration], path: KeyPath) -> type[Declaration]:
    """The model of the declaration at that place."""
    for step in path:
        field = model.model_fields.get(str(step))
        model = model if field is None else _declared(field.annotation) or model
    return model


def _declared(annotation: object) -> type[Declaration] | None:
    if isinstance(annotation, type) and issubclass(annotation, Declaration):
        return annotation
    return next(filter(None, map(_declared, get_args(annotation))), None)


def unknown_key(key: str, model: type[Declaration]) -> str:
    """What to write instead of a key that the model does not have."""
    near = meant(key, model)
    hint = f" (did you mean {near}?)" if near else _elsewhere(key, model)
    return f"unknown key{hint}; allowed here: {listed(file_keys(model))}"


def meant(key: str, model: type[Declaration]) -> str | None:
    """The key of the model that is probably meant, unless it has a place elsewhere."""
    allowed = file_keys(model)
    synonym = next((word for word, others in _KEY_SYNONYMS.items() if key.lower() in others), None)
    if synonym in allowed:
        return synonym
    return None if _elsewhere(key, model) else nearest(key, allowed)


def file_keys(model: type[Declaration]) -> tuple[str, ...]:
    """The keys that a file may give for the model."""
    inherited = next((layout.inherited for layout in LAYOUTS.values() if layout.dataset is model), ())
    return tuple(
        key
        for key in model.model_fields
        if key not in inherited and not (model is Column and key in COLUMN_INHERITED)
    )


def _elsewhere(key: str, model: type[Declaration]) -> str:
    """Where a key belongs that stands in the wrong place."""
    if key == "name" and (model is Column or issubclass(model, Dataset)):
        return "; the key above is the name"
    if key in COLUMN_INHERITED and model is Column:
        return "; write the digits into the type, as numeric(12, 2)"
    own = [kind for kind, layout in LAYOUTS.items() if model in (layout.head, layout.dataset)]
    for kind in dict.fromkeys([*own, *LAYOUTS]):
        if place := _place(key, LAYOUTS[kind]):
            return f"; it belongs {place}" + (
                f", in a file of kind {kind}" if own and kind not in own else ""
            )
    return ""


def _place(key: str, layout: Layout) -> str:
    if key in layout.head.model_fields:
        return "to the top of the file"
    if key in file_keys(layout.dataset):
        return "into each dataset"
    for place in file_keys(layout.dataset):
        inner = model_at(layout.dataset, (place,))
        if inner is not layout.dataset and key in file_keys(inner):
            return "into a column" if inner is Column else f"into {place}"
    return ""


def _example(model: type[Declaration], key: str) -> str:
    field = model.model_fields[key]
    return f"{key}: {_yaml((field.examples or ['…'])[0])} ({field.description})"


def _yaml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f'"{value}"' if "," in str(value) else str(value)


def _advice(item: Any, model: type[Declaration], path: KeyPath) -> str:  # noqa: ANN401  (pydantic's own details)
    context, found = item.get("ctx", {}), item["input"]
    match item["type"]:
        case "value_error":
            return str(context["error"])
        case "string_pattern_mismatch":
            return ADVICE[context["pattern"]] + _suggestion(context["pattern"], str(found))
        case "literal_error":
            return _choice(found, re.findall(r"'([^']*)'", context["expected"]))
        case "tuple_type":
            return _list(found, path)
        case "model_type" | "dict_type":
            return f"write a mapping, for example {_example(model_at(model, path[:-1]), str(path[-1]))}"
        case kind:
            return _PLAIN_ADVICE[kind].format(**context)


def _suggestion(pattern: str, found: str) -> str:
    plain = normalize("NFKD", found).encode("ascii", "ignore").decode()
    bare = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:60]
    if pattern == COLUMN_NAME and re.match(pattern, bare):
        return f': {bare}: {{field: "{short(found)}", type: …}}'
    if pattern == NAME and re.match(pattern, bare.lower()):
        return f", such as {bare.lower()}"
    return ""


def _choice(found: object, allowed: list[str]) -> str:
    word = found.strip().lower() if isinstance(found, str) else ""
    if "record" not in allowed:
        return f"write one of {', '.join(allowed)}{did_you_mean(word, allowed)}"
    bare = re.sub(r"[(<\[].*", "", word).strip()
    near = next((kind for kind, others in _TYPE_SYNONYMS.items() if bare in others), None)
    digits = word.removeprefix(bare) if near == "numeric" else ""
    hint = f" (did you mean {near}{digits}?)" if near else did_you_mean(bare, allowed)
    if bare in ("array", "list", "repeated") or word.endswith("[]"):
        hint = "; for an array write {type: string, repeated: true} with the items' type"
    allowed = [f"{kind}(p, s)" if kind.endswith("numeric") else kind for kind in allowed]
    return f"write one of {', '.join(allowed)}{hint}"


def _list(found: object, path: KeyPath) -> str:
    if path[-1] == "columns":
        return "write a mapping with a line `name: type` for each column"
    if isinstance(found, Plain) and "," not in found:
        return f"write a list: [{found}]"
    return "write a list: [a, b]"
