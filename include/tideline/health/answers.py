"""What each page shows, found out from one deployment. Imports what is heavy when a page is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tideline.errors import CatalogError, SettingsError, TidelineError
from tideline.health.forms import Asked, form_of

if TYPE_CHECKING:
    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Deployment

LOADS = 48
"""How many loads of a dataset are listed: two days of hours."""


class MissingError(TidelineError):
    """What was asked for is not there."""


def report_page(deployment: Deployment) -> dict[str, Any]:
    """All datasets."""
    from tideline.status.report import report

    return {"report": report(deployment, datetime.now(UTC))}


def dataset_page(deployment: Deployment, dataset_id: str) -> dict[str, Any]:
    """One dataset with its newest loads."""
    from tideline.status.ledger import LedgerReader
    from tideline.status.report import DAYS, report

    declared = _declared(deployment, dataset_id)
    found = report(deployment, datetime.now(UTC), datasets=[dataset_id])
    reader = LedgerReader(deployment.open_warehouse(), found.now, DAYS)
    loads = [] if found.is_new else reader.loads(declared.source, declared.name, LOADS)
    return {"report": found, "one": found.datasets[0], "loads": loads, "declared": declared}


def load_page(deployment: Deployment, load_id: str) -> dict[str, Any]:
    """One load."""
    return {"load": _row(deployment, load_id), "now": datetime.now(UTC)}


def _row(deployment: Deployment, load_id: str) -> Any:  # noqa: ANN401  (a ledger row; its module is heavy)
    from tideline.status.ledger import LedgerReader

    source, _, dataset = load_id.partition(":")[0].partition(".")
    reader = LedgerReader(deployment.open_warehouse(), datetime.now(UTC), 1)
    row = reader.load(source, dataset, load_id) if reader.exists() else None
    if row is None:
        raise MissingError(f"the ledger has no load {load_id!r}", remedy="choose one of a dataset's page")
    return row


def evidence_page(deployment: Deployment, load_id: str, read: str, reason: str) -> dict[str, Any]:
    """Some refused rows of a load, or of a read that was not merged."""
    from tideline.status.evidence import samples

    uri, dataset_id = _evidence_of(deployment, load_id, read)
    found = samples(deployment.quarantine, uri, reason=reason or None)
    asked = {"load_id": load_id, "read": read, "reason": reason}
    return {"samples": found, "uri": uri, "dataset_id": dataset_id, **asked}


def _evidence_of(deployment: Deployment, load_id: str, read: str) -> tuple[str, str]:
    """Only evidence that a load or a report names is opened, never an address that a reader makes up."""
    if load_id:
        row = _row(deployment, load_id)
        if row.quarantine_manifest_uri:
            return row.quarantine_manifest_uri, row.dataset_id
    else:
        for one in report_page(deployment)["report"].refused:
            if one.quarantine_uri == read:
                return read, one.dataset_id
    raise MissingError("there is no such evidence, or it is closed", remedy="choose one of a dataset's page")


def form_page(deployment: Deployment, verb: str, asked: Asked) -> dict[str, Any]:
    """A form's values; no warehouse is asked."""
    known = _declared(deployment, asked.dataset_id).dataset_id
    try:
        return {"form": form_of(verb, asked), "dataset_id": known, "verb": verb, "asked": asked}
    except SettingsError as error:
        raise MissingError(error.message, remedy=error.remedy) from error


def _declared(deployment: Deployment, dataset_id: str) -> AnyDataset:
    try:
        return deployment.catalog.dataset(dataset_id)
    except CatalogError as error:
        raise MissingError(error.message, remedy=error.remedy) from error
