"""The write-once store on Google Cloud Storage. Knows google-cloud-storage and nothing of what is stored."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as storage_exceptions
from google.cloud.storage.retry import DEFAULT_RETRY
from urllib3.exceptions import HTTPError

from tideline.errors import SettingsError, StoreUnavailableError, TidelineError
from tideline.lake.store import DEFAULT_PATIENCE
from tideline.lake.stream import damaged
from tideline.lake.writeonce import CHUNK_BYTES, Stat, WriteOnceStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from google.api_core.retry import Retry
    from google.cloud.storage import Blob, Bucket, Client
    from google.cloud.storage.fileio import BlobReader

    from tideline.lake.retry import Patience
    from tideline.lake.stream import Closable, Measured

_TIMEOUT_SECONDS = (10.0, 60.0)
"""To connect, and between bytes."""
_CONDITION_FAILED = 412
_TRANSIENT_STATUS = frozenset({408, 409, 429})

_FAILURES = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    storage_exceptions.InvalidResponse,
    storage_exceptions.DataCorruption,
    HTTPError,
    OSError,
    ValueError,
)
"""What a call may raise; ValueError where a broken upload and its stream no longer agree on the position."""


class GcsStore(WriteOnceStore):
    """A bucket on Google Cloud Storage; see `Store`.

    Args:
        root_uri: `gs://bucket/optional-prefix`.
        client: A google-cloud-storage client, or a function that makes one when it is first needed; None for
            one with the application default credentials.
        patience: How often and how long a call is tried again.
    """

    def __init__(
        self,
        root_uri: str,
        client: Client | Callable[[], Client] | None = None,
        *,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        super().__init__(root_uri, patience=patience)
        self._given = client

    @cached_property
    def _bucket(self) -> Bucket:
        if self._given is None:
            from google.cloud import storage

            with self._speaking(""):
                return storage.Client().bucket(self._root.bucket)
        client = self._given() if callable(self._given) else self._given
        return client.bucket(self._root.bucket)

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        blob = self._blob(key)
        blob.metadata = {"sha256": sha256}
        with self._speaking(key):
            blob.upload_from_string(
                body, content_type=content_type, if_generation_match=0, retry=None, timeout=_TIMEOUT_SECONDS
            )

    def _create_large(self, key: str, body: Measured, content_type: str) -> None:
        """A resumable upload: invisible until its last chunk; Google drops an unfinished one after a week."""
        with self._speaking(key, body):
            self._blob(key, chunk_size=CHUNK_BYTES).upload_from_file(
                body,
                content_type=content_type,
                if_generation_match=0,
                retry=self._retry,
                timeout=_TIMEOUT_SECONDS,
            )

    def _stat(self, key: str) -> Stat | None:
        with self._speaking(key):
            blob = self._bucket.get_blob(self._root.name_of(key), retry=None, timeout=_TIMEOUT_SECONDS)
        return None if blob is None else Stat(int(blob.size), (blob.metadata or {}).get("sha256"))

    def _fetch(self, key: str, offset: int) -> Closable:
        """Reads by ranges of one chunk, so a slow reader holds no connection."""
        reader = self._blob(key).open(
            "rb", chunk_size=CHUNK_BYTES, retry=None, timeout=_TIMEOUT_SECONDS, raw_download=True
        )
        with self._speaking(key):
            reader.seek(offset)
        return _Reader(reader, partial(self._speaking, key))

    def _names(self, prefix: str) -> Iterator[str]:
        with self._speaking(""):
            blobs = self._bucket.list_blobs(prefix=prefix, retry=self._retry, timeout=_TIMEOUT_SECONDS)
            for blob in blobs:
                yield blob.name

    @property
    def _retry(self) -> Retry:
        """For calls that cannot simply be made again as a whole: bounded by the same deadline."""
        rule = self._patience
        return DEFAULT_RETRY.with_timeout(rule.deadline_seconds).with_delay(
            initial=rule.pause_seconds, maximum=rule.longest_pause_seconds
        )

    def _blob(self, key: str, chunk_size: int | None = None) -> Blob:
        return self._bucket.blob(self._root.name_of(key), chunk_size=chunk_size)

    @contextmanager
    def _speaking(self, key: str, body: Measured | None = None) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            if body is not None and body.failure is not None:
                raise body.failure from None
            raise self._translated(error, key) from error

    def _translated(self, error: Exception, key: str) -> TidelineError:
        status = _status_of(error)
        place = self.uri_of(key)
        if status == _CONDITION_FAILED:
            return self._occupied(key)
        if isinstance(error, storage_exceptions.DataCorruption):
            return damaged(str(error), place)
        if _is_transient(error, status):
            return StoreUnavailableError(
                f"the server does not answer, or sheds load: {error}",
                place=place,
                remedy="see whether it is up and reachable from here; the task retries",
            )
        return SettingsError(f"the server refuses the request: {error}", place=place, remedy=_remedy(status))


class _Reader:
    """A ranged reader that fails with our errors instead of Google's."""

    def __init__(self, reader: BlobReader, speaking: Callable[[], AbstractContextManager[None]]) -> None:
        self._reader = reader
        self._speaking = speaking

    def read(self, size: int, /) -> bytes:
        with self._speaking():
            return cast("bytes", self._reader.read(size))

    def close(self) -> None:
        self._reader.close()


def _status_of(error: Exception) -> int | None:
    if isinstance(error, api.GoogleAPICallError):
        return cast("int | None", error.code)
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _is_transient(error: Exception, status: int | None) -> bool:
    if isinstance(error, auth.GoogleAuthError):
        return isinstance(error, auth.TransportError) or bool(error.retryable)
    if status is None:
        return True
    return status >= 500 or status in _TRANSIENT_STATUS  # noqa: PLR2004 - the server errors of HTTP


def _remedy(status: int | None) -> str:
    if status == 404:  # noqa: PLR2004
        return "create the bucket, or correct the TIDELINE_*_URI variable that names it"
    if status == 403:  # noqa: PLR2004
        return "grant roles/storage.objectCreator and objectViewer on this bucket to the service account"
    return "correct the credentials of the lake's connection"
