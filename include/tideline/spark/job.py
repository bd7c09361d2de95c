"""The program that spark-submit runs: raw parts as rows, each refined on an executor, then one manifest.

Spark spreads the parts, tries again where a worker was lost, and does nothing else: no row passes through it.
Exits with 75 where a retry may help, with 1 where somebody has to act.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tideline import errors
from tideline.errors import FatalError, RetriableError, TidelineError
from tideline.lake import manifest as manifests
from tideline.spark.order import Order
from tideline.spark.parts import gather, parts_of, refine_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from tideline.lake.manifest import Manifest
    from tideline.spark.order import Stages

    Refine = Callable[[Order, Manifest, Stages], tuple[Manifest, str]]

SCHEMA = "uri string, manifest binary, error string"
"""Of what an executor says of a part: its manifest, or an error that no retry mends."""
RETRY = 75
FIELDS = ("message", "source", "dataset", "place", "remedy")
log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Refine what the one argument orders."""
    from pyspark.sql import SparkSession

    (word,) = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        order = Order.decode(word)
        spark = SparkSession.builder.appName(f"tideline {order.dataset.dataset_id}").getOrCreate()
        try:
            manifest, uri = run(spark, order)
        finally:
            spark.stop()
    except TidelineError as error:
        log.error("%s", error)  # noqa: TRY400 - it says where and what to do; a traceback says nothing more
        return RETRY if isinstance(error, RetriableError) else 1
    log.info("refined %s: %s rows as %s", order.dataset.dataset_id, manifest.records, uri)
    return 0


def run(spark: SparkSession, order: Order, refine: Refine = refine_part) -> tuple[Manifest, str]:
    """Refine every part of the landing on the cluster, and commit what came of them.

    Args:
        spark: The session.
        order: What to refine.
        refine: What refines one part.

    Raises:
        FatalError: What a part raised that no retry mends, or too much was refused.
        SparkError: Parts were lost more often than Spark tries again.
    """
    stages = order.open()
    landed = manifests.read(stages.raw, order.raw_manifest_uri)
    parts = parts_of(landed, order.raw_manifest_uri, datetime.now(UTC))
    rows = [(part.to_bytes(),) for part in parts]
    frame = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)), "landed binary")
    answers = _collect(frame.mapInArrow(partial(_refine_rows, order, refine), SCHEMA))
    if failed := next((answer.error for answer in answers if answer.error), None):
        raise _error(failed)
    each = [(manifests.parse(bytes(answer.manifest), answer.uri), answer.uri) for answer in answers]
    return gather(order, each, stages)


def _collect(frame: DataFrame) -> list[Any]:
    from py4j.protocol import Py4JError  # of workers that died, such as of memory: nothing was raised in them
    from pyspark.errors import PySparkException

    try:
        answers: list[Any] = frame.collect()
    except (PySparkException, Py4JError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[-1:] if isinstance(error, PySparkException) else lines[:2]  # the end of a traceback
        raise errors.SparkError(
            f"parts were lost more often than Spark tries again: {' '.join(said)[:1_000]}",
            remedy="look at the executors' logs; where they ran out of memory give them more, or fewer cores",
        ) from error
    return answers


def _refine_rows(order: Order, refine: Refine, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """On an executor: a part is a row, its answer is one too."""
    import pyarrow as pa

    schema = pa.schema([("uri", pa.string()), ("manifest", pa.binary()), ("error", pa.string())])
    for batch in batches:
        answers = [_answer(order, refine, body) for body in batch.column(0).to_pylist()]
        yield pa.RecordBatch.from_pylist(answers, schema)


def _answer(order: Order, refine: Refine, body: bytes) -> dict[str, Any]:
    try:
        manifest, uri = refine(order, manifests.parse(body, order.raw_manifest_uri), order.open())
    except FatalError as error:
        fields = {name: getattr(error, name) for name in FIELDS}
        return {"error": json.dumps({"type": type(error).__name__, **fields})}
    return {"uri": uri, "manifest": manifest.to_bytes()}


def _error(text: str) -> TidelineError:
    """The error that an executor sent."""
    data = json.loads(text)
    found: TidelineError = getattr(errors, data.pop("type"))(data.pop("message"), **data)
    return found


if __name__ == "__main__":
    from tideline.spark import job  # noqa: PLW0406 - by its own name, so that executors find its functions

    sys.exit(job.main())
