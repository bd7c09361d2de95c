"""What a process is made ready with before dbt, or who watches it, runs in it. Knows no model and no DAG."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from tideline.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest, Response

SILENT_SECONDS = 120.0
"""For how long a reply may send nothing: what google-auth waits by itself, and BigQuery's client does not.
Requests that wait for the end of a job have limits of their own."""


def make_ready(context: Mapping[str, Any]) -> None:
    """Spare what is loaded from collections of garbage, and have no request wait for ever.

    Cosmos collects after each call of dbt: half its time. dbt lists and looks up tables without a limit, so
    that a reply that is lost on its way kept the build, all that watches it, and every hour after it.
    BigQuery's client asks again.
    """
    gc.freeze()
    bound_silence()
    if hasattr(context["task"], "producer_task_id"):
        end_with_the_build(context["task"])


def bound_silence() -> None:
    """Give each HTTP request of this process that has no time limit one. Idempotent."""
    from requests.adapters import HTTPAdapter

    send = HTTPAdapter.send
    if send.__module__ == __name__:
        return

    def bounded(
        self: HTTPAdapter,
        request: PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        *rest: Any,  # noqa: ANN401  whatever requests hands on
        **named: Any,  # noqa: ANN401
    ) -> Response:
        return send(self, request, stream, SILENT_SECONDS if timeout is None else timeout, *rest, **named)

    HTTPAdapter.send = bounded  # type: ignore[method-assign]


def end_with_the_build(watcher: Any) -> None:  # noqa: ANN401  a sensor of Cosmos
    """Have a task that watches for its model not go on when the build has ended well and had no word of it.

    A person has marked the build as success, or the project has lost the model since its manifest was made.
    Cosmos waits for a week then, and no hour begins meanwhile. The task's next try builds its model itself.
    """
    poke, ended = watcher.poke, False

    def look(context: Mapping[str, Any]) -> Any:  # noqa: ANN401
        nonlocal ended
        if found := poke(context):
            return found
        if ended:
            raise RetriableError(
                f"{watcher.producer_task_id} is a success and has not built this",
                remedy="was it marked as success by hand? the next try builds it by itself",
            )
        ti, build = context["ti"], watcher.producer_task_id
        states = ti.get_task_states(ti.dag_id, task_ids=[build], run_ids=[ti.run_id])
        ended = states.get(ti.run_id, {}).get(build) == "success"  # what it had to say, it has said before
        return found

    watcher.poke = look
