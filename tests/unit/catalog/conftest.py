"""A catalog folder to write mistakes into."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import yaml

from tideline.catalog import document
from tideline.catalog.loader import load_catalog
from tideline.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

Refusal = Callable[..., str]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """What `load_catalog` says about these files, with the folder's name left out."""

    def say(*texts: str | bytes, **named: str) -> str:
        files = {f"file{number}.yaml": text for number, text in enumerate(texts)}
        files |= {f"{name}.yaml": text for name, text in named.items()}
        for name, text in files.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(CatalogError) as caught:
            load_catalog(tmp_path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return say


@pytest.fixture(params=["CBaseLoader", "BaseLoader"])
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """libyaml's parser, and PyYAML's own where libyaml is not there."""
    monkeypatch.setattr(document, "_Loader", getattr(yaml, request.param))
    return str(request.param)
