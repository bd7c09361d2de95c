from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline.errors import IntegrityError
from tideline.replay.book import Book
from tideline.replay.landings import Landing
from tideline.replay.span import Span
from tideline.warehouse.state import ORIGIN
from tideline.window import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASET = SimpleNamespace(source="test", name="things")


def hour(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def row(uri: str | None, load: str, *, at: float, end: float = 0, quarantined: int = 0, **more):
    given = {
        "quarantine_manifest_uri": None, "raw_manifest_uris": (), "mode": "scheduled",
        "window_start": None, "extracted_at": hour(end), **more,
    }  # fmt: skip
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


def landing(start: float | None, end: float, *, at: float, mode: str = "scheduled") -> Landing:
    window = Window(None if start is None else hour(start), hour(end))
    return Landing("test.things", "bad", window.window_id, hour(at), mode)


@pytest.mark.parametrize(
    ("refused", "again"),
    [
        (landing(1, 2, at=2.1), True),
        (landing(1, 2, at=2.1, mode="exact"), True),
        (landing(1, 3, at=3), True),
        (landing(0, 2, at=2.1), False),
        (landing(None, 2, at=2.1), False),
        (landing(1, 4, at=2.1), False),
        (landing(1, 2, at=3.1), False),
        (landing(1, 2, at=4), False),
        (landing(1, 2, at=2.1, mode="reconcile"), False),
    ],
    ids=[
        *("within", "named", "the same", "begins earlier", "begins at the origin", "ends later"),
        *("at the same time", "read later", "no window's read"),
    ],
)
def test_a_landing_is_read_again_by_a_later_read_of_all_its_window(refused, again):
    made = book(row("good", "1", at=5, end=3, window_start=hour(1), extracted_at=hour(3.1)))
    assert made.has_read_again(refused) is again


def test_only_reads_of_whole_windows_read_a_landing_again():
    refused = landing(None, 2, at=2.1)
    assert book(row("good", "1", at=5, end=3)).has_read_again(refused)
    for mode in ("reconcile", "replay", "rewind"):
        assert not book(row("good", "1", at=5, end=3, mode=mode)).has_read_again(refused)


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
