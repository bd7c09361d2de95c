"""What goes wrong with a MongoDB server, as our errors. Knows the dataset and pymongo's exceptions."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bson.errors import BSONError
from pymongo import errors as mongo

from tideline.errors import SettingsError, SourceRefusedError, SourceUnavailableError, TidelineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import MongoDataset

_CREDENTIALS = frozenset({11, 13, 18, 8000})
"""UserNotFound, Unauthorized, AuthenticationFailed, AtlasError: MongoDB's error codes (error_codes.yml)."""
_TRANSIENT = frozenset(
    {6, 7, 24, 43, 50, 63, 89, 91, 112, 133, 134, 136, 150, 175, 189, 202, 234, 237, 246, 262, 391, 462}
    | {9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 16500}
)
"""Codes of the same list that say: a host, cursor, primary or time went away, or the server sheds load."""

_GARBLED = (LookupError, TypeError, ValueError, struct.error)
"""What pymongo runs into where a reply was damaged on the way; the protocol has no checksum, TLS has."""


@contextmanager
def speaking(dataset: MongoDataset) -> Iterator[None]:
    """Turn pymongo's exceptions into ours, with the dataset in them."""
    try:
        yield
    except (mongo.PyMongoError, BSONError, *_GARBLED) as error:
        raise _translated(error, dataset) from error


def _translated(error: Exception, dataset: MongoDataset) -> TidelineError:
    kind, remedy = _meaning(error)
    garbled = not isinstance(error, (mongo.PyMongoError, BSONError))
    return kind(
        f"MongoDB: {f'a reply cannot be understood: {error!r}' if garbled else error}",
        source=dataset.source,
        dataset=dataset.name,
        place=place_of(dataset),
        remedy=remedy,
    )


def _meaning(error: Exception) -> tuple[type[TidelineError], str]:
    if isinstance(error, mongo.OperationFailure):
        return _meaning_of_code(error)
    if isinstance(error, (mongo.ConfigurationError, mongo.InvalidURI)):
        return SettingsError, "correct the connection of this source"
    if isinstance(error, mongo.InvalidName):
        return SourceRefusedError, "correct database and collection in the catalog"
    return SourceUnavailableError, "see whether the server is up and reachable from here; the task retries"


def _meaning_of_code(error: mongo.OperationFailure) -> tuple[type[TidelineError], str]:
    if error.code in _CREDENTIALS:
        return SourceRefusedError, "give the connection a user and password that may read this collection"
    if error.code is None or error.code in _TRANSIENT or error.has_error_label("RetryableError"):
        return SourceUnavailableError, "nothing if it passes; the task retries"
    return SourceRefusedError, f"look up MongoDB error code {error.code}"


def place_of(dataset: MongoDataset) -> str:
    """Where the collection is, for messages."""
    return f"{dataset.database}.{dataset.collection}"
