"""What `make run` shows can be read in a terminal of 80 columns, and is of what there is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from devstack import reports
from devstack.environment import warehouse

if TYPE_CHECKING:
    from devstack.bigquery.server import Emulator


def load(name: str, *, unchanged: bool = False) -> dict[str, object]:
    return {
        "dataset_id": name,
        "window": {"start": "2026-11-21T00:00:00Z", "end": "2026-11-21T01:00:00Z"},
        **dict.fromkeys(reports.COUNTS, 12_345),
        **dict.fromkeys(("land_seconds", "refine_seconds", "merge_seconds"), 1.0),
        "unchanged_source": unchanged,
    }


def lines(width: int, *loads: dict[str, object]) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(reports.hour_table(loads, console))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "counts"), [(80, reports.FEW), (150, reports.COUNTS)])
def test_a_load_is_one_line_with_whole_words_and_numbers(width: int, counts: tuple[str, ...]) -> None:
    head, row = lines(width, load("jsonplaceholder.comments"))
    assert [name for name in head.split() if name in reports.COUNTS] == list(counts)
    assert row.split().count("12,345") == len(counts)
    assert row.startswith("jsonplaceholder.comments ")


def test_a_name_takes_a_second_line_where_there_is_no_room() -> None:
    head, row, rest = lines(80, load("jsonplaceholder.comments", unchanged=True))
    assert "unchanged" in head
    assert row.split() == ["jsonplaceholder.comments", *["12,345"] * len(reports.FEW)]
    assert rest == "(unchanged)"


@pytest.mark.integration
def test_a_warehouse_without_the_shops_mart_has_no_report_of_it(
    bigquery_emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a catalog of one's own no model of the shop is built; where every load failed, no ledger is."""
    for name, value in warehouse(bigquery_emulator.url, {}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TIDELINE_DATASET_PREFIX", "unseen_")

    assert reports.hour_loads(datetime(2026, 1, 31, 10, tzinfo=UTC)) == []
    assert reports.mart_report() is None
