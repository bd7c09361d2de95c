"""Ranges of a collection's `_id`: where to cut a big load, and what one range asks the server for.

Bounds come from a sample of the collection, sorted by the server. Between bounds nothing is lost, whatever
types `_id` has and however it is collated: a range is what its lower bound takes (`$gte`) and its upper one
does not, the first range is all that the first bound does not take. So each document is in some range.
"""

from __future__ import annotations

import json
from collections import defaultdict
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion

from tideline.lake.ranges import MOST, Range
from tideline.land.mongo_counts import has_index
from tideline.land.mongo_errors import speaking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymongo import MongoClient
    from pymongo.collection import Collection

    from tideline.catalog.model import MongoDataset

SAMPLES = 100
"""Documents sampled for a range: ranges then have the size wanted to within some 10 %."""
SAMPLED_SHARE = 25
"""At most one in so many documents is sampled: up to one in 20 MongoDB picks them, beyond it reads all."""
SMALL_SAMPLE = 1_000
"""Documents that are sampled in any case: of a collection so small reading all costs nothing."""
MOST_MILLISECONDS = 60_000
"""How long the server may take for one answer; planning must not wait for a slow one."""

_UNSPECIFIED = UuidRepresentation.UNSPECIFIED
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, uuid_representation=_UNSPECIFIED, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_JSON = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    tz_aware=True,
    uuid_representation=_UNSPECIFIED,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_BRACKETS = {
    "int": "number", "Int64": "number", "float": "number", "Decimal128": "number", "bytes": "binary",
    "Binary": "binary", "datetime": "date", "DatetimeMS": "date",
}  # fmt: skip
"""Types that MongoDB's range operators compare with each other; any other is compared with itself alone."""
_BOUNDLESS = {"NoneType", "MinKey", "MaxKey"}
"""Types whose comparisons take other types in, or nothing."""


def bounds(
    client: MongoClient[Any], dataset: MongoDataset, criteria: dict[str, Any], *, is_bounded: bool
) -> list[Any]:
    """Where to cut a load, as ascending Extended JSON values of `_id`; empty where it is small enough.

    A window without lower bound takes the collection's size from its metadata. A bounded one is counted, and
    only where an index of the change column makes that cheap.

    Raises:
        TidelineError: The server does not answer.
    """
    if dataset.split is None:
        return []
    with speaking(dataset):
        collection = client.get_database(dataset.database).get_collection(dataset.collection, _CODEC)
        total = _size(collection, dataset, criteria, is_bounded=is_bounded)
        ranges = min(ceil(total / dataset.split.records), MOST)
        if ranges <= 1:
            return []
        size = max(2 * ranges, min(SAMPLES * ranges, max(total // SAMPLED_SHARE, SMALL_SAMPLE)))
        steps = [{"$sample": {"size": size}}, {"$project": {"_id": 1}}, {"$sort": {"_id": 1}}]
        chosen = [{"$match": criteria}] if is_bounded else []
        found = collection.aggregate([*chosen, *steps], maxTimeMS=MOST_MILLISECONDS)
        ids = (document["_id"] for document in found if "_id" in document)  # a view may leave it out
        return _quantiles(_comparable(ids), ranges)


def within(part: Range | None, criteria: dict[str, Any]) -> dict[str, Any]:
    """The filter of one range of what `criteria` asks for; of all of it for None."""
    if part is None:
        return criteria
    condition: dict[str, Any] = {}
    if part.lower is not None:
        condition["$gte"] = _parsed(part.lower)
    if part.upper is not None:
        condition["$not"] = {"$gte": _parsed(part.upper)}
    return {"_id": condition, **criteria} if condition else criteria


def _size(
    collection: Collection[Any], dataset: MongoDataset, criteria: dict[str, Any], *, is_bounded: bool
) -> int:
    """About how many documents the load has; 0 where that cannot be known cheaply."""
    if not is_bounded:
        return collection.estimated_document_count(maxTimeMS=MOST_MILLISECONDS)
    field = dataset.column(str(dataset.change_column)).field
    if not has_index(collection, field):
        return 0
    return collection.count_documents(criteria, maxTimeMS=MOST_MILLISECONDS)


def _comparable(ids: Iterable[Any]) -> list[Any]:
    """Those of the type that most have: only they are in an order that range operators know."""
    by_type: dict[str, list[Any]] = defaultdict(list)
    for value in ids:
        kind = type(value).__name__
        if kind not in _BOUNDLESS and not (isinstance(value, float) and isnan(value)):
            by_type[_BRACKETS.get(kind, kind)].append(value)
    return max(by_type.values(), key=len, default=[])


def _quantiles(ordered: list[Any], ranges: int) -> list[Any]:
    """Bounds that cut the values into about equal stretches; fewer where the values repeat."""
    chosen = (ordered[len(ordered) * number // ranges] for number in range(1, ranges) if ordered)
    texts = dict.fromkeys(json_util.dumps(value, json_options=_JSON) for value in chosen)
    return [json.loads(text) for text in texts]


def _parsed(value: Any) -> Any:  # noqa: ANN401 - whatever `_id` is
    return json_util.loads(json.dumps(value), json_options=_JSON)
