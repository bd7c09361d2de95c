"""Processed Parquet → load table. Knows parts and their row counts, not what happens to the rows afterwards.

What the table holds is the truth, not which jobs ran: before and after every job its rows are counted.
From Cloud Storage one job reads all parts, up to as many as a job may name. From S3 each part is uploaded. An
interrupted load goes on after the last part that is whole, and begins again where the count fits none.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from itertools import accumulate
from typing import TYPE_CHECKING

from tideline.catalog.loader import fingerprint
from tideline.errors import IntegrityError, WarehouseRefusedError
from tideline.lake.scratch import on_disk
from tideline.lake.store import here
from tideline.warehouse.names import load_table
from tideline.warehouse.schema import Layout, load_fields
from tideline.window import CLOCK_SKEW, format_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import IO

    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest, Part
    from tideline.lake.store import Store
    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field

log = logging.getLogger(__name__)

_IN_MEMORY_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
MOST_URIS = 10_000
"""That a load job of BigQuery takes."""
_SPARE_STEPS = 3
"""Jobs beyond one for each part: an interrupted load may have to begin again."""
_REFINE_AGAIN = (
    "the catalog's declaration has changed since these rows were refined, and has perhaps other columns: "
    "refine the window again (in Airflow, clear refine with what is downstream), or leave it to the next run"
)


def fill(
    dataset: Dataset,
    manifest: Manifest,
    load_id: str,
    *,
    processed: Store,
    warehouse: Warehouse,
    fields: Sequence[Field] | None = None,
) -> TableName:
    """Bring the rows of a processed manifest into the load table of `load_id`, whatever is there already.

    Its columns are `fields`; those of the dataset's processed rows where None.

    Raises:
        IntegrityError: A part is not what the manifest says, the table does not come to hold its rows, or
            they were read by a clock that was ahead.
        WarehouseUnavailableError: What went wrong may pass; what was loaded is found again.
        WarehouseRefusedError: It does not pass.
    """
    table = load_table(dataset, load_id, warehouse.settings)
    fields = load_fields(dataset) if fields is None else fields
    layout = Layout(tuple(fields), expires_hours=warehouse.settings.load_table_hours)
    made = warehouse.tables.get(table) or warehouse.tables.create(table, layout)
    _check_clock(manifest, made.created)
    parts = [part for part in manifest.parts if part.records]
    ends = [0, *accumulate(part.records or 0 for part in parts)]
    for _ in range(len(parts) + _SPARE_STEPS):
        rows = warehouse.count(table)
        if rows == ends[-1]:
            return table
        if rows not in ends:
            log.warning("%s holds %d rows, which is no whole number of parts; loading anew", table, rows)
        whole = ends.index(rows) if rows in ends else 0
        try:
            _load_next(dataset, parts, whole, table, fields, load_id, processed, warehouse)
        except WarehouseRefusedError as error:
            if manifest.catalog_fingerprint != fingerprint(dataset):
                error.source, error.dataset, error.remedy = dataset.source, dataset.name, _REFINE_AGAIN
            raise
    raise IntegrityError(
        f"the load table holds {warehouse.count(table)} rows, the manifest has {ends[-1]}",
        source=dataset.source,
        dataset=dataset.name,
        place=f"table {table}",
        remedy="does anything else write this table? delete it and clear the merge task",
    )


def _check_clock(manifest: Manifest, made: datetime | None) -> None:
    """Refuse what was read later than the warehouse made its load table: it would win over reads to come."""
    read = manifest.extracted_at
    if made is None or read <= made + CLOCK_SKEW:
        return
    raise IntegrityError(
        f"the source was read at {format_instant(read)} by the clock of the machine that landed it, later "
        f"than {format_instant(made)}, the warehouse's clock after it",
        source=manifest.source,
        dataset=manifest.dataset,
        place=f"window {manifest.window.window_id}",
        remedy="set that machine's clock (NTP); the next run lands the window again by itself",
    )


def _load_next(
    dataset: Dataset,
    parts: list[Part],
    whole: int,
    table: TableName,
    fields: Sequence[Field],
    load_id: str,
    processed: Store,
    warehouse: Warehouse,
) -> None:
    """The part after those that are whole; as many as a job takes where the warehouse reads them itself."""
    labels = {"source": dataset.source, "dataset": dataset.name}
    if processed.root.startswith("gs://"):
        uris = [here(processed, part.uri) for part in parts[whole : whole + MOST_URIS]]
        key = f"{load_id} part {whole}" if whole else load_id
        warehouse.load_uris(table, uris, fields, key=key, truncate=whole == 0, labels=labels)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, mode="rb+") as body:
        _fetch(parts[whole], processed, body)
        key = f"{load_id} part {whole}"
        warehouse.load_file(table, body, fields, key=key, truncate=whole == 0, labels=labels)


def _fetch(part: Part, processed: Store, body: IO[bytes]) -> None:
    """Copy a part into a file that can be sent again; the store checks it before any of it is sent."""
    with on_disk(part.uri), processed.open(processed.key_of(part.uri), sha256=part.sha256) as stream:
        shutil.copyfileobj(stream, body, _CHUNK_BYTES)
    body.seek(0)
