"""`tideline rewind`: move a dataset's high-water mark back, by one more row in the ledger."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import tideline
from tideline.catalog.loader import fingerprint
from tideline.errors import SettingsError
from tideline.lake.keys import new_attempt_id
from tideline.merge.record import NO_PARTITIONS
from tideline.warehouse.ledger import Ledger, LedgerRow
from tideline.warehouse.state import ORIGIN, REWIND, DatasetState
from tideline.window import Window, as_utc, format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment

log = logging.getLogger(__name__)

TO_ORIGIN = "origin"
_NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "landed", "refined", "quarantined", "inserted", "updated", "unchanged", "revived", "stale",
        "duplicates", "deleted", "raw_bytes", "processed_bytes",
    ),
    0,
)  # fmt: skip


def rewind(
    deployment: Deployment, dataset_id: str, to: str, *, reason: str, actor: str, run_id: str, now: datetime
) -> dict[str, Any]:
    """Let the next scheduled run of a dataset read from `to` on again.

    Args:
        deployment: The warehouse.
        dataset_id: Which dataset.
        to: The instant up to which it counts as read, ISO 8601; `origin` for none at all.
        reason: Why, for whoever reads the ledger.
        actor: Who.
        run_id: What the ledger calls this.
        now: The clock.

    Returns:
        `dataset_id`, the mark `before` and `after`, `load_id`, `reason` and `actor`.

    Raises:
        CatalogError: There is no such dataset.
        SettingsError: No reason is given, or `to` is not before the mark, which would skip unread data.
    """
    dataset = deployment.catalog.dataset(dataset_id)
    target = None if to.strip() == TO_ORIGIN else parse_instant(to)
    if not reason.strip():
        raise SettingsError("a rewind needs a reason", remedy="give --reason; it stays in the ledger")
    ledger = Ledger(deployment.open_warehouse())
    ledger.ensure()
    mark = ledger.state().get(dataset_id, DatasetState()).high_water_mark
    _check(dataset, target, mark, as_utc(now))
    row = ledger.record(_row(dataset, target or ORIGIN, reason.strip(), actor, run_id, as_utc(now)))
    after = ledger.state()[dataset_id].high_water_mark
    log.info("rewound %s from %s to %s: %s", dataset_id, mark, after or TO_ORIGIN, reason)
    return {
        "dataset_id": dataset_id,
        "before": format_instant(mark) if mark else None,
        "after": format_instant(after) if after else None,
        "load_id": row.load_id,
        "reason": row.reason,
        "actor": row.actor,
    }


def _check(dataset: AnyDataset, target: datetime | None, mark: datetime | None, now: datetime) -> None:
    where = {"source": dataset.source, "dataset": dataset.name}
    if mark is None:
        raise SettingsError(
            "there is no high-water mark to rewind",
            **where,
            remedy="nothing has to be done: the next scheduled run has no lower bound",
        )
    if target is not None and target > now:
        raise SettingsError(
            f"--to is {format_instant(target)}, which is yet to come at {format_instant(now)}",
            **where,
            remedy="give an instant before the high-water mark",
        )
    if target is not None and target >= mark:
        raise SettingsError(
            f"--to is {format_instant(target)}, the high-water mark {format_instant(mark)}: "
            "a rewind goes back, or data would be passed over unread",
            **where,
            remedy="give an earlier instant; to read on from the mark, run `tideline run --catch-up`",
        )


def _row(
    dataset: AnyDataset, target: datetime, reason: str, actor: str, run_id: str, now: datetime
) -> LedgerRow:
    attempt_id = new_attempt_id(now)
    return LedgerRow(
        load_id=f"{dataset.dataset_id}:{REWIND}:{attempt_id}",
        run_id=run_id,
        source=dataset.source,
        dataset=dataset.name,
        window_start=None,
        window_end=target,
        window_id=Window(None, target).window_id,
        attempt_id=attempt_id,
        mode=REWIND,
        raw_manifest_uri=None,
        processed_manifest_uri=None,
        quarantine_manifest_uri=None,
        **_NOTHING,
        cursor_min=None,
        cursor_max=None,
        null_changes=None,
        future_changes=None,
        land_seconds=None,
        refine_seconds=None,
        merge_seconds=None,
        drift=None,
        catalog_fingerprint=fingerprint(dataset),
        code_version=tideline.__version__,
        unchanged_source=False,
        extracted_at=now,
        reason=reason,
        actor=actor,
        partitions=NO_PARTITIONS,
    )
