"""Edits of a YAML text that touch one place and keep every other byte. Knows YAML nodes, not the catalog."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\([0-9, ]+\))?")
_NOT_TEXT = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""Words that YAML readers take for something else than text."""


def pairs(node: Any) -> dict[str, yaml.Node]:  # noqa: ANN401  (a node, or nothing where one was looked for)
    """The values of a mapping by their keys; none for anything else."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): value for key, value in node.value}


def scalar(node: Any) -> str | None:  # noqa: ANN401  (as in `pairs`)
    """The text of a scalar."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def add_to_mapping(text: str, node: yaml.MappingNode, key: str, value: dict[str, str]) -> str:
    """The text with a last entry in that mapping: `key: type`, or with other keys a mapping in braces."""
    if node.flow_style:
        return _add_in_braces(text, node, f"{key}: {_spelled(value, in_braces=True)}")
    first, last = node.value[0][0], node.value[-1][1]
    end = _end_of_line(text, _end(text, last))
    newline = "\r\n" if "\r\n" in text else "\n"
    entry = f"{' ' * first.start_mark.column}{key}: {_spelled(value, in_braces=False)}"
    return f"{text[:end]}{newline}{entry}{text[end:]}"


def replace_node(text: str, node: yaml.Node, value: str) -> str:
    """The text with another scalar in that one's place, quoted where that one was or where it must be."""
    start, end = node.start_mark.index, node.end_mark.index
    quote = text[start] if text[start] in "\"'" else ""
    return text[:start] + (f"{quote}{value}{quote}" if quote else _text(value, in_braces=True)) + text[end:]


def _add_in_braces(text: str, node: yaml.MappingNode, entry: str) -> str:
    closing = node.end_mark.index - 1
    end = _end(text, node.value[-1][1])
    comma = text.find(",", end, closing)  # one may follow the last entry
    if comma >= 0 and "#" not in text[end:comma]:
        return f"{text[: comma + 1]} {entry},{text[comma + 1 :]}"
    return f"{text[:end]}, {entry}{text[end:]}"


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's own text ends; the parser says of blocks where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def _end_of_line(text: str, index: int) -> int:
    found = re.compile(r"\r?\n|\Z").search(text, index)
    return len(text) if found is None else found.start()


def _spelled(value: dict[str, str], *, in_braces: bool) -> str:
    if list(value) == ["type"]:
        return _text(value["type"], in_braces=in_braces)
    return "{" + ", ".join(f"{key}: {_text(item, in_braces=True)}" for key, item in value.items()) + "}"


def _text(value: str, *, in_braces: bool) -> str:
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT and not (in_braces and "," in value):
        return value
    return json.dumps(value, ensure_ascii=False)
