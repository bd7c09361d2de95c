"""Ranges cover everything between no bound and no bound, and are gathered only if they are all there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tideline.errors import IntegrityError
from tideline.lake import keys, whole
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Manifest, Part
from tideline.lake.ranges import Range, cut, describe, in_order, range_of
from tideline.window import Window

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = Window(None, T0)


class MemoryStore:
    """A write-once store in memory, as far as committing needs one."""

    def __init__(self):
        self.objects = {}

    def uri_of(self, key):
        return f"s3://b/{key}"

    def key_of(self, uri):
        return uri.removeprefix("s3://b/")

    def put(self, key, body, *, content_type=""):
        assert self.objects.setdefault(key, body) == body


def attempt(part, *, stage="raw", records=10, name=None, parts=1, window=WINDOW, unchanged=False, **details):
    folder = name or keys.new_range_attempt_id(T0, part.number if part else 0, T0)
    uris = [f"s3://b/{folder}/part-{n:05d}.parquet" for n in range(parts)]
    return Manifest(
        stage=stage, source="shop", dataset="orders", window=window, attempt_id=folder, run_id="run",
        extracted_at=T0, parts=tuple(Part(uri, 5, "0" * 64, records) for uri in uris), records=records,
        code_version="1", catalog_fingerprint="f", unchanged=unchanged,
        details={**details, **({"range": part.to_json()} if part else {})},
    )  # fmt: skip


def given(*attempts):
    return [(manifest, f"s3://b/{manifest.folder.manifest}") for manifest in attempts]


def test_bounds_make_one_range_more_and_leave_no_gap():
    ranges = cut([3, 7, 9], T0, "shop.orders w")

    assert [(r.lower, r.upper) for r in ranges] == [(None, 3), (3, 7), (7, 9), (9, None)]
    assert [(r.number, r.of, r.planned_at) for r in ranges] == [(n, 4, T0) for n in range(4)]
    assert len({r.split_id for r in ranges}) == 1
    assert str(ranges[1]) == "range 2 of 4"


def test_without_bounds_there_are_no_ranges():
    assert cut([], T0, "shop.orders w") == ()


def test_another_cut_has_another_name():
    names = {
        cut(bounds, at, scope)[0].split_id
        for bounds, at, scope in (
            ([1], T0, "a"), ([2], T0, "a"), ([1], T0.replace(microsecond=1), "a"), ([1], T0, "b"),
        )
    }  # fmt: skip
    assert len(names) == 4


def test_a_range_travels_as_json():
    for part in cut([{"$oid": "0" * 24}, ["2026-03-01T00:00:00Z", "a/b.csv"]], T0, "s"):
        assert Range.from_json(part.to_json()) == part


def test_attempts_at_ranges_sort_as_their_ranges_do_and_after_that_by_time():
    later = T0.replace(minute=59)
    ids = [keys.new_range_attempt_id(T0, number, at) for number in (0, 1, 10, 100) for at in (T0, later)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_a_manifest_says_which_range_it_is():
    first, second = cut([1], T0, "s")
    assert range_of(attempt(second)) == second
    assert range_of(attempt(None)) is None
    assert [describe(attempt(part)) for part in (first, None)] == ["range 1 of 2", "a whole load"]


def test_ranges_are_put_in_order():
    parts = cut([1, 2], T0, "s")
    first, second, third = (attempt(part) for part in parts)
    assert in_order([third, first, second]) == (first, second, third)


def test_what_is_not_all_of_one_load_is_refused():
    first, second = (attempt(part) for part in cut([1], T0, "s"))
    other = attempt(cut([2], T0, "s")[1])
    elsewhere = attempt(cut([1], T0, "s")[1], window=Window(None, T0.replace(hour=13)))
    for manifests_given, complaint in (
        ([first], "needs each of them once; here are 1"),
        ([second], "here are 2"),
        ([first, first, second], "here are 1, 1, 2"),
        ([first, other], "not cut together"),
        ([first, elsewhere], "not cut together"),
        ([first, attempt(None)], "a whole load cannot be merged as a range"),
    ):
        with pytest.raises(IntegrityError, match=complaint) as raised:
            in_order(manifests_given)
        assert (raised.value.source, raised.value.dataset) == ("shop", "orders")
        assert raised.value.remedy


def test_a_whole_names_all_parts_in_order_and_has_the_sums():
    store = MemoryStore()
    one, two, three = cut([1, 2], T0, "s")
    ranges = given(
        attempt(three, parts=2, listed=3, request={"a": 1}),
        attempt(one, records=4, listed=3, request={"a": 1}),
        attempt(two, records=6, listed=3, request={"a": 1}),
    )

    found, uri = whole.commit_whole(store, ranges, extra="x")  # type: ignore[arg-type]

    assert found == manifests.parse(store.objects[store.key_of(uri)], uri)
    assert [part.uri for part in found.parts] == sorted(p.uri for m, _ in ranges for p in m.parts)
    assert (found.records, found.bytes, found.extracted_at) == (20, 20, T0)
    assert found.details == {
        "request": {"a": 1}, "listed": 9, "ranges": [ranges[1][1], ranges[2][1], ranges[0][1]], "extra": "x",
    }  # fmt: skip
    assert found.attempt_id > max(m.attempt_id for m, _ in ranges)
    assert whole.commit_whole(store, ranges[::-1], extra="x") == (found, uri)  # type: ignore[arg-type]


def test_a_whole_of_uncounted_ranges_is_uncounted():
    one, two = cut([1], T0, "s")
    ranges = given(attempt(one, records=None), attempt(two, records=4))
    assert whole.commit_whole(MemoryStore(), ranges)[0].records is None  # type: ignore[arg-type]


def refined(part, **details):
    given_details = {
        "landed": 10, "refined": 9, "quarantined": 1, "reasons": {"bad_date": 1}, "partitions": ["2026-01-01"],
        "cursor": {"column": "c", "min": "2026-01-01T00:00:00.500000Z", "max": None, "null": 1, "future": 2},
        "drift": {"a": {"count": 2, "example": "x"}}, "empty_columns": ["x", "y"], "seconds": 0.5,
    }  # fmt: skip
    return attempt(part, stage="processed", records=9, **{**given_details, **details})


def test_details_of_refining_are_joined():
    one, two = cut([1], T0, "s")
    other = {
        "reasons": {"bad_date": 2, "bad_bool": 1}, "partitions": ["2025-12-31", None, "2026-01-01"],
        "cursor": {"column": "c", "min": "2026-01-01T00:00:00Z", "max": "2026-01-02T00:00:00Z", "null": 0, "future": 0},
        "drift": {"a": {"count": 1, "example": "y"}, "b": {"count": 1, "example": "z"}}, "empty_columns": ["y"],
    }  # fmt: skip

    found, _ = whole.commit_whole(MemoryStore(), given(refined(one), refined(two, **other)))  # type: ignore[arg-type]

    details = found.details
    assert (details["landed"], details["refined"], details["quarantined"], details["seconds"]) == (
        20,
        18,
        2,
        1.0,
    )
    assert details["reasons"] == {"bad_date": 3, "bad_bool": 1}
    assert details["partitions"] == ["2025-12-31", "2026-01-01", None]
    assert details["cursor"] == {
        "column": "c", "min": "2026-01-01T00:00:00Z", "max": "2026-01-02T00:00:00Z", "null": 1, "future": 2,
    }  # fmt: skip
    assert details["drift"] == {"a": {"count": 3, "example": "x"}, "b": {"count": 1, "example": "z"}}
    assert details["empty_columns"] == ["y"]


def test_drift_is_no_longer_than_that_of_one_attempt():
    """A ledger row with thousands of paths from each of hundreds of ranges is one that BigQuery refuses."""
    most, ranges = manifests.MOST_DRIFT_PATHS, cut([1, 2], T0, "s")
    drifts = [
        {
            f"user{n}": {"count": 2, "example": "string", "kind": "new_field"}
            for n in range(first, first + most)
        }
        for first in (0, most - 1, 5 * most)
    ]
    drifts[1]["…"] = {"count": 7, "example": f"more than {most} paths", "kind": "new_field"}
    parts = [refined(part, drift=drift) for part, drift in zip(ranges, drifts, strict=True)]

    found, _ = whole.commit_whole(MemoryStore(), given(*parts))  # type: ignore[arg-type]

    drift = found.details["drift"]
    assert len(drift) == most + 1
    assert drift[f"user{most - 1}"]["count"] == 4
    assert drift["…"] == {
        "count": 2 * (most - 1) + 7 + 2 * most, "example": f"more than {most} paths", "kind": "new_field",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        (None, None),
        ([], ["2026-01-01"]),
        ([f"{n:05d}" for n in range(manifests.MOST_PARTITIONS)], None),
    ],
    ids=["not known", "none", "too many"],
)
def test_partitions_that_are_not_known_or_too_many_are_not_listed(other, joined):
    one, two = cut([1], T0, "s")
    found, _ = whole.commit_whole(MemoryStore(), given(refined(one), refined(two, partitions=other)))  # type: ignore[arg-type]
    assert found.details["partitions"] == joined


def test_a_load_without_a_cursor_has_none():
    one, two = cut([1], T0, "s")
    ranges = given(refined(one, cursor=None), refined(two, cursor=None))
    assert whole.commit_whole(MemoryStore(), ranges)[0].details["cursor"] is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ({"kind": "exact", "count": 3}, {"kind": "exact", "count": 4}, {"kind": "exact", "count": 7}),
        ({"kind": "exact", "count": 3}, {"kind": "moving", "count": None}, {"kind": "none", "count": None}),
        ({"kind": "exact", "count": 3}, None, {"kind": "none", "count": None}),
        (
            {"kind": "bytes", "objects": 1, "bytes": 5},
            {"kind": "bytes", "objects": 2, "bytes": 7},
            {"kind": "bytes", "count": None, "objects": 3, "bytes": 12},
        ),
    ],
    ids=["counted", "one moved", "one not counted", "objects"],
)
def test_what_the_source_counted_is_joined(first, second, joined):
    one, two = cut([1], T0, "s")
    ranges = given(attempt(one, source=first), attempt(two, source=second))
    assert whole.commit_whole(MemoryStore(), ranges)[0].details["source"] == joined  # type: ignore[arg-type]


def test_evidence_is_put_together_from_the_ranges_that_have_any():
    store = MemoryStore()
    one, two, three = cut([1, 2], T0, "s")
    processed = [refined(part) for part in (one, two, three)]
    refused = [
        attempt(part, stage="quarantine", records=2, name=processed[part.number].attempt_id, quarantined=2)
        for part in (three, one)
    ]

    found, uri = whole.commit_evidence(store, given(*refused), processed)  # type: ignore[arg-type]

    assert (found.records, found.details["quarantined"], len(found.parts)) == (4, 4, 2)
    assert found.attempt_id == whole.attempt_id_of(processed)
    assert store.key_of(uri) in store.objects
