"""A lake in memory, landings of CSV in it, and a deployment over it: for what needs no servers."""

from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tideline.catalog.model import Catalog, Column, CsvDataset, Source
from tideline.errors import AlreadyExistsError
from tideline.lake import keys
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Manifest, Part
from tideline.lake.writeonce import Stat, WriteOnceStore
from tideline.window import Window, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class MemoryStore(WriteOnceStore):
    """The write-once rules over a dict."""

    def __init__(self, root_uri: str) -> None:
        super().__init__(root_uri)
        self.objects: dict[str, tuple[bytes, str]] = {}

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        if key in self.objects:
            raise AlreadyExistsError("it is there", place=self.uri_of(key))
        self.objects[key] = (body, sha256)

    def _create_large(self, key: str, body: Any, content_type: str) -> None:
        data = b"".join(iter(lambda: body.read(1 << 20), b""))
        self._create(key, data, hashlib.sha256(data).hexdigest(), content_type)

    def _stat(self, key: str) -> Stat | None:
        return Stat(len(self.objects[key][0]), None) if key in self.objects else None

    def _fetch(self, key: str, offset: int) -> io.BytesIO:
        return io.BytesIO(self.objects[key][0][offset:])

    def _names(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix)))


def things(**more: Any) -> CsvDataset:
    """The dataset `shop.things`: an id, a price, a note."""
    columns = (
        Column(name="id", type="int64"),
        Column(name="price", type="numeric(12, 2)"),  # type: ignore[arg-type]
        Column(name="note", type="string"),
    )
    return CsvDataset(
        name="things", source="shop", key=("id",), columns=columns, bucket="drops", prefix="things/", **more
    )


def deployment(warehouse: Any = None, *datasets: CsvDataset) -> SimpleNamespace:
    """What a report is made from."""
    declared = datasets or (things(),)
    source = Source(name="shop", kind="s3_csv", connection="tideline_s3_source", datasets=declared)
    return SimpleNamespace(
        catalog=Catalog(sources=(source,)),
        raw=MemoryStore("s3://raw"),
        processed=MemoryStore("s3://processed"),
        quarantine=MemoryStore("s3://quarantine"),
        open_warehouse=lambda: warehouse,
    )


def land(
    made: SimpleNamespace, end: datetime, body: bytes, *, start: datetime | None = None, name: str = ""
) -> str:
    """Commit a landing of one CSV object for the window up to `end`; the URI of its manifest."""
    window = Window(start, end)
    attempt_id = name or keys.new_attempt_id(end)
    folder = keys.Folder("shop", "things", window, attempt_id)
    written = made.raw.put(folder.part(0, "csv"), body)
    origin = {"key": f"{attempt_id}.csv", "etag": "e", "last_modified": format_instant(end)}
    part = Part(written.uri, written.bytes, written.sha256, None, origin)
    landed = Manifest(
        stage="raw", source="shop", dataset="things", window=window, attempt_id=attempt_id, run_id="run",
        extracted_at=end, parts=(part,), records=None, code_version="1", catalog_fingerprint="f",
        details={"mode": "scheduled"},
    )  # fmt: skip
    return manifests.commit(made.raw, landed)


def refine(made: SimpleNamespace, uri: str) -> tuple[Manifest, str]:
    """Refine it with the product's own code."""
    from tideline.refine.refine import refine as refine_landing

    return refine_landing(
        made.catalog.dataset("shop.things"), uri, raw=made.raw, processed=made.processed,
        quarantine=made.quarantine, run_id="run",
    )  # fmt: skip
