"""What reading everything would find, without landing it: the dry run of what is read whole, and of CSV.

Only keys are compared: whether content differs shows when it is merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.land.paging import walk
from tideline.land.s3_listing import LandedBefore, list_objects, select
from tideline.reconcile.compare import compared
from tideline.reconcile.mongo_keys import SOURCE, STAMP, KeyReader
from tideline.refine.refused import body_key_decoder
from tideline.warehouse.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.catalog.model import AnyDataset
    from tideline.pipeline import Summary
    from tideline.reconcile.work import Reconciliation


def preview(work: Reconciliation, dataset: AnyDataset) -> Summary:
    """What would be found; nothing is changed."""
    deployment = work.deployment
    client = deployment.open_source(deployment.catalog.source_of(dataset))
    if isinstance(dataset, CsvDataset):
        return {"found": {"missed_objects": _missed_objects(work, dataset, client)}}
    began_at = work.now()
    keys = (
        KeyReader(client, dataset).scan()
        if isinstance(dataset, MongoDataset)
        else _item_keys(dataset, client)
    )
    with compared(deployment.open_warehouse(), dataset, keys, began_at) as (_, counts):
        found = {"absent": counts["absent"], "missing": counts["missing"] + counts["pending"]}
        return {"found": found}


def _item_keys(dataset: HttpDataset, session: Any) -> Iterator[pa.Table]:  # noqa: ANN401 - an HttpSession
    """The keys of an endpoint's items, page by page."""
    decode = body_key_decoder(dataset)
    for page in walk(dataset, session):
        for rows in decode(page.answer.body):
            columns = [rows.column(name) for name in dataset.key]
            nothing = [pa.nulls(rows.num_rows, kind) for kind in (pa.timestamp("us", "UTC"), pa.binary())]
            yield pa.Table.from_arrays([*columns, *nothing], names=[*dataset.key, STAMP, SOURCE])


def _missed_objects(work: Reconciliation, dataset: CsvDataset, client: Any) -> int:  # noqa: ANN401 - boto3's
    settings = work.deployment.settings
    landed = Ledger(work.deployment.open_warehouse()).landed_objects(dataset)
    selection = select(
        list_objects(client, dataset, DEFAULT_PATIENCE.within(settings.deadline_seconds)),
        LandedBefore(landed, place=dataset.dataset_id),
        suffixes=dataset.suffixes,
        again=lambda _: False,
    )
    return len(selection.wanted) + selection.left
