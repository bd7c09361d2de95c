"""The header of a CSV object against the contract: which field is which column. Knows names, not values."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import category, normalize

from tideline.errors import ContractError
from tideline.refine.csv_exact import split_record
from tideline.refine.fields import ConformError, record_of

if TYPE_CHECKING:
    from tideline.catalog.model import Column, CsvDataset
    from tideline.refine.fields import Field
    from tideline.refine.place import Place

_SHOWN = 60
_FORMAT = "Cf"
"""Unicode's category of characters without width, such as the zero width space and the byte order mark."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A declared column and its place among the fields of a record."""

    member: Field
    position: int

    @property
    def column(self) -> Column:
        """The declaration."""
        return self.member.column


@dataclass(frozen=True, slots=True)
class Extra:
    """A field that nobody declared."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a header says: the declared columns in catalog order, the others in file order."""

    slots: tuple[Slot, ...]
    extras: tuple[Extra, ...]
    missing: tuple[Field, ...]
    """Declared columns that the object does not have, in catalog order: they are NULL in all its rows."""
    width: int


def read_header(raw: bytes, dataset: CsvDataset, place: Place) -> Layout:
    """Compare the header record with the declared columns. Order does not matter, spelling does.

    A nullable column may be missing, so that objects from before the catalog gained it can be replayed.

    Raises:
        ContractError: It is not a CSV record, names are empty or double, a required column is missing or any
            is spelt otherwise, or there is an undeclared one and the dataset refuses those.
    """
    names = _names(raw, dataset, place)
    members = record_of(dataset).fields
    _check_names(names, members, place)
    index = {name: position for position, name in enumerate(names)}
    declared = {member.column.field for member in members}
    present = [member for member in members if member.column.field in index]
    slots = tuple(Slot(member, index[member.column.field]) for member in present)
    missing = tuple(member for member in members if member.column.field not in index)
    extras = tuple(Extra(name, position) for name, position in index.items() if name not in declared)
    if extras and dataset.unknown_columns == "refuse":
        raise ContractError(
            f"the header has undeclared columns: {_listed([extra.name for extra in extras])}",
            remedy="declare them in the catalog, or set unknown_columns to evolve to keep them in _extra",
            **place.where,
        )
    return Layout(slots, extras, missing, len(names))


def _names(raw: bytes, dataset: CsvDataset, place: Place) -> list[str]:
    try:
        return [cell.text for cell in split_record(raw, dataset.dialect)]
    except ConformError as error:
        raise ContractError(
            f"the header cannot be read: {error.reason}, {error.detail}",
            remedy="have the object written as its dialect in the catalog says, or correct the dialect",
            **place.where,
        ) from None


def _check_names(names: list[str], members: tuple[Field, ...], place: Place) -> None:
    found = f"found {_listed(names)}"
    if not all(name.strip() for name in names):
        number = next(number for number, name in enumerate(names, 1) if not name.strip())
        raise ContractError(
            f"column {number} of the header has no name; {found}",
            remedy="have every column named; a delimiter at the end of the header makes an empty one",
            **place.where,
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ContractError(
            f"the header names {_listed(twice)} more than once; {found}",
            remedy="have each column named once",
            **place.where,
        )
    _check_missing(names, members, place)


def _check_missing(names: list[str], members: tuple[Field, ...], place: Place) -> None:
    declared = [member.column.field for member in members]
    absent = [member for member in members if member.column.field not in names]
    similar = _similar([name for name in names if name not in declared], absent)
    if not similar and not any(member.required for member in absent):
        return
    whole = len(absent) == len(members)
    missing = [
        member.column.field for member in absent if whole or member.required or member.column.field in similar
    ]
    raise ContractError(
        f"the header lacks declared columns: {_listed(missing)}; expected {_listed(declared)} in any order, "
        f"found {_listed(names)}",
        remedy=_remedy(similar, whole=whole),
        **place.where,
    )


def _similar(undeclared: list[str], absent: list[Field]) -> dict[str, str]:
    """Absent field → the undeclared name in the file that differs from it by case or by what nobody sees."""
    close = {_visible(name).casefold(): name for name in undeclared}
    found = {member.column.field: close.get(_visible(member.column.field).casefold()) for member in absent}
    return {field: name for field, name in found.items() if name is not None}


def _visible(name: str) -> str:
    """What is seen of a name: letters in one Unicode form, all blanks one space, nothing without width."""
    shown = (character for character in normalize("NFC", name) if category(character) != _FORMAT)
    return " ".join("".join(shown).split())


def _remedy(similar: dict[str, str], *, whole: bool) -> str:
    for field, name in similar.items():
        # As YAML reads it; in escapes where it looks just like what is declared.
        looks_the_same = not name.isascii() and _visible(field) == _visible(name)
        spelt = json.dumps(name) if looks_the_same else repr(name)
        return f"the file spells {field!r} as {spelt}: give the column `field: {spelt}` in the catalog"
    if whole:
        return (
            "check that the first record is a header, and that delimiter and encoding are as in the dialect"
        )
    return "have the object written with these columns, or correct the catalog; nothing of it was taken"


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
