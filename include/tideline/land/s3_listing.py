"""Which objects of a CSV family to land: the bucket's listing against what was landed before, key by key.

Both come ordered by key in UTF-8 byte order, so they are joined as streams, holding one page and one key's
identities. Only what is selected stays in memory, some 400 bytes an object, and no more than a load takes: of
more the oldest, so that the next load goes on where this one ended. Knows nothing of copying.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tideline.errors import IntegrityError, SourceUnavailableError
from tideline.lake.boto_errors import check_listed, check_whole
from tideline.land.ahead import ReadAhead
from tideline.land.s3_errors import speaking
from tideline.window import as_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import datetime

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef, ObjectTypeDef

    from tideline.catalog.model import CsvDataset
    from tideline.lake.retry import Patience

MOST_OBJECTS = 100_000
"""Of one load, or of one group of it: 40 MB for their names, and as much for their manifest."""
_EXAMPLES = 5


class ObjectIdentity(NamedTuple):
    """What one version of an object is known by."""

    key: str
    etag: str
    """Without quotes."""
    last_modified: datetime


class Identified(Protocol):
    """Anything that carries an identity, such as a row of `tideline_ops.landed_objects`."""

    @property
    def key(self) -> str:
        """The object's key in its bucket."""

    @property
    def etag(self) -> str:
        """Its ETag, with or without quotes."""

    @property
    def last_modified(self) -> datetime:
        """When the bucket says it was written."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object of the listing; `size` in bytes."""

    key: str
    etag: str
    last_modified: datetime
    size: int

    @property
    def identity(self) -> ObjectIdentity:
        """What this version is known by."""
        return ObjectIdentity(self.key, self.etag, self.last_modified)


@dataclass(slots=True)
class Selection:
    """What a listing came to."""

    wanted: list[Found] = field(default_factory=list)
    """To be landed, in the order in which they should win: by time, then key."""
    listed: int = 0
    known: int = 0
    """Landed before and not asked for again."""
    left: int = 0
    """To be landed, but by a later load: this one has as many as it may take, and all of them older."""
    ignored: int = 0
    """Have none of the declared suffixes."""
    ignored_examples: list[str] = field(default_factory=list)
    any_landed_before: bool = False


class LandedBefore:
    """Identities landed before, asked for by ascending keys.

    Args:
        identities: Ordered by key.
        place: Whose they are, for the message when they are not.
    """

    def __init__(self, identities: Iterable[Identified], place: str) -> None:
        self._identities = iter(identities)
        self._place = place
        self._next = next(self._identities, None)
        self.is_empty = self._next is None

    def of(self, key: str) -> set[ObjectIdentity]:
        """All that were landed under that key."""
        found: set[ObjectIdentity] = set()
        while self._next is not None and self._next.key <= key:
            if self._next.key == key:
                found.add(_identity(self._next))
            self._advance(self._next.key)
        return found

    def _advance(self, key: str) -> None:
        self._next = next(self._identities, None)
        if self._next is not None and self._next.key < key:
            raise IntegrityError(
                f"the objects landed before are not ordered by key: {self._next.key!r} comes after {key!r}",
                place=self._place,
                remedy="order tideline_ops.landed_objects by key where it is read",
            )


def select(
    found: Iterable[Found],
    landed: LandedBefore,
    *,
    suffixes: tuple[str, ...],
    again: Callable[[Found], bool],
    among: Callable[[Found], bool] = lambda _: True,
) -> Selection:
    """Take what was never landed, and what is asked for `again`; at most `MOST_OBJECTS`, the oldest.

    Suffixes are compared without case. "Folders", empty objects whose key ends in a slash, are passed over,
    and so is what is not `among` those that the load is for.
    """
    endings = tuple(suffix.lower() for suffix in suffixes)
    selection = Selection(any_landed_before=not landed.is_empty)
    for entry in found:
        selection.listed += 1
        if entry.key.endswith("/") and entry.size == 0:
            continue
        if not entry.key.lower().endswith(endings):
            _ignore(selection, entry)
        elif entry.identity in landed.of(entry.key) and not again(entry):
            selection.known += 1
        elif among(entry):
            selection.wanted.append(entry)
            if len(selection.wanted) >= 2 * MOST_OBJECTS:
                _keep_oldest(selection)
    _keep_oldest(selection)
    return selection


