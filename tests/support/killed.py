"""Tasks killed at a point of their work. One process imports what they need; each is a fork of it.

Reads from standard input a JSON list a line: verb, summary, point, environment. Answers each with how its process
ended, as `subprocess` counts it. Half of the time of a task in a process of its own would be Airflow's import.
Unlike the zygote of `tests/faults`, a task here makes its deployment from the environment's connections.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

import airflow.providers.amazon.aws.hooks.s3
import airflow.providers.mongo.hooks.mongo  # noqa: F401
import google.cloud.bigquery  # noqa: F401
import pyarrow.parquet  # noqa: F401

from tideline import connections, pipeline


def die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(write: Any) -> Any:
    return lambda *args, **kwargs: (write(*args, **kwargs), die())


def task(verb: str, given: dict[str, Any], point: str, environment: dict[str, str]) -> None:
    """land or refine, up to there."""
    os.environ.update(environment)
    with connections.open_deployment() as deployment:
        store = deployment.raw if verb == "land_dataset" else deployment.processed
        if point == "after a part":
            store.put_file = then_die(store.put_file)
        elif point == "before the manifest":
            store.put = die
        else:
            store.put = then_die(store.put)
        getattr(pipeline, verb)(deployment, given, "killed")


def main() -> None:
    """Work until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, the answers stay alone
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                task(*json.loads(line))
            except BaseException:  # noqa: BLE001 - a fork does not go on as its parent
                traceback.print_exc()
            os._exit(1)
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main()
