"""Which landings there are, told from raw manifests: whole ones, ranges put together, ranges that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from tideline.errors import AlreadyExistsError
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Manifest, Part
from tideline.lake.ranges import cut
from tideline.lake.whole import commit_whole
from tideline.replay.landings import Landing, landings, whole_uri
from tideline.replay.span import Span
from tideline.window import Window

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DATASET = SimpleNamespace(source="test", name="things", dataset_id="test.things")


class MemoryStore:
    """A write-once store in memory."""

    root = "s3://raw"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def uri_of(self, key):
        return f"{self.root}/{key}"

    def key_of(self, uri):
        return uri.removeprefix(f"{self.root}/")

    def put(self, key, body, *, content_type=""):
        if self.objects.setdefault(key, body) != body:
            raise AlreadyExistsError("other bytes are there", place=key)

    def read(self, key):
        return self.objects[key]

    def list(self, prefix):
        yield from sorted(key for key in self.objects if key.startswith(prefix))


@pytest.fixture
def store():
    return MemoryStore()


def land(store, attempt="a", hours=0.0, **details) -> str:
    """Commit a manifest of the hour to noon; its URI."""
    manifest = Manifest(
        stage="raw", source="test", dataset="things", window=Window(NOON - timedelta(hours=1), NOON),
        attempt_id=attempt, run_id="r", extracted_at=NOON + timedelta(hours=hours),
        parts=(Part(f"s3://raw/{attempt}", 1, "0" * 64, 1),), records=1, code_version="1",
        catalog_fingerprint="f", details={"mode": "scheduled", **details},
    )  # fmt: skip
    return manifests.commit(store, manifest)


def split(store, bounds=(10, 20), only=None) -> list[str]:
    """Land ranges of one load; their URIs."""
    ranges = cut(list(bounds), NOON, "scope")
    wanted = [one for one in ranges if only is None or one.number in only]
    return [land(store, f"range-{one.number}", range=one.to_json()) for one in wanted]


def found(store, span=Span()) -> list[Landing]:  # noqa: B008  it is frozen
    return list(landings(store, DATASET, span))


def test_landings_come_in_the_order_in_which_the_source_was_read(store):
    late, early = land(store, "a", hours=2), land(store, "b", hours=1)
    same = land(store, "c", hours=1, mode="reconcile")
    assert [one.raw_manifest_uri for one in found(store)] == [early, same, late]
    assert [one.mode for one in found(store)] == ["scheduled", "reconcile", "scheduled"]
    assert Landing.from_json(found(store)[0].to_json()) == found(store)[0]


def test_what_ends_outside_the_span_is_left_out(store):
    land(store)
    assert found(store, Span(NOON, None)) == []
    assert len(found(store, Span(NOON - timedelta(hours=1), NOON))) == 1


def test_a_manifest_that_does_not_say_its_mode_named_its_interval(store):
    uri = land(store)
    old = manifests.read(store, uri)
    store.objects[store.key_of(uri)] = replace(old, details={}).to_bytes()
    assert [one.mode for one in found(store)] == ["exact"]


def test_ranges_that_are_all_there_are_one_landing(store):
    uris = split(store)
    (landing,) = found(store)
    assert landing.range_uris == tuple(uris)
    whole = whole_uri(store, landing)
    assert manifests.read(store, whole).records == 3
    assert [one.raw_manifest_uri for one in found(store)] == [whole], "from now on it is an ordinary one"
    assert whole_uri(store, found(store)[0]) == whole


def test_ranges_that_were_put_together_do_not_count_again(store):
    uris = split(store)
    land(store, "range-1b", range=manifests.read(store, uris[1]).details["range"])
    _, whole = commit_whole(store, [(manifests.read(store, uri), uri) for uri in uris])
    assert [one.raw_manifest_uri for one in found(store)] == [whole]


def test_of_a_range_that_was_landed_twice_the_newer_counts(store):
    first, second, third = split(store)
    newer = land(store, "range-1b", range=manifests.read(store, second).details["range"])
    assert found(store)[0].range_uris == (first, newer, third)


def test_a_load_that_lacks_a_range_does_not_count(store, caplog):
    split(store, only={0, 2})
    assert found(store) == []
    assert "only 2 of 3 ranges" in caplog.text


def test_known_manifests_and_other_windows_are_not_read(store):
    known, other = land(store, "a"), land(store, "b")
    store.objects[store.key_of(known)] = b"not even a manifest"
    left = landings(store, DATASET, Span(), known={known})
    assert [one.raw_manifest_uri for one in left] == [other]
    assert landings(store, DATASET, Span(), known={known}, windows={"another"}) == ()
    assert landings(store, DATASET, Span(), windows=set()) == ()
    assert [one.raw_manifest_uri for one in landings(
        store, DATASET, Span(), known={known}, windows={left[0].window_id}
    )] == [other]  # fmt: skip
