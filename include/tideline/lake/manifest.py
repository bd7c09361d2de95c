"""The manifest: the JSON file that is written last and commits a folder. Knows shapes, not servers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from tideline.errors import IntegrityError, SettingsError
from tideline.lake.keys import Folder
from tideline.window import Window, format_instant, parse_instant

if TYPE_CHECKING:
    import builtins
    from datetime import datetime

    from tideline.lake.store import Store

FORMAT = "tideline.manifest.v1"
MOST_PARTITIONS = 10_000
"""How many partitions a processed manifest lists that its rows touch; no table of BigQuery has more."""
MOST_DRIFT_PATHS = 1_000
"""How many paths it counts one by one by which records differ from their declaration, and"""
OTHER_PATHS = "…"
"""under which the others count together: fields that are named after data would be without end."""
MOST_REFUSED_KEYS = 1_000
"""How many keys of refused records it lists; with more, none are known."""
Stage = Literal["raw", "processed", "quarantine"]


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a folder, as it was written."""

    uri: str
    bytes: int
    sha256: str
    records: int | None = None
    """How many records it holds; None where only decoding can tell (CSV)."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where its bytes came from: collection; key, etag, version, last_modified; or url, status, headers."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One committed folder.

    `extracted_at` is the clock just before the source was first read: what rows say was true then or later.
    `unchanged` says that the source answered "as before" to everything, so that there was nothing to land.
    `details` holds what only one stage has (see that stage's module).
    """

    stage: Stage
    source: str
    dataset: str
    window: Window
    attempt_id: str
    run_id: str
    extracted_at: datetime
    parts: tuple[Part, ...]
    records: int | None
    code_version: str
    catalog_fingerprint: str
    unchanged: bool = False
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Folder:
        """Where it lies."""
        return Folder(self.source, self.dataset, self.window, self.attempt_id)

    @property
    def bytes(self) -> int:
        """The size of all parts as stored."""
        return sum(part.bytes for part in self.parts)

    def seen_at(self, part: Part) -> datetime:
        """When what the part holds was true: of an object when it was written, else when it was read.

        An object may be read again, or late, beside others that were written after it: its rows are not
        newer for that. What its bucket says of a time that was yet to come is not believed.
        """
        written_at = part.origin.get("counts_as_written") or part.origin.get("last_modified")
        return self.extracted_at if written_at is None else parse_instant(written_at)

    def to_bytes(self) -> builtins.bytes:
        """Indented JSON, keys in the order of the fields."""
        body = {
            "format": FORMAT,
            "stage": self.stage,
            "source": self.source,
            "dataset": self.dataset,
            "window": self.window.to_json(),
            "window_id": self.window.window_id,
            "attempt_id": self.attempt_id,
            "run_id": self.run_id,
            "extracted_at": format_instant(self.extracted_at),
            "code_version": self.code_version,
            "catalog_fingerprint": self.catalog_fingerprint,
            "unchanged": self.unchanged,
            "records": self.records,
            "bytes": self.bytes,
            "parts": [
                {"uri": p.uri, "bytes": p.bytes, "sha256": p.sha256, "records": p.records, "origin": p.origin}
                for p in self.parts
            ],
            "details": self.details,
        }
        return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


def parse(body: bytes, place: str) -> Manifest:
    """Read a manifest's bytes.

    Raises:
        IntegrityError: They are not a manifest of this format; names `place`.
    """
    try:
        data = json.loads(body)
        _check(data["format"], data["stage"])
        return Manifest(
            stage=data["stage"],
            source=data["source"],
            dataset=data["dataset"],
            window=Window.from_json(data["window"]),
            attempt_id=data["attempt_id"],
            run_id=data["run_id"],
            extracted_at=parse_instant(data["extracted_at"]),
            parts=tuple(Part(**part) for part in data["parts"]),
            records=data["records"],
            code_version=data["code_version"],
            catalog_fingerprint=data["catalog_fingerprint"],
            unchanged=data["unchanged"],
            details=data["details"],
        )
    except (ValueError, KeyError, TypeError, SettingsError) as error:
        raise IntegrityError(
            f"this is not a manifest: {error}",
            place=place,
            remedy="put the object back as it was written; if it is lost, delete it: a folder without one "
            "does not count, and its window can be read again",
        ) from error


def _check(found: object, stage: object) -> None:
    if found != FORMAT:
        raise ValueError(f"its format is {found!r}, expected {FORMAT!r}")
    if stage not in get_args(Stage):
        raise ValueError(f"its stage is {stage!r}, expected one of {', '.join(get_args(Stage))}")


def read(store: Store, uri: str) -> Manifest:
    """The manifest at that URI of the store.

    Raises:
        IntegrityError: There is none, or it does not parse.
    """
    return parse(store.read(store.key_of(uri)), uri)


def commit(store: Store, manifest: Manifest) -> str:
    """Write the manifest, last of its folder, and return its URI.

    A manifest of this attempt that is there already with the same bytes is a success (the reply was lost).

    Raises:
        AlreadyExistsError: One with other bytes is there.
    """
    key = manifest.folder.manifest
    store.put(key, manifest.to_bytes(), content_type="application/json")
    return store.uri_of(key)


def with_details(manifest: Manifest, **details: object) -> Manifest:
    """The manifest with these details added."""
    return replace(manifest, details={**manifest.details, **details})
