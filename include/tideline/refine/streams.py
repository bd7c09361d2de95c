"""The plain bytes of a stored part, in bounded memory. Knows zstd and part names; knows no record format."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from tideline.errors import IntegrityError

if TYPE_CHECKING:
    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Part


class PartReader:
    """Reads one part; decompresses it if its name ends in `.zst`.

    Args:
        dataset: What the part belongs to, for messages.
        part: Which part it is.
        stream: Its bytes as stored. Only `read(size)` is used.
    """

    closed = False

    def __init__(self, dataset: Dataset, part: Part, stream: BinaryIO) -> None:
        self._dataset = dataset
        self._part = part
        self._stored = _Stored(stream)
        zstd = part.uri.endswith(".zst")
        self._plain = (
            pa.CompressedInputStream(pa.PythonFile(self._stored, mode="r"), "zstd") if zstd else None
        )

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end.

        Raises:
            IntegrityError: The compressed stream is damaged or ends early.
        """
        if self._plain is None:
            return self._stored.read(size)
        try:
            content: bytes = self._plain.read(size)
        except (OSError, pa.ArrowException) as error:
            if error is self._stored.failure:
                raise
            raise IntegrityError(
                f"the stored part cannot be decompressed: {error}",
                source=self._dataset.source,
                dataset=self._dataset.name,
                place=self._part.uri,
                remedy="land the window again; what is stored here is not what was written",
            ) from error
        return content


class _Stored:
    """What Arrow asks of a Python file. Does not know its reader: nobody frees a cycle through Arrow."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes as stored; remembers a failure of the store as such."""
        try:
            return self._stream.read(size)
        except OSError as error:
            self.failure = error
            raise

    def close(self) -> None:
        """Nothing: the stream is its opener's to close."""
