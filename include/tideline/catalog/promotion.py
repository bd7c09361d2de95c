"""Declares a field that a source began to send: an edit of the catalog's YAML that leaves the rest as it is.

Knows the catalog's spelling. An edit counts only once the whole catalog has been loaded with it, and nothing
but the one column is found to differ. Does not know which fields are new (`tideline.status`).
"""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tideline.catalog.loader import load_catalog
from tideline.catalog.paths import resolve
from tideline.catalog.yaml_edit import add_to_mapping, pairs, replace_node, scalar
from tideline.errors import CatalogError

if TYPE_CHECKING:
    from tideline.catalog.column import Column
    from tideline.catalog.model import AnyDataset, Catalog
    from tideline.catalog.paths import Place

_TYPES = {
    "bool": "bool",
    "boolean": "bool",
    "int32": "int64",
    "int64": "int64",
    "double": "float64",
    "decimal128": "bignumeric",
    "number": "bignumeric",
    "string": "string",
    "symbol": "string",
    "objectId": "string",
    "date": "timestamp",
    "binary": "bytes",
    "document": "json",
    "object": "json",
    "array": "json",
}
"""For the types of BSON and JSON values the column type that takes every value of them. JSON's numbers may be
money, so they are decimals, with room for the 16 places of a coordinate; what is in an array or document of
unknown make is JSON."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A change of one catalog file, for review.

    Attributes:
        path: The file.
        before: Its text.
        after: Its text with the change.
        column: The column that is new or has another type.
    """

    path: Path
    before: str
    after: str
    column: Column

    @property
    def diff(self) -> str:
        """As `patch -p1` and `git apply` take it, from the folder in which it was made."""
        here = Path.cwd()
        name = self.path.relative_to(here) if self.path.is_relative_to(here) else Path(self.path.name)
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            f"a/{name.as_posix()}",
            f"b/{name.as_posix()}",
        )
        whole = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
        return "".join(whole)

    def write(self) -> None:
        """Put the change into the file, all at once.

        Raises:
            CatalogError: Somebody has changed the file since it was read, or it cannot be written.
        """
        try:
            if _read(self.path) != self.before:
                raise CatalogError(
                    "the file was changed meanwhile", place=str(self.path), remedy="run the command again"
                )
            mode = self.path.stat().st_mode
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", newline="", dir=self.path.parent, prefix=".promote-", delete=False
            ) as file:
                file.write(self.after)
            Path(file.name).chmod(mode)
            os.replace(file.name, self.path)  # noqa: PTH105 - as one step, over the file that is there
        except OSError as error:
            raise CatalogError(
                f"the file cannot be written: {error.strerror}",
                place=str(self.path),
                remedy="apply the diff where the catalog can be written",
            ) from error


def suggested_type(dataset: AnyDataset, example: str) -> str | None:
    """The column type for a new field, from drift's example; None where that does not tell."""
    return "string" if dataset.kind == "s3_csv" else _TYPES.get(example)


