"""The job on a stand-in that runs what Spark would run; on Spark itself: tests/integration/test_spark.py."""

from __future__ import annotations

import sys
from functools import partial
from traceback import format_exception
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest

from tideline.errors import ContractError, SparkError, StoreUnavailableError
from tideline.lake import manifest as manifests
from tideline.spark import job


class PySparkException(Exception):  # noqa: N818 - Spark's name
    pass


class Py4JError(Exception):
    pass


DIED = """An error occurred while calling o153.collectToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Python worker exited unexpectedly (crashed)
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:3122)
Caused by: java.io.EOFException
"""


class Frame:
    """Rows in partitions of one, and a function over them."""

    def __init__(self, rows, function=None):
        self.rows, self.function = rows, function

    def mapInArrow(self, function, schema):  # noqa: N802 - Spark's name
        assert schema == job.SCHEMA
        return Frame(self.rows, function)

    def collect(self):
        answers = []
        for (body,) in self.rows:
            batch = pa.RecordBatch.from_pydict({"landed": [body]})
            try:
                answers += [row for out in self.function(iter([batch])) for row in out.to_pylist()]
            except Exception as error:
                if isinstance(error, MemoryError):  # as if the kernel had ended the worker
                    raise Py4JError(DIED) from error
                told = "".join(format_exception(error))
                raise PySparkException(f"An exception was thrown from the Python worker:\n{told}") from error
        return [SimpleNamespace(**answer) for answer in answers]


class Session:
    stopped = 0

    def __init__(self):
        self.sparkContext = SimpleNamespace(parallelize=lambda rows, count: (rows, count))

    def createDataFrame(self, spread, schema):  # noqa: N802 - Spark's name
        rows, count = spread
        assert (count, schema) == (len(rows), "landed binary")
        return Frame(rows)

    def stop(self):
        Session.stopped += 1


@pytest.fixture(autouse=True)
def _pyspark(monkeypatch):
    builder = SimpleNamespace(getOrCreate=Session)
    builder.appName = lambda _: builder
    for name, fields in {
        "pyspark": {},
        "pyspark.errors": {"PySparkException": PySparkException},
        "py4j": {},
        "py4j.protocol": {"Py4JError": Py4JError},
        "pyspark.sql": {"SparkSession": SimpleNamespace(builder=builder)},
    }.items():
        module = ModuleType(name)
        module.__dict__.update(fields)
        monkeypatch.setitem(sys.modules, name, module)
    Session.stopped = 0


def test_a_job_commits_the_whole_landing(order, stages):
    assert job.main([order.encode()]) == 0
    (key,) = [key for key in stages.processed.list("") if "-whole-" in key]
    assert manifests.read(stages.processed, stages.processed.uri_of(key)).records == 4
    assert Session.stopped == 1


def test_an_error_that_no_retry_mends_comes_back_as_it_was(order):
    def refuse(order, landed, stages):
        raise ContractError("no", source="shop", dataset="items", place="here", remedy="do")

    with pytest.raises(ContractError) as raised:
        job.run(Session(), order, refuse)
    assert str(raised.value) == "shop.items: no [at here] Remedy: do"


def test_what_may_pass_is_tried_again_by_spark_and_then_lost(order):
    def fail(order, landed, stages):
        raise StoreUnavailableError("the lake is away")

    with pytest.raises(SparkError, match="the lake is away") as raised:
        job.run(Session(), order, fail)
    assert "Traceback" not in str(raised.value)


def test_what_a_worker_raised_is_told_however_deep_it_was(order):
    """The text of Spark begins with the frames, and only its first line reached Airflow."""

    def fail(depth):
        raise ModuleNotFoundError("No module named 'tideline'") if not depth else fail(depth - 1)

    with pytest.raises(SparkError, match="No module named 'tideline'") as raised:
        job.run(Session(), order, lambda *_: fail(20))
    assert len(raised.value.message.splitlines()) == 1


def test_a_worker_that_died_is_lost_too(order, monkeypatch):
    def die(*_):
        raise MemoryError

    monkeypatch.setattr(job, "run", partial(job.run, refine=die))
    assert job.main([order.encode()]) == job.RETRY
    with pytest.raises(SparkError, match=r"Python worker exited unexpectedly \(crashed\)"):
        job.run(Session(), order)


@pytest.mark.parametrize(("error", "code"), [(SparkError("lost"), 75), (ContractError("refused"), 1)])
def test_the_exit_code_says_whether_a_retry_helps(error, code, order, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(job, "run", fail)
    assert job.main([order.encode()]) == code
    assert Session.stopped == 1


def test_what_is_no_order_is_refused():
    assert job.main(["nonsense"]) == 1
