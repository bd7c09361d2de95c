"""Filters: a query document compiled to a test on raw BSON.

Owns equality, ranges with MongoDB's type bracketing, `$in`, `$exists`, `$not` and the logical operators:
what a pipeline asks. Every other operator is left to mongomock, clause by clause.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from bson.regex import Regex

from devstack.mongo import library
from devstack.mongo.bson_view import (
    ARRAY_RANK,
    MAX_RANK,
    MIN_RANK,
    MISSING,
    NULL_RANK,
    Key,
    Slot,
    Value,
    array_slots,
    field_keys,
    key_at,
    key_of,
    path_slots,
)
from devstack.mongo.errors import CommandError

Test: TypeAlias = Callable[[bytes], bool]
_Match: TypeAlias = Callable[[list[Key]], bool]
"""A condition on all values that a path leads to; a missing one is `MISSING`."""

_RANGES: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


class _UnknownError(Exception):
    """The condition uses an operator that is left to mongomock."""


def compile_filter(query: dict[str, Any]) -> Test:
    """A test that says whether a raw document matches.

    Raises:
        CommandError: The query is malformed or uses an operator that nobody here knows.
    """
    tests = [_clause(name, condition) for name, condition in query.items() if name != "$comment"]
    return _all_of(tests)


def is_plain(condition: Value) -> bool:
    """Whether a condition is a value to be equal to, rather than a document of operators."""
    if isinstance(condition, Regex):
        return False
    return not (isinstance(condition, dict) and next(iter(condition), "").startswith("$"))


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda raw: all(test(raw) for test in tests)


def _clause(name: str, condition: Value) -> Test:
    if name in ("$and", "$or", "$nor"):
        return _logical(name, condition)
    if name.startswith("$"):
        return library.matcher({name: condition})
    try:
        match = _condition(condition)
    except _UnknownError:
        return library.matcher({name: condition})
    return _on_field(name.encode(), match)


def _logical(name: str, branches: Value) -> Test:
    if not isinstance(branches, list) or not branches or not all(isinstance(b, dict) for b in branches):
        raise CommandError(2, f"{name} must be a nonempty array of objects")
    merged = _merged_or(branches) if name == "$or" else None
    if merged is not None:
        return merged
    tests = [compile_filter(branch) for branch in branches]
    if name == "$and":
        return _all_of(tests)
    if name == "$or":
        return lambda raw: any(test(raw) for test in tests)
    return lambda raw: not any(test(raw) for test in tests)


def _merged_or(branches: list[dict[str, Any]]) -> Test | None:
    """`{$or: [{c: …}, {c: …}]}` on one field as one pass over the document; None for anything else."""
    names = {name for branch in branches for name in branch}
    if len(names) != 1 or any(len(branch) != 1 for branch in branches):
        return None
    name = names.pop()
    if name.startswith("$"):
        return None
    try:
        matches = [_condition(branch[name]) for branch in branches]
    except _UnknownError:
        return None
    return _on_field(name.encode(), lambda keys: any(match(keys) for match in matches))


def _on_field(name: bytes, match: _Match) -> Test:
    if b"." in name:
        path = name.split(b".")
        return lambda raw: match(_spread(raw, path_slots(raw, path)))
    names = {name: 0}

    def test(raw: bytes) -> bool:
        keys = field_keys(raw, names, 1)
        if keys[0][0] == ARRAY_RANK:
            keys = _spread(raw, path_slots(raw, [name]))
        return match(keys)

    return test


def _spread(raw: bytes, found: list[Slot | None]) -> list[Key]:
    """The keys of the values, and those of the items where a value is an array."""
    keys = []
    for slot in found:
        if slot is None:
            keys.append(MISSING)
        else:
            keys.append(key_at(raw, slot))
            keys.extend(key_at(raw, item) for item in array_slots(raw, slot))
    return keys


def _condition(condition: Value) -> _Match:
    if isinstance(condition, Regex):
        raise _UnknownError
    if is_plain(condition):
        return _equals(condition)
    matches = [_operator(name, operand) for name, operand in condition.items()]
    return matches[0] if len(matches) == 1 else lambda keys: all(match(keys) for match in matches)


def _operator(name: str, operand: Value) -> _Match:
    if name in _RANGES:
        return _range(_RANGES[name], operand)
    if name in ("$eq", "$ne"):
        return _negated(_equals(operand), name == "$ne")
    if name in ("$in", "$nin"):  # codespell:ignore nin
        return _negated(_one_of(operand, name), name == "$nin")  # codespell:ignore nin
    if name == "$exists":
        return _negated(lambda keys: any(key != MISSING for key in keys), not operand)
    if name == "$not":
        if is_plain(operand) and not isinstance(operand, Regex):
            raise CommandError(2, "$not needs a regex or a document")
        return _negated(_condition(operand), True)
    raise _UnknownError


def _negated(match: _Match, negate: bool) -> _Match:
    return (lambda keys: not match(keys)) if negate else match


def _equals(operand: Value) -> _Match:
    wanted = key_of(operand)
    if wanted[0] == NULL_RANK:
        return lambda keys: any(key[0] in (NULL_RANK, 0) for key in keys)
    return lambda keys: wanted in keys


def _one_of(operands: Value, name: str) -> _Match:
    if not isinstance(operands, list):
        raise CommandError(2, f"{name} needs an array")
    if any(isinstance(operand, Regex) for operand in operands):
        raise _UnknownError
    wanted = {key_of(operand) for operand in operands}
    if any(key[0] == NULL_RANK for key in wanted):
        wanted.add(MISSING)
    return lambda keys: any(key in wanted for key in keys)


def _range(compare: Callable[[Any, Any], bool], operand: Value) -> _Match:
    """Only values of the operand's own type are in range; MinKey and MaxKey bound all types."""
    if isinstance(operand, Regex):
        raise CommandError(2, "a range cannot be compared with a regex")
    rank, bound = key_of(operand)
    if rank == NULL_RANK:
        # Of null, only equality holds: $gte and $lte do, $gt and $lt do not.
        return _equals(None) if compare(0, 0) else lambda _keys: False
    if rank in (MIN_RANK, MAX_RANK):
        return lambda keys: any(key != MISSING and compare(key[0], rank) for key in keys)
    return lambda keys: any(key[0] == rank and compare(key[1], bound) for key in keys)
