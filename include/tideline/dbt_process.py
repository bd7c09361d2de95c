"""What a process is made ready with before dbt runs in it. Knows no model and no DAG."""

from __future__ import annotations

import gc
from typing import Any

SILENT_SECONDS = 120.0
"""For how long a reply may send nothing: what google-auth waits by itself, and BigQuery's client does not.
Requests that wait for the end of a job have limits of their own."""


def make_ready(_context: object = None) -> None:
    """Spare what is loaded from collections of garbage, and have no request wait for ever.

    Cosmos collects after each call of dbt: half its time. dbt lists and looks up tables without a limit, so
    that a reply that is lost on its way kept the build, all that watches it, and every hour after it.
    BigQuery's client asks again.
    """
    gc.freeze()
    bound_silence()


def bound_silence() -> None:
    """Give each HTTP request of this process that has no time limit one. Idempotent."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send
    if send.__module__ == __name__:
        return

    def bounded(self: HTTPAdapter, request: Any, timeout: Any = None, **rest: Any) -> Any:  # noqa: ANN401
        return send(self, request, timeout=SILENT_SECONDS if timeout is None else timeout, **rest)

    HTTPAdapter.send = bounded  # type: ignore[method-assign,assignment]
