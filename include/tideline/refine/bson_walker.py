"""One document at a time: the reference for what a document becomes, obviously right rather than fast.

Walks every type, length and value in order and stops at the first thing that does not conform. The sweep
gives the same rows for documents that it understands, and hands all others to this one. Knows one
document's bytes. Does not know parts, batches or Arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tideline.refine import bson_format as bson
from tideline.refine.bson_values import readers_of
from tideline.refine.extended_json import value_text
from tideline.refine.fields import ConformError
from tideline.refine.rows import Row

if TYPE_CHECKING:
    from tideline.refine.fields import Field, Record


@dataclass(frozen=True, slots=True)
class _Node:
    """A declared field with what reads it."""

    member: Field
    index: int
    is_json: bool
    readers: dict[int, bson.Reader]
    """Of one value, by BSON type; none for json and records."""
    direct: dict[int, bson.Reader]
    """The same and null, where one value is all there is: not for arrays."""
    level: _Level | None
    cells: int


@dataclass(frozen=True, slots=True)
class _Level:
    """The declared fields of a record, by the bytes of their keys."""

    record: Record
    nodes: dict[bytes, _Node]


def _level(record: Record) -> _Level:
    return _Level(record, {name.encode(): _node(member) for name, member in record.by_source.items()})


def _node(member: Field) -> _Node:
    is_json = member.column.type == "json"
    readers = {} if is_json or member.record else readers_of(member.column)
    return _Node(
        member,
        member.index,
        is_json,
        readers,
        direct={} if member.column.repeated else {**readers, bson.NULL: _null, bson.UNDEFINED: _null},
        level=_level(member.record) if member.record else None,
        cells=member.cells,
    )


def _null(_data: bytes, start: int, _end: int) -> tuple[None, int]:
    return None, start


class Walker:
    """Documents → rows, for one dataset.

    Args:
        record: The declared fields.
        evolve: Whether undeclared fields are kept as extras; otherwise a document with one is refused.
    """

    def __init__(self, record: Record, *, evolve: bool) -> None:
        self._level = _level(record)
        self._evolve = evolve
        self._row = Row(evolve)

    def row(self, document: bytes) -> Row:
        """Decode one framed document.

        Raises:
            ConformError: It does not conform; says where and why.
        """
        row = self._row = Row(self._evolve)
        position, inner, _ = bson.read_frame(document, 0, len(document))
        row.values = self._fields(self._level, document, position, inner, "", 0)
        return row

    def _fields(
        self, level: _Level, data: bytes, position: int, end: int, prefix: str, depth: int
    ) -> list[Any]:
        """The elements up to `end`; `prefix` is the source path of the record, with its dot."""
        values: list[Any] = [None] * len(level.record.fields)
        seen = bytearray(len(values))
        while position < end:
            kind = data[position]
            key, position = bson.read_key(data, position + 1, end)
            node = level.nodes.get(key)
            if node is None:
                position = self._unknown(kind, prefix, key, data, position, end, depth)
                continue
            if seen[node.index]:
                raise ConformError("duplicate_key", "this key twice").within(node.member.name)
            seen[node.index] = 1
            try:
                if read := node.direct.get(kind):
                    values[node.index], position = read(data, position, end)
                else:
                    values[node.index], position = self._value(node, kind, data, position, end, prefix, depth)
            except ConformError as error:
                raise error.within(node.member.name) from None
        level.record.complete(values, seen)
        return values

    def _unknown(
        self, kind: int, prefix: str, key: bytes, data: bytes, position: int, end: int, depth: int
    ) -> int:
        """An undeclared field: keep its text, and return where it ends."""
        name = bson.text_of(key)
        try:
            text, after = value_text(kind, data, position, end, depth + 1)
            self._row.keep(prefix + name, text, bson.TYPE_NAMES[kind])
        except ConformError as error:
            raise error.within(name) from None
        return after

    def _value(
        self, node: _Node, kind: int, data: bytes, position: int, end: int, prefix: str, depth: int
    ) -> tuple[Any, int]:
        """A value that is not a plain scalar."""
        path = prefix + node.member.column.field
        if not node.member.column.repeated:
            return self._item(node, kind, data, position, end, path, depth)
        if kind in (bson.NULL, bson.UNDEFINED):
            return None, position
        if kind != bson.ARRAY:
            raise _mismatch(kind, node.member)
        return self._items(node, data, position, end, path, depth + 1)

    def _items(
        self, node: _Node, data: bytes, position: int, end: int, path: str, depth: int
    ) -> tuple[list[Any], int]:
        """The items of an array; their keys mean nothing."""
        position, inner, after = bson.read_frame(data, position, end)
        items: list[Any] = []
        while position < inner:
            kind = data[position]
            _, position = bson.read_key(data, position + 1, inner)
            self._row.count_cells(node.cells)
            try:
                if read := node.readers.get(kind):
                    item, position = read(data, position, inner)
                else:
                    place = f"{path}[{len(items)}]"
                    item, position = self._item(node, kind, data, position, inner, place, depth)
            except ConformError as error:
                raise error.within(len(items)) from None
            items.append(item)
        return items, after

    def _item(
        self, node: _Node, kind: int, data: bytes, position: int, end: int, path: str, depth: int
    ) -> tuple[Any, int]:
        """A record or json; anything else has been tried before."""
        if kind in (bson.NULL, bson.UNDEFINED):
            raise ConformError("null_item", f"{bson.TYPE_NAMES[kind]} in an {node.member.expected}")
        if node.level is not None and kind == bson.DOCUMENT:
            position, inner, after = bson.read_frame(data, position, end)
            return self._fields(node.level, data, position, inner, f"{path}.", depth + 1), after
        if not node.is_json:
            raise _mismatch(kind, node.member)
        text, after = value_text(kind, data, position, end, depth + 1)
        self._row.count_text(text)
        return text.encode(), after


def _mismatch(kind: int, member: Field) -> ConformError:
    name = bson.TYPE_NAMES.get(kind)
    if name is None:
        return ConformError("bad_type", f"type byte {kind}")
    return ConformError("type_mismatch", f"{name}, expected {member.expected}")
