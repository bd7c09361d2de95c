"""Ranges: the parts that a big load is cut into, each landed and refined by itself, merged as one.

Knows how ranges are numbered, named and gathered again. Does not know what a bound means to a source
(`tideline.land`): here it is any JSON value. All ranges of a load share the clock that was read before any of
them, so that their rows are ordered as those of one landing would be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tideline.errors import IntegrityError
from tideline.window import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from tideline.lake.manifest import Manifest

MOST = 500
"""Ranges of a load; Airflow's default limit on mapped tasks is 1024."""


@dataclass(frozen=True, slots=True)
class Range:
    """One of the ranges of a load: what lies from `lower` on and before `upper`; None is without bound."""

    split_id: str
    """The same for all ranges that were cut together, and for no others."""
    number: int
    """Counts from 0."""
    of: int
    lower: Any
    upper: Any
    planned_at: datetime
    """The clock before the source was read for any of them."""

    def to_json(self) -> dict[str, Any]:
        """Small enough to travel between tasks."""
        return {
            "split_id": self.split_id,
            "number": self.number,
            "of": self.of,
            "lower": self.lower,
            "upper": self.upper,
            "planned_at": format_instant(self.planned_at),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Range:
        """Undo `to_json`."""
        return cls(**{**data, "planned_at": parse_instant(data["planned_at"])})

    def __str__(self) -> str:
        return f"range {self.number + 1} of {self.of}"


def cut(bounds: Sequence[Any], planned_at: datetime, scope: str) -> tuple[Range, ...]:
    """The ranges between ascending bounds, one more than there are bounds; none where there is no bound.

    Args:
        bounds: JSON values, none of them None.
        planned_at: The clock before the source was read.
        scope: What is cut, for the name that the ranges share: dataset and window.
    """
    if not bounds:
        return ()
    named = json.dumps([scope, format_instant(planned_at), list(bounds)])
    split_id = hashlib.sha256(named.encode()).hexdigest()[:16]
    ends = [None, *bounds, None]
    return tuple(
        Range(split_id, number, len(ends) - 1, lower, upper, planned_at)
        for number, (lower, upper) in enumerate(pairwise(ends))
    )


def range_of(manifest: Manifest) -> Range | None:
    """Which range of a load the manifest holds; None where it holds a whole one."""
    found = manifest.details.get("range")
    return None if found is None else Range.from_json(found)


def describe(manifest: Manifest) -> str:
    """`range 2 of 7`, or `a whole load`, for messages."""
    return str(range_of(manifest) or "a whole load")


def in_order(manifests: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """The manifests of all ranges of one load, by number.

    Raises:
        IntegrityError: A range is missing or there twice, or they were not cut together.
    """
    given = sorted(((_known(m), m) for m in manifests), key=lambda pair: pair[0].number)
    first, manifest = given[0]
    windows = {m.window.window_id for _, m in given}
    if len({found.split_id for found, _ in given}) > 1 or len(windows) > 1:
        raise _not_whole("these ranges were not cut together", manifest, "clear land, refine and merge")
    numbers = [found.number for found, _ in given]
    if numbers != list(range(first.of)):
        listed = ", ".join(str(number + 1) for number in numbers)
        raise _not_whole(
            f"a load of {first.of} ranges needs each of them once; here are {listed}",
            manifest,
            "land and refine what is missing, then merge all ranges together",
        )
    return tuple(m for _, m in given)


def _known(manifest: Manifest) -> Range:
    found = range_of(manifest)
    if found is None:
        raise _not_whole("a whole load cannot be merged as a range", manifest, "merge it by itself")
    return found


def _not_whole(found: str, manifest: Manifest, remedy: str) -> IntegrityError:
    return IntegrityError(
        found,
        source=manifest.source,
        dataset=manifest.dataset,
        place=f"window {manifest.window}, {manifest.stage} stage",
        remedy=remedy,
    )
