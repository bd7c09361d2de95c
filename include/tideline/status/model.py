"""What a report is made of: frozen values with their JSON. Knows neither clients nor how they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tideline.window import format_instant

if TYPE_CHECKING:
    from tideline.window import Window

LATE = timedelta(hours=2)
"""Behind by more than this a dataset is late: the run after the last window's end should have merged it."""


class Value:
    """A value object that says itself in JSON."""

    __slots__ = ()

    def to_json(self) -> dict[str, Any]:
        """Instants as ISO 8601 text, spans in seconds."""
        return {name: _plain(value) for name, value in asdict(self).items()}  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class Load(Value):
    """The newest load of a dataset."""

    load_id: str
    run_id: str
    mode: str
    window_start: datetime | None
    window_end: datetime
    extracted_at: datetime
    committed_at: datetime
    landed: int
    refined: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Drift(Value):
    """One difference between what a dataset declares and what its source sends.

    Attributes:
        dataset_id: Whose.
        kind: new_field, vanished_field, missing_column, changed_type or empty_object.
        path: The field at the source; of a changed or vanished one the column.
        example: A type or a short text, as found last.
        records: In how many records, of all loads together.
        loads: In how many loads.
        first_seen: When it was first read, within the days looked at.
        last_seen: When it was last read.
        load_id: The load that had it last.
    """

    dataset_id: str
    kind: str
    path: str
    example: str
    records: int
    loads: int
    first_seen: datetime
    last_seen: datetime
    load_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused(Value):
    """Records of one raw manifest that were refused and are open.

    Attributes:
        dataset_id: Whose.
        load_id: The load that refused them; None where so many were refused that nothing was merged.
        raw_manifest_uri: What was refined.
        quarantine_uri: The manifest of the evidence.
        landed: All its records.
        quarantined: Those refused.
        reasons: How many for what; empty where a ledger row of old does not say.
        extracted_at: When they were read.
        drift: How they differ, where no ledger row says it.
    """

    dataset_id: str
    load_id: str | None
    raw_manifest_uri: str
    quarantine_uri: str | None
    landed: int
    quarantined: int
    reasons: dict[str, int]
    extracted_at: datetime
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending(Value):
    """A raw manifest that is committed and not merged.

    `is_superseded` says that another read of the same window was merged: nothing waits for this one.
    """

    dataset_id: str
    window_id: str
    attempt_id: str
    raw_manifest_uri: str
    is_superseded: bool = False


@dataclass(frozen=True, slots=True)
class DatasetStatus(Value):
    """How one dataset is doing.

    Attributes:
        dataset_id: Which.
        high_water_mark: Up to where it was read without a gap; None if nothing says so.
        lag: How long ago that is.
        last: Its newest load.
        loads: How many loads the last day had.
        counts: Their counts, summed.
        quarantined_open: Refused rows that no later load of the same raw manifest accepted.
        drift: Its differences.
        pending: What is landed and not merged.
        next_reads: The window of the next scheduled run.
        changes_at: What is compared with that window at the source: the change column, or how else.
    """

    dataset_id: str
    high_water_mark: datetime | None = None
    lag: timedelta | None = None
    last: Load | None = None
    loads: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    quarantined_open: int = 0
    drift: tuple[Drift, ...] = ()
    pending: tuple[Pending, ...] = ()
    next_reads: Window | None = None
    changes_at: str = ""

    @property
    def state(self) -> str:
        """`new` (never loaded), `late` or `current`."""
        if self.lag is None:
            return "new" if self.last is None else "late"
        return "late" if self.lag > LATE else "current"

    @property
    def waiting(self) -> tuple[Pending, ...]:
        """The pending reads that nothing else stands in for."""
        return tuple(pending for pending in self.pending if not pending.is_superseded)

    def to_json(self) -> dict[str, Any]:
        """With its state."""
        return {
            **super(DatasetStatus, self).to_json(),
            "state": self.state,
            "next_reads": None if self.next_reads is None else self.next_reads.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Report(Value):
    """All datasets of a deployment at one moment."""

    now: datetime
    days: int
    pending_days: int
    datasets: tuple[DatasetStatus, ...]
    refused: tuple[Refused, ...] = ()
    """What is open, newest first, as far as it was looked at."""
    is_new: bool = False
    """Whether there is no ledger yet."""

    def to_json(self) -> dict[str, Any]:
        """Everything but the refused reads one by one: their sums are with the datasets."""
        return {
            "now": format_instant(self.now),
            "days": self.days,
            "pending_days": self.pending_days,
            "is_new": self.is_new,
            "datasets": [dataset.to_json() for dataset in self.datasets],
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """One refused record. `raw` may be the beginning of it only, as `is_cut` says."""

    raw_uri: str
    position: int
    line: int | None
    column: str
    reason: str
    detail: str
    raw: bytes
    is_cut: bool


def _plain(value: Any) -> Any:  # noqa: ANN401  (whatever a value object holds)
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
