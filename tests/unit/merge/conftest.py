"""Processed manifests as refine would leave them, a store in memory, and a warehouse on the emulator."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.errors import AlreadyExistsError, IntegrityError
from tideline.lake import manifest as manifests
from tideline.lake.keys import Folder
from tideline.lake.manifest import Manifest, Part
from tideline.refine.contract import processed_schema
from tideline.warehouse.bigquery import Warehouse
from tideline.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Written:
    uri: str
    bytes: int
    sha256: str


@dataclass
class MemoryStore:
    """A write-once store in memory."""

    root: str = "s3://processed"
    objects: dict[str, bytes] = field(default_factory=dict)

    def uri_of(self, key: str) -> str:
        return f"{self.root}/{key}"

    def key_of(self, uri: str) -> str:
        return uri.removeprefix(f"{self.root}/")

    def put(self, key: str, body: bytes, *, content_type: str = "") -> Written:
        if self.objects.setdefault(key, body) != body:
            raise AlreadyExistsError("other bytes are there", place=key)
        return Written(self.uri_of(key), len(body), hashlib.sha256(body).hexdigest())

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise IntegrityError("nothing is there", place=key)
        return self.objects[key]

    @contextmanager
    def open(self, key: str, *, sha256: str | None = None) -> Iterator[io.BytesIO]:
        body = self.read(key)
        if sha256 not in (None, hashlib.sha256(body).hexdigest()):
            raise IntegrityError("the SHA-256 is another", place=self.uri_of(key))
        yield io.BytesIO(body)

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list(self, prefix: str) -> Iterator[str]:
        yield from sorted(key for key in self.objects if key.startswith(prefix))


def mongo(**fields: Any) -> MongoDataset:
    """A dataset of the usual shape; fields replace or add."""
    given = {
        "name": "things",
        "source": "test",
        "database": "d",
        "collection": "things",
        "key": ["id"],
        "change_column": "updated_at",
        "columns": columns(id="int64", note="string", updated_at="timestamp"),
    }
    return MongoDataset.model_validate({**given, **fields})


def csv(**fields: Any) -> CsvDataset:
    return CsvDataset.model_validate(
        {**mongo().model_dump(exclude_unset=True, exclude={"kind", "database", "collection"}),
         "bucket": "drops", "prefix": "things/", **fields}
    )  # fmt: skip


def http(**fields: Any) -> HttpDataset:
    given = {"name": "things", "source": "test", "path": "/things", "key": ["id"]}
    given |= {"columns": columns(id="int64", note="string")}
    return HttpDataset.model_validate({**given, **fields})


def columns(**types: Any) -> list[dict[str, Any]]:
    """`name="type"` or `name={…}` as the catalog's list of columns."""
    return [
        {"name": name, **({"type": kind} if isinstance(kind, str) else kind)} for name, kind in types.items()
    ]


@dataclass
class Lake:
    """Two stages, and the attempts that were made in them."""

    raw: MemoryStore = field(default_factory=lambda: MemoryStore("s3://raw"))
    processed: MemoryStore = field(default_factory=MemoryStore)
    attempts: int = 0

    def refined(
        self,
        dataset: Any,
        *parts: Sequence[dict[str, Any]],
        extracted_at: datetime = T0,
        window: Window | None = None,
        partitions: list[str | None] | None = None,
        raw_uri: str | None = None,
        origins: Sequence[dict[str, Any]] = ({},),
        unchanged: bool = False,
        quarantined: int = 0,
        details: dict[str, Any] | None = None,
        raw_details: dict[str, Any] | None = None,
        schema: pa.Schema | None = None,
    ) -> dict[str, Any]:
        """Commit raw and processed manifests with these rows; the summary that merge takes."""
        window = window or Window(None, T0)
        self.attempts += 1
        folder = Folder(dataset.source, dataset.name, window, f"attempt-{self.attempts:05d}")
        raw = self._raw(dataset, folder, extracted_at, origins, raw_details or {}, unchanged=unchanged)
        schema = schema or processed_schema(dataset)
        written = [
            self._part(schema, folder, number, rows, extracted_at, raw_uri or raw.uri_of_parts)
            for number, rows in enumerate(parts)
        ]
        total = sum(len(rows) for rows in parts)
        manifest = Manifest(
            stage="processed", source=dataset.source, dataset=dataset.name, window=window,
            attempt_id=folder.attempt_id, run_id="run", extracted_at=extracted_at, parts=tuple(written),
            records=total, code_version="test", catalog_fingerprint="f" * 16,
            details={
                "refined": total, "quarantined": quarantined, "landed": total + quarantined,
                "quarantine_uri": None, "raw_manifest": raw.uri, "partitions": partitions,
                "cursor": {"column": "updated_at", "min": None, "max": None, "null": 0, "future": 0},
                "drift": {}, **(details or {}),
            },
        )  # fmt: skip
        uri = manifests.commit(self.processed, manifest)
        return {
            "processed_manifest_uri": uri,
            "mode": "scheduled",
            "land_seconds": 1.5,
            "refine_seconds": 2.5,
        }

    def _raw(self, dataset, folder, extracted_at, origins, details, *, unchanged):
        parts = () if unchanged else tuple(
            Part(self.raw.uri_of(folder.part(n, "bson")), 7, "0" * 64, None, origin)
            for n, origin in enumerate(origins)
        )  # fmt: skip
        manifest = Manifest(
            stage="raw", source=dataset.source, dataset=dataset.name, window=folder.window,
            attempt_id=folder.attempt_id, run_id="run", extracted_at=extracted_at, parts=parts, records=None,
            code_version="test", catalog_fingerprint="f" * 16, unchanged=unchanged, details=details,
        )  # fmt: skip
        return RawPlace(manifests.commit(self.raw, manifest), self.raw.uri_of(folder.part(0, "bson")))

    def _part(self, schema, folder, number, rows, extracted_at, raw_uri):
        data = pa.Table.from_pylist(
            [
                {"_raw_uri": raw_uri, "_raw_position": position, "_extracted_at": extracted_at, **row}
                for position, row in enumerate(rows)
            ],
            schema=schema,
        )
        body = io.BytesIO()
        pq.write_table(data, body, compression="zstd")
        written = self.processed.put(folder.part(number, "parquet"), body.getvalue())
        return Part(written.uri, written.bytes, written.sha256, len(rows))


@dataclass
class RawPlace:
    uri: str
    uri_of_parts: str


@pytest.fixture
def lake() -> Lake:
    return Lake()


@pytest.fixture
def warehouse(bigquery_client, own_settings) -> Warehouse:
    return Warehouse(bigquery_client, own_settings())


def hours(number: float) -> datetime:
    return T0 + timedelta(hours=number)


def table_rows(warehouse: Warehouse, sql: str) -> list[dict[str, Any]]:
    """Rows of a query in which `@raw` stands for the BigQuery dataset of the source `test`."""
    text = sql.replace("@raw", f"{warehouse.settings.dataset_prefix}raw_test")
    return [dict(row.items()) for row in warehouse.rows(text, kind="test")]


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """The helpers of this folder."""
    return SimpleNamespace(
        T0=T0, MemoryStore=MemoryStore, Lake=Lake, columns=columns, csv=csv, hours=hours, http=http,
        mongo=mongo, rows=table_rows,
    )  # fmt: skip
