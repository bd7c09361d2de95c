"""Which statement a processed manifest asks for: rows into the table, or events about its keys. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tideline.merge.deletes import Events, event_fields
from tideline.merge.sql import Merge
from tideline.warehouse.schema import load_fields

if TYPE_CHECKING:
    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Manifest
    from tideline.merge.absences import Absences
    from tideline.warehouse.names import TableName
    from tideline.warehouse.schema import Field

Step: TypeAlias = Merge | Events

EVENTS = "events"
"""`details.kind` of manifests that hold events; all others hold rows."""


def fields_of(dataset: Dataset, manifest: Manifest) -> tuple[Field, ...]:
    """The columns of the manifest's Parquet, and so of its load table."""
    return event_fields(dataset) if manifest.details.get("kind") == EVENTS else load_fields(dataset)


def step_of(
    dataset: Dataset,
    manifest: Manifest,
    *,
    target: TableName,
    fields: tuple[Field, ...],
    load: TableName,
    absences: Absences | None,
) -> Step:
    """What brings the load table into the target, whose columns are `fields`."""
    if manifest.details.get("kind") == EVENTS:
        return Events(dataset, target, load)
    partitions = manifest.details.get("partitions")
    return Merge(
        dataset=dataset,
        target=target,
        fields=fields,
        load=load,
        window_id=manifest.window.window_id,
        partitions=None if partitions is None else tuple(partitions),
        absences=absences,
    )
