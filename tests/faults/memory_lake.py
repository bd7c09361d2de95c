"""A lake in memory with one landed window in it: for faults of bytes, of which there are hundreds.

    lake = Lake()
    uri = lake.landed(dataset, b"...")
    refine(dataset, uri, **lake.stores, run_id="fault")

Knows the store's own rules (`WriteOnceStore`) and manifests.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tideline.errors import AlreadyExistsError
from tideline.lake import keys, manifest
from tideline.lake.manifest import Manifest, Part
from tideline.lake.writeonce import Stat, WriteOnceStore
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = Window(datetime(2026, 1, 31, 13, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC))
EXTRACTED_AT = datetime(2026, 1, 31, 14, 0, 5, tzinfo=UTC)
_attempts = count(1)


class MemoryStore(WriteOnceStore):
    """The write-once rules over a dict."""

    def __init__(self, root_uri: str) -> None:
        super().__init__(root_uri)
        self.objects: dict[str, bytes] = {}

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        if key in self.objects:
            raise AlreadyExistsError("it is there", place=self.uri_of(key))
        self.objects[key] = body

    def _create_large(self, key: str, body: Any, content_type: str) -> None:
        self._create(key, b"".join(iter(lambda: body.read(1 << 20), b"")), "", content_type)

    def _stat(self, key: str) -> Stat | None:
        return Stat(len(self.objects[key]), None) if key in self.objects else None

    def _fetch(self, key: str, offset: int) -> io.BytesIO:
        return io.BytesIO(self.objects[key][offset:])

    def _names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))


class Lake:
    """Three stages."""

    def __init__(self) -> None:
        self.stores = {stage: MemoryStore(f"s3://{stage}") for stage in ("raw", "processed", "quarantine")}

    def landed(
        self, dataset: Any, body: bytes, *, key: str = "items/0.csv", records: int | None = None
    ) -> str:
        """Commit a raw manifest with that part; its URI."""
        raw = self.stores["raw"]
        folder = keys.Folder(dataset.source, dataset.name, WINDOW, f"attempt-{next(_attempts)}")
        written = raw.put(folder.part(0, "csv"), body)
        part = Part(written.uri, len(body), hashlib.sha256(body).hexdigest(), records, {"key": key})
        return manifest.commit(
            raw,
            Manifest(
                stage="raw", source=dataset.source, dataset=dataset.name, window=WINDOW,
                attempt_id=folder.attempt_id, run_id="fault", extracted_at=EXTRACTED_AT, parts=(part,),
                records=records, code_version="1", catalog_fingerprint="f",
            ),
        )  # fmt: skip

    @property
    def committed(self) -> int:
        """How many processed folders and evidence there are."""
        return len(self.stores["processed"].objects) + len(self.stores["quarantine"].objects)

    def rows(self, stage: str = "processed") -> list[dict[str, Any]]:
        """What is in the Parquet of a stage."""
        store = self.stores[stage]
        bodies = [body for key, body in store.objects.items() if key.endswith(".parquet")]
        return [row for body in bodies for row in pq.read_table(io.BytesIO(body)).to_pylist()]
