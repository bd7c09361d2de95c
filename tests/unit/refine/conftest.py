"""A lake in memory, and short ways to say a CSV dataset, an object of it and what decoding it gives."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tideline.catalog.model import Column, CsvDataset
from tideline.errors import AlreadyExistsError
from tideline.lake import keys, manifest
from tideline.lake.manifest import Manifest, Part
from tideline.lake.writeonce import Stat, WriteOnceStore
from tideline.refine.csv import decode_csv
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tideline.refine.contract import Decoded, Reject

WINDOW = Window(datetime(2026, 1, 31, 13, tzinfo=UTC), datetime(2026, 1, 31, 14, tzinfo=UTC))
EXTRACTED_AT = datetime(2026, 1, 31, 14, 0, 5, tzinfo=UTC)


class MemoryStore(WriteOnceStore):
    """The write-once rules over a dict; `damage` changes what is stored behind its back."""

    def __init__(self, root_uri: str) -> None:
        super().__init__(root_uri)
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.order: list[str] = []

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        if key in self.objects:
            raise AlreadyExistsError("it is there", place=self.uri_of(key))
        self.objects[key] = (body, sha256)
        self.order.append(key)

    def _create_large(self, key: str, body: Any, content_type: str) -> None:
        data = b"".join(iter(lambda: body.read(1 << 20), b""))
        self._create(key, data, hashlib.sha256(data).hexdigest(), content_type)

    def _stat(self, key: str) -> Stat | None:
        return Stat(len(self.objects[key][0]), None) if key in self.objects else None

    def _fetch(self, key: str, offset: int) -> io.BytesIO:
        return io.BytesIO(self.objects[key][0][offset:])

    def _names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))

    def damage(self, uri: str, body: bytes) -> None:
        self.objects[self.key_of(uri)] = (body, "")


@dataclass
class Lake:
    """Three stages, and raw manifests on demand."""

    raw: MemoryStore = field(default_factory=lambda: MemoryStore("s3://raw"))
    processed: MemoryStore = field(default_factory=lambda: MemoryStore("s3://processed"))
    quarantine: MemoryStore = field(default_factory=lambda: MemoryStore("s3://quarantine"))

    def land(self, declared: Any, /, *bodies: bytes, attempt_id: str = "landed", **fields: Any) -> str:
        """Commit a raw manifest with these parts; returns its URI."""
        folder = keys.Folder(declared.source, declared.name, WINDOW, attempt_id)
        records = fields.pop("part_records", [None] * len(bodies))
        parts = []
        for number, body in enumerate(bodies):
            written = self.raw.put(folder.part(number, "csv"), body)
            origin = {"key": f"items/{number}.csv"}
            parts.append(Part(written.uri, written.bytes, written.sha256, records[number], origin))
        given = {
            "stage": "raw", "source": declared.source, "dataset": declared.name, "window": WINDOW,
            "attempt_id": attempt_id, "run_id": "run", "extracted_at": EXTRACTED_AT, "parts": tuple(parts),
            "records": None, "code_version": "1", "catalog_fingerprint": "f", **fields,
        }  # fmt: skip
        return manifest.commit(self.raw, Manifest(**given))


@dataclass
class Outcome:
    """All that decoding one object gave."""

    batches: list[Decoded]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for decoded in self.batches for row in decoded.batch.to_pylist()]

    @property
    def rejects(self) -> list[Reject]:
        return [reject for decoded in self.batches for reject in decoded.rejects]

    @property
    def records(self) -> int:
        return sum(decoded.records for decoded in self.batches)

    @property
    def drift(self) -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        for decoded in self.batches:
            for path, (count, example) in decoded.drift.items():
                found[path] = (
                    found.get(path, (0, ""))[0] + count,
                    found.get(path, (0, example))[1] or example,
                )
        return found

    def values(self, column: str) -> list[Any]:
        return [row[column] for row in self.rows]

    @property
    def reasons(self) -> list[tuple[int, str, str]]:
        return [(reject.position, reject.reason, reject.column) for reject in self.rejects]


WAYS = {"swept": {"sweep_from": 1}, "walked": {"sweep_from": 10**9}, "native": {"engine": "native"}}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Every way to decode documents, as the arguments of `BsonDecoder` beside the dataset."""
    if request.param == "native":
        pytest.importorskip("tideline_native_bson", reason="the compiled decoder is not built (make native)")
    return WAYS[request.param]


@pytest.fixture
def lake() -> Lake:
    return Lake()


@pytest.fixture
def csv_dataset() -> Callable[..., CsvDataset]:
    """`csv_dataset(id="int64", name="string", dialect=…)`: columns by name; the first is the key."""
    return make_dataset


def make_dataset(columns: dict[str, Any] | None = None, **fields: Any) -> CsvDataset:
    declared = columns or {"id": "int64", "name": "string"}
    return CsvDataset(
        **{
            "name": "items",
            "source": "shop",
            "bucket": "drops",
            "prefix": "items/",
            "key": (next(iter(declared)),),
            "columns": tuple(
                Column(**{"name": name, **({"type": kind} if isinstance(kind, str) else kind)})
                for name, kind in declared.items()
            ),
            **fields,
        }
    )


@pytest.fixture
def decode() -> Callable[..., Outcome]:
    """`decode(dataset, body)`: everything that the object gives."""
    return run_decoder


def run_decoder(dataset: CsvDataset, body: bytes, key: str = "items/0.csv", **options: Any) -> Outcome:
    part = Part("s3://raw/part-00000.csv", len(body), "", None, {"key": key})
    return Outcome(list(decode_csv(dataset, part, io.BytesIO(body), **options)))
