"""Everything Tideline raises on purpose. The type says what to do next: retry, or have a person look.

TidelineError
├── RetriableError              the same call may succeed later; nothing has to change
│   ├── SourceUnavailableError      a source refuses connections, times out or answers 429/5xx
│   ├── StoreUnavailableError       the lake does
│   ├── WarehouseUnavailableError   the warehouse does, or sheds load
│   ├── SourceChangedError          the source changed under the reader; reading again gives a clean view
│   ├── DiskError                   the worker's own disk is full or fails; another worker's may not be
│   └── SparkError                  a Spark job was lost or not taken; what failed inside it is in its log
└── FatalError                  repeating changes nothing until somebody acts
    ├── CatalogError                a declaration is wrong: file, line, key, found, allowed
    ├── SettingsError               an environment variable or connection is missing or malformed
    ├── SourceRefusedError          credentials or permissions, or what the catalog names is not there
    ├── ContractError               the data does not fit its declaration beyond what quarantine may absorb
    │   └── OtherKeyError               events about rows under another key than the catalog has by now
    ├── IntegrityError              counts, checksums or identities that must agree do not
    ├── AlreadyExistsError          a write-once object is there already, with other content
    ├── SchemaEvolutionError        BigQuery does not allow the change; says what a person would run
    └── WarehouseRefusedError       the warehouse rejects the statement, its permissions or its quota

This module knows neither Airflow nor any client library; whoever calls a client translates its exceptions.
"""

from __future__ import annotations


class TidelineError(Exception):
    """What went wrong, where, and what to do about it.

    Args:
        message: What was expected and what was found.
        source: The source system of the catalog, if one is concerned.
        dataset: The dataset of that source, if one is concerned.
        place: Object, file and line, offset, URL or statement where it happened.
        remedy: What a person does about it, as an imperative.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str | None = None,
        dataset: str | None = None,
        place: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.source = source
        self.dataset = dataset
        self.place = place
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        where = ".".join(part for part in (self.source, self.dataset) if part)
        text = f"{where}: {self.message}" if where else self.message
        if self.place:
            text += f" [at {self.place}]"
        if self.remedy:
            text += f" Remedy: {self.remedy}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between processes with all fields."""
        return (_rebuild, (type(self), self.message, self.source, self.dataset, self.place, self.remedy))


def _rebuild(
    kind: type[TidelineError],
    message: str,
    source: str | None,
    dataset: str | None,
    place: str | None,
    remedy: str | None,
) -> TidelineError:
    return kind(message, source=source, dataset=dataset, place=place, remedy=remedy)


class RetriableError(TidelineError):
    """The same call may succeed later."""


class SourceUnavailableError(RetriableError):
    """A source refuses connections, times out, or answers 429 or 5xx."""


class StoreUnavailableError(RetriableError):
    """The lake refuses connections, times out or answers 5xx."""


class WarehouseUnavailableError(RetriableError):
    """The warehouse refuses connections, times out or sheds load."""


class SourceChangedError(RetriableError):
    """The source changed while it was read."""


class DiskError(RetriableError):
    """The worker's own disk is full or fails."""


class SparkError(RetriableError):
    """A Spark job was not taken, was lost, or failed in a way that only its own log tells."""


class FatalError(TidelineError):
    """Repeating changes nothing until somebody acts."""


class CatalogError(FatalError):
    """A catalog declaration is wrong."""


class SettingsError(FatalError):
    """An environment variable or connection is missing or malformed."""


class SourceRefusedError(FatalError):
    """The source refuses us, or what the catalog names is not there."""


class ContractError(FatalError):
    """The data does not fit its declaration beyond what quarantine may absorb."""


class OtherKeyError(ContractError):
    """Events are about rows under another key than the catalog has."""


class IntegrityError(FatalError):
    """Counts, checksums or identities that must agree do not."""


class AlreadyExistsError(FatalError):
    """A write-once object exists already."""


class SchemaEvolutionError(FatalError):
    """The warehouse schema would have to change in a way that BigQuery does not allow."""


class WarehouseRefusedError(FatalError):
    """The warehouse rejects the statement, its permissions or its quota."""
