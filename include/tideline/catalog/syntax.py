"""What a YAML parser's complaint means for whoever wrote the file. Knows libyaml's and PyYAML's words."""

from __future__ import annotations

import re

import yaml

_HINTS = (
    (
        r"mapping values are not allowed",
        "indent like the lines around it, or quote a text that holds a colon",
    ),
    (r"cannot start any token|node content", "put the text in double quotes"),
    (r"expected ':'", "write key: value, with a colon and a space"),
    (r"expected ',' or", "close the bracket or brace, or quote a text that holds one"),
    (r"unexpected end of stream", "close the quote"),
    (r"escape character", "double the backslash, or use single quotes"),
    (r"not allowed (here|in this context)", "indent like the lines around it, or quote the text"),
    (r"comment or line break|comment or a line break", "begin the text on the next line, or quote it"),
    (r"alphabetic or numeric|tag handle|directive|URI", "quote a text that begins with & * ! or %"),
    (r"document start", "indent it like the lines before it, or remove it"),
    (r"expected key|<block end>|'-' indicator", "indent like the lines around it"),
)
"""For what the two parsers say, what to do."""


def explain(error: Exception, text: str) -> tuple[int, str]:
    """The line of a syntax error, counting from 1, and what to do about it."""
    if isinstance(error, yaml.reader.ReaderError):
        character = int(error.character)
        line = text[: text.find(chr(character))].count("\n") + 1
        return line, f"found the control character U+{character:04X}; remove it"
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        return _located(error, mark.line, text.split("\n"))
    return 1, f"not YAML: {error}; correct the file"


def _located(error: yaml.MarkedYAMLError, line: int, lines: list[str]) -> tuple[int, str]:
    """What is left open is reported where it begins, anything else where the parser stopped."""
    said, other = str(error.problem), ""
    began = line if error.context_mark is None else error.context_mark.line
    if began != line:
        is_open = re.search(r"simple key|quoted scalar|flow", error.context or "") is not None
        other = (
            f" {error.context} {f'up to line {line + 1}' if is_open else f'that begins on line {began + 1}'}"
        )
        line = began if is_open else line
    if re.match(r" *\t", lines[line] if line < len(lines) else ""):
        hint = "the line is indented with a tab: use spaces"
    else:
        hint = next((hint for pattern, hint in _HINTS if re.search(pattern, said)), "correct the line")
    return min(line + 1, len(lines)), f"not YAML: {said}{other}; {hint}"
