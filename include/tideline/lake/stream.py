"""Streams into and out of the lake in bounded memory, with sizes and checksums. Knows no store's protocol."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Protocol

from tideline.errors import IntegrityError, RetriableError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from tideline.lake.retry import Patience

BUFFER_BYTES = 1 << 20


class Readable(Protocol):
    """Anything with a `read` that gives at most so many bytes, and none at the end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


class Closable(Readable, Protocol):
    """A readable that holds something until it is closed."""

    def close(self) -> object:
        """Let go of it."""


def read_fully(body: Readable, size: int) -> bytes:
    """Exactly `size` bytes, fewer only at the end; a stream may give fewer than asked for at any time."""
    pieces: list[bytes] = []
    missing = size
    while missing > 0 and (piece := body.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def damaged(found: str, place: str) -> IntegrityError:
    """The error for an object whose bytes are not those that were written."""
    return IntegrityError(
        f"the object is damaged: {found}",
        place=place,
        remedy="run the step that wrote it again, and check the storage behind this bucket",
    )


class Measured:
    """A body on its way into the lake: gives whole chunks, and knows size and SHA-256 of what it gave.

    `failure` is what the body itself raised, so that it is not mistaken for a failure of the store.
    """

    def __init__(self, first: bytes, rest: Readable) -> None:
        self._first = first
        self._rest = rest
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.failure: Exception | None = None

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        try:
            head, self._first = self._first[:size], self._first[size:]
            chunk = head if len(head) == size else head + read_fully(self._rest, size - len(head))
        except Exception as error:
            self.failure = error
            raise
        self._hash.update(chunk)
        self.bytes += len(chunk)
        return chunk

    def tell(self) -> int:
        """How many bytes it gave."""
        return self.bytes

    def drain(self) -> None:
        """Give the rest to nobody, so that size and checksum are those of the whole body."""
        while self.read(BUFFER_BYTES):
            pass

    @property
    def sha256(self) -> str:
        """The SHA-256 of what it gave, in hexadecimal."""
        return self._hash.hexdigest()


class ResumingReader(io.RawIOBase):
    """One stored object from its first byte to its last, taken up again where a connection broke.

    Args:
        fetch: Gives the object's bytes from an offset on.
        length: How many bytes the object has.
        sha256: What they hash to in hexadecimal, checked at the end; None where nobody knows.
        place: The object's URI, for messages.
        patience: How often and how long one read is tried again.
    """

    def __init__(
        self,
        fetch: Callable[[int], Closable],
        *,
        length: int,
        sha256: str | None,
        place: str,
        patience: Patience,
    ) -> None:
        super().__init__()
        self._fetch = fetch
        self._length = length
        self._expected = sha256
        self._place = place
        self._patience = patience
        self._stream: Closable | None = None
        self._position = 0
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """Always; it neither seeks nor writes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill some of the buffer, 0 bytes at the end.

        Raises:
            IntegrityError: The object ended before its length, or is not what its checksum says.
            StoreUnavailableError: The connection kept breaking.
        """
        target = memoryview(buffer).cast("B")
        chunk = self._next(min(len(target), self._length - self._position))
        target[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()

    def _next(self, size: int) -> bytes:
        if size == 0:
            return b""
        budget = self._patience.begin()
        while True:
            try:
                return self._take(size)
            except RetriableError as error:
                self._drop()
                self._pause_or_tell(budget.pause, error)

    def _take(self, size: int) -> bytes:
        if self._stream is None:
            self._stream = self._fetch(self._position)
        chunk = self._stream.read(size)
        if not chunk:
            raise _ShortError("the object ended early", place=self._place)
        self._position += len(chunk)
        self._hash.update(chunk)
        self._check_end()
        return chunk

    def _pause_or_tell(self, pause: Callable[[RetriableError], None], error: RetriableError) -> None:
        try:
            pause(error)
        except _ShortError:
            raise damaged(
                f"the object has {self._length} bytes but gave only {self._position}", self._place
            ) from error

    def _check_end(self) -> None:
        if self._position < self._length or self._expected is None:
            return
        if self._hash.hexdigest() != self._expected:
            raise damaged(f"its SHA-256 is {self._hash.hexdigest()}, expected {self._expected}", self._place)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _ShortError(StoreUnavailableError):
    """A stream ended cleanly before the object did."""
