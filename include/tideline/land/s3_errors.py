"""What goes wrong with an S3 source, as our errors. Knows the dataset concerned and boto's exceptions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tideline.errors import SettingsError, SourceRefusedError, SourceUnavailableError, TidelineError
from tideline.lake.boto_errors import FAILURES, Trouble, trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import CsvDataset

_REMEDIES = {
    Trouble.NO_BUCKET: "correct the bucket in the catalog, or create it",
    Trouble.NO_OBJECT: "correct the bucket in the catalog, or create it",
    Trouble.DENIED: "let this connection list the bucket and get its objects; restore archived objects first",
    Trouble.SETTINGS: "correct the key, secret, region and endpoint of this source's connection",
    Trouble.UNAVAILABLE: "nothing if it passes; the task retries",
}


class ObjectChangedError(Exception):
    """The object is not the version any more that was listed; never leaves the room."""


class ObjectVanishedError(Exception):
    """The object is not there any more; never leaves the room."""


@contextmanager
def speaking(dataset: CsvDataset, place: str) -> Iterator[None]:
    """Turn boto's exceptions into ours, with the dataset and `place` in them."""
    try:
        yield
    except FAILURES as error:
        raise translated(error, dataset, place) from error


@contextmanager
def getting(dataset: CsvDataset, place: str) -> Iterator[None]:
    """`speaking`, for one object that may have changed or gone since it was listed."""
    try:
        yield
    except FAILURES as error:
        trouble = trouble_of(error)
        if trouble is Trouble.PRECONDITION:
            raise ObjectChangedError from error
        if trouble is Trouble.NO_OBJECT:
            raise ObjectVanishedError from error
        raise translated(error, dataset, place) from error


def translated(error: Exception, dataset: CsvDataset, place: str) -> TidelineError:
    """The error of ours that says what boto's says."""
    trouble = trouble_of(error)
    return _kind(trouble, error)(
        f"{trouble.value}: {error}",
        source=dataset.source,
        dataset=dataset.name,
        place=place,
        remedy=_REMEDIES.get(trouble, "check that the server speaks S3, and the message above"),
    )


def _kind(trouble: Trouble, error: Exception) -> type[TidelineError]:
    if trouble is Trouble.UNAVAILABLE:
        return SourceUnavailableError
    answered = isinstance(error, ClientError)
    return SourceRefusedError if answered else SettingsError
