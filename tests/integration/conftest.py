"""The world that the stories of this folder happen in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from worlds import World, embedded, make_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for each file, on embedded servers."""
    yield from make_world(tmp_path_factory.mktemp("world"), embedded())
