from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tideline.errors import SettingsError
from tideline.replay.request import ReplayRequest
from tideline.replay.span import Span

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def at(hour: int) -> datetime:
    return datetime(2026, 3, 14, hour, tzinfo=UTC)


def ask(**params) -> ReplayRequest:
    return ReplayRequest.from_params({"datasets": ["shop.orders"], **params}, NOW)


def test_everything_is_left_out_but_the_dataset():
    request = ask()
    assert request == ReplayRequest(datasets=("shop.orders",))
    assert (request.span, request.into, request.keep_days) == (Span(None, None), "live", 7)


def test_everything_is_given():
    request = ask(**{"from": "2026-03-14T09:00", "to": "2026-03-14T12:00Z", "into": "shadow", "swap": True,
                     "keep_days": 3, "force": True})  # fmt: skip
    assert request.span == Span(at(9), at(12))
    assert (request.into, request.swap, request.keep_days, request.force) == ("shadow", True, 3, True)


def test_refused_rows_need_no_dataset():
    request = ask(datasets=None, quarantined=True, load="shop.orders:w:a", reason="bad_date")
    assert (request.datasets, request.load, request.reason) == ((), "shop.orders:w:a", "bad_date")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"into": "elsewhere"}, "into is 'elsewhere'"),
        ({"into": "shadow", "keep_days": -1}, "keep days is -1"),
        ({"into": "shadow", "keep_days": 0}, "keep days is 0"),
        ({"swap": True}, "a swap needs a shadow"),
        ({"force": True}, "only a swap can be forced"),
        ({"quarantined": True, "from": "2026-03-14T09:00"}, "refused rows are replayed into the live table"),
        ({"quarantined": True, "into": "shadow"}, "refused rows are replayed into the live table"),
        ({"load": "shop.orders:w:a"}, "says which refused rows are meant"),
        ({"reason": "bad_date"}, "says which refused rows are meant"),
        ({"datasets": []}, "which dataset"),
        ({"datasets": ["a.b", "a.c"], "into": "shadow"}, "one table, not of 2"),
        ({"from": "2026-03-14T09:00", "to": "2026-03-14T09:00"}, "is empty"),
        ({"from": "2026-03-14T10:00", "to": "2026-03-14T09:00"}, "is empty"),
        ({"from": "2026-03-14T12:00:01"}, "--from is 2026-03-14T12:00:01Z, which is yet to come"),
        ({"to": "2026-03-14T12:00:01"}, "--to is 2026-03-14T12:00:01Z, which is yet to come"),
        ({"to": "soon"}, "not an instant"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_does_not_go_together_is_refused_with_a_remedy(params, words):
    with pytest.raises(SettingsError, match=words) as failure:
        ask(**params)
    assert failure.value.remedy


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (Span(), "(origin, now]"),
        (Span(at(9), None), "(2026-03-14T09:00:00Z, now]"),
        (Span(None, at(9)), "(origin, 2026-03-14T09:00:00Z]"),
    ],
)
def test_a_span_says_what_it_is(span, text):
    assert str(span) == text
