"""Whether what most members of a replica set have goes as far as a read must. Knows `hello`, no documents.

Reads are at "majority": they see what most members have. Where members lag or are down (of a primary, a
secondary and an arbiter the secondary is enough), writes go on, and such a read sees the past without an
error: rows of its window would be missing, and no later window would read them. A secondary that is read from
may lag by itself. Servers that do not say how far they are, a standalone one or `mongos`, are believed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import ReadPreference
from pymongo import errors as mongo

from tideline.errors import SourceUnavailableError
from tideline.land.mongo_errors import place_of, speaking
from tideline.window import as_utc, format_instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pymongo import MongoClient
    from pymongo.read_preferences import _ServerMode

    from tideline.catalog.model import MongoDataset

WAIT_SECONDS = 20.0
"""A sound set is behind by milliseconds, or by 10 s where nobody writes: then it writes a note of its own."""
_PAUSE_SECONDS = 0.5


class Progress(NamedTuple):
    """How far a member of a replica set is, by its own clock and log."""

    is_primary: bool
    written: Any
    """Timestamp of its newest write."""
    majority: Any
    """Timestamp of the newest write that it knows most members to have."""
    majority_at: datetime
    """When that was written."""
    clock: datetime


def check_majority(
    client: MongoClient[Any],
    dataset: MongoDataset,
    until: datetime,
    *,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until most members have all that was written before `until`, or before now.

    Raises:
        SourceUnavailableError: They have not within the seconds, or the server does not answer.
    """
    with speaking(dataset):
        first = _progress(client, client.read_preference)
        until = until if first is None else min(as_utc(until), first.clock)
        behind = first and _behind(client, first, until)
        while behind and wait_seconds > 0:
            sleep(_PAUSE_SECONDS)
            wait_seconds -= _PAUSE_SECONDS
            found = _progress(client, client.read_preference)
            behind = found and _behind(client, found, until)
    if behind:
        raise SourceUnavailableError(
            f"a read sees what was written up to {format_instant(behind.majority_at)}, as most members of "
            f"the replica set have no more; wanted is all up to {format_instant(until)}",
            source=dataset.source,
            dataset=dataset.name,
            place=place_of(dataset),
            remedy="look at rs.status() for members that are down or lag, and at the readPreference of the "
            "connection; the task retries",
        )


def _behind(client: MongoClient[Any], found: Progress, until: datetime) -> Progress | None:
    """The same, where it is not as far as that and more was written."""
    if found.majority_at >= until:
        return None
    newest = found if found.is_primary else _progress(client, ReadPreference.PRIMARY)
    return None if newest is None or found.majority >= newest.written else found


def _progress(client: MongoClient[Any], member: _ServerMode) -> Progress | None:
    """What `hello` says; None where it says nothing of this."""
    try:
        hello = client.admin.command("hello", read_preference=member)
        last = hello["lastWrite"]
        return Progress(
            bool(hello.get("isWritablePrimary")),
            last["opTime"]["ts"],
            last["majorityOpTime"]["ts"],
            as_utc(last["majorityWriteDate"]),
            as_utc(hello["localTime"]),
        )
    except (mongo.OperationFailure, LookupError, TypeError, AttributeError):
        return None
