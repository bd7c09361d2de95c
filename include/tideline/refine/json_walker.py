"""One item of a JSON body → one row. Knows records, arrays and undeclared fields; does not know the body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tideline.refine.fields import MAX_DEPTH, ConformError, check_depth
from tideline.refine.json_text import TOO_DEEP, Duplicated, json_text
from tideline.refine.json_values import mismatch, reader_of, type_name, utf8
from tideline.refine.rows import Row

if TYPE_CHECKING:
    from tideline.refine.fields import Field, Record
    from tideline.refine.json_values import Reader


@dataclass(frozen=True, slots=True)
class _Node:
    """A declared field with what reads it."""

    member: Field
    read: Reader | None
    """Of one value; None for json and records."""
    level: _Level | None
    cells: int


@dataclass(frozen=True, slots=True)
class _Level:
    record: Record
    nodes: dict[str, _Node]


def _level(record: Record) -> _Level:
    return _Level(record, {name: _node(member) for name, member in record.by_source.items()})


def _node(member: Field) -> _Node:
    scalar = member.record is None and member.column.type != "json"
    return _Node(
        member,
        read=reader_of(member.column) if scalar else None,
        level=_level(member.record) if member.record else None,
        cells=member.cells,
    )


class JsonWalker:
    """Items → rows, for one dataset.

    Args:
        record: The declared fields.
        evolve: Whether undeclared fields are kept as extras; otherwise an item with one is refused.
    """

    def __init__(self, record: Record, *, evolve: bool) -> None:
        self._level = _level(record)
        self._evolve = evolve
        self._row = Row(evolve)

    def row(self, item: object) -> Row:
        """Decode one item as `json_text.items_of` reads it.

        Raises:
            ConformError: It does not conform; says where and why.
        """
        row = self._row = Row(self._evolve)
        if item is TOO_DEEP:
            check_depth(MAX_DEPTH + 1)
        if not isinstance(item, dict | Duplicated):
            raise ConformError("not_an_object", type_name(item))
        row.values = self._fields(self._level, item, "", 0)
        return row

    def _fields(
        self, level: _Level, members: dict[str, Any] | Duplicated, prefix: str, depth: int
    ) -> list[Any]:
        """The members of an object; `prefix` is the source path of the object, with its dot."""
        values: list[Any] = [None] * len(level.record.fields)
        seen = bytearray(len(values))
        for key, value in members if isinstance(members, Duplicated) else members.items():
            node = level.nodes.get(key)
            if node is None:
                self._unknown(prefix, key, value, depth)
                continue
            index = node.member.index
            if seen[index]:
                raise ConformError("duplicate_key", "this key twice").within(node.member.name)
            seen[index] = 1
            try:
                values[index] = self._value(node, value, prefix, depth)
            except ConformError as error:
                raise error.within(node.member.name) from None
        level.record.complete(values, seen)
        return values

    def _unknown(self, prefix: str, name: str, value: object, depth: int) -> None:
        utf8(name)
        try:
            text = json_text(value, depth + 1)
            utf8(text)
            self._row.keep(prefix + name, text, type_name(value))
        except ConformError as error:
            raise error.within(name) from None

    def _value(self, node: _Node, value: object, prefix: str, depth: int) -> object:
        path = prefix + node.member.column.field
        if value is None:
            return None
        if not node.member.column.repeated:
            return self._item(node, value, path, depth)
        if type(value) is not list:
            raise mismatch(value, node.member.expected)
        return [
            self._array_item(node, item, f"{path}[{index}]", index, depth + 1)
            for index, item in enumerate(value)
        ]

    def _array_item(self, node: _Node, item: object, path: str, index: int, depth: int) -> object:
        self._row.count_cells(node.cells)
        try:
            return self._item(node, item, path, depth)
        except ConformError as error:
            raise error.within(index) from None

    def _item(self, node: _Node, value: object, path: str, depth: int) -> object:
        """One value; that of an array may be null, which is refused."""
        if value is None:
            raise ConformError("null_item", f"null in an {node.member.expected}")
        if node.read is not None:
            return node.read(value)
        if node.level is None:
            text = json_text(value, depth + 1)
            self._row.count_text(text)
            return utf8(text)
        if not isinstance(value, dict | Duplicated):
            raise mismatch(value, node.member.expected)
        return self._fields(node.level, value, f"{path}.", depth + 1)
