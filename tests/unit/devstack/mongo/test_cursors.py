"""Batches: bounded by count and by bytes, and nothing lost between them."""

from __future__ import annotations

import bson
import pytest

from devstack.mongo import cursors as cursors_module
from devstack.mongo.cursors import BATCH_BYTES, Cursors, reply
from devstack.mongo.errors import CommandError

DOCUMENTS = [bson.encode({"_id": number}) for number in range(10)]


def walk(cursors: Cursors, first: bytes, size: int | None) -> list[list[int]]:
    batches = []
    cursor = bson.decode(first)["cursor"]
    batches.append([document["_id"] for document in cursor["firstBatch"]])
    while cursor["id"]:
        cursor = bson.decode(cursors.more(cursor["id"], size))["cursor"]
        batches.append([document["_id"] for document in cursor["nextBatch"]])
    return batches


@pytest.mark.parametrize("size", [1, 3, 5, 10, 11])
def test_all_documents_come_once_and_in_order(size: int) -> None:
    cursors = Cursors()
    batches = walk(cursors, cursors.first("d.c", DOCUMENTS, size), size)
    assert [number for batch in batches for number in batch] == list(range(10))
    assert max(map(len, batches)) == min(size, 10)
    assert len(cursors) == 0


def test_a_first_batch_of_none_keeps_the_cursor_open() -> None:
    cursors = Cursors()
    assert walk(cursors, cursors.first("d.c", DOCUMENTS, 0), None) == [[], list(range(10))]


def test_a_single_batch_leaves_no_cursor() -> None:
    cursors = Cursors()
    assert walk(cursors, cursors.first("d.c", DOCUMENTS, 4, single=True), None) == [[0, 1, 2, 3]]
    assert len(cursors) == 0


def test_a_batch_is_bounded_in_bytes_but_holds_one_document_at_least() -> None:
    large = [bson.encode({"_id": number, "filler": "x" * size}) for number, size in enumerate(
        [BATCH_BYTES // 2, BATCH_BYTES // 3, BATCH_BYTES // 3, BATCH_BYTES + 9, 1]
    )]  # fmt: skip
    cursors = Cursors()
    assert walk(cursors, cursors.first("d.c", large, 100), 100) == [[0, 1], [2], [3], [4]]


def test_an_unknown_cursor_is_not_found() -> None:
    with pytest.raises(CommandError, match="cursor id 5 not found") as error:
        Cursors().more(5, None)
    assert error.value.code == 43


def test_killed_cursors_are_told_from_unknown_ones() -> None:
    cursors = Cursors()
    number = bson.decode(cursors.first("d.c", DOCUMENTS, 1))["cursor"]["id"]
    assert cursors.kill([number, 7]) == ([number], [7])
    assert cursors.kill([number]) == ([], [number])


def test_idle_cursors_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    cursors = Cursors()
    cursors.first("d.c", DOCUMENTS, 1)
    monkeypatch.setattr(cursors_module, "IDLE_SECONDS", -1.0)
    cursors.first("d.c", DOCUMENTS, 1)
    assert len(cursors) == 1


def test_a_reply_numbers_more_documents_than_were_ever_asked_for() -> None:
    many = [bson.encode({})] * 10_050
    decoded = bson.decode(reply("nextBatch", "d.c", 9, many))
    assert decoded == {"cursor": {"nextBatch": [{}] * 10_050, "id": 9, "ns": "d.c"}, "ok": 1.0}