def _keep_oldest(selection: Selection) -> None:
    selection.wanted.sort(key=in_winning_order)
    selection.left += len(selection.wanted[MOST_OBJECTS:])
    del selection.wanted[MOST_OBJECTS:]


def in_winning_order(entry: Found) -> tuple[datetime, str]:
    """The later object wins, and of two of the same instant the one with the greater key."""
    return entry.last_modified, entry.key


def list_objects(
    client: S3Client, dataset: CsvDataset, patience: Patience, prefix: str | None = None
) -> Iterator[Found]:
    """All objects below the dataset's prefix, or another one, however many pages that takes.

    Raises:
        SourceRefusedError: There is no such bucket, or it may not be listed.
        SourceUnavailableError: The server does not answer.
        IntegrityError: The listing is not ordered by key.
    """
    prefix, before = prefix or dataset.prefix, ""
    where = {"place": f"s3://{dataset.bucket}/{prefix}", "source": dataset.source, "dataset": dataset.name}
    pages = _pages(client, dataset, patience, prefix)
    with ReadAhead(pages, wait_seconds=patience.deadline_seconds, **where) as ahead:
        for entry in (entry for page in ahead for entry in map(_found, page.get("Contents", ()))):
            if entry.key < before:
                raise _not_ordered(dataset, before, entry.key)
            before = entry.key
            yield entry


def _pages(
    client: S3Client, dataset: CsvDataset, patience: Patience, prefix: str
) -> Generator[ListObjectsV2OutputTypeDef, None, None]:
    """Read in a thread of its own (`ReadAhead`): boto waits for ever for a server that trickles."""
    more, before = "", None
    while more != before:
        page = patience.call(partial(_page, client, dataset, prefix, more))
        yield page
        before, more = more, page.get("NextContinuationToken", "")
        if not more:
            return
    raise SourceUnavailableError(
        f"the listing goes on where it was: page after page ends in the token {more!r}",
        source=dataset.source,
        dataset=dataset.name,
        place=f"s3://{dataset.bucket}/{prefix}",
        remedy="look at the server and at proxies on the way if this does not pass",
    )


def _page(client: S3Client, dataset: CsvDataset, prefix: str, more: str) -> ListObjectsV2OutputTypeDef:
    with speaking(dataset, f"s3://{dataset.bucket}/{prefix}"):
        if more:
            page = client.list_objects_v2(Bucket=dataset.bucket, Prefix=prefix, ContinuationToken=more)
        else:
            page = client.list_objects_v2(Bucket=dataset.bucket, Prefix=prefix)
        check_listed(page)
        for entry in page.get("Contents", ()):
            check_whole(entry, "Key", "ETag", "LastModified", "Size")
        return page


def _found(entry: ObjectTypeDef) -> Found:
    return Found(entry["Key"], entry["ETag"].strip('"'), as_utc(entry["LastModified"]), entry["Size"])


def _identity(row: Identified) -> ObjectIdentity:
    return ObjectIdentity(row.key, row.etag.strip('"'), as_utc(row.last_modified))


def _ignore(selection: Selection, entry: Found) -> None:
    selection.ignored += 1
    if len(selection.ignored_examples) < _EXAMPLES:
        selection.ignored_examples.append(entry.key)


def _not_ordered(dataset: CsvDataset, before: str, key: str) -> IntegrityError:
    return IntegrityError(
        f"the bucket lists {key!r} after {before!r}; expected ascending UTF-8 order",
        source=dataset.source,
        dataset=dataset.name,
        place=f"s3://{dataset.bucket}/{dataset.prefix}",
        remedy="use a general purpose bucket; directory buckets list without order",
    )
