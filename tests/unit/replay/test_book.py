from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline.errors import IntegrityError
from tideline.replay.book import Book
from tideline.replay.span import Span
from tideline.warehouse.state import ORIGIN

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASET = SimpleNamespace(source="test", name="things")


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def row(uri: str | None, load: str, *, at: float, end: float = 0, quarantined: int = 0, **more):
    given = {"quarantine_manifest_uri": None, "raw_manifest_uris": (), **more}
    return SimpleNamespace(
        raw_manifest_uri=uri, load_id=load, quarantined=quarantined, window_end=hour(end),
        committed_at=hour(at), **given,
    )  # fmt: skip


def book(*rows) -> Book:
    made = Book(DATASET)
    made.take(rows)
    return made


def test_the_newest_load_of_a_landing_counts_and_rewinds_are_none():
    made = book(row("a", "1", at=1, quarantined=3), row(None, "rewind", at=2), row("a", "2", at=3))
    assert made.entries["a"].load_id == "2"
    assert made.entries["a"].quarantined == 0
    assert made.as_of == hour(3)
    assert list(made.entries) == ["a"]


def test_an_empty_ledger_knows_nothing():
    assert book().as_of == ORIGIN
    assert "a" not in book()


def test_what_was_committed_until_an_instant():
    made = book(row("a", "1", at=1), row("b", "2", at=2), row("a", "3", at=3))
    assert made.until(hour(2)) == {"b"}
    assert made.until(hour(3)) == {"a", "b"}


@pytest.mark.parametrize(
    ("span", "missing"),
    [
        (Span(), ["b", "c"]),
        (Span(hour(1), None), ["c"]),
        (Span(None, hour(1)), ["b"]),
        (Span(hour(2), None), []),
        (Span(hour(-9), hour(0)), []),
    ],
    ids=str,
)
def test_what_the_ledger_names_must_be_there(span, missing):
    made = book(*(row(uri, uri, at=1, end=end) for uri, end in (("a", 0), ("b", 1), ("c", 2))))
    if not missing:
        made.check_all_are_there(["a"], span)
        return
    with pytest.raises(IntegrityError, match=f"names {len(missing)} raw manifests .* {', '.join(missing)} "):
        made.check_all_are_there(["a"], span)


def test_ranges_and_evidence_of_all_loads_are_known():
    made = book(
        row("a", "1", at=1, quarantine_manifest_uri="q1", raw_manifest_uris=("r1", "r2")),
        row("a", "2", at=2, quarantine_manifest_uri="q2"),
    )
    assert made.ranges == {"r1", "r2"}
    assert made.evidence == {"q1", "q2"}
