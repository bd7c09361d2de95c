"""What the lake holds and the ledger does not: reads that wait, evidence above the threshold, samples of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from memory import deployment, land, refine, things

from tideline.errors import ContractError
from tideline.status import evidence, lake
from tideline.status.wording import printable
from tideline.window import Window

NOW = datetime(2026, 3, 14, 12, 30, tzinfo=UTC)
GOOD = b"id,price,note\n" + b"".join(b"%d,1.00,n\n" % number for number in range(40))
BAD = b"id,price,note\n1,much,n\nx,1.00,n\n3,1.00,n\n"


def hour(number):
    return NOW.replace(minute=0) + timedelta(hours=number)


@pytest.fixture
def made():
    return deployment(None, things(quarantine_threshold=0.5))


def pending(made, known):
    return lake.pending(lake.committed(made.raw, made.catalog.datasets, NOW), known)


def test_reads_of_the_last_days_that_no_load_was_made_from_wait(made):
    old = land(made, hour(-24 * 9), GOOD)
    merged, waiting = land(made, hour(-2), GOOD), land(made, hour(-1), GOOD)
    made.raw.put("shop/things/dt=2026-03-14/hour=11/torn/attempt/part-00000.csv", b"no manifest")
    (one,) = pending(made, {merged})
    assert (one.raw_manifest_uri, one.dataset_id, one.is_superseded) == (waiting, "shop.things", False)
    assert one.window_id == Window(None, hour(-1)).window_id
    assert old not in [one.raw_manifest_uri for one in pending(made, set())]


def test_another_read_of_a_window_that_was_merged_supersedes(made):
    first, second = (land(made, hour(-1), GOOD, name=name) for name in ("a", "b"))
    assert [(one.attempt_id, one.is_superseded) for one in pending(made, set())] == [
        ("b", False),
        ("a", False),
    ]
    assert [(one.raw_manifest_uri, one.is_superseded) for one in pending(made, {second})] == [(first, True)]


def unmerged(made, known):
    found = lake.committed(made.quarantine, made.catalog.datasets, NOW)
    return lake.unmerged_evidence(made.quarantine, made.processed, found, known)


def test_a_read_that_was_refused_whole_is_open_until_it_is_merged(made):
    uri = land(made, hour(-1), BAD)
    for _ in range(2):  # tried twice: the newest evidence counts
        with pytest.raises(ContractError):
            refine(made, uri)
    (one,) = unmerged(made, set())
    assert (one.load_id, one.raw_manifest_uri, one.landed, one.quarantined) == (None, uri, 3, 2)
    assert one.reasons == {"bad_number": 2}
    assert one.quarantine_uri == max(
        made.quarantine.uri_of(k) for k in made.quarantine.objects if "_manifest" in k
    )
    assert [(drift.kind, drift.path, drift.records) for drift in one.drift] == [
        ("changed_type", "id", 1), ("changed_type", "price", 1),
    ]  # fmt: skip
    assert unmerged(made, {uri}) == []


def test_evidence_of_a_load_is_the_ledgers_to_report(made):
    manifest, _ = refine(made, land(made, hour(-1), GOOD + b"x,1.00,n\n"))
    assert unmerged(made, {manifest.details["quarantine_uri"]}) == []


def test_evidence_beside_rows_that_are_not_merged_yet_is_not_all_there_is(made):
    refine(made, land(made, hour(-1), GOOD + b"x,1.00,n\n"))
    assert unmerged(made, set()) == []


def test_samples_are_the_first_records_of_a_reason_cut_to_size(made):
    wide = b"x,1.00," + b"w" * 5000 + b"\n"
    body = GOOD + wide + b"".join(b"%d,much\x1b[31m,n\n" % number for number in range(5))
    manifest, _ = refine(made, land(made, hour(-1), body))
    uri = manifest.details["quarantine_uri"]
    everything = evidence.samples(made.quarantine, uri)
    assert len(everything) == 6
    first = everything[0]
    assert (first.column, first.reason, first.line, first.is_cut) == ("id", "bad_number", 42, True)
    assert len(first.raw) == evidence.RAW_BYTES
    assert printable(everything[1].raw).startswith("0,much\\x1b[31m,n")
    assert len(evidence.samples(made.quarantine, uri, limit=2)) == 2
    assert evidence.samples(made.quarantine, uri, reason="too_deep") == []


def test_parts_too_large_for_a_look_are_passed_over(made, monkeypatch):
    manifest, _ = refine(made, land(made, hour(-1), GOOD + b"x,1.00,n\n"))
    monkeypatch.setattr(evidence, "PART_BYTES", 10)
    assert evidence.samples(made.quarantine, manifest.details["quarantine_uri"]) == []
