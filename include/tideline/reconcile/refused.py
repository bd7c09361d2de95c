"""Documents that were refused before: they are in quarantine, byte for byte, and need not get there again.

A refused document has no row, or an older one, so each reconciliation finds that it differs. Knows quarantine
and the decoder.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from tideline.errors import IntegrityError
from tideline.lake import manifest as manifests
from tideline.reconcile.mongo_keys import split_documents
from tideline.refine.bson import BsonDecoder
from tideline.refine.quarantine import RAW_BYTES
from tideline.warehouse.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import MongoDataset
    from tideline.pipeline import Deployment

log = logging.getLogger(__name__)

MOST_LOADS = 500
"""Loads whose quarantine is looked through, the newest first."""
MOST_BYTES = 64 << 20
"""Of refused documents that are held back; more of them are landed again, which does no harm."""
_BATCH_ROWS = 1_000


class Screen:
    """Lets documents through but for those that are in quarantine already.

    Args:
        deployment: Where quarantine is.
        dataset: Whose documents they are.
    """

    def __init__(self, deployment: Deployment, dataset: MongoDataset) -> None:
        self._deployment = deployment
        self._dataset = dataset
        self._decoder = BsonDecoder(dataset)
        self._held: dict[str, bytes] = {}
        self._held_bytes = 0
        self.known = 0
        """Documents that were not let through."""

    def pass_on(self, batches: Iterator[bytes]) -> Iterator[bytes]:
        """The documents that conform as they come; then those that do not and were never seen before."""
        for batch in batches:
            yield from self._conforming(batch)
        yield from self._unknown()

    def _conforming(self, batch: bytes) -> Iterator[bytes]:
        for document in split_documents(batch):
            is_refused = bool(self._decoder.decode(document).rejects)
            if is_refused and self._held_bytes < MOST_BYTES:
                self._held[_digest(document)] = document
                self._held_bytes += len(document)
            else:
                yield document

    def _unknown(self) -> Iterator[bytes]:
        missing = set(self._held)
        for raw in self._quarantined() if missing else ():
            missing.discard(_digest(raw))
            if not missing:
                break
        self.known = len(self._held) - len(missing)
        yield from (document for digest, document in self._held.items() if digest in missing)

    def _quarantined(self) -> Iterator[bytes]:
        """What is in quarantine of this dataset, the newest load first."""
        ledger = Ledger(self._deployment.open_warehouse())
        rows = ledger.history(self._dataset.source, self._dataset.name)
        uris = [row.quarantine_manifest_uri for row in rows if row.quarantine_manifest_uri]
        store = self._deployment.quarantine
        for uri in dict.fromkeys(reversed(uris[-MOST_LOADS:])):
            try:
                for part in manifests.read(store, uri).parts:
                    with store.open(store.key_of(part.uri), sha256=part.sha256) as stream:
                        yield from _raws(stream.read())
            except IntegrityError as error:  # evidence need not be kept for ever
                log.warning("what was refused then may be landed again: %s", error)


def _raws(body: bytes) -> Iterator[bytes]:
    import pyarrow as pa

    for batch in pq.ParquetFile(pa.BufferReader(body)).iter_batches(_BATCH_ROWS, columns=["raw"]):
        yield from batch.column(0).to_pylist()


def _digest(document: bytes) -> str:
    """Of what quarantine keeps of it."""
    return hashlib.sha256(document[:RAW_BYTES]).hexdigest()
