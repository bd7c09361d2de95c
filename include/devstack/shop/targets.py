"""Where the shop writes: plain clients of whatever servers there are. Knows no generator."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo import ReplaceOne

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_s3 import S3Client
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from devstack.shop.api_items import Item
    from devstack.shop.documents import Document

DATABASE = "shop"
BUCKET = "shop-drops"
_BATCH = 2_000


@dataclass(frozen=True)
class Targets:
    """The shop's three systems; None for one that is not ours to write to.

    Args:
        mongo: Gets the database `shop`.
        s3: Gets objects in the bucket `shop-drops`, which exists.
        api_url: Root of the API stand-in, whose admin path changes items.
    """

    mongo: MongoClient[dict[str, Any]] | None = None
    s3: S3Client | None = None
    api_url: str | None = None

    def collection(self, dataset_id: str) -> Collection[dict[str, Any]] | None:
        """The collection of a dataset."""
        if self.mongo is None:
            return None
        return self.mongo[DATABASE][dataset_id.partition(".")[2]]

    def clear(self, dataset_id: str) -> None:
        """Make the dataset's collection anew, indexed by its change column."""
        collection = self.collection(dataset_id)
        if collection is not None:
            collection.drop()
            collection.create_index("updated_at")

    def insert(self, dataset_id: str, documents: Iterable[Document]) -> None:
        """Add documents, in batches."""
        collection = self.collection(dataset_id)
        if collection is not None:
            for batch in batches(documents, _BATCH):
                collection.insert_many(batch, ordered=False)

    def replace(self, dataset_id: str, documents: Iterable[Document]) -> None:
        """Put documents in the place of those of the same `_id`, or add them."""
        collection = self.collection(dataset_id)
        if collection is not None:
            for batch in batches(documents, _BATCH):
                changes = [ReplaceOne({"_id": each["_id"]}, each, upsert=True) for each in batch]
                collection.bulk_write(changes, ordered=False)

    def put_object(self, key: str, body: bytes) -> None:
        """Write an object."""
        if self.s3 is not None:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def send_items(self, method: str, resource: str, items: Sequence[Item]) -> None:
        """`PUT`: the resource holds exactly these. `POST`: these replace those of their id."""
        if self.api_url is None:
            return
        request = urllib.request.Request(  # noqa: S310  our own loopback server
            f"{self.api_url}/_admin/{resource}", json.dumps(items).encode(), method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            answer.read()


def batches(documents: Iterable[Document], size: int) -> Iterable[list[Document]]:
    """Lists of at most `size`, without looking ahead."""
    batch = []
    for each in documents:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
