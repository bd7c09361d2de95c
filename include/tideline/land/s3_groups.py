"""Groups of a CSV family's objects: how a big load is dealt out, and which objects one group takes.

Objects are dealt in the order in which they should win, so that the groups' parts are in that order too. A
bound is the time and key of the first object of the next group; the last group has none and takes what comes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tideline.lake.ranges import MOST
from tideline.land.s3_listing import LandedBefore, in_winning_order, list_objects, select
from tideline.window import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from tideline.catalog.model import CsvDataset
    from tideline.lake.ranges import Range
    from tideline.lake.retry import Patience
    from tideline.land.s3_listing import Found, Identified, Selection
    from tideline.window import Window


def bounds(
    client: S3Client,
    dataset: CsvDataset,
    landed: Iterable[Identified],
    again: Callable[[Found], bool],
    patience: Patience,
) -> list[Any]:
    """Where to cut the load, as ascending `[time, key]`; empty where it is small enough.

    Args:
        client: A boto3 S3 client of the source.
        dataset: What is landed.
        landed: Identities of objects in committed loads, ordered by key.
        again: Which of those are landed all the same.
        patience: How often one call is tried again.

    Raises:
        TidelineError: The bucket does not answer, or does not let us list it.
    """
    if dataset.split is None:
        return []
    selection = selected(client, dataset, landed, again, patience, None)
    total = sum(found.size for found in selection.wanted)
    return _dealt(selection.wanted, max(dataset.split.bytes, -(-total // MOST)))


def selected(
    client: S3Client,
    dataset: CsvDataset,
    landed: Iterable[Identified],
    again: Callable[[Found], bool],
    patience: Patience,
    part: Range | None,
) -> Selection:
    """What of the listing to land; of one group of it where `part` is given."""
    return select(
        list_objects(client, dataset, patience),
        LandedBefore(landed, place=dataset.dataset_id),
        suffixes=dataset.suffixes,
        again=again,
        among=partial(is_within, part),
    )


def wanted_again(mode: str, window: Window) -> Callable[[Found], bool]:
    """Which objects are landed although a committed load has them: a named window's, where one was named."""
    return lambda found: mode == "exact" and window.contains(found.last_modified)


def is_within(part: Range | None, found: Found) -> bool:
    """Whether the object is of this group, or of any for None."""
    if part is None:
        return True
    place = in_winning_order(found)
    return (part.lower is None or _parsed(part.lower) <= place) and (
        part.upper is None or place < _parsed(part.upper)
    )


def _dealt(wanted: Sequence[Found], most_bytes: int) -> list[Any]:
    """A group ends before the object with which it would have more than so many bytes."""
    begins, size = [], 0
    for found in wanted:
        if size and size + found.size > most_bytes:
            begins.append([format_instant(found.last_modified), found.key])
            size = 0
        size += found.size
    return begins


def _parsed(bound: Sequence[str]) -> tuple[datetime, str]:
    return parse_instant(bound[0]), bound[1]
