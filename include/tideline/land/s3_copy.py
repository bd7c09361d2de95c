"""Copy objects of a bucket into the lake, byte for byte, several at a time. Knows no selection rule.

Each copy is of the very version that was listed (`If-Match`) and is compared with its length and, where the
ETag is an MD5, with that, before anything becomes visible in the lake.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from string import hexdigits
from typing import TYPE_CHECKING, Any, TypeVar

from tideline.errors import SourceChangedError, SourceUnavailableError
from tideline.land.request import part_of
from tideline.land.s3_errors import ObjectChangedError, ObjectVanishedError, getting, speaking
from tideline.land.s3_groups import is_within
from tideline.land.s3_listing import Found, in_winning_order, list_objects
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from tideline.catalog.model import CsvDataset
    from tideline.lake.manifest import Part
    from tideline.lake.retry import Patience
    from tideline.lake.store import Store
    from tideline.lake.stream import Readable
    from tideline.land.request import Attempt

A = TypeVar("A")
B = TypeVar("B")

THREADS = 8
_ROUNDS = 4
_AT_ONCE = 1_000
"""Copies that wait for a thread; bounds memory and how much is begun after a failure."""
_MD5_DIGITS = 32
_AHEAD = timedelta(minutes=15)
"""How far a bucket's clock may be from ours: S3 serves nobody whose is further off (RequestTimeTooSkewed)."""


@dataclass(slots=True)
class Copied:
    """What copying came to."""

    parts: list[Part] = field(default_factory=list)
    vanished: int = 0
    replaced: int = 0
    """Overwritten between listing and copying; the new version was copied instead."""


@dataclass(frozen=True)
class Copier:
    """Copies listed objects of one attempt into the lake."""

    client: S3Client
    attempt: Attempt[CsvDataset]
    store: Store
    patience: Patience

    def copy_all(self, wanted: Sequence[Found]) -> Copied:
        """Copy them under part numbers in their order.

        An object that was overwritten meanwhile is copied in a further round, so that its new version gets a
        higher number than what it is newer than.

        Raises:
            SourceChangedError: Objects are overwritten faster than they are copied.
            SourceUnavailableError: The source does not answer, or gives other bytes than it promises.
            SourceRefusedError: The source refuses an object.
        """
        copied, first = Copied(), 0
        for _ in range(_ROUNDS):
            again = self._round(wanted, first, copied)
            if not again:
                return copied
            first += len(wanted)
            wanted = sorted(again, key=in_winning_order)
            copied.replaced += len(wanted)
        raise SourceChangedError(
            f"{len(wanted)} objects, {wanted[0].key!r} among them, are overwritten faster than they are read",
            source=self._dataset.source,
            dataset=self._dataset.name,
            place=self._place(wanted[0].key),
            remedy="let the writer drop files under new names, or run when it rests",
        )

    def _round(self, wanted: Sequence[Found], first: int, copied: Copied) -> list[Found]:
        again: list[Found] = []
        for outcome in _parallel(self._copy, list(enumerate(wanted, first))):
            if outcome is None:
                copied.vanished += 1
            elif isinstance(outcome, Found):
                again.append(outcome)
            else:
                copied.parts.append(outcome)
        return again

    def _copy(self, numbered: tuple[int, Found]) -> Part | Found | None:
        """The part; or, where the object changed, what it is now; or None where it is gone.

        Of a group of objects it is gone too where its new version belongs to a later one, or to the next run.
        """
        return self.patience.call(partial(self._copy_or_look, *numbered), SourceUnavailableError)

    def _copy_or_look(self, number: int, found: Found) -> Part | Found | None:
        """One attempt. What is gone is not listed either: gateways say it of what they do not find."""
        try:
            return self._copy_once(number, found)
        except ObjectVanishedError:
            now = self._as_it_is_now(found.key)
        except ObjectChangedError:
            return self._as_it_is_now(found.key)
        if now == found:
            raise SourceUnavailableError(
                "the bucket lists the object and says that there is none",
                source=self._dataset.source,
                dataset=self._dataset.name,
                place=self._place(found.key),
                remedy="look at proxies on the way if this does not pass; if the bucket has lost the object, "
                "delete it or have it written again",
            )
        return now

    def _as_it_is_now(self, key: str) -> Found | None:
        """From the listing, whose times are finer than those of a HEAD on some servers."""
        first = next(list_objects(self.client, self._dataset, self.patience, key), None)
        if first is None or first.key != key or not is_within(self.attempt.request.part, first):
            return None
        return first

    def _copy_once(self, number: int, found: Found) -> Part:
        place = self._place(found.key)
        with getting(self._dataset, place):
            reply = self.client.get_object(
                Bucket=self._dataset.bucket, Key=found.key, IfMatch=f'"{found.etag}"'
            )
        zipped = found.key.lower().endswith(".gz")
        with closing(reply["Body"]) as body:
            written = self.store.put_file(
                self.attempt.folder.part(number, "csv.gz" if zipped else "csv"),
                CheckedBody(body, found.size, _md5_of(reply, found.etag), self._dataset, place),
                content_type="application/gzip" if zipped else "text/csv",
            )
        return part_of(written, None, {**_origin(self._dataset, found, reply), **self._if_ahead(found)})

    def _if_ahead(self, found: Found) -> dict[str, str]:
        """When an object counts as written whose time of writing has not come.

        Servers that show files' own times have any. Believed, it keeps out what is written until then.
        """
        attempt = self.attempt
        is_ahead = found.last_modified > attempt.request.now() + _AHEAD
        return {"counts_as_written": format_instant(attempt.extracted_at)} if is_ahead else {}

    def _place(self, key: str) -> str:
        return f"s3://{self._dataset.bucket}/{key}"

    @property
    def _dataset(self) -> CsvDataset:
        return self.attempt.request.dataset


