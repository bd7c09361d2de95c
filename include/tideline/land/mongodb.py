"""Land a MongoDB collection: the documents of a window, byte for byte as the server sent them.

A part is what `mongodump` writes, documents one after another, in one zstd stream (`zstd -dc … | bsondump`).
Knows filters, cursors and MongoDB's errors. Does not know what is inside a document; `tideline.refine` does.
"""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

import zstandard
from bson import json_util
from bson.errors import BSONError
from pymongo import errors as mongo
from pymongo.read_concern import ReadConcern

from tideline.errors import SettingsError, SourceRefusedError, SourceUnavailableError, TidelineError
from tideline.land.ahead import ReadAhead
from tideline.land.framing import DocumentStream
from tideline.land.request import part_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from pymongo import MongoClient
    from pymongo.database import Database

    from tideline.catalog.model import MongoDataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.land.request import Attempt, LandRequest
    from tideline.window import Window

BATCH_DOCUMENTS = 10_000
"""Asked for per reply; the server caps a reply at 16 MB, which bounds memory whatever the documents' size."""
_ZSTD_LEVEL = 1
_BLOCK_BYTES = 1 << 20

_CREDENTIALS = frozenset({11, 13, 18, 8000})
"""UserNotFound, Unauthorized, AuthenticationFailed, AtlasError: MongoDB's error codes (error_codes.yml)."""
_TRANSIENT = frozenset(
    {6, 7, 24, 43, 50, 63, 89, 91, 112, 133, 134, 136, 150, 175, 189, 202, 234, 237, 246, 262, 391, 462}
    | {9001, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 16500}
)
"""Codes of the same list that say: a host, cursor, primary or time went away, or the server sheds load."""


def land(request: LandRequest[MongoDataset], client: MongoClient[Any], store: Store) -> tuple[Manifest, str]:
    """Land one window of a collection; an empty window commits a manifest without parts.

    The scan is unsorted, at read concern "majority", without a snapshot. A document that is written while it
    runs may be seen as it was, as it is, or both (the merge keeps the newest), and one whose stamp moves out
    of the window may be missed: then its new stamp lies in a window that is read later.

    Returns:
        The committed manifest and its URI.

    Raises:
        SourceRefusedError: No such collection, or the credentials may not read it.
        SourceUnavailableError: The server cannot be reached, went away, or gave nothing for the deadline.
        SettingsError: The connection is malformed.
    """
    dataset = request.dataset
    attempt = request.begin()
    criteria = window_filter(dataset, request.window, attempt.extracted_at)
    scan = ReadAhead(
        _scan(client, dataset, criteria), wait_seconds=request.deadline_seconds, place=_place(dataset)
    )
    with scan as batches:
        parts = list(_land_parts(attempt, DocumentStream(batches, request.part_bytes), store))
    return attempt.commit(
        store,
        parts,
        records=sum(part.records or 0 for part in parts),
        details={"request": _described(dataset, criteria)},
    )


def window_filter(dataset: MongoDataset, window: Window, clock: datetime) -> dict[str, Any]:
    """What a window asks for.

    Besides the window itself every run reads documents stamped after `clock`, as such a stamp does not say
    when they changed, and those without a stamp, unless the dataset says that only the first load does. A
    window without start reads whatever is not stamped at or after its end, whatever type the stamp has.
    """
    if dataset.change_column is None:
        return {}
    field = dataset.column(dataset.change_column).field
    ahead_of_clock = {field: {"$gt": clock}}
    if window.start is None:
        return {"$or": [{field: {"$not": {"$gte": window.end}}}, ahead_of_clock]}
    choices: list[dict[str, Any]] = [{field: {"$gte": window.start, "$lt": window.end}}, ahead_of_clock]
    if dataset.null_changes == "read":
        choices.append({field: None})
    return {"$or": choices}


def _land_parts(attempt: Attempt[MongoDataset], documents: DocumentStream, store: Store) -> Iterator[Part]:
    dataset = attempt.request.dataset
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
    for number, body in enumerate(documents.parts()):
        stream = compressor.stream_reader(cast("IO[bytes]", body), read_size=_BLOCK_BYTES)
        written = store.put_file(
            attempt.folder.part(number, "bson.zst"), stream, content_type="application/zstd"
        )
        origin = {
            "database": dataset.database,
            "collection": dataset.collection,
            "uncompressed_bytes": body.bytes,
        }
        yield part_of(written, body.records, origin)


def _scan(
    client: MongoClient[Any], dataset: MongoDataset, criteria: dict[str, Any]
) -> Generator[bytes, None, None]:
    with _speaking(dataset):
        database = client[dataset.database]
        _check_exists(database, dataset)
        collection = database.get_collection(dataset.collection, read_concern=ReadConcern("majority"))
        with closing(collection.find_raw_batches(criteria, batch_size=BATCH_DOCUMENTS)) as cursor:
            for batch in cursor:
                yield bytes(batch)


def _check_exists(database: Database[Any], dataset: MongoDataset) -> None:
    """Needs no more than the right to read the collection."""
    name = dataset.collection
    if name in database.list_collection_names(filter={"name": name}, authorizedCollections=True):
        return
    there = ", ".join(sorted(database.list_collection_names(authorizedCollections=True))[:10])
    raise SourceRefusedError(
        f"there is no collection {name!r}; the database has {there or 'none that we may read'}",
        source=dataset.source,
        dataset=dataset.name,
        place=_place(dataset),
        remedy="correct database and collection in the catalog, or create the collection (it may be empty)",
    )


@contextmanager
def _speaking(dataset: MongoDataset) -> Iterator[None]:
    try:
        yield
    except (mongo.PyMongoError, BSONError) as error:
        raise _translated(error, dataset) from error


def _translated(error: Exception, dataset: MongoDataset) -> TidelineError:
    kind, remedy = _meaning(error)
    return kind(
        f"MongoDB: {error}",
        source=dataset.source,
        dataset=dataset.name,
        place=_place(dataset),
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


def _place(dataset: MongoDataset) -> str:
    return f"{dataset.database}.{dataset.collection}"


def _described(dataset: MongoDataset, criteria: dict[str, Any]) -> dict[str, Any]:
    """What was asked, as the manifest keeps it; the filter in MongoDB's relaxed Extended JSON."""
    text = json_util.dumps(criteria, json_options=json_util.RELAXED_JSON_OPTIONS)
    return {
        "database": dataset.database,
        "collection": dataset.collection,
        "filter": json.loads(text),
        "read_concern": "majority",
    }
