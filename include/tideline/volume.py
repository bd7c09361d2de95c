"""How many records a load should have, from the loads before it, and what is said of one that is far off.

Pure: knows the ledger's past loads as plain values. The median is that of the same hour of the week, where
enough such loads are known, else that of all hours; a window of another length should have in proportion.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from tideline.catalog.model import CsvDataset
from tideline.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tideline.catalog.model import AnyDataset
    from tideline.warehouse.state import PastLoad
    from tideline.window import Window

FEWEST_OF_HOUR = 4
"""Loads of the same hour of the week, a month's, from which their median is taken rather than all hours'."""


def expectation(dataset: AnyDataset, window: Window, past: Sequence[PastLoad]) -> dict[str, Any] | None:
    """What a scheduled load of this window should have; None where too little is known, or nobody asks.

    Args:
        dataset: Its declaration.
        window: What will be read.
        past: The dataset's scheduled loads of bounded windows, newest first.
    """
    if dataset.volume is None or window.start is None:
        return None
    wanted = dataset.volume.history
    of_hour = [load for load in past if load.is_same_hour][:wanted]
    recent = list(past)[:wanted]
    if len(of_hour) < FEWEST_OF_HOUR and len(recent) < wanted:
        return None
    chosen, kind = (of_hour, "hour of the week") if len(of_hour) >= FEWEST_OF_HOUR else (recent, "recent")
    seconds = (window.end - window.start).total_seconds()
    scales = isinstance(dataset, CsvDataset) or dataset.change_column is not None
    rates = [load.landed * (seconds / load.seconds if scales else 1.0) for load in chosen]
    return {"records": round(median(rates), 1), "loads": len(chosen), "of": kind}


def outside(dataset: AnyDataset, landed: int, expected: Mapping[str, Any] | None) -> str | None:
    """What is wrong with a load of that many records; None where nothing is, or nothing was expected."""
    if dataset.volume is None or expected is None:
        return None
    usual = float(expected["records"])
    few, many = usual / dataset.volume.factor, usual * dataset.volume.factor
    if abs(landed - usual) <= dataset.volume.least or few <= landed <= many:
        return None
    which = "many" if landed > usual else "few"
    return (
        f"{landed} records are suspiciously {which}: the median of {expected['loads']} earlier loads "
        f"({expected['of']}) is {usual:g} for such a window, outside is beyond {dataset.volume.factor} times"
    )


def stopped(dataset: AnyDataset, found: str, processed_manifest_uri: str) -> ContractError:
    """The error for a load that the catalog does not let pass."""
    return ContractError(
        found,
        source=dataset.source,
        dataset=dataset.name,
        place=processed_manifest_uri,
        remedy=f"look at the source; if the load is right, merge it by name: tideline merge --dataset "
        f"{dataset.dataset_id} --manifest {processed_manifest_uri}; or set volume: {{outside: warn}}",
    )