def column_name(field: str) -> str:
    """A column's name for a field's: `loyaltyTier` → `loyalty_tier`, `e-mail` → `e_mail`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "field"
    return f"field_{name}" if name[0].isdigit() else name


def promote(directory: Path, dataset_id: str, field: str, type_text: str) -> Promotion:
    """The edit that declares the field as a column of that type, or gives its column that type.

    Args:
        directory: The catalog's folder.
        dataset_id: Whose field.
        field: Its path at the source, as drift has it: `loyaltyTier`, `shipping.insured`, `items[].by`.
        type_text: The type as the catalog spells it.

    Raises:
        CatalogError: The dataset or its record is not declared, the field is declared so already, another has
            its column's name, the type is none, or the file is laid out in a way that only a person can edit.
    """
    catalog = load_catalog(directory)
    dataset = catalog.dataset(dataset_id)
    place = resolve(dataset.columns, field)
    path, before = _file_of(directory, dataset)
    _check_name(dataset, place, type_text, path)
    after = _edited(path, before, dataset, place, type_text)
    changed = _loaded(directory, path, after)
    column = _only_change(catalog, changed, dataset_id, field)
    if column is None:
        raise CatalogError(
            f"the layout of the file does not allow to change the column for {field!r} alone",
            source=dataset.source,
            dataset=dataset.name,
            place=str(path),
            remedy="is it shared by an anchor (&, *) or a merge key (<<)? declare the column by hand",
        )
    if after == before:
        raise CatalogError(
            f"the field {field!r} is declared already, as the column {column.name} of type {type_text}",
            source=dataset.source,
            dataset=dataset.name,
            place=str(path),
            remedy="nothing has to be done; give --type to change the type",
        )
    return Promotion(path, before, after, column)


def _check_name(dataset: AnyDataset, place: Place, type_text: str, path: Path) -> None:
    """A column's name is made of the field's, so that of two fields both may want the same."""
    name = column_name(place.field)
    columns = place.records[-1].columns if place.records else dataset.columns
    taken = next((column for column in columns if column.name.lower() == name), None)
    if place.column is not None or taken is None:
        return
    raise CatalogError(
        f"the column name {name} of the field {place.field!r} is taken by the column of {taken.field!r}",
        source=dataset.source,
        dataset=dataset.name,
        place=str(path),
        remedy=f"declare it by hand under another name, such as `{name}_2: {{field: {place.field!r}, type: "
        f"{type_text!r}}}`; or, if the source now spells {taken.field!r} so, give the column {taken.name} "
        f"`field: {place.field!r}`",
    )


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def _file_of(directory: Path, dataset: AnyDataset) -> tuple[Path, str]:
    for path in sorted(directory.iterdir()):
        if path.suffix.lower() in (".yaml", ".yml") and not path.name.startswith("."):
            text = _read(path)
            root = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
            if scalar(pairs(root).get("source")) == dataset.source:
                return path, text
    raise CatalogError(
        f"no file declares the source {dataset.source!r}", place=str(directory), remedy="load it again"
    )


def _edited(path: Path, text: str, dataset: AnyDataset, place: Place, type_text: str) -> str:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    bare = text.removeprefix(mark)
    node: Any = yaml.compose(bare, Loader=yaml.SafeLoader)
    for key in ("datasets", dataset.name, "columns"):
        node = pairs(node).get(key)
    for record in place.records:
        node = pairs(pairs(node).get(record.name)).get("columns")
    if not isinstance(node, yaml.MappingNode):
        raise CatalogError(
            f"the columns around {place.field!r} are not written out",
            source=dataset.source,
            dataset=dataset.name,
            place=str(path),
            remedy="declare the column by hand",
        )
    if place.column is None:
        return mark + add_to_mapping(
            bare, node, column_name(place.field), _declaration(place.field, type_text)
        )
    declared = pairs(node).get(place.column.name)
    kind = pairs(declared).get("type") if isinstance(declared, yaml.MappingNode) else declared
    return text if kind is None else mark + replace_node(bare, kind, type_text)


def _declaration(field: str, type_text: str) -> dict[str, str]:
    """The keys of the new column; a column whose name is the field's needs its type alone."""
    return {"type": type_text} if column_name(field) == field else {"field": field, "type": type_text}


def _loaded(directory: Path, changed: Path, text: str) -> Catalog:
    """The catalog as it would be; its complaints name the real files."""
    with tempfile.TemporaryDirectory(prefix="tideline-promote-") as folder:
        for path in directory.iterdir():
            if path.suffix.lower() in (".yaml", ".yml"):
                (Path(folder) / path.name).write_bytes(path.read_bytes())
        (Path(folder) / changed.name).write_bytes(text.encode())
        try:
            return load_catalog(Path(folder))
        except CatalogError as error:
            raise CatalogError(
                f"with the column the catalog would not load: {error.message}".replace(
                    folder, str(directory)
                ),
                place=str(changed),
                remedy="choose another --type, or declare the column by hand",
            ) from error


def _only_change(before: Catalog, after: Catalog, dataset_id: str, field: str) -> Column | None:
    """The column that the edit made or changed; None where more differs than that, or something else."""
    place = resolve(after.dataset(dataset_id).columns, field)
    names = [record.name for record in place.records]

    def rest(catalog: Catalog) -> list[dict[str, Any]]:
        return [
            {**spelled, "columns": _without(spelled["columns"], names, place.field)}
            if dataset.dataset_id == dataset_id
            else spelled
            for dataset in catalog.datasets
            for spelled in (dataset.model_dump(),)
        ]

    return place.column if rest(before) == rest(after) else None


def _without(columns: list[dict[str, Any]], records: list[str], field: str) -> list[dict[str, Any]]:
    """Columns but for the one of that field in the innermost of those records."""
    if not records:
        return [column for column in columns if column["field"] != field]
    return [
        {**column, "columns": _without(column["columns"], records[1:], field)}
        if column["name"] == records[0]
        else column
        for column in columns
    ]
