"""The proof of Spark on a cluster submits what a task would, without one."""

from __future__ import annotations

import sys
from datetime import timedelta
from itertools import pairwise

import pytest
from charts import ROOT

from tideline.catalog.model import Column, CsvDataset
from tideline.spark.order import Order
from tideline.spark.submit import spark_application

sys.path.insert(0, str(ROOT / "helm"))
from proof import spark_room, spark_ways

USED = {
    "driver",
    "executor",
    "sparkConf",
    "image",
    "mode",
    "pythonVersion",
    "mainApplicationFile",
    "arguments",
}
NOT_SUBMITTED = {"type", "sparkVersion", "restartPolicy"}
"""What the operator itself goes by."""


class Told(spark_room.Room):
    """A cluster that notes what it is given."""

    def __init__(self) -> None:
        super().__init__("there", ROOT, "tag", [])
        self.given = []

    def apply(self, *documents):
        self.given += documents


@pytest.fixture
def order():
    columns = (Column(name="id", type="int64"),)
    dataset = CsvDataset(name="items", source="shop", bucket="drops", prefix="items/", key=("id",),
                         columns=columns, lookback=timedelta(0))  # fmt: skip
    return Order(dataset, "s3://raw/a/_manifest.json", "run", "s3://raw", "s3://processed", "s3://quarantine")


def test_the_command_says_all_that_the_application_does(order):
    room = Told()
    spark_ways.Submitted().begin(room, order, {"AWS_ENDPOINT_URL": "http://10.0.0.1:9000"})
    _, pod = room.given
    words = pod["spec"]["containers"][0]["args"]
    assert words[:5] == [
        "spark-submit",
        "--master",
        "k8s://https://kubernetes.default.svc",
        "--deploy-mode",
        "cluster",
    ]
    assert words[-2:] == ["local:///opt/tideline/job.py", order.encode()]
    conf = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "--conf")
    assert conf["spark.speculation"] == "false"
    assert conf["spark.kubernetes.container.image"] == "localhost/tideline-spark:tag"
    assert conf["spark.kubernetes.namespace"] == "there"
    for where in ("spark.kubernetes.driverEnv", "spark.executorEnv"):
        assert conf[f"{where}.AWS_ENDPOINT_URL"] == "http://10.0.0.1:9000"


def test_no_key_of_an_application_is_left_out(order):
    """A key that a task begins to set has to be submitted here too."""
    spec = spark_application(order, {"image": "i"}, "name")["spec"]
    assert set(spec) == USED | NOT_SUBMITTED
    assert set(spec["driver"]) | set(spec["executor"]) == {"cores", "memory", "instances", "memoryOverhead"}
