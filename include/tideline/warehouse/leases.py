"""One writer of a table at a time, across DAGs, backfills and machines. Does not know what is written.

A lease is an empty table beside the ledger whose description says who writes the leased table, and until
when. It is changed under the condition that nobody changed it since it was read, so of two that want it one
gets it. It spares work and keeps counts exact, and no more: whatever is written has to be right without it,
because a holder that is slower than its lease loses it. One that is killed keeps others waiting until then,
and where its clock was ahead of theirs until they have watched its lease for as long as one lasts.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tideline.errors import RetriableError, SettingsError, TidelineError, WarehouseUnavailableError
from tideline.warehouse import names
from tideline.warehouse.schema import Field, Layout
from tideline.window import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.cloud import bigquery

    from tideline.warehouse.bigquery import Warehouse
    from tideline.warehouse.names import TableName

log = logging.getLogger(__name__)

LAYOUT = Layout(fields=(Field("nothing", "STRING"),), description="")
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """Who writes a table, and until when nobody else does."""

    holder: str
    until: datetime

    @property
    def text(self) -> str:
        """As the lease's table has it."""
        return json.dumps({"holder": self.holder, "until": format_instant(self.until)})

    @classmethod
    def parse(cls, text: str | None) -> Lease | None:
        """Undo `text`; None where it says anything else: nobody holds it."""
        try:
            found = json.loads(text or "")
            return cls(str(found["holder"]), parse_instant(found["until"]))
        except (ValueError, TypeError, KeyError, SettingsError):
            return None

    def bars(self, holder: str, now: datetime) -> bool:
        """Whether the one who asks has to wait."""
        return self.holder != holder and self.until > now


@contextmanager
def leased(warehouse: Warehouse, table: TableName, holder: str) -> Iterator[None]:
    """Be the only one who writes the table.

    Waits for another holder, at most as long as a lease lasts. Who holds it already (an earlier try of the
    same work that was killed) has it at once. After an error that a retry may mend the lease stays, since the
    work may still be going on in the warehouse; the retry is the same holder. So it does after what ends a
    task from outside, as Airflow's time limit, which must not wait for the warehouse either.

    Args:
        warehouse: Where the table is.
        table: The table to be written.
        holder: Names the work; a retry of it has the same name.

    Raises:
        WarehouseUnavailableError: Others held it for all that time.
    """
    held = _take(warehouse, table, holder)
    try:
        yield
    except RetriableError:
        raise
    except (Exception, KeyboardInterrupt):  # a person who ends a command begins another, which would wait
        _let_go(warehouse, held)
        raise
    _let_go(warehouse, held)


def _take(warehouse: Warehouse, table: TableName, holder: str) -> bigquery.Table:
    name, patience = names.lease_table(table, warehouse.settings), warehouse.patience
    seconds, began = warehouse.settings.lease_seconds, patience.clock()
    pause, watched, since = _FIRST_PAUSE_SECONDS, None, began
    while True:
        now = patience.clock()
        taken, found = _try(warehouse, name, holder, outlasted=watched if now - since >= seconds else None)
        if taken is not None:
            return taken
        if found != watched:
            watched, since = found, now
        other = found.holder if found else "somebody else"
        if now - began >= seconds + _LONGEST_PAUSE_SECONDS:
            raise WarehouseUnavailableError(
                f"{other} writes the table",
                place=f"table {table}",
                remedy="retry; loads of one table are merged one after another",
            )
        log.log(logging.INFO if pause == _FIRST_PAUSE_SECONDS else logging.DEBUG, "waiting for %s", other)
        patience.sleep(pause * (0.5 + patience.dice() / 2))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _try(
    warehouse: Warehouse, name: TableName, holder: str, outlasted: Lease | None
) -> tuple[bigquery.Table | None, Lease | None]:
    """The lease's table if it was to be had, and else who has it, if that is known.

    A lease that we outlasted bars us no more, whatever the clock of its holder made of it.
    """
    found = warehouse.tables.get(name) or warehouse.tables.create(name, LAYOUT)
    now, other = datetime.now(UTC), Lease.parse(found.description)
    if other is not None and other != outlasted and other.bars(holder, now):
        return None, other
    found.description = Lease(holder, now + timedelta(seconds=warehouse.settings.lease_seconds)).text
    return warehouse.tables.update(found, ["description"]), None


def _let_go(warehouse: Warehouse, held: bigquery.Table) -> None:
    """Let the next one in, unless somebody has it already. What fails here is not worth failing for."""
    held.description = ""
    try:
        warehouse.tables.update(held, ["description"])
    except TidelineError as error:
        log.warning("the lease runs out by itself: %s", error)
