"""What Airflow's processes on a laptop load beside its settings: how they take turns to write to SQLite.

Airflow makes the runs of a backfill in savepoints. Python's sqlite3 begins no transaction for one, so a
savepoint reads first, and its first write fails at once with "database is locked" where the scheduler has
written meanwhile; and each is committed by itself, so that the scheduler begins a run before the next one is
made. A savepoint that opens a transaction waits here for its turn to write, and ends with the session's.

The API server writes the audit log of a click in its event loop. Whoever holds the lock may be a request of
the same server, whose commit the loop would have to call: both would wait until SQLite gives up, and every
task with them. Such a log is written by a thread.
"""

from __future__ import annotations

import asyncio
from threading import Thread
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

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


@event.listens_for(Session, "before_flush")
def _write_logs_beside_the_loop(session: Session, *_: object) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    if logs := [new for new in session.new if type(new).__name__ == "Log"]:
        for log in logs:
            session.expunge(log)
        Thread(target=_write, args=(logs,)).start()


def _write(logs: list[Any]) -> None:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        session.add_all(logs)
