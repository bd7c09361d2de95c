"""Processed Parquet → load table. Knows parts and their row counts, not what happens to the rows afterwards.

What the table holds is the truth, not which jobs ran: before and after every job its rows are counted.
From Cloud Storage one job reads all parts. From S3 each part is uploaded; an interrupted load goes on after
the last part that is whole, and begins again where the count fits none.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from itertools import accumulate
from typing import TYPE_CHECKING

from tideline.errors import IntegrityError
from tideline.warehouse.names import load_table
from tideline.warehouse.schema import Layout, load_fields

if TYPE_CHECKING:
    from typing import IO

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName

log = logging.getLogger(__name__)

_IN_MEMORY_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
_SPARE_STEPS = 3
"""Jobs beyond one for each part: an interrupted load may have to begin again."""


def fill(
    dataset: Dataset, manifest: Manifest, load_id: str, *, processed: Store, warehouse: Warehouse
) -> TableName:
    """Bring the rows of a processed manifest into the load table of `load_id`, whatever is there already.

    Raises:
        IntegrityError: A part is not what the manifest says, or the table does not come to hold its rows.
        WarehouseUnavailableError: What went wrong may pass; what was loaded is found again.
        WarehouseRefusedError: It does not pass.
    """
    table = load_table(dataset, load_id, warehouse.settings)
    layout = Layout(load_fields(dataset), expires_hours=warehouse.settings.load_table_hours)
    if warehouse.tables.get(table) is None:
        warehouse.tables.create(table, layout)
    parts = [part for part in manifest.parts if part.records]
    ends = [0, *accumulate(part.records or 0 for part in parts)]
    for _ in range(len(parts) + _SPARE_STEPS):
        rows = warehouse.count(table)
        if rows == ends[-1]:
            return table
        if rows not in ends:
            log.warning("%s holds %d rows, which is no whole number of parts; loading anew", table, rows)
        whole = ends.index(rows) if rows in ends else 0
        _load_next(dataset, parts, whole, table, load_id, processed, warehouse)
    raise IntegrityError(
        f"the load table holds {warehouse.count(table)} rows, the manifest has {ends[-1]}",
        source=dataset.source,
        dataset=dataset.name,
        place=f"table {table}",
        remedy="does anything else write this table? delete it and clear the merge task",
    )


def _load_next(
    dataset: Dataset,
    parts: list[Part],
    whole: int,
    table: TableName,
    load_id: str,
    processed: Store,
    warehouse: Warehouse,
) -> None:
    """All parts in one job where the warehouse reads them itself, else the one after those that are whole."""
    labels = {"source": dataset.source, "dataset": dataset.name}
    fields = load_fields(dataset)
    if all(part.uri.startswith("gs://") for part in parts):
        uris = [part.uri for part in parts]
        warehouse.load_uris(table, uris, fields, key=load_id, labels=labels)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, mode="rb+") as body:
        _fetch(parts[whole], processed, body)
        key = f"{load_id} part {whole}"
        warehouse.load_file(table, body, fields, key=key, truncate=whole == 0, labels=labels)


def _fetch(part: Part, processed: Store, body: IO[bytes]) -> None:
    """Copy a part into a file that can be sent again, and check it before any of it is sent."""
    digest = hashlib.sha256()
    with processed.open(processed.key_of(part.uri)) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            body.write(chunk)
    if digest.hexdigest() != part.sha256:
        raise IntegrityError(
            f"the part's SHA-256 is {digest.hexdigest()}, its manifest says {part.sha256}",
            place=part.uri,
            remedy="the object was damaged; refine the window again",
        )
    body.seek(0)
