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
        self._stored = stream
        self._failure: OSError | None = None
        zstd = part.uri.endswith(".zst")
        self._plain = (
            pa.CompressedInputStream(pa.PythonFile(_Stored(self), mode="r"), "zstd") if zstd else None
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
            if error is self._failure:
                raise
            raise IntegrityError(
                f"the stored part cannot be decompressed: {error}",
                source=self._dataset.source,
                dataset=self._dataset.name,
                place=self._part.uri,
                remedy="land the window again; what is stored here is not what was written",
            ) from error
        return content

    def read_stored(self, size: int) -> bytes:
        """Up to `size` bytes as stored; remembers a failure of the store as such."""
        try:
            return self._stored.read(size)
        except OSError as error:
            self._failure = error
            raise


class _Stored:
    """What Arrow asks of a Python file."""

    closed = False

    def __init__(self, reader: PartReader) -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        return self._reader.read_stored(size)
