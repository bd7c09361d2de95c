"""A YAML text as plain values that know their lines. Knows YAML and its traps, nothing of the catalog.

Built from the parser's events rather than by a PyYAML constructor: nothing is guessed from an unquoted text
(`no`, `1.10`, `2026-01-31`, `010` stay what they look like, see `Plain`), a key declared twice is an error,
depth and aliases are bounded, and hostile nesting cannot overflow the C stack as it does in `yaml.compose`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from tideline.catalog.scalars import Plain, shown
from tideline.catalog.syntax import explain

if TYPE_CHECKING:
    from tideline.catalog.column import KeyPath

_MAX_DEPTH = 64
"""Levels of nesting; a column in BigQuery's deepest record is at 35."""
_MAX_VALUES = 200_000
"""Values of a file with its aliases written out: some thousand datasets, or a bomb."""
_NULLS = ("", "~", "null", "Null", "NULL")
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file. `line` counts from 1."""

    line: int
    path: KeyPath
    text: str


class Block(dict[str, Any]):
    """A mapping, with the line of each of its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str | int, int] = {}

    def put(self, key: str, value: object, line: int) -> None:
        """Set a key and its line."""
        self[key], self.lines[key] = value, line


class Items(list[Any]):
    """A sequence, with the line of each of its items."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str | int, int] = {}

    def put(self, value: object, line: int) -> None:
        """Add an item and its line."""
        self.lines[len(self)] = line
        self.append(value)


class UnreadableError(Exception):
    """The text cannot be read further; carries the problems found up to there."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(problems)


def parse(text: str) -> tuple[object, list[Problem]]:
    """The value of a YAML text, and what is wrong with it that leaves a value.

    Mappings are `Block`, sequences `Items`, unquoted texts `Plain`, quoted ones `str`, null is None.

    Raises:
        UnreadableError: No value can be made of it.
    """
    problems: list[Problem] = []
    try:
        return _Reader(text, problems).document(), problems
    except (yaml.YAMLError, ValueError) as error:  # PyYAML's own parser lets chr() refuse an escape
        line, advice = explain(error, text)
        raise UnreadableError([*problems, Problem(line, (), advice)]) from error


def line_of(value: Any, path: KeyPath) -> int:  # noqa: ANN401  (whatever parse returns)
    """The line of the value at that path, or of the nearest that is there; counts from 1."""
    line = 1
    for step in path:
        lines = value.lines if isinstance(value, Block | Items) else {}
        if step not in lines:
            break
        line, value = lines[step], value[step]
    return line


class _Reader:
    """One pass over the events of a text."""

    def __init__(self, text: str, problems: list[Problem]) -> None:
        self._next = _Loader(text).get_event
        self._anchors: dict[str, tuple[object, int]] = {}
        self._values = 0
        self._problems = problems

    def document(self) -> object:
        self._next()
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        value = self._value(self._next(), ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, (), "found a second document; give each source a file of its own, without ---")
        return value

    def _complain(self, event: yaml.Event, path: KeyPath, text: str) -> None:
        self._problems.append(Problem(_line(event), path, text))

    def _stop(self, event: yaml.Event, path: KeyPath, text: str) -> NoReturn:
        self._complain(event, path, text)
        raise UnreadableError(self._problems)

    def _value(self, event: Any, path: KeyPath) -> object:  # noqa: ANN401  (PyYAML's events share no type)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        before = self._values
        self._spend(1, event, path)
        if event.tag is not None:
            self._complain(event, path, f"found the tag {event.tag}; a catalog has no tags, remove it")
        value: object
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(path, in_braces=bool(event.flow_style))
        else:
            value = self._sequence(path)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _spend(self, values: int, event: yaml.Event, path: KeyPath) -> None:
        self._values += values
        if self._values > _MAX_VALUES:
            self._stop(event, path, f"more than {_MAX_VALUES} values with all aliases written out; use fewer")
        if len(path) > _MAX_DEPTH:
            self._stop(
                event, path[:3], f"nested deeper than {_MAX_DEPTH} levels; close what is open before it"
            )

    def _alias(self, event: yaml.AliasEvent, path: KeyPath) -> object:
        name = str(event.anchor)
        if name not in self._anchors:
            self._stop(
                event, path, f"*{name} stands for no &{name} before it; define that, or quote the text"
            )
        value, size = self._anchors[name]
        self._spend(size, event, path)
        return value

    def _sequence(self, path: KeyPath) -> Items:
        items = Items()
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.put(self._value(event, (*path, len(items))), _line(event))
        return items

    def _mapping(self, path: KeyPath, *, in_braces: bool) -> Block:
        block, own = Block(), Block()
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse_key(event, path)
                continue
            value_event = self._next()
            value = self._value(value_event, (*path, str(event.value)))
            if event.value == "<<" and event.implicit[0]:
                self._merge(block, value, event, path)
            elif in_braces and _is_empty(value_event):
                self._without_value(block, event, path)
            else:
                self._enter(block, own, event, value, path)
        return block

    def _refuse_key(self, event: yaml.Event, path: KeyPath) -> None:
        """Read over a mapping, list or alias where a key should be; one complaint is enough."""
        self._complain(event, path, "found no text as a key; a text that begins with {, [ or * needs quotes")
        told = len(self._problems)
        self._value(event, (*path, "?"))
        self._value(self._next(), (*path, "?"))
        del self._problems[told:]

    def _enter(self, block: Block, own: Block, event: yaml.ScalarEvent, value: object, path: KeyPath) -> None:
        """A key of the mapping itself wins over a merged one, and must not be there twice."""
        key = str(event.value)
        if key in own:
            self._complain(
                event, (*path, key), f"declared before, on line {own.lines[key]}; keep one of them"
            )
        else:
            own.put(key, value, _line(event))
            block.put(key, value, _line(event))

    def _merge(self, block: Block, value: object, event: yaml.Event, path: KeyPath) -> None:
        for merged in value if isinstance(value, Items) else [value]:
            if isinstance(merged, Block):
                for key in [key for key in merged if key not in block]:
                    block.put(key, merged[key], merged.lines[key])
            else:
                self._complain(event, path, f"found {shown(merged)} after <<; write the alias of a mapping")

    def _without_value(self, block: Block, event: yaml.ScalarEvent, path: KeyPath) -> None:
        """Inside braces a comma ends an unquoted text, so that `numeric(12, 2)` leaves a key `2)`."""
        before = next(reversed(block), "")
        start, key = block.get(before), str(event.value)
        if not isinstance(start, Plain):
            self._complain(event, (*path, key), f"has no value; write {key}: and a value")
            return
        whole = Plain(f"{start}, {key}")
        if re.fullmatch(r"\w+", key):
            text = f'has no value; write {key}: and a value, or, if it is text, {before}: "{whole}"'
            self._complain(event, (*path, key), text)
            return
        block[before] = whole
        if self._problems and self._problems[-1].path == (*path, before):
            self._problems.pop()
        text = f'a comma ends a text without quotes inside {{ }}; write {before}: "{whole}"'
        self._complain(event, (*path, before), text)


def _line(event: Any) -> int:  # noqa: ANN401  (its mark is optional to the type checker alone)
    return int(event.start_mark.line) + 1


def _is_empty(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == ""


def _scalar(event: yaml.ScalarEvent) -> str | None:
    if not event.implicit[0]:
        return str(event.value)
    return None if event.value in _NULLS else Plain(event.value)
