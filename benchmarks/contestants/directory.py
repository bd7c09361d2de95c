"""A write-once store in a folder, so that a stage is measured without a server's bandwidth in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tideline.errors import AlreadyExistsError
from tideline.lake.writeonce import CHUNK_BYTES, Stat, WriteOnceStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tideline.lake.stream import Closable, Measured


class DirectoryStore(WriteOnceStore):
    """See `Store`; names itself `s3://…`, since manifests know no other URIs."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(f"s3://{name}")
        self._folder = folder / name

    def _create(self, key: str, body: bytes, sha256: str, content_type: str) -> None:
        with self._opened(key) as file:
            file.write(body)

    def _create_large(self, key: str, body: Measured, content_type: str) -> None:
        with self._opened(key) as file:
            while chunk := body.read(CHUNK_BYTES):
                file.write(chunk)

    def _opened(self, key: str) -> BinaryIO:
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.open("xb")
        except FileExistsError as error:
            raise AlreadyExistsError("the object is there already", place=self.uri_of(key)) from error

    def _stat(self, key: str) -> Stat | None:
        path = self._folder / key
        return Stat(path.stat().st_size, None) if path.is_file() else None

    def _fetch(self, key: str, offset: int) -> Closable:
        file = (self._folder / key).open("rb")
        file.seek(offset)
        return file

    def _names(self, prefix: str) -> Iterator[str]:
        names = (
            path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file()
        )
        return iter(sorted(name for name in names if name.startswith(prefix)))
