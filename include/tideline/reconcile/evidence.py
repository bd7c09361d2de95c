"""What reconciliation writes into raw, so that it can be refined, merged and replayed like any landing.

Events about keys as Parquet, and documents that are read again by `_id`, byte for byte as an hourly run lands
them. Knows the lake. Does not know how differences are found (`compare`), nor what is done with a manifest.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tideline.catalog.loader import fingerprint
from tideline.lake.scratch import letting_go, on_disk
from tideline.land.framing import Batch, DocumentStream
from tideline.land.mongodb import land_parts
from tideline.land.request import LandRequest, part_of
from tideline.refine import events
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from typing import IO

    from tideline.catalog.model import AnyDataset, MongoDataset
    from tideline.lake.manifest import Manifest
    from tideline.land.request import Attempt
    from tideline.pipeline import Deployment
    from tideline.reconcile.mongo_keys import Key

MODE: Literal["reconcile"] = "reconcile"
EVENTS_A_PART = 500_000
_MOMENT = timedelta(microseconds=1)


def moment(clock: datetime) -> Window:
    """The window of what was read at an instant, not from a stretch of time: it belongs to no chain."""
    return Window(clock - _MOMENT, clock)


def begin(deployment: Deployment, dataset: AnyDataset, run_id: str, clock: datetime) -> Attempt[Any]:
    """A new attempt whose `extracted_at` is the clock, which was read before the source is asked."""
    request: LandRequest[Any] = LandRequest(
        dataset=dataset,
        window=moment(clock),
        mode=MODE,
        run_id=run_id,
        catalog_fingerprint=fingerprint(dataset),
        now=lambda: clock,
        part_bytes=deployment.settings.part_bytes,
        deadline_seconds=deployment.settings.deadline_seconds,
    )
    return request.begin()


@dataclass
class EventFile:
    """Events gathered in a temporary file until it is certain that they may become evidence."""

    dataset: AnyDataset
    file: IO[bytes]
    writer: pq.ParquetWriter
    counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def open(cls, dataset: AnyDataset) -> Iterator[Self]:
        """One that is gone afterwards."""
        with tempfile.TemporaryFile(prefix="tideline-") as file:
            writer = pq.ParquetWriter(
                file, events.raw_schema(dataset), compression="zstd", store_schema=False
            )
            try:
                yield cls(dataset, file, writer)
            finally:
                with letting_go(dataset.dataset_id):
                    writer.close()

    @property
    def total(self) -> int:
        """How many events there are."""
        return sum(self.counts.values())

    def add(self, keys: Sequence[Key], event: str, observed_at: datetime) -> None:
        """Add an event about each of these keys."""
        if not keys:
            return
        schema, rows = events.raw_schema(self.dataset), len(keys)
        columns = [
            pa.array(values, schema.field(number).type)
            for number, values in enumerate(zip(*keys, strict=True))
        ]
        columns += [
            pa.array([event] * rows, pa.string()),
            pa.array([observed_at] * rows, schema.field("_observed_at").type),
        ]
        with on_disk(self.dataset.dataset_id):
            self.writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        self.counts[event] = self.counts.get(event, 0) + rows

    def commit(self, attempt: Attempt[Any], deployment: Deployment, details: dict[str, Any]) -> str:
        """Make them evidence; the URI of the manifest."""
        parts = []
        with on_disk(self.dataset.dataset_id):
            self.writer.close()
            self.file.seek(0)
            source = pq.ParquetFile(self.file)
        batches = source.iter_batches(EVENTS_A_PART)
        for number, batch in enumerate(batches):
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_batches([batch]), sink, compression="zstd", store_schema=False)
            key = attempt.folder.part(number, "parquet")
            written = deployment.raw.put_file(key, pa.BufferReader(sink.getvalue()))
            parts.append(part_of(written, batch.num_rows, {}))
        described = {"kind": events.KIND, "events": self.counts, **details}
        _, uri = attempt.commit(deployment.raw, parts, records=self.total, details=described)
        return uri


def land_documents(
    attempt: Attempt[MongoDataset], batches: Iterator[bytes], deployment: Deployment
) -> tuple[Manifest, str] | None:
    """Land documents that were picked out; None, and no manifest, where there is none of them any more."""
    request = attempt.request
    parts = list(land_parts(attempt, DocumentStream(map(Batch, batches), request.part_bytes), deployment.raw))
    if not parts:
        return None
    asked = {"database": request.dataset.database, "collection": request.dataset.collection, "by": "_id"}
    records = sum(part.records or 0 for part in parts)
    return attempt.commit(
        deployment.raw, parts, records=records, details={"request": asked, "partial": True, "whole": False}
    )
