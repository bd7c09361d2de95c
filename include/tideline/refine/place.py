"""Where a decoder is: for error messages. Knows names only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tideline.catalog.model import Dataset
    from tideline.lake.manifest import Part


@dataclass(frozen=True, slots=True)
class Place:
    """One part of one dataset."""

    source: str
    dataset: str
    uri: str
    key: str
    """The name of the object at the source that the part is a copy of; the URI where nobody knows."""

    @property
    def where(self) -> dict[str, str]:
        """What every Tideline error takes: source, dataset, place."""
        copy = f"{self.key}, landed as {self.uri}" if self.key != self.uri else self.uri
        return {"source": self.source, "dataset": self.dataset, "place": copy}


def place_of(dataset: Dataset, part: Part) -> Place:
    """The place of a part, with the key under which the source has it."""
    return Place(dataset.source, dataset.name, part.uri, str(part.origin.get("key") or part.uri))
