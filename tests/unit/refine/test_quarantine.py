"""The evidence: layout, cut records, bounded memory, and what an error message says of it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from tideline.lake.keys import Folder
from tideline.refine import quarantine
from tideline.refine.contract import Reject
from tideline.refine.parquet import PartWriter
from tideline.refine.quarantine import QuarantineWriter
from tideline.window import Window

WINDOW = Window(None, datetime(2026, 1, 31, 14, tzinfo=UTC))
FOLDER = Folder("shop", "items", WINDOW, "attempt")


@pytest.fixture
def evidence(lake: Any) -> QuarantineWriter:
    return QuarantineWriter(FOLDER, PartWriter(FOLDER, lake.quarantine, footer={}))


def read(lake: Any, uri: str) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(lake.quarantine.read(lake.quarantine.key_of(uri))))


def test_nothing_refused_is_nothing_written(lake: Any, evidence: QuarantineWriter) -> None:
    with evidence:
        evidence.add([], "s3://raw/a")
        assert evidence.close() == ()
    assert lake.quarantine.objects == {}


def test_a_reject_is_a_row(lake: Any, evidence: QuarantineWriter) -> None:
    with evidence:
        evidence.add([Reject(7, "bad_date", "day", "'x'", b"7,x", 9)], "s3://raw/a")
        evidence.add([Reject(123, "duplicate_key", raw=b"\x10\x00")], "s3://raw/b")
        (part,) = evidence.close()
    assert part.records == 2
    file = read(lake, part.uri)
    assert file.schema_arrow.remove_metadata() == quarantine.SCHEMA
    common = {"source": "shop", "dataset": "items", "window_id": WINDOW.window_id, "raw_truncated": False}
    assert file.read().to_pylist() == [
        {**common, "raw_uri": "s3://raw/a", "position": 7, "line": 9, "column": "day", "reason": "bad_date",
         "detail": "'x'", "raw": b"7,x"},
        {**common, "raw_uri": "s3://raw/b", "position": 123, "line": None, "column": "",
         "reason": "duplicate_key",
         "detail": "", "raw": b"\x10\x00"},
    ]  # fmt: skip


@pytest.mark.parametrize(("extra", "truncated"), [(0, False), (1, True)])
def test_long_records_are_cut(lake: Any, evidence: QuarantineWriter, extra: int, truncated: bool) -> None:
    with evidence:
        evidence.add([Reject(1, "too_large", raw=b"x" * (quarantine.RAW_BYTES + extra))], "s3://raw/a")
        (part,) = evidence.close()
    (row,) = read(lake, part.uri).read().to_pylist()
    assert (len(row["raw"]), row["raw_truncated"]) == (1 << 20, truncated)


def test_texts_that_utf8_cannot_spell_are_evidence_too(lake: Any, evidence: QuarantineWriter) -> None:
    with evidence:
        evidence.add([Reject(1, "unknown_field", "a\ud800", "\udfff")], "s3://raw/a")
        (part,) = evidence.close()
    assert read(lake, part.uri).read().column("column").to_pylist() == ["a?"]


def test_memory_is_bounded(lake: Any, evidence: QuarantineWriter) -> None:
    with evidence:
        for position in range(40):
            evidence.add([Reject(position, "too_large", raw=bytes(1 << 20))], "s3://raw/a")
        (part,) = evidence.close()
    file = read(lake, part.uri)
    assert (file.num_row_groups, file.metadata.num_rows) == (5, 40)


def test_many_small_rejects_are_flushed(lake: Any, evidence: QuarantineWriter) -> None:
    with evidence:
        evidence.add([Reject(position, "field_count") for position in range(50_000)], "s3://raw/a")
        evidence.add([Reject(1, "field_count")], "s3://raw/a")
        (part,) = evidence.close()
    assert read(lake, part.uri).num_row_groups == 2


def test_summary_names_the_most_frequent_with_an_example(evidence: QuarantineWriter) -> None:
    evidence.add([Reject(3, "bad_date", "day", "'x'", line=4)] * 2, "s3://raw/a")
    evidence.add([Reject(100, "truncated", detail="short")] * 3, "s3://raw/a")
    evidence.add([Reject(5, "bad_bool"), Reject(5, "bad_json")], "s3://raw/a")
    text = evidence.summary()
    assert text.startswith(
        "truncated 3 times, first at position 100: short; bad_date 2 times, first at line 4 day: 'x'; "
    )
    assert text.count(";") == 2
    assert dict(evidence.reasons) == {"bad_date": 2, "truncated": 3, "bad_bool": 1, "bad_json": 1}


def test_leaving_early_abandons(lake: Any, evidence: QuarantineWriter) -> None:
    with pytest.raises(ValueError, match="mine"), evidence:  # noqa: PT012 - as a caller does
        evidence.add([Reject(p, "field_count") for p in range(60_000)], "s3://raw/a")
        raise ValueError("mine")
    assert lake.quarantine.objects == {}
