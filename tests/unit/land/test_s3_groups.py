"""Groups of objects hold each object once, in the order in which they should win, whatever is written meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from tideline.catalog.model import CsvDataset
from tideline.errors import SourceChangedError
from tideline.lake.ranges import MOST, cut
from tideline.land.s3_copy import Copied
from tideline.land.s3_csv import ObjectIdentity, _check, land
from tideline.land.s3_groups import _dealt, bounds, is_within, wanted_again
from tideline.land.s3_listing import Found, Selection, in_winning_order
from tideline.window import Window, parse_instant

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
CLOCK = NOON + timedelta(minutes=5)


def products(bucket, **changes):
    declared = {
        "name": "products", "source": "shop_s3", "key": ["id"], "columns": [{"name": "id", "type": "string"}],
        "bucket": bucket, "prefix": "products/", "split": {"bytes": "1KB"},
    }  # fmt: skip
    return CsvDataset.model_validate({**declared, **changes})


def put(s3, bucket, key, body, *, at):
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys[key].last_modified = at


@pytest.fixture
def drops(s3, bucket):
    """Ten objects of 400 bytes, named against the order of their writing."""
    for n in range(10):
        put(s3, bucket, f"products/{9 - n}.csv", b"x" * 400, at=NOON + timedelta(seconds=n))
    return bucket


def groups(s3, dataset, patience, landed=(), mode="scheduled"):
    window = Window(None if mode == "scheduled" else NOON, CLOCK)
    found = bounds(s3, dataset, landed, wanted_again(mode, window), patience)
    return cut(json.loads(json.dumps(found)), CLOCK, "shop_s3.products")


def landed_by(s3, store, patience, request_for, dataset, parts, landed=()):
    requests = [request_for(dataset, start=None, part=part) for part in parts]
    return [land(request, s3, store, landed, patience=patience)[0] for request in requests]


def keys_of(manifest):
    return [part.origin["key"] for part in manifest.parts]


def test_groups_are_filled_in_winning_order(s3, drops, store, patience, request_for):
    dataset = products(drops)
    parts = groups(s3, dataset, patience)

    landed = landed_by(s3, store, patience, request_for, dataset, parts)

    assert [keys_of(manifest) for manifest in landed] == [
        [f"products/{9 - n}.csv" for n in (first, first + 1)] for first in range(0, 10, 2)
    ]
    uris = [part.uri for manifest in landed for part in manifest.parts]
    assert uris == sorted(uris)
    assert {manifest.extracted_at for manifest in landed} == {CLOCK}
    assert landed[0].details["source"] == {"kind": "bytes", "objects": 2, "bytes": 800}


def test_what_is_small_or_undeclared_is_not_dealt(s3, drops, patience):
    assert groups(s3, products(drops, split={"bytes": "4KB"}), patience) == ()
    assert groups(s3, products(drops, split=None), patience) == ()
    assert groups(s3, products(drops, prefix="nothing/"), patience) == ()


def test_an_object_larger_than_a_group_is_one_by_itself(s3, drops, patience):
    put(s3, drops, "products/big.csv", b"x" * 5000, at=NOON + timedelta(seconds=3))
    parts = groups(s3, products(drops), patience)
    assert [part.lower for part in parts if part.lower and part.lower[1] == "products/big.csv"]
    assert len(parts) == 6


def test_what_was_landed_before_counts_only_where_it_is_wanted_again(s3, drops, patience):
    every = [
        ObjectIdentity(entry["Key"], entry["ETag"].strip('"'), entry["LastModified"])
        for entry in s3.list_objects_v2(Bucket=drops)["Contents"]
    ]
    assert groups(s3, products(drops), patience, sorted(every)) == ()
    assert len(groups(s3, products(drops), patience, sorted(every), mode="exact")) == 5


def test_an_object_that_comes_later_is_the_last_groups(s3, drops, store, patience, request_for):
    dataset = products(drops)
    parts = groups(s3, dataset, patience)
    put(s3, drops, "products/0000.csv", b"new", at=NOON + timedelta(hours=1))

    landed = landed_by(s3, store, patience, request_for, dataset, parts)

    assert keys_of(landed[-1])[-1] == "products/0000.csv"
    keys = [key for manifest in landed for key in keys_of(manifest)]
    assert len(keys) == len(set(keys)) == 11


def test_an_object_that_is_overwritten_leaves_its_group_for_the_last(
    s3, drops, store, patience, request_for, monkeypatch
):
    dataset = products(drops)
    parts = groups(s3, dataset, patience)
    get = s3.get_object
    overwritten = []

    def overwriting(**asked):
        if asked["Key"] == "products/9.csv" and not overwritten:
            overwritten.append(1)
            put(s3, drops, "products/9.csv", b"y" * 10, at=NOON + timedelta(hours=1))
        return get(**asked)

    monkeypatch.setattr(s3, "get_object", overwriting)
    landed = landed_by(s3, store, patience, request_for, dataset, parts)

    assert keys_of(landed[0]) == ["products/8.csv"]
    assert landed[0].details["vanished"] == 1
    assert keys_of(landed[-1])[-1] == "products/9.csv"


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.text("ab/", max_size=3), st.integers(0, 2000)),
        unique_by=lambda e: e[:2],
    ),
    st.integers(1, 5000),
)
def test_dealing_loses_nothing_and_keeps_the_order(objects, most):
    wanted = sorted(
        (Found(key, "e", NOON + timedelta(milliseconds=at), size) for at, key, size in objects),
        key=in_winning_order,
    )
    parts = cut(_dealt(wanted, most), CLOCK, "x") or (None,)
    dealt = [[found for found in wanted if is_within(part, found)] for part in parts]

    assert [found for group in dealt for found in group] == wanted
    assert all(len(group) == 1 or sum(f.size for f in group[:-1]) <= most for group in dealt if group)
    assert all(
        sum(f.size for f in group) <= most or sum(1 for f in group if f.size) == 1 for group in dealt if group
    )


def test_there_are_never_more_groups_than_a_scheduler_maps(s3, bucket, patience, monkeypatch):
    from tideline.land import s3_groups

    many = [Found(f"products/{n:05d}.csv", "e", NOON, 1000) for n in range(5 * MOST)]
    monkeypatch.setattr(s3_groups, "list_objects", lambda *_: iter(many))
    assert len(groups(s3, products(bucket), patience)) <= MOST


def test_an_object_that_is_neither_copied_nor_gone_is_noticed():
    found = Found("products/a.csv", "e", NOON, 1)
    with pytest.raises(SourceChangedError, match="1 objects were selected, 0 copied, 0 vanished"):
        _check(products("drops"), Selection(wanted=[found]), Copied())
    _check(products("drops"), Selection(wanted=[found]), Copied(vanished=1))


def test_bounds_keep_fractions_of_seconds():
    at = parse_instant("2026-01-31T12:00:00.123Z")
    first, second = cut([["2026-01-31T12:00:00.123000Z", "b"]], CLOCK, "x")
    for key, part in (("a", first), ("b", second), ("c", second)):
        assert is_within(part, Found(key, "e", at, 1))
        assert not is_within(second if part is first else first, Found(key, "e", at, 1))
