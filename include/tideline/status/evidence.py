"""Refused records themselves, a few of them: quarantine's Parquet → samples. Knows the evidence's layout."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from tideline.lake import manifest as manifests
from tideline.status.model import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from tideline.lake.manifest import Part
    from tideline.lake.store import Store

SAMPLES = 20
PART_BYTES = 64 << 20
"""Larger parts are not fetched for a look at them."""
RAW_BYTES = 2_000
"""How much of a record a sample holds."""
_BATCH_ROWS = 256
_CHUNK = 1 << 20


def samples(
    store: Store, quarantine_uri: str, *, reason: str | None = None, limit: int = SAMPLES
) -> list[Sample]:
    """The first refused records of that evidence, of one reason or of all.

    Args:
        store: The quarantine stage.
        quarantine_uri: The evidence's manifest.
        reason: Only these.
        limit: How many at most.

    Raises:
        IntegrityError: The evidence is damaged or gone.
    """
    found: list[Sample] = []
    for part in manifests.read(store, quarantine_uri).parts:
        if part.bytes <= PART_BYTES:
            for sample in _of_part(store, part, reason):
                found.append(sample)
                if len(found) >= limit:
                    return found
    return found


def _of_part(store: Store, part: Part, reason: str | None) -> Iterator[Sample]:
    with tempfile.TemporaryFile() as file:
        _fetch(store, part, file)
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS):
                for row in batch.to_pylist():
                    if reason is None or row["reason"] == reason:
                        yield _sample(row)


def _fetch(store: Store, part: Part, file: IO[bytes]) -> None:
    with store.open(store.key_of(part.uri), sha256=part.sha256) as body:
        while chunk := body.read(_CHUNK):
            file.write(chunk)
    file.seek(0)


def _sample(row: dict[str, Any]) -> Sample:
    return Sample(
        raw_uri=row["raw_uri"],
        position=row["position"],
        line=row["line"],
        column=row["column"],
        reason=row["reason"],
        detail=row["detail"],
        raw=row["raw"][:RAW_BYTES],
        is_cut=row["raw_truncated"] or len(row["raw"]) > RAW_BYTES,
    )
