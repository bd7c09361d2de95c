"""The write-once store on S3 and MinIO, through boto3. Knows the S3 protocol, not what is stored."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ChecksumError, FlexibleChecksumError

from tideline.errors import SettingsError, StoreUnavailableError, TidelineError
from tideline.lake.boto_errors import FAILURES, Trouble, check_listed, check_whole, trouble_of
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.lake.stream import damaged
from tideline.lake.writeonce import CHUNK_BYTES, Stat, WriteOnceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ListObjectsV2OutputTypeDef

    from tideline.lake.retry import Patience
    from tideline.lake.stream import Closable, Measured

Reply = TypeVar("Reply")
log = logging.getLogger(__name__)

_PARTS_PER_SIZE = 1_000
_LARGEST_DOUBLING = 3

_REMEDIES = {
    Trouble.NO_BUCKET: "create the bucket, or correct the TIDELINE_*_URI variable that names it",
    Trouble.DENIED: "let these credentials read, list and create objects in this bucket",
    Trouble.SETTINGS: "correct the key, secret, region and endpoint of the lake's connection",
    Trouble.UNAVAILABLE: "see whether the server is up, reachable from here and has room; the task retries",
    Trouble.REFUSED: "check that the server speaks S3 with conditional writes (If-None-Match)",
    Trouble.NO_OBJECT: "create the bucket, or correct the TIDELINE_*_URI variable that names it",
}


def part_bytes(number: int) -> int:
    """Size of the multipart chunk of that number, from 0: 8 MiB, doubled every 1,000 chunks up to 64 MiB.

    S3 allows 10,000 chunks: so some 500 GiB fit while memory stays bounded by one chunk.
    """
    return CHUNK_BYTES << min(number // _PARTS_PER_SIZE, _LARGEST_DOUBLING)


class S3Store(WriteOnceStore):
    """A bucket on S3 or MinIO; see `Store`.

    Args:
        root_uri: `s3://bucket/optional-prefix`.
        client: A boto3 S3 client, or a function that makes one when it is first needed; None for boto3's own.
        patience: How often and how long a call is tried again, on top of what the client does itself.
    """

    def __init__(
        self,
        root_uri: str,
        client: S3Client | Callable[[], S3Client] | None = None,
        *,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(root_uri, patience=patience)
        self._given = client

    @cached_property
    def _client(self) -> S3Client:
        client = self._made_or_given()
        client.meta.events.register_last("before-call.s3", _ask_no_leave, unique_id="tideline-ask-no-leave")
        return client

    def _made_or_given(self) -> S3Client:
        if self._given is None:
            import boto3

            with self._speaking(""):
                return boto3.client("s3")
        return self._given() if callable(self._given) else self._given

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        with self._speaking(key):
            self._client.put_object(
                **self._at(key),
                Body=body,
                ContentType=content_type,
                Metadata={"sha256": sha256},
                IfNoneMatch="*",
            )

    def _create_large(self, key: str, body: Measured, content_type: str) -> None:
        upload_id = self._call(key, self._client.create_multipart_upload, ContentType=content_type)[
            "UploadId"
        ]
        try:
            parts = list(self._upload(key, upload_id, body))
            self._complete(key, upload_id, parts)
        except BaseException:
            self._abort(key, upload_id)
            raise

    def _upload(self, key: str, upload_id: str, body: Measured) -> Iterator[CompletedPartTypeDef]:
        number = 0
        while chunk := body.read(part_bytes(number)):
            number += 1
            reply = self._call(
                key, self._client.upload_part, UploadId=upload_id, PartNumber=number, Body=chunk
            )
            yield {"PartNumber": number, "ETag": reply["ETag"]}

    def _complete(self, key: str, upload_id: str, parts: list[CompletedPartTypeDef]) -> None:
        self._call(
            key,
            self._client.complete_multipart_upload,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )

    def _abort(self, key: str, upload_id: str) -> None:
        """Free the chunks; they are invisible anyway, so a failure here must not hide the one before it."""
        try:
            self._client.abort_multipart_upload(**self._at(key), UploadId=upload_id)
        except FAILURES as error:
            log.warning(
                "an unfinished upload of %s may have left invisible chunks (%s)", self.uri_of(key), error
            )

    def _stat(self, key: str) -> Stat | None:
        try:
            head = self._client.head_object(**self._at(key))
            check_whole(head, "ContentLength", "Metadata")
        except FAILURES as error:
            if trouble_of(error) is Trouble.NO_OBJECT:
                return None
            raise self._translated(error, key) from error
        return Stat(head["ContentLength"], head["Metadata"].get("sha256"))

    def _fetch(self, key: str, offset: int) -> Closable:
        extra: dict[str, Any] = {"Range": f"bytes={offset}-"} if offset else {}
        with self._speaking(key):
            reply = self._client.get_object(**self._at(key), **extra)
            check_whole(reply, "ContentLength")
        return _Body(reply["Body"], reply["ContentLength"], partial(self._translated, key=key))

    def _names(self, prefix: str) -> Iterator[str]:
        more: dict[str, Any] = {}
        while True:
            page = self._patience.call(partial(self._page, prefix, more))
            yield from (entry["Key"] for entry in page.get("Contents", ()))
            if not page.get("NextContinuationToken"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, more: dict[str, Any]) -> ListObjectsV2OutputTypeDef:
        with self._speaking(""):
            page = self._client.list_objects_v2(Bucket=self._root.bucket, Prefix=prefix, **more)
            check_listed(page)
            for entry in page.get("Contents", ()):
                check_whole(entry, "Key")
            return page

    def _call(self, key: str, operation: Callable[..., Reply], **arguments: object) -> Reply:
        def once() -> Reply:
            with self._speaking(key):
                return operation(**self._at(key), **arguments)

        return self._patience.call(once)

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._root.bucket, "Key": self._root.name_of(key)}

    @contextmanager
    def _speaking(self, key: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise self._translated(error, key) from error

    def _translated(self, error: Exception, key: str) -> TidelineError:
        trouble = trouble_of(error)
        place = self.uri_of(key)
        if trouble in (Trouble.PRECONDITION, Trouble.NO_UPLOAD):
            return self._occupied(key)
        if isinstance(error, (ChecksumError, FlexibleChecksumError)):
            return damaged(str(error), place)
        if trouble is Trouble.UNAVAILABLE:
            return StoreUnavailableError(f"{trouble.value}: {error}", place=place, remedy=_REMEDIES[trouble])
        return SettingsError(f"{trouble.value}: {error}", place=place, remedy=_REMEDIES[trouble])


def _ask_no_leave(params: dict[str, Any], **_: object) -> None:
    """Send bodies without `Expect: 100-continue`.

    Where a connection ends within the `100 Continue`, botocore reads its end for ever, at full speed and past
    every time-out. It costs a way there and back too, and a second where a proxy keeps the answer to itself.
    """
    params["headers"].pop("Expect", None)


class _Body:
    """A streaming body that fails with our errors, not boto's, and makes boto compare its checksum."""

    def __init__(self, body: Closable, length: int, translate: Callable[[Exception], TidelineError]) -> None:
        self._body = body
        self._missing = length
        self._translate = translate

    def read(self, size: int, /) -> bytes:
        try:
            chunk = self._body.read(size)
            self._missing -= len(chunk)
            if self._missing == 0:
                self._body.read(1)  # only a read past the end makes boto compare
        except FAILURES as error:
            raise self._translate(error) from error
        return chunk

    def close(self) -> None:
        self._body.close()
