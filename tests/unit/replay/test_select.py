"""Which landings with refused rows are chosen by a reason."""

from __future__ import annotations

from datetime import UTC, datetime

from memory import deployment, land, refine

from tideline.lake import manifest as manifests
from tideline.replay import select
from tideline.replay.book import Book, Entry
from tideline.replay.select import refused

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b"id,price\n1,1.50\n2,many\n" + b"".join(b"%d,2.50\n" % n for n in range(3, 100))


def test_a_landing_whose_evidence_is_gone_may_be_about_any_reason(monkeypatch):
    made = deployment()
    book = Book(made.catalog.dataset("shop.things"))
    monkeypatch.setattr(select, "read_book", lambda *_: book)
    evidence = []
    for hour in range(2):
        at = NOON.replace(hour=hour)
        uri = land(made, at, BODY)
        manifest, _ = refine(made, uri)
        evidence.append(manifest.details["quarantine_uri"])
        book.entries[uri] = Entry(f"load-{hour}", 1, evidence[-1], at, at)
        book.evidence.add(evidence[-1])

    def chosen(reason):
        return [item.landing.window_id[:11] for item in refused(made, book.dataset, reason=reason).items]

    (reason,) = manifests.read(made.quarantine, evidence[0]).details["reasons"]
    assert chosen(reason) == ["20260301T00", "20260301T01"]
    assert chosen("another") == []
    del made.quarantine.objects[made.quarantine.key_of(evidence[0])]
    assert chosen("another") == ["20260301T00"]
    assert chosen(reason) == ["20260301T00", "20260301T01"]
