"""What Airflow's processes on a laptop load beside its settings: SQLite's writer is chosen before it reads.

Airflow makes the runs of a backfill in savepoints. Python's sqlite3 begins no transaction for one, so a
savepoint reads first, and its first write fails at once with "database is locked" where the scheduler has
written meanwhile; and each is committed by itself, so that the scheduler begins a run before the next one is
made. A savepoint that opens a transaction waits here for its turn to write, and ends with the session's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__: list[str] = []  # no name of this file is one of Airflow's settings


@event.listens_for(Engine, "savepoint")
def _wait_for_the_turn_to_write(connection: Connection, _name: str | None) -> None:
    if connection.dialect.name != "sqlite":
        return
    database = connection.connection.dbapi_connection
    if database is not None and not database.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
