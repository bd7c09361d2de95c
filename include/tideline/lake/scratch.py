"""The worker's own disk: what a failure of a temporary file means. Knows no store and no file's contents."""

from __future__ import annotations

import logging
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tideline.errors import DiskError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


@contextmanager
def on_disk(place: str) -> Iterator[None]:
    """Turn a failure of a temporary file into ours; `place` is what the file was to become.

    Raises:
        DiskError: The disk is full, or cannot be written or read.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"a temporary file in {tempfile.gettempdir()} fails: {error.strerror or error}",
            place=place,
            remedy="free space there or give the worker a larger disk (TMPDIR says where); the task retries",
        ) from error


@contextmanager
def letting_go(place: str) -> Iterator[None]:
    """Let go of a temporary file that nobody needs any more: its failure must not hide the one before it."""
    try:
        yield
    except OSError as error:
        log.debug("a temporary file of %s could not be closed properly: %s", place, error)
