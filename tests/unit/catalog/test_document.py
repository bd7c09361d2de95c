"""YAML texts as values with lines, the same with libyaml as with PyYAML's own parser."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline.catalog.document import Block, Items, Problem, UnreadableError, line_of, parse
from tideline.catalog.scalars import Plain

pytestmark = pytest.mark.usefixtures("either_parser")


def problems(text: str) -> list[tuple[int, str, str]]:
    """Line, path and text of everything wrong, whether a value is left or not."""
    try:
        found = parse(text)[1]
    except UnreadableError as error:
        found = error.problems
    return [(problem.line, ".".join(map(str, problem.path)), problem.text) for problem in found]


def test_values_and_their_lines() -> None:
    value, found = parse('a: 1\nb:\n  - x\n  - {c: "d", e: ~}\nf: |\n  g\n  h\ni: >-\n  j\n')
    assert found == []
    assert value == {"a": "1", "b": ["x", {"c": "d", "e": None}], "f": "g\nh\n", "i": "j"}
    paths = [("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "e"), ("f",), ("i",)]
    assert [line_of(value, path) for path in paths] == [1, 2, 3, 4, 4, 5, 8]


def test_the_line_of_what_is_not_there_is_that_of_the_nearest() -> None:
    value, _ = parse("a:\n  b:\n    - c\n")
    paths = [("x",), ("a", "x"), ("a", "b", 7), ("a", "b", 0, "x", "y"), ("a", 0)]
    assert [line_of(value, path) for path in paths] == [1, 1, 2, 3, 1]
    assert line_of(None, ("a",)) == 1


@pytest.mark.parametrize(
    "text", ["no", "010", "1.10", "2026-01-31", "1:30", "0x1F", ".nan", "=", "yes", "12_000"]
)
def test_nothing_is_guessed_from_an_unquoted_text(text: str) -> None:
    value, _ = parse(f"a: {text}\n{text}: b\n")
    assert isinstance(value, Block)
    assert (value["a"], type(value["a"]), value[text]) == (text, Plain, "b")


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL", "# nothing"])
def test_nothing_is_none(text: str) -> None:
    assert parse(f"a: {text}") == ({"a": None}, [])


@pytest.mark.parametrize("text", ['"no"', "'no'", "|-\n  no"])
def test_what_is_quoted_is_a_text_for_good(text: str) -> None:
    value, _ = parse(f"a: {text}")
    assert isinstance(value, Block)
    assert type(value["a"]) is str


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "--- ~\n...\n"])
def test_an_empty_document(text: str) -> None:
    assert parse(text) == (None, [])


def test_aliases_and_merges() -> None:
    text = (
        "a: &x {k: 1, l: 2}\nb: {l: 3, <<: *x}\nc: {<<: *x, l: 4, m: 5}\nd: {<<: [*x, {n: 6, k: 7}]}\ne: *x\n"
    )
    value, found = parse(text)
    assert found == []
    assert isinstance(value, Block)
    assert value["b"] == {"l": "3", "k": "1"}
    assert [*value["c"].items()] == [("k", "1"), ("l", "4"), ("m", "5")]
    assert value["d"] == {"k": "1", "l": "2", "n": "6"}
    assert value["e"] == value["a"]
    assert line_of(value, ("d", "l")) == 1


def test_a_quoted_merge_key_is_a_key() -> None:
    assert parse("'<<': x") == ({"<<": "x"}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, "a", "declared before, on line 1; keep one of them")),
        ("<<: [1]\n", (1, "", "found 1 after <<; write the alias of a mapping")),
        ("? [a]\n: b\n", (1, "", "found no text as a key; a text that begins with {, [ or * needs quotes")),
        ("a: !x b\n", (1, "a", "found the tag !x; a catalog has no tags, remove it")),
        (
            "a: {b: x(1, 2)}\n",
            (1, "a.b", 'a comma ends a text without quotes inside { }; write b: "x(1, 2)"'),
        ),
        (
            "a: {b: x, y z., u v}\n",
            (1, "a.b", 'a comma ends a text without quotes inside { }; write b: "x, y z., u v"'),
        ),
        ("a: {b: x, c}\n", (1, "a.c", 'has no value; write c: and a value, or, if it is text, b: "x, c"')),
        ("a: {b}\n", (1, "a.b", "has no value; write b: and a value")),
        ("a: *b\n", (1, "a", "*b stands for no &b before it; define that, or quote the text")),
        ("a: &b [*b]\n", (1, "a.0", "*b stands for no &b before it; define that, or quote the text")),
        (
            "a: 1\n---\nb: 2\n",
            (2, "", "found a second document; give each source a file of its own, without ---"),
        ),
        ("a: 1\nb: \x07\n", (2, "", "found the control character U+0007; remove it")),
    ],
)
def test_what_is_wrong(text: str, expected: tuple[int, str, str]) -> None:
    assert problems(text) == [expected]


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("a: b: c", 1, "indent like the lines around it, or quote a text that holds a colon"),
        ("a:\n\tb: c", 2, "the line is indented with a tab: use spaces"),
        ("a: @x", 1, "put the text in double quotes"),
        ("a: ,", 1, "put the text in double quotes"),
        ("a: 1\nb: [1, 2\nc: 3\n", 2, "close the bracket or brace, or quote a text that holds one"),
        ("a: 1\nb: 'x\nc: 1", 2, "close the quote"),
        ("a: 1\nb\nc: 2", 2, "write key: value, with a colon and a space"),
        ('a: "\\q"', 1, "double the backslash, or use single quotes"),
        ("a:\n  b: 1\n c: 2", 3, "indent like the lines around it"),
        ("- a\nb: c", 2, "indent like the lines around it"),
        ("a: !x!y 1", 1, "quote a text that begins with & * ! or %"),
        ("a: *", 1, "quote a text that begins with & * ! or %"),
        ("a: - b", 1, "indent like the lines around it, or quote the text"),
        ("a: > b", 1, "begin the text on the next line, or quote it"),
        ("a: b\n...\nc", 3, "indent it like the lines before it, or remove it"),
    ],
)
def test_where_the_syntax_is_wrong(text: str, line: int, remedy: str) -> None:
    ((found_line, _, found),) = problems(text)
    assert found_line == line
    assert found.startswith("not YAML: ")
    assert found.endswith(f"; {remedy}")


def test_an_escape_beyond_unicode() -> None:
    ((line, _, found),) = problems('a: "\\U00110000"')
    assert line == 1
    assert found.startswith("not YAML: ")


def test_what_was_found_before_the_syntax_error_is_told_too() -> None:
    assert [line for line, _, _ in problems("a: 1\na: 2\nb: @\n")] == [2, 3]


def test_a_bomb_of_aliases_is_defused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    ((line, _, found),) = problems("\n".join(lines))
    assert (line, found) == (6, "more than 200000 values with all aliases written out; use fewer")


def test_a_bomb_of_merges_is_defused() -> None:
    lines = ["a: &a {" + ", ".join(f"k{number}: v" for number in range(1000)) + "}"]
    lines += [f"b{number}: {{<<: *a}}" for number in range(1000)]
    ((_, _, found),) = problems("\n".join(lines))
    assert "more than 200000 values" in found


@pytest.mark.parametrize("text", ["[" * 2_000, "- " * 2_000, "? " * 2_000, "a: " + "{b: " * 2_000])
def test_nesting_without_end_is_refused(text: str) -> None:
    *_, (_, _, found) = problems(text)
    assert found == "nested deeper than 64 levels; close what is open before it"


VALUES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES)
def test_json_is_read_back(value: object) -> None:
    assert parse(json.dumps(value, ensure_ascii=False)) == (value, [])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ab:-[]{}&*!|>'\"%@#,?\n\t \\~<x1", max_size=40))
def test_any_text_gives_a_value_or_problems_with_lines(text: str) -> None:
    try:
        value, found = parse(text)
    except UnreadableError as error:
        value, found = "unreadable", error.problems or [Problem(0, (), "an error without a problem")]
    assert value is None or isinstance(value, str | Block | Items)
    assert all(1 <= problem.line <= text.count("\n") + 1 for problem in found)


def test_parsing_needs_little_stack() -> None:
    """Airflow parses DAG files in threads with small stacks on some platforms."""
    done: list[object] = []
    threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=lambda: done.append(problems("[" * 2_000)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert done
