"""Thrift's compact protocol: the bytes of a struct ↔ its fields. Knows no Parquet.

A struct is a dict from a field's number to its wire type and value; a list is its items' wire type and the
items. Integers are Python's, binaries bytes; what is not there is not there.
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
"""Wire types."""
_DOUBLE_BYTES = 8
_SHORT_LIST = 15
_SHORT_STEP = 15

Struct = dict[int, tuple[int, Any]]


def read_struct(data: bytes) -> Struct:
    """The struct that begins these bytes.

    Raises:
        ValueError: It holds a map: nothing that we read has one.
    """
    return _Reader(data).struct()


def write_struct(struct: Struct) -> bytes:
    """Its bytes, as Thrift's own writers make them."""
    out = bytearray()
    _put_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while header := self._byte():
            step, kind = header >> 4, header & 15
            number = number + step if step else self._signed()
            found[number] = (kind, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind))
        return found

    def _value(self, kind: int) -> object:
        if kind in (I16, I32, I64):
            return self._signed()
        if kind == STRUCT:
            return self.struct()
        if kind == BINARY:
            return self._take(self._varint())
        if kind in (LIST, SET):
            return self._list()
        if kind == DOUBLE:
            return self._take(_DOUBLE_BYTES)
        if kind in (TRUE, FALSE, BYTE):  # a flag in a list is a byte
            return self._byte()
        raise ValueError(f"a Thrift value of wire type {kind} at byte {self._at}")

    def _list(self) -> tuple[int, list[object]]:
        header = self._byte()
        size, kind = header >> 4, header & 15
        size = self._varint() if size == _SHORT_LIST else size
        return kind, [self._value(kind) for _ in range(size)]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
        return number | byte << shift

    def _signed(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)


def _put_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for number, (kind, value) in sorted(struct.items()):
        step = number - before
        if 0 < step <= _SHORT_STEP:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _put_signed(out, number)
        before = number
        if kind not in (TRUE, FALSE):
            _put(out, kind, value)
    out.append(0)


def _put(out: bytearray, kind: int, value: Any) -> None:  # noqa: ANN401 - the kind says what it is
    if kind in (I16, I32, I64):
        _put_signed(out, value)
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind == BINARY:
        _put_varint(out, len(value))
        out += value
    elif kind in (LIST, SET):
        _put_list(out, *value)
    elif kind == DOUBLE:
        out += value
    else:
        out.append(value)


def _put_list(out: bytearray, kind: int, items: list[Any]) -> None:
    if len(items) < _SHORT_LIST:
        out.append(len(items) << 4 | kind)
    else:
        out.append(_SHORT_LIST << 4 | kind)
        _put_varint(out, len(items))
    for item in items:
        _put(out, kind, item)


def _put_varint(out: bytearray, number: int) -> None:
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _put_signed(out: bytearray, number: int) -> None:
    _put_varint(out, number << 1 ^ number >> 63)
