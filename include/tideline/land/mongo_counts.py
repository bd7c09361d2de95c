"""How many documents the server says a load has, counted before and after the scan. Never by scanning itself.

A scan is proven complete where the server counts the same before and after it, and the scan gave as many. A
change of a document during the scan moves it out of the window and ahead of the clock, so that one of the two
numbers that are counted differs: such a load is not judged, it is right all the same. A server that cannot
count fails no load either.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import errors as mongo
from pymongo.read_concern import ReadConcern

from tideline.errors import SourceChangedError
from tideline.land.mongo_errors import place_of, speaking

if TYPE_CHECKING:
    from datetime import datetime

    from pymongo import MongoClient
    from pymongo.collection import Collection

    from tideline.catalog.model import MongoDataset
    from tideline.land.request import LandRequest

log = logging.getLogger(__name__)

COUNT_MILLISECONDS = 120_000
"""A count that takes longer is not cheap, and given up."""


class Count(NamedTuple):
    """What was counted at one instant."""

    records: int
    """All that the scan asks for."""
    ahead: int
    """Those of them that are stamped later than the clock before the scan."""


@dataclass(frozen=True)
class Probe:
    """A count before a scan, to be held against the scan's; `before` is None where there is none."""

    dataset: MongoDataset
    collection: Collection[Any]
    criteria: dict[str, Any]
    ahead: dict[str, Any] | None
    before: Count | None

    @classmethod
    def of(
        cls,
        client: MongoClient[Any],
        request: LandRequest[MongoDataset],
        criteria: dict[str, Any],
        clock: datetime,
    ) -> Probe:
        """Count what `criteria` asks for, if catalog and indexes say that it is cheap."""
        dataset = request.dataset
        with speaking(dataset):  # a name may be one that MongoDB does not allow
            database = client.get_database(dataset.database)
            collection = database.get_collection(dataset.collection, read_concern=ReadConcern("majority"))
        field = None if dataset.change_column is None else dataset.column(dataset.change_column).field
        ahead = None if field is None else {field: {"$gt": clock}}
        cheap = _is_cheap(collection, request, field)
        before = _count(dataset, collection, criteria, ahead) if cheap else None
        return cls(dataset, collection, criteria, ahead, before)

    def against(self, scanned: int) -> dict[str, Any]:
        """Count again and compare; what the manifest keeps of it.

        Raises:
            SourceChangedError: Nothing changed between the counts, and the scan gave another number.
        """
        if self.before is None:
            return {"kind": "none", "count": None}
        after = _count(self.dataset, self.collection, self.criteria, self.ahead)
        if after is None:
            return {"kind": "none", "count": None, "before": self.before.records}
        if after != self.before:
            log.info(
                "%s changed while it was read: %d documents before, %d after, %d came",
                self.dataset.dataset_id, self.before.records, after.records, scanned,
            )  # fmt: skip
            return {"kind": "moving", "count": None, "before": self.before.records, "after": after.records}
        if scanned != after.records:
            raise SourceChangedError(
                f"the server counts {after.records} documents, before and after the scan, and {scanned} came",
                source=self.dataset.source,
                dataset=self.dataset.name,
                place=place_of(self.dataset),
                remedy="nothing if the retry agrees; where documents come and go all the time, or the "
                "server's counts are wrong, set source_count: never in the catalog",
            )
        return {"kind": "exact", "count": after.records}


def has_index(collection: Collection[Any], field: str) -> bool:
    """Whether a whole index begins with the field: counting a stretch of it then reads that stretch only."""
    try:
        return any(
            next(iter(index["key"]), None) == field
            and not index.get("sparse")
            and not index.get("hidden")
            and "partialFilterExpression" not in index
            for index in collection.list_indexes()
        )
    except mongo.PyMongoError as error:
        log.info("%s: its indexes cannot be listed, so nothing is counted: %s", collection.full_name, error)
        return False


def _is_cheap(collection: Collection[Any], request: LandRequest[MongoDataset], field: str | None) -> bool:
    """A bounded window is counted by the change column's index, a range of `_id` by the index of that."""
    wish = request.dataset.source_count
    if wish != "auto":
        return wish == "always"
    if field is None:
        return request.part is not None
    return request.window.start is not None and request.part is None and has_index(collection, field)


def _count(
    dataset: MongoDataset,
    collection: Collection[Any],
    criteria: dict[str, Any],
    ahead: dict[str, Any] | None,
) -> Count | None:
    try:
        records = collection.count_documents(criteria, maxTimeMS=COUNT_MILLISECONDS)
        later = collection.count_documents(ahead, maxTimeMS=COUNT_MILLISECONDS) if ahead else 0
    except mongo.PyMongoError as error:
        log.warning("%s: the server does not count, which fails no load: %s", dataset.dataset_id, error)
        return None
    return Count(records, later)
