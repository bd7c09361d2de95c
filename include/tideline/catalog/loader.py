"""Catalog files → a `Catalog`, or one error that says for every fault file, line, key and remedy.

Knows the folder and what its files are together; one file is read by `tideline.catalog.source_file`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tideline.catalog.column import Declaration
from tideline.catalog.model import Catalog
from tideline.catalog.source_file import SourceFile, read_source
from tideline.catalog.wording import explain
from tideline.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

    from tideline.catalog.column import KeyPath
    from tideline.catalog.model import Dataset, Source

_SUFFIXES = (".yaml", ".yml")
_MAX_REPORTED = 50
"""Problems of one message."""


def load_catalog(directory: Path) -> Catalog:
    """Read every `*.yaml` and `*.yml` of a folder, in the order of their names; subfolders are not read.

    Raises:
        CatalogError: Something is wrong. The message has a line for each problem of each file:
            `path:line: key.path: what was found; what to write`.
    """
    files = [read_source(path) for path in _paths(directory)]
    if any(file.problems for file in files):
        raise _refusal(files)
    sources = tuple(file.source for file in files if file.source is not None)
    try:
        return Catalog(sources=sources)
    except ValidationError as error:
        for (_, index, *within), text in explain(error, Catalog):
            file = files[int(index)]
            file.complain(_as_written(sources[int(index)], tuple(within)), text)
        raise _refusal(files) from error


def _paths(directory: Path) -> list[Path]:
    remedy = "put a YAML file for each source system there, or set TIDELINE_CATALOG_DIR to another folder"
    try:
        names = sorted(path for path in directory.iterdir() if path.suffix.lower() in _SUFFIXES)
    except OSError as error:
        text = f"the catalog's folder cannot be read: {error.strerror}"
        raise CatalogError(text, place=str(directory), remedy=remedy) from error
    paths = [path for path in names if not path.name.startswith(".")]
    if not paths:
        raise CatalogError(
            "the catalog's folder holds no *.yaml or *.yml", place=str(directory), remedy=remedy
        )
    return paths


def _as_written(source: Source, path: KeyPath) -> KeyPath:
    """A place in a source's model as a place in its file."""
    match path:
        case ("datasets", int(index), *key):
            return ("datasets", source.datasets[index].name, *key)
        case _:
            return ("source",)


def _refusal(files: list[SourceFile]) -> CatalogError:
    lines = [line for file in files for line in file.report()]
    if len(lines) == 1:
        return CatalogError(lines[0])
    more = [f"… and {len(lines) - _MAX_REPORTED} more"] if len(lines) > _MAX_REPORTED else []
    return CatalogError("\n".join([f"{len(lines)} problems:", *lines[:_MAX_REPORTED], *more]))


def fingerprint(dataset: Dataset) -> str:
    """16 hex digits that change when the declaration does.

    Descriptions do not count, nor does what equals its default: keys that later versions add count once used.
    """
    text = json.dumps(_semantics(dataset), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _semantics(value: object) -> object:
    if isinstance(value, Declaration):
        fields = type(value).model_fields
        return {
            key: _semantics(getattr(value, key))
            for key in fields
            if key == "kind" or (key != "description" and getattr(value, key) != fields[key].default)
        }
    if isinstance(value, tuple):
        return [_semantics(item) for item in value]
    return value.total_seconds() if isinstance(value, timedelta) else value
