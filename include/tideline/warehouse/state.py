"""What the ledger says about datasets. Plain values, so that plans can be made without any client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class DatasetState:
    """How far one dataset has come.

    Attributes:
        high_water_mark: The end of the gap-free chain of committed windows; None before the first load.
        previous_manifest_uri: The raw manifest of the newest committed read that was not "as before".
        previous_fingerprint: The fingerprint of the catalog under which that one was landed.
    """

    high_water_mark: datetime | None = None
    previous_manifest_uri: str | None = None
    previous_fingerprint: str | None = None
