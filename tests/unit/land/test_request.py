"""An attempt has its own folder and the clock of its beginning; committing is one manifest and one line."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import tideline
from tideline.catalog.model import MongoDataset
from tideline.errors import RetriableError
from tideline.lake import manifest as manifests
from tideline.lake.store import Written
from tideline.land.request import LandRequest, part_of
from tideline.window import CLOCK_SKEW, Window

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
THINGS = MongoDataset(
    name="things",
    source="shop",
    key=("id",),
    columns=({"name": "id", "type": "string"},),
    database="d",
    collection="c",
)


@pytest.fixture
def things(request_for):
    return request_for(THINGS)


def test_an_attempt_begins_at_the_clock_and_has_a_folder_of_its_own(things):
    first, second = things.begin(), things.begin()

    assert first.extracted_at == NOON + timedelta(minutes=5)
    assert first.folder.attempt_id.startswith("20260131T120500000000Z-")
    assert first.folder.prefix != second.folder.prefix
    assert first.folder.window == things.window


def test_the_clock_is_read_when_the_attempt_begins(things):
    times = iter([NOON, NOON + timedelta(hours=1)])
    ticking = replace(things, now=lambda: next(times))

    assert ticking.begin().extracted_at == NOON
    assert ticking.begin().extracted_at == NOON + timedelta(hours=1)


def test_without_another_clock_it_is_now():
    before = datetime.now(UTC)
    attempt = LandRequest(THINGS, Window(None, NOON), "scheduled", "r", "f").begin()

    assert before <= attempt.extracted_at <= datetime.now(UTC)


def test_a_clock_by_which_the_window_is_not_over_is_wrong(things):
    """Rows of the hour would be older than those that they replace, and no later window has them."""
    ends = things.window.end
    replace(things, now=lambda: ends - CLOCK_SKEW).check_over()
    late = replace(things, now=lambda: ends - timedelta(hours=3))
    with pytest.raises(RetriableError, match=r"not over .* by the clock of the machine"):
        late.check_over()


def test_committing_writes_what_it_returns(things, store):
    attempt = things.begin()
    part = part_of(Written("s3://b/p", 7, "ff"), 3, {"collection": "c"})

    manifest, uri = attempt.commit(store, [part], records=3, details={"request": {}})

    assert manifests.read(store, uri) == manifest
    assert (manifest.parts, manifest.records, manifest.bytes) == ((part,), 3, 7)
    assert (manifest.stage, manifest.run_id, manifest.code_version) == ("raw", "run-1", tideline.__version__)
    assert manifest.details == {"request": {}, "mode": "scheduled"}
