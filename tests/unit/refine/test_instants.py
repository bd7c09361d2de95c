from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tideline.refine.fields import ConformError
from tideline.refine.instants import microseconds

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - hypothesis wants them naive
MICROSECOND = timedelta(microseconds=1)
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(
    st.datetimes(min_value=FIRST, max_value=LAST),
    st.none() | offsets,
    st.sampled_from("T t"),
)
def test_every_isoformat_is_read(naive, offset, separator):
    text = naive.replace(tzinfo=offset).isoformat(sep=separator)
    instant = naive.replace(tzinfo=offset or UTC)
    assert microseconds(text, "bad_timestamp") == (instant - EPOCH) // MICROSECOND


@given(st.dates())
def test_every_date_is_midnight(day):
    expected = (datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH) // MICROSECOND
    assert microseconds(day.isoformat(), "bad_date") == expected


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-31T14:05Z", "2026-01-31T14:05:00Z"),
        ("2026-01-31T14:05:02,5z", "2026-01-31T14:05:02.500000Z"),
        ("2026-01-31 14:05:02 +01", "2026-01-31T13:05:02Z"),
        ("2026-01-31T14:05:02.1200000000Z", "2026-01-31T14:05:02.12Z"),
        ("2026-01-31T00:00:00-23:59", "2026-01-31T23:59:00Z"),
        ("+2026-01-31", "2026-01-31"),
    ],
)
def test_other_spellings(text, same):
    assert microseconds(text, "bad_timestamp") == microseconds(same, "bad_timestamp")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0001-01-01T00:00:00+00:01", "out_of_range"),
        ("9999-12-31T23:59:59.999999-00:01", "out_of_range"),
        ("0000-12-31", "out_of_range"),
        ("-0001-12-31", "out_of_range"),
        ("123456789-01-01", "out_of_range"),
        ("2026-01-31T14:05:02.0000001Z", "inexact"),
        ("2026-00-31", "why"),
        ("2026-02-29", "why"),
        ("2026-01-31T24:00:00", "why"),
        ("2026-01-31T14:60", "why"),
        ("2026-01-31T14:05:02+24:00", "why"),
        ("2026-01-31T14:05:02+01:60", "why"),
        ("2026-01-31Z", "why"),
        ("2026-01-31T14", "why"),
        ("\uff12\uff1026-01-31", "why"),
        ("now", "why"),
        ("", "why"),
    ],
)
def test_refusals(text, reason):
    with pytest.raises(ConformError, match=reason):
        microseconds(text, "why")
