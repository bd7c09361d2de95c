"""How a value of the load table becomes one of the target's type, as SQL. Pure.

BigQuery assigns records by position, not by name: after a field was added to a record, catalog and table have
its fields in different orders. So a record is taken apart and put together in the table's order wherever the
two differ, or hold JSON, which a load table has as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.warehouse.names import quote
from tideline.warehouse.schema import REPEATED

if TYPE_CHECKING:
    from tideline.warehouse.schema import Field


def converted(value: str, load: Field, target: Field) -> str:
    """The SQL expression that turns `value`, of the load table's field, into the target's type."""
    return _converted(value, load, target, 0)


def _converted(value: str, load: Field, target: Field, depth: int) -> str:
    if _is_same(load, target):
        return value
    if target.mode == REPEATED:
        return _array(value, load, target, depth)
    return _item(value, load, target, depth)


def _is_same(load: Field, target: Field) -> bool:
    """Whether nothing has to be converted: no JSON, and records have the same fields in the same order."""
    if target.type == "JSON" or len(load.fields) != len(target.fields):
        return False
    return all(
        a.name.lower() == b.name.lower() and _is_same(a, b)
        for a, b in zip(load.fields, target.fields, strict=True)
    )


def _array(value: str, load: Field, target: Field, depth: int) -> str:
    item, offset = f"_item{depth}", f"_offset{depth}"
    members = f"AS STRUCT {_members(item, load, target, depth + 1)}"
    picked = _json(item) if target.type == "JSON" else members
    items = f"UNNEST({value}) AS {item} WITH OFFSET AS {offset} ORDER BY {offset}"
    return f"ARRAY(SELECT {picked} FROM {items})"  # noqa: S608 - names are quoted


def _item(value: str, load: Field, target: Field, depth: int) -> str:
    if target.type == "JSON":
        return _json(value)
    return f"IF({value} IS NULL, NULL, STRUCT({_members(value, load, target, depth)}))"


def _members(value: str, load: Field, target: Field, depth: int) -> str:
    loaded = {field.name.lower(): field for field in load.fields}
    return ", ".join(
        f"{_member(value, loaded.get(field.name.lower()), field, depth)} AS {quote(field.name)}"
        for field in target.fields
    )


def _member(value: str, load: Field | None, target: Field, depth: int) -> str:
    if load is None:  # it left the catalog
        return f"CAST(NULL AS {target.bare_sql})"
    return _converted(f"{value}.{quote(load.name)}", load, target, depth)


def _json(text: str) -> str:
    """JSON of a text; where it would round a number, a JSON string of that text: no digit is lost."""
    parsed = f"SAFE.PARSE_JSON({text}, wide_number_mode => 'exact')"
    return f"IF({text} IS NULL, NULL, COALESCE({parsed}, TO_JSON({text})))"
