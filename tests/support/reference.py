"""What a query answers in GoogleSQL's reference implementation, the one that says what its functions mean.

Tables are handed over as literals, a few hundred rows each; answers come back through its TO_JSON_STRING.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import zetasql.types as z
from googlesql import service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHUNK = 200
"""Rows in one array: it refuses those of more than a megabyte."""
EXTREME = re.compile(r"\b(max|min)_by\(([\w.]+), (.+)\)(?= as\b)", re.IGNORECASE)
"""BigQuery's; spelt `any_value(… having max …)` here, which is what BigQuery's documentation says it means."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}


@dataclass(frozen=True, slots=True)
class Table:
    """Fields as the API has them (`name`, `type`, `mode`, `fields`), and rows as the client has them."""

    fields: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]


def evaluate(sql: str, tables: Mapping[str, Table], views: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a SELECT over these tables and views, by their full names; numbers are int or Decimal."""
    given: dict[str, str] = {}
    body = _named(sql, tables, views, given)
    parts = [*given.values(), f"answer AS (\n{body}\n)"]
    analyzer, language = service()
    options = z.AnalyzerOptions(language_options=language, error_message_mode=1, default_timezone="UTC")
    catalog = z.SimpleCatalog(
        name="none", builtin_function_options=z.ZetaSQLBuiltinFunctionOptions(language_options=language)
    )
    text = "WITH " + ",\n".join(parts) + "\nSELECT TO_JSON_STRING(answer) FROM answer"
    found = analyzer.evaluate_query(sql=text, options=options, simple_catalog=catalog)
    rows = found.content.table_data.row
    return [json.loads(row.cell[0].string_value, parse_float=Decimal) for row in rows]


def _named(sql: str, tables: Mapping[str, Table], views: Mapping[str, str], given: dict[str, str]) -> str:
    """The statement over names of WITH; adds what they stand for, those that others need first."""
    text = EXTREME.sub(r"any_value(\2 having \1 \3)", sql.strip().rstrip(";"))
    for name in [*tables, *views]:
        spelt = ".".join(f"`{part}`" for part in name.split("."))
        if spelt not in text:
            continue
        alias = f"_given_{name.replace('.', '__').replace('-', '_')}"
        if alias not in given:
            body = _named(views[name], tables, views, given) if name in views else _rows(tables[name])
            given[alias] = f"{alias} AS (\n{body}\n)"
        text = text.replace(spelt, alias)
    return text


def _rows(table: Table) -> str:
    kind = f"ARRAY<STRUCT<{_types(table.fields)}>>"
    chunks = [table.rows[start : start + CHUNK] for start in range(0, len(table.rows), CHUNK)] or [[]]
    arrays = (", ".join(_struct(row, table.fields) for row in chunk) for chunk in chunks)
    return "\nUNION ALL\n".join(f"SELECT * FROM UNNEST({kind}[{array}])" for array in arrays)


def _types(fields: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"`{field['name']}` {_type(field)}" for field in fields)


def _type(field: Mapping[str, Any]) -> str:
    kind = field["type"].upper()
    name = NAMES.get(kind, kind)
    if kind in {"RECORD", "STRUCT"}:
        name = f"STRUCT<{_types(field['fields'])}>"
    return f"ARRAY<{name}>" if field.get("mode") == "REPEATED" else name


def _struct(row: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> str:
    return f"STRUCT({', '.join(_literal(row.get(field['name']), field) for field in fields)})"


def _literal(value: Any, field: Mapping[str, Any]) -> str:
    if field.get("mode") == "REPEATED":
        one = {**field, "mode": "NULLABLE"}
        return f"{_type(field)}[{', '.join(_literal(each, one) for each in value or ())}]"
    kind = NAMES.get(field["type"].upper(), field["type"].upper())
    if value is None:
        return f"CAST(NULL AS {_type(field)})"
    if kind in {"RECORD", "STRUCT"}:
        return _struct(value, field["fields"])
    if kind == "STRING":
        return json.dumps(value, ensure_ascii=False)
    if kind in {"INT64", "FLOAT64", "BOOL"}:
        return repr(value)
    if kind == "JSON":
        value = json.dumps(value)
    elif kind == "TIMESTAMP":
        value = value.astimezone(UTC).isoformat(" ")
    return f"{kind} {json.dumps(str(value), ensure_ascii=False)}"


def differences(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], without: Sequence[str]
) -> list[str]:
    """What the rows of two engines differ in, in any order: each row by what it has besides floats.

    Those may differ in their last digits, as sums of them do. Hashes of texts are left out, of which each engine
    has its own.
    """
    floats = {name for row in ours for name, value in row.items() if isinstance(value, float)}
    here, there = (_grouped(rows, floats, without) for rows in (ours, theirs))
    return [row for row in {**here, **there} if not _are_close(here[row], there[row])]


def _grouped(
    rows: Sequence[Mapping[str, Any]], floats: set[str], without: Sequence[str]
) -> defaultdict[str, list[list[float]]]:
    found = defaultdict(list)
    for row in rows:
        exact = {name: _exact(row[name]) for name in row if name not in floats and name not in without}
        found[json.dumps(exact, sort_keys=True)].append([float(row[name] or 0) for name in sorted(floats)])
    return found


def _are_close(here: list[list[float]], there: list[list[float]]) -> bool:
    numbers = [[number for row in sorted(rows) for number in row] for rows in (here, there)]
    return len(here) == len(there) and all(
        math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6) for one, other in zip(*numbers, strict=True)
    )


def _exact(value: Any) -> Any:
    """A value of either engine as one that equals the other's: numbers by their worth, moments in UTC."""
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value] or None  # tables do not hold the difference
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(Decimal(str(value)).normalize() + 0)
    if isinstance(value, str) and MOMENT.fullmatch(value):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
    if isinstance(value, date):
        return value.isoformat()
    return "…" if re.fullmatch("[0-9a-f]{32}", str(value)) else value
