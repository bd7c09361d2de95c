"""Keys that the ranges of a load refused, put together: known only where all ranges know theirs."""

from __future__ import annotations

import pytest

from tideline.lake import manifest as manifests
from tideline.lake import whole


@pytest.mark.parametrize(
    ("each", "together"),
    [
        ([[["1"]], []], [["1"]]),
        ([[["1"]], [["2"]]], [["1"], ["2"]]),
        ([[["1"]], None], None),
        ([None, None], None),
        ([[[str(n)] for n in range(manifests.MOST_REFUSED_KEYS)], [["x"]]], None),
    ],
    ids=["one", "both", "unknown-in-one", "unknown", "too-many"],
)
def test_refused_keys_are_joined(each, together):
    assert whole._JOINS["refused_keys"](each) == together
