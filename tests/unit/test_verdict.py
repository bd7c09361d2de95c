"""A run is red or green by what is merged."""

from __future__ import annotations

from functools import partial

import pytest

from tideline.errors import FatalError
from tideline.verdict import judge

DONE = {"dataset_id": "shop.orders"}


@pytest.mark.parametrize(
    ("settled", "loads", "merged", "found"),
    [
        (
            ["shop.orders"],
            {"shop.orders": {}},
            [DONE, None],
            None,
        ),  # its red tasks were cleared, settle was not
        (
            [],
            {"shop.orders": {}},
            [None],
            "not merged in this run: shop.orders",
        ),  # it was cleared, and failed
        ([], {}, [None], None),
        ([], {"shop.orders": {}, "shop.gone": {}}, [DONE], None),
        (None, {"shop.orders": {}}, [DONE], "settle failed"),
        (None, None, [None], "not merged in this run: shop.items, shop.orders"),
    ],
    ids=["merged since", "lost since", "none wanted", "left the catalog", "not settled", "not planned"],
)
def test_a_run_is_judged_by_what_is_merged_by_now(settled, loads, merged, found):
    """`Clear only failed tasks` leaves settle and what it found as they are."""
    judged = partial(judge, settled, loads, merged, ["shop.orders", "shop.items"])
    if found is None:
        judged()
        return
    with pytest.raises(FatalError, match=found):
        judged()
