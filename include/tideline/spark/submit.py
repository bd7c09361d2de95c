"""How an order reaches a cluster: the command of spark-submit, a Dataproc batch, a SparkApplication.

What is particular to a deployment stands in the connection `tideline_spark`, as the JSON of its extra. Does
not know the clients of clusters (`tideline.connections`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tideline.errors import ContractError, SettingsError, SparkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tideline.spark.order import Order

JOB = Path(__file__).with_name("job.py")
IMAGE_JOB = "/opt/tideline/job.py"
"""Where the image for Spark has the program."""
ALWAYS = {"spark.speculation": "false", "spark.task.maxFailures": "4"}
"""Two attempts at a part are harmless, and cost twice."""
REFUSED = 1
"""The exit code of a job that no retry mends."""
MODES = ("local", "dataproc", "kubernetes")
LONGEST_NAME = 63
log = logging.getLogger(__name__)


def mode_of(extra: Mapping[str, Any]) -> str:
    """Which of the three ways the connection's extra asks for.

    Raises:
        SettingsError: None of them.
    """
    mode = extra.get("submit")
    if mode not in MODES:
        raise SettingsError(
            f"the connection tideline_spark says submit: {mode!r}",
            remedy=f"set it to one of {', '.join(MODES)} (docs/scale.md)",
        )
    return str(mode)


def name_of(order: Order, attempt: int) -> str:
    """A name for the job; another for each order and each try.

    Dataproc attaches to a batch that has the name already, however old: a retry to the one that failed, a
    replay to the one that refined the landing by another catalog.
    """
    tail = re.sub(r"[^a-z0-9]+", "-", order.raw_manifest_uri.rsplit("/", 2)[-2].lower())[-24:].strip("-")
    head = re.sub(r"[^a-z0-9]+", "-", order.dataset.dataset_id.lower())
    digest = hashlib.sha256(order.encode().encode()).hexdigest()[:8]
    ending = f"-{tail}-{digest}-{attempt}"
    return f"tideline-{head}"[: LONGEST_NAME - len(ending)].rstrip("-") + ending


def local_command(order: Order, extra: Mapping[str, Any]) -> list[str]:
    """The command of spark-submit. `extra`: `spark_submit`, `master`, `conf`."""
    conf = {**ALWAYS, **extra.get("conf", {})}
    options = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    program = str(extra.get("spark_submit", "spark-submit"))
    return [program, "--master", str(extra.get("master", "local[4,4]")), *options, str(JOB), order.encode()]


def run_locally(order: Order, extra: Mapping[str, Any]) -> None:
    """Run spark-submit on this machine, with `env` of the extra in its environment, and wait for its end.

    Raises:
        SparkError: It failed in a way that may pass.
        ContractError: It said that somebody has to act; with its last words.
    """
    command = local_command(order, extra)
    try:
        done = subprocess.run(
            command, env={**os.environ, **extra.get("env", {})}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise lost(order, "spark-submit", error) from error
    log.info("spark-submit of %s ended with %d", order.raw_manifest_uri, done.returncode)
    printed = done.stdout or done.stderr  # spark-submit shows all that the driver writes on its own stdout
    said = [line for line in printed.splitlines() if line.startswith("ERROR tideline")]
    words = said[-1] if said else printed[-2000:]
    if done.returncode == REFUSED and said:
        raise ContractError(
            f"the Spark job refused: {words}",
            source=order.dataset.source,
            dataset=order.dataset.name,
            place=order.raw_manifest_uri,
            remedy="it says what to do",
        )
    if done.returncode:
        raise lost(order, "spark-submit", words)


def lost(order: Order, name: str, why: object) -> SparkError:
    """The error for a job that did not end well."""
    return SparkError(
        f"the Spark job {name} did not end well: {why}",
        source=order.dataset.source,
        dataset=order.dataset.name,
        place=order.raw_manifest_uri,
        remedy="see its driver's log; nothing of it counts, and a retry refines the landing anew",
    )


def dataproc_batch(order: Order, extra: Mapping[str, Any]) -> dict[str, Any]:
    """A batch of Dataproc Serverless. `extra`: `image`, and `batch`, whose keys come before these."""
    batch = {
        "pyspark_batch": {"main_python_file_uri": f"file://{IMAGE_JOB}", "args": [order.encode()]},
        "runtime_config": {"container_image": needed(extra, "image"), "properties": dict(ALWAYS)},
        "labels": {"app": "tideline"},
    }
    return _merged(batch, extra.get("batch", {}))


def spark_application(order: Order, extra: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A SparkApplication of the Spark operator. `extra`: `image`, `namespace`, and `spec`, before all."""
    spec = {
        "type": "Python",
        "mode": "cluster",
        "pythonVersion": "3",
        "sparkVersion": "4.3.0",
        "image": needed(extra, "image"),
        "mainApplicationFile": f"local://{IMAGE_JOB}",
        "arguments": [order.encode()],
        "sparkConf": dict(ALWAYS),
        "restartPolicy": {"type": "Never"},  # the task's own retries are seen in Airflow
        "driver": {"cores": 1, "memory": "1g"},
        "executor": {"cores": 4, "instances": 4, "memory": "1g", "memoryOverhead": "2g"},
    }
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": name, "namespace": extra.get("namespace", "default")},
        "spec": _merged(spec, extra.get("spec", {})),
    }


def needed(extra: Mapping[str, Any], key: str) -> str:
    """What the connection's extra must have.

    Raises:
        SettingsError: It has not.
    """
    if not extra.get(key):
        raise SettingsError(
            f"the connection tideline_spark has no {key!r}", remedy="add it to the connection's extra"
        )
    return str(extra[key])


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Theirs over ours, at every depth."""
    merged = deepcopy(dict(ours))
    for key, value in theirs.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
