"""What write-once means, the same for every server: create only, settle lost replies, read back checked.

Knows the rules. What a server speaks is in the five methods that `S3Store` and `GcsStore` fill in.
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from tideline.errors import AlreadyExistsError, IntegrityError, StoreUnavailableError
from tideline.lake.store import BINARY, DEFAULT_PATIENCE, Root, Written
from tideline.lake.stream import BUFFER_BYTES, Measured, ResumingReader, read_fully

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.lake.retry import Patience
    from tideline.lake.stream import Closable, Readable

CHUNK_BYTES = 8 << 20
"""Bodies below this go in one request with their checksum beside them; larger ones in chunks."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a server says of an object: its length in bytes, and our checksum where one is stored."""

    length: int
    sha256: str | None


class WriteOnceStore(ABC):
    """A `Store` over five things a server can do. Every key is created once and never replaced."""

    def __init__(self, root_uri: str, *, patience: Patience = DEFAULT_PATIENCE) -> None:
        self._root = Root.parse(root_uri)
        self._patience = patience
        self.root = str(self._root)

    def uri_of(self, key: str) -> str:
        """See `Store.uri_of`."""
        return self._root.uri_of(key)

    def key_of(self, uri: str) -> str:
        """See `Store.key_of`."""
        return self._root.key_of(uri)

    def put(self, key: str, body: bytes, *, content_type: str = BINARY) -> Written:
        """See `Store.put`."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            self._patience.call(partial(self._create, key, body, digest, content_type))
        except AlreadyExistsError as error:
            self._settle(key, len(body), digest, error)
        return Written(self.uri_of(key), len(body), digest)

    def put_file(self, key: str, body: Readable, *, content_type: str = BINARY) -> Written:
        """See `Store.put_file`."""
        first = read_fully(body, CHUNK_BYTES)
        if len(first) < CHUNK_BYTES:
            return self.put(key, first, content_type=content_type)
        measured = Measured(first, body)
        try:
            self._create_large(key, measured, content_type)
        except AlreadyExistsError as error:
            measured.drain()
            self._settle(key, measured.bytes, measured.sha256, error)
        return Written(self.uri_of(key), measured.bytes, measured.sha256)

    def read(self, key: str) -> bytes:
        """See `Store.read`."""
        with self.open(key) as stream:
            return stream.read()

    @contextmanager
    def open(self, key: str, *, sha256: str | None = None) -> Iterator[BinaryIO]:
        """See `Store.open`."""
        stat = self._known(key)
        raw = ResumingReader(
            partial(self._fetch, key),
            length=stat.length,
            sha256=sha256 or stat.sha256,
            place=self.uri_of(key),
            patience=self._patience,
        )
        with closing(io.BufferedReader(raw, BUFFER_BYTES)) as stream:
            yield cast("BinaryIO", stream)

    def exists(self, key: str) -> bool:
        """See `Store.exists`."""
        return self._patience.call(partial(self._stat, key)) is not None

    def list(self, prefix: str) -> Iterator[str]:
        """See `Store.list`."""
        for name in self._names(self._root.name_of(prefix)):
            yield self._root.key_of_name(name)

    def _known(self, key: str) -> Stat:
        stat = self._patience.call(partial(self._stat, key))
        if stat is None:
            raise IntegrityError(
                "there is no such object",
                place=self.uri_of(key),
                remedy="run the step that writes it again; if a manifest names it, the bucket lost it",
            )
        return stat

    def _settle(self, key: str, length: int, digest: str, error: AlreadyExistsError) -> None:
        """Somebody was there first: ourselves, with a reply that got lost, or somebody else?"""
        stat = self._patience.call(partial(self._stat, key))
        if stat is None:
            raise StoreUnavailableError(
                "the object was said to exist but is not there",
                place=self.uri_of(key),
                remedy="nothing if it passes; the task retries",
            ) from error
        if stat.length != length or (stat.sha256 or self._hash(key)) != digest:
            raise error

    def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        with self.open(key) as stream:
            while chunk := stream.read(BUFFER_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def _occupied(self, key: str) -> AlreadyExistsError:
        return AlreadyExistsError(
            "a write-once object is there already, with other content",
            place=self.uri_of(key),
            remedy="run the task again (a new attempt writes under a new name); never delete from the lake",
        )

    @abstractmethod
    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        """One attempt to create the object; `AlreadyExistsError` where there is one."""

    @abstractmethod
    def _create_large(self, key: str, body: Measured, content_type: str) -> None:
        """Create the object from chunks of a body that can be read once; all or nothing."""

    @abstractmethod
    def _stat(self, key: str) -> Stat | None:
        """One attempt to ask what the object is; None where there is none."""

    @abstractmethod
    def _fetch(self, key: str, offset: int) -> Closable:
        """One attempt to open the object from an offset on; write-once, so it cannot change in between."""

    @abstractmethod
    def _names(self, prefix: str) -> Iterator[str]:
        """The names in the bucket that begin with the prefix, ascending."""
