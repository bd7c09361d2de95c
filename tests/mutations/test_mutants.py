"""The seeded bugs still fit the product, and the document tells of each; whether they are caught: `prove`."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("mutants", Path(__file__).with_name("mutants.py"))
mutants = importlib.util.module_from_spec(_spec)
sys.modules["mutants"] = mutants  # dataclasses look their module up
_spec.loader.exec_module(mutants)


def test_there_are_twenty():
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS) == 20


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_its_anchors_are_there_once_and_the_bug_is_python(mutant):
    text = (REPOSITORY / "include" / "tideline" / mutant.file).read_text()
    spoilt = mutant.applied(text)
    assert spoilt != text
    ast.parse(spoilt)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_its_tests_exist(mutant):
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (REPOSITORY / file).read_text()
        assert not name or f"def {name}(" in text


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_the_document_tells_which_test_catches_it(mutant):
    document = (REPOSITORY / "docs" / "guarantees.md").read_text()
    (line,) = [line for line in document.splitlines() if line.startswith(f"| {mutant.name} |")]
    for test in mutant.tests:
        assert test.rpartition("::")[2].rpartition("/")[2] in line


def test_the_document_names_tests_that_exist():
    document = (REPOSITORY / "docs" / "guarantees.md").read_text()
    named = set(re.findall(r"`((?:tests/[a-z_/]+)?(?:test_[a-z0-9_]+\.py|/))`", document))
    named |= set(re.findall(r"`(tests/[a-z_/]+/)`", document))
    assert len(named) > 10
    found = {
        name: (REPOSITORY / name).exists() or (REPOSITORY / "tests" / "faults" / name).exists()
        for name in named
    }
    assert [name for name, is_there in found.items() if not is_there] == []


def test_an_anchor_that_is_gone_is_an_error():
    mutant = mutants.Mutant("x", "plan.py", (("not in there", ""),), ())
    with pytest.raises(ValueError, match=r"0 times in plan\.py"):
        mutant.applied("text")
