"""The write-once store: one small interface over S3/MinIO and GCS. The URI decides which.

Nothing is ever overwritten: every write is conditional on the key not existing. Nothing is deleted. What a
particular server speaks is in `tideline.lake.s3` and `tideline.lake.gcs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tideline.errors import IntegrityError, SettingsError
from tideline.lake.keys import key_in
from tideline.lake.retry import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from google.cloud.storage import Client as GcsClient
    from mypy_boto3_s3 import S3Client

    from tideline.lake.stream import Readable

BINARY = "application/octet-stream"
DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Written:
    """What a finished write reports: where, how many bytes, and their SHA-256 in hexadecimal."""

    uri: str
    bytes: int
    sha256: str


class Store(Protocol):
    """A bucket with an optional prefix. Keys are relative to it; URIs are absolute.

    All methods raise `StoreUnavailableError` when the server does not answer within the store's patience, and
    `SettingsError` when bucket, credentials or endpoint have to be put right by a person first.
    """

    root: str

    def uri_of(self, key: str) -> str:
        """The absolute URI of a key."""

    def key_of(self, uri: str) -> str:
        """The key of an absolute URI, as the lake spells it, wherever it lay; else `IntegrityError`."""

    def put(self, key: str, body: bytes, *, content_type: str = BINARY) -> Written:
        """Create the object; where it exists with these very bytes, a success (a reply was lost).

        Raises:
            AlreadyExistsError: It exists with other bytes.
        """

    def put_file(self, key: str, body: Readable, *, content_type: str = BINARY) -> Written:
        """`put` for a body of any size that need not be seekable, in bounded memory.

        Whatever the body's `read` raises passes through, and nothing is visible then.
        """

    def read(self, key: str) -> bytes:
        """The whole object; `IntegrityError` where there is none or it is damaged."""

    def open(self, key: str, *, sha256: str | None = None) -> AbstractContextManager[BinaryIO]:
        """The object as a buffered stream that takes up a broken connection where it broke.

        The end of the stream raises `IntegrityError` where bytes are missing or do not hash to `sha256` (or,
        where that is not given, to the checksum stored with the object).
        """

    def exists(self, key: str) -> bool:
        """Whether the object is there."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with the prefix, ascending, however many."""


@dataclass(frozen=True, slots=True)
class Root:
    """A bucket and a prefix in it: `s3://bucket/some/prefix`."""

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, uri: str) -> Root:
        """Read a root URI.

        Raises:
            SettingsError: It is neither `s3://bucket…` nor `gs://bucket…`.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, prefix = rest.partition("/")
        if scheme not in ("s3", "gs") or not bucket:
            raise SettingsError(
                f"{uri!r} is not the URI of a store",
                remedy="write it as s3://bucket/optional-prefix or gs://bucket/optional-prefix",
            )
        return cls(scheme, bucket, prefix.strip("/"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def name_of(self, key: str) -> str:
        """The object's name in the bucket."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def uri_of(self, key: str) -> str:
        """The object's absolute URI."""
        return f"{self}/{key}"

    def key_of_name(self, name: str) -> str:
        """The key of an object's name in the bucket."""
        return name[len(self.prefix) + 1 :] if self.prefix else name

    def key_of(self, uri: str) -> str:
        """The key of an absolute URI; of one elsewhere the key that it ends with: a lake may have been moved.

        Raises:
            IntegrityError: It lies outside this root, and ends with no key of a lake.
        """
        root = f"{self}/"
        if uri.startswith(root) and uri != root:
            return uri[len(root) :]
        if key := key_in(uri):
            return key
        raise IntegrityError(
            f"{uri} does not lie in the store {self}",
            remedy="set the TIDELINE_*_URI variable to the bucket and prefix under which it was written",
        )


def here(store: Store, uri: str) -> str:
    """The URI of the same object in this store, if it lay elsewhere before the lake was moved."""
    key = key_in(uri)
    return uri if key is None else store.uri_of(key)


def open_store(
    uri: str,
    *,
    s3_client: S3Client | Callable[[], S3Client] | None = None,
    gcs_client: GcsClient | Callable[[], GcsClient] | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Store:
    """The store at that URI.

    Args:
        uri: `s3://bucket/optional-prefix` or `gs://bucket/optional-prefix`.
        s3_client: A boto3 S3 client, or a function that makes one when it is first needed; None for boto3's
            own.
        gcs_client: The same for google-cloud-storage.
        patience: How often and how long a call is tried again.

    Raises:
        SettingsError: The URI is neither.
    """
    root = Root.parse(uri)
    if root.scheme == "s3":
        from tideline.lake.s3 import S3Store

        return S3Store(uri, s3_client, patience=patience)
    from tideline.lake.gcs import GcsStore

    return GcsStore(uri, gcs_client, patience=patience)
