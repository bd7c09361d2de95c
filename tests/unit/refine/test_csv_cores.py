"""Blocks that are read at once: the same batches as one after another, whatever is in them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tideline.errors import ContractError
from tideline.refine.csv import CsvLimits
from tideline.refine.csv_blocks import BlockLimits
from tideline.refine.csv_decode import BlockDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.refine.csv_blocks import Block
    from tideline.refine.csv_decode import Read

LIMITS = CsvLimits(BlockLimits(block_bytes=400))
ODD = [
    "x,a,,u,\n",
    '7,"two\nlines",2026-01-31T10:00:00Z,,\n',
    '8,"stray" b,,,\n',
    "0x1F,c,,,\n",
    "1,\xe9\n",
    "\n",
]


def body() -> bytes:
    """Rows of which every twentieth is odd; the undeclared field holds something late, and then again."""
    rows = [
        f"{number},name {number},2026-01-31 14:{number % 60:02}:00,{number if number > 700 else ''},\n"
        for number in range(1000)
    ]
    for place in range(0, 1000, 20):
        rows[place] = ODD[place // 20 % len(ODD)]
    return f"id,name,at,other,last\n{''.join(rows)}".encode()


@pytest.fixture
def declared(csv_dataset: Callable[..., Any]) -> Any:
    return csv_dataset({"id": "int64", "name": "string", "at": "timestamp", "later": "date"})


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The threads that read blocks."""
    read, found = BlockDecoder.read, set()

    def seen(decoder: BlockDecoder, block: Block) -> Read:
        found.add(threading.current_thread().name)
        return read(decoder, block)

    monkeypatch.setattr(BlockDecoder, "read", seen)
    return found


@pytest.mark.parametrize(("cores", "at_once"), [(1, False), (2, False), (3, True), (64, True)])
def test_is_the_same_on_any_number_of_cores(
    cores: int,
    at_once: bool,
    declared: Any,
    decode: Callable[..., Any],
    readers: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The consumer's thread reads the first block, and where there are few cores all of them."""
    whole = decode(declared, body())
    readers.clear()
    monkeypatch.setattr(pa, "cpu_count", lambda: cores)
    found = decode(declared, body(), limits=LIMITS)
    assert len(found.batches) > 50
    assert any(name.startswith("decode") for name in readers) is at_once
    assert threading.current_thread().name in readers
    assert found.rows == whole.rows
    assert found.rejects == whole.rejects
    assert len(found.rejects) > 20
    assert found.drift == whole.drift
    assert found.drift["other"][1] == "u", "the first example of all"


@pytest.mark.parametrize(("columns", "at_once"), [(99, True), (100, False)])
def test_wide_tables_are_read_in_the_thread_of_the_consumer(
    columns: int,
    at_once: bool,
    csv_dataset: Callable[..., Any],
    decode: Callable[..., Any],
    readers: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pa, "cpu_count", lambda: 4)
    names = [f"c{number}" for number in range(columns)]
    rows = [",".join(["1"] * columns)] * 50
    found = decode(
        csv_dataset(dict.fromkeys(names, "int64")),
        "\n".join([",".join(names), *rows]).encode(),
        limits=LIMITS,
    )
    assert found.records == 50
    assert any(name.startswith("decode") for name in readers) is at_once


def test_an_example_is_the_first_of_the_object(
    declared: Any, decode: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pa, "cpu_count", lambda: 4)
    rows = "".join(f"{number},n,,{number if number > 300 else ''}\n" for number in range(1000))
    found = decode(declared, f"id,name,at,other\n{rows}".encode(), limits=LIMITS)
    examples = [batch.drift["other"][1] for batch in found.batches]
    assert set(examples) == {"", "301"}
    assert examples == sorted(examples), "it stays what it was"


def test_a_defect_while_reading_is_not_swallowed(
    declared: Any, decode: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = BlockDecoder.read

    def fail(decoder: BlockDecoder, block: Block) -> Read:
        if block.line > 100:
            raise ContractError("broken", source="shop", dataset="items", place="there", remedy="none")
        return read(decoder, block)

    monkeypatch.setattr(pa, "cpu_count", lambda: 4)
    monkeypatch.setattr(BlockDecoder, "read", fail)
    before = threading.active_count()
    with pytest.raises(ContractError, match="broken"):
        decode(declared, body(), limits=LIMITS)
    assert threading.active_count() == before