class CheckedBody:
    """An object's bytes, whose end fails where they are not those that were listed."""

    def __init__(self, body: Readable, length: int, md5: str | None, dataset: CsvDataset, place: str) -> None:
        self._body = body
        self._missing = length
        self._expected = md5
        self._dataset = dataset
        self._place = place
        self._md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end.

        Raises:
            SourceUnavailableError: The connection broke, or the bytes are too few, too many or others.
        """
        with speaking(self._dataset, self._place):
            chunk = self._body.read(size)
        self._missing -= len(chunk)
        if self._expected is not None:
            self._md5.update(chunk)
        if not chunk and size:
            self._check()
        return chunk

    def _check(self) -> None:
        if self._missing:
            which = "few" if self._missing > 0 else "many"
            raise self._other(f"the object came with {abs(self._missing)} bytes too {which}")
        if self._expected is not None and self._md5.hexdigest() != self._expected:
            raise self._other(f"the object's MD5 is {self._md5.hexdigest()}, its ETag {self._expected}")

    def _other(self, found: str) -> SourceUnavailableError:
        return SourceUnavailableError(
            found,
            source=self._dataset.source,
            dataset=self._dataset.name,
            place=self._place,
            remedy="look at the object and at proxies on the way if this does not pass",
        )


def _md5_of(reply: GetObjectOutputTypeDef, etag: str) -> str | None:
    """The ETag where it is the content's MD5: neither a multipart upload's nor that of a ciphertext."""
    encrypted = reply.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in reply
    plain = len(etag) == _MD5_DIGITS and all(digit in hexdigits for digit in etag)
    return etag.lower() if plain and not encrypted else None


def _origin(dataset: CsvDataset, found: Found, reply: GetObjectOutputTypeDef) -> dict[str, Any]:
    version = reply.get("VersionId")
    return {
        "bucket": dataset.bucket,
        "key": found.key,
        "etag": found.etag,
        "version_id": None if version in (None, "null") else version,
        "last_modified": format_instant(found.last_modified),
        "size": found.size,
    }


def _parallel(work: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """Results in the order of the items; the first failure calls off what has not begun."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="copy") as pool:
        for start in range(0, len(items), _AT_ONCE):
            yield from pool.map(work, items[start : start + _AT_ONCE])
