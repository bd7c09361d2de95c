"""Land a MongoDB collection: the documents of a window, byte for byte as the server sent them.

A part is what `mongodump` writes, documents one after another, in one zstd stream (`zstd -dc … | bsondump`).
Knows filters, cursors and MongoDB's errors. Does not know what is inside a document; `tideline.refine` does.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, cast

import zstandard
from bson import json_util
from pymongo.read_concern import ReadConcern

from tideline.errors import SourceRefusedError
from tideline.land.ahead import ReadAhead
from tideline.land.framing import DocumentStream
from tideline.land.memory import keep_for_replies
from tideline.land.mongo_counts import Probe
from tideline.land.mongo_errors import place_of, speaking
from tideline.land.mongo_majority import check_majority
from tideline.land.mongo_ranges import within
from tideline.land.mongo_replies import take_replies
from tideline.land.request import part_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from pymongo import MongoClient
    from pymongo.database import Database

    from tideline.catalog.model import MongoDataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.land.framing import Batch
    from tideline.land.request import Attempt, LandRequest
    from tideline.window import Window

BATCH_DOCUMENTS = 10_000
"""Asked for per reply; the server caps a reply at 16 MB, which bounds memory whatever the documents' size."""
_ZSTD_LEVEL = 1
_BLOCK_BYTES = 1 << 20


def land(request: LandRequest[MongoDataset], client: MongoClient[Any], store: Store) -> tuple[Manifest, str]:
    """Land one window of a collection; an empty window commits a manifest without parts.

    The scan is unsorted, at read concern "majority", without a snapshot. A document that is written while it
    runs may be seen as it was, as it is, or both (the merge keeps the newest), and one whose stamp moves out
    of the window may be missed: then its new stamp lies in a window that is read later. Where the server
    can count cheaply it does so before and after the scan (`tideline.land.mongo_counts`).

    Returns:
        The committed manifest and its URI.

    Raises:
        SourceRefusedError: No such collection, or the credentials may not read it.
        SourceUnavailableError: The server cannot be reached, went away, gave nothing for the deadline, or has
            not yet got most of its members to have what was written in the window.
        SourceChangedError: The scan gave another number of documents than the server counts.
        SettingsError: The connection is malformed.
    """
    keep_for_replies()
    dataset = request.dataset
    check_majority(client, dataset, request.window.end)
    attempt = request.begin()
    criteria = within(request.part, window_filter(dataset, request.window, attempt.extracted_at))
    probe = Probe.of(client, request, criteria, attempt.extracted_at)
    batches = scan_documents(client, dataset, criteria)
    where = {"place": place_of(dataset), "source": dataset.source, "dataset": dataset.name}
    with ReadAhead(batches, wait_seconds=request.deadline_seconds, **where) as ahead:
        parts = list(land_parts(attempt, DocumentStream(ahead, request.part_bytes), store))
    records = sum(part.records or 0 for part in parts)
    return attempt.commit(
        store,
        parts,
        records=records,
        details={
            "request": _described(dataset, criteria),
            "source": probe.against(records),
            "whole": dataset.change_column is None,
        },
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


def land_parts(attempt: Attempt[MongoDataset], documents: DocumentStream, store: Store) -> Iterator[Part]:
    """Store documents as the numbered parts of an attempt."""
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


def scan_documents(
    client: MongoClient[Any],
    dataset: MongoDataset,
    criteria: dict[str, Any],
    projection: dict[str, int] | None = None,
) -> Generator[Batch, None, None]:
    """Batches of documents as the server sends them, unsorted, at read concern "majority".

    Raises:
        SourceRefusedError: No such collection, or the credentials may not read it.
        SourceUnavailableError: The server cannot be reached, or went away.
    """
    with speaking(dataset):
        database = client[dataset.database]
        _check_exists(database, dataset)
        collection = database.get_collection(dataset.collection, read_concern=ReadConcern("majority"))
        with closing(collection.find_raw_batches(criteria, projection, batch_size=BATCH_DOCUMENTS)) as cursor:
            take_replies(cursor)
            yield from cursor


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
        place=place_of(dataset),
        remedy="correct database and collection in the catalog, or create the collection (it may be empty)",
    )


def _described(dataset: MongoDataset, criteria: dict[str, Any]) -> dict[str, Any]:
    """What was asked, as the manifest keeps it; the filter in MongoDB's relaxed Extended JSON."""
    text = json_util.dumps(criteria, json_options=json_util.RELAXED_JSON_OPTIONS)
    return {
        "database": dataset.database,
        "collection": dataset.collection,
        "filter": json.loads(text),
        "read_concern": "majority",
    }
