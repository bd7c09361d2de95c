"""Rows on two pages say that a listing moved while it was read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tideline.catalog.model import HttpDataset
from tideline.refine.refine import refine

COLUMNS = [{"name": "id", "type": "int64"}, {"name": "at", "type": "timestamp"}]
AT = "2026-01-31T14:00:05Z"


def endpoint(**fields: Any) -> HttpDataset:
    given = {"name": "things", "source": "api", "path": "/things", "key": ["id"], "columns": COLUMNS}
    return HttpDataset.model_validate({**given, "quarantine_threshold": 1, **fields})


def moved(lake: Any, dataset: HttpDataset, *pages: list[dict[str, Any]]) -> int:
    sizes = [len(page) for page in pages]
    bodies = [json.dumps(page).encode() for page in pages]
    uri = lake.land(dataset, *bodies, records=sum(sizes), part_records=sizes)
    stores = {"raw": lake.raw, "processed": lake.processed, "quarantine": lake.quarantine}
    return refine(dataset, uri, **stores, run_id="r")[0].details.get("moved_keys", 0)


def page(*ids: Any, at: str = AT) -> list[dict[str, Any]]:
    return [{"id": number, "at": at} for number in ids]


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([page(1, 2, 3), page(4, 5, 6)], 0),
        ([page(1, 2, 3), page(3, 4, 5)], 1),
        ([page(1, 2, 3), page(2, 3, 4), page(4, 5)], 3),
        ([page(1, 2, 3), page(5, 6, 7), page(8, 9, 2)], 1),
        ([page(1, 2, 3), page(1, 4, 5), page(1, 6)], 0),
        ([page(1, 1, 2), page(3, 3)], 0),
        ([page(1, 2, 2, 3)], 0),
        ([page(1, "x"), page("x", 2)], 0),
    ],
    ids=[
        "still", "moved by one", "moved again and again", "to the end", "pinned", "twice on a page", "one page",
        "refused",
    ],
)  # fmt: skip
def test_keys_on_several_pages_are_counted(lake: Any, pages: list[Any], expected: int) -> None:
    assert moved(lake, endpoint(), *pages) == expected


@pytest.mark.parametrize(
    ("at", "expected"), [("2026-01-31T15:00:00+01:00", 0), ("2026-01-31T15:00:05+01:00", 1)]
)
def test_keys_of_several_columns_are_compared_as_a_whole(lake: Any, at: str, expected: int) -> None:
    assert moved(lake, endpoint(key=["id", "at"]), page(1, 2), page(2, 3, at=at)) == expected


def test_only_a_listing_whose_deletes_are_tracked_is_looked_at(lake: Any) -> None:
    assert moved(lake, endpoint(deletes="ignore"), page(1, 2), page(2, 3)) == 0
