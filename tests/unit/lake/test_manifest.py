"""A manifest says after a round trip what it said before, and anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tideline.errors import AlreadyExistsError, IntegrityError
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Manifest, Part
from tideline.window import Window

END = datetime(2026, 1, 31, 12, tzinfo=UTC)
MANIFEST = Manifest(
    stage="raw",
    source="shop",
    dataset="orders",
    window=Window(None, END),
    attempt_id="a1",
    run_id="manual__ü",
    extracted_at=datetime(2026, 1, 31, 12, 0, 1, 5, tzinfo=UTC),
    parts=(Part("s3://b/p0", 3, "00", 2, {"key": "ü"}), Part("s3://b/p1", 4, "ff")),
    records=2,
    code_version="1",
    catalog_fingerprint="f",
    details={"listed": 2},
)


def test_a_round_trip_changes_nothing():
    assert manifests.parse(MANIFEST.to_bytes(), "here") == MANIFEST


def test_it_knows_its_folder_and_size():
    assert MANIFEST.folder.manifest.endswith("/a1/_manifest.json")
    assert MANIFEST.bytes == 7


def test_details_are_added_not_replaced():
    assert manifests.with_details(MANIFEST, more=1).details == {"listed": 2, "more": 1}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": "v0"}, "v0"),
        ({"stage": "cooked"}, "cooked"),
        ({"window": {"start": None, "end": None}}, "end"),
        ({"window": {"start": "tomorrow", "end": "2026-01-31T12:00:00Z"}}, "tomorrow"),
        ({"window": None}, "subscriptable"),
        ({"parts": [{"uri": "u"}]}, "missing"),
        ({"parts": [{"uri": "u", "bytes": 1, "sha256": "", "odd": 1}]}, "odd"),
    ],
)
def test_what_is_not_a_manifest_is_refused_by_name(change, found):
    body = json.dumps({**json.loads(MANIFEST.to_bytes()), **change}).encode()

    with pytest.raises(IntegrityError, match=found) as refused:
        manifests.parse(body, "s3://b/k")

    assert refused.value.place == "s3://b/k"


def test_every_field_is_needed():
    whole = json.loads(MANIFEST.to_bytes())
    for name in set(whole) - {"window_id", "bytes"}:
        with pytest.raises(IntegrityError, match=name):
            manifests.parse(json.dumps({k: v for k, v in whole.items() if k != name}).encode(), "here")


@pytest.mark.parametrize("cut", range(0, 600, 37))
def test_a_truncated_manifest_is_refused(cut):
    with pytest.raises(IntegrityError):
        manifests.parse(MANIFEST.to_bytes()[:cut], "here")


def test_committing_is_visible_and_happens_once(store):
    uri = manifests.commit(store, MANIFEST)

    assert manifests.read(store, uri) == MANIFEST
    assert manifests.commit(store, MANIFEST) == uri
    with pytest.raises(AlreadyExistsError):
        manifests.commit(store, replace(MANIFEST, records=3))
    assert manifests.read(store, uri) == MANIFEST


def test_a_folder_without_manifest_does_not_count(store):
    with pytest.raises(IntegrityError, match="no such object"):
        manifests.read(store, store.uri_of(MANIFEST.folder.manifest))
