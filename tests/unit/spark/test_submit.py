from __future__ import annotations

import json

import pytest

from tideline.errors import ContractError, SettingsError, SparkError
from tideline.spark import submit
from tideline.spark.order import Order


@pytest.fixture
def spark_submit(tmp_path):
    """A program in spark-submit's place that notes its arguments."""

    def make(code=0, says=""):
        path = tmp_path / "spark-submit"
        noted = tmp_path / "noted"
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "$HERE" > {noted}\necho "{says}"\nexit {code}\n')
        path.chmod(0o755)
        return {"submit": "local", "spark_submit": str(path), "env": {"HERE": "there"}}, noted

    return make


def test_a_local_job_gets_its_order_and_environment(order, spark_submit):
    extra, noted = spark_submit()
    submit.run_locally(order, {**extra, "master": "local[2,3]", "conf": {"spark.ui.enabled": "false"}})
    arguments = noted.read_text().split("\n")
    assert arguments[:2] == ["--master", "local[2,3]"]
    assert "spark.ui.enabled=false" in arguments
    assert "spark.speculation=false" in arguments
    assert arguments[-4:-2] == [str(submit.JOB), order.encode()]
    assert arguments[-2] == "there"
    assert submit.JOB.is_file()


@pytest.mark.parametrize(
    ("code", "says", "error", "words"),
    [
        (1, "ERROR tideline.spark.job shop.items: too many", ContractError, "too many"),
        (1, "Traceback: out of memory", SparkError, "out of memory"),
        (75, "ERROR tideline.spark.job the lake is away", SparkError, "the lake is away"),
        (137, "", SparkError, "did not end well"),
    ],
)
def test_how_a_local_job_ended_says_whether_a_retry_helps(code, says, error, words, order, spark_submit):
    with pytest.raises(error, match=words):
        submit.run_locally(order, spark_submit(code, says)[0])


def test_without_the_program_it_is_lost(order):
    with pytest.raises(SparkError, match="nowhere"):
        submit.run_locally(order, {"spark_submit": "/nowhere/spark-submit"})


def test_a_name_differs_per_try_and_fits(order):
    names = {submit.name_of(order, attempt) for attempt in range(1, 4)}
    assert len(names) == 3
    long = order.dataset.model_copy(update={"name": "x" * 80})
    for given in (order.dataset, long):
        name = submit.name_of(Order(given, order.raw_manifest_uri, "r", "s3://a", "s3://b", "s3://c"), 12)
        assert len(name) <= submit.LONGEST_NAME
        assert json.dumps(name).replace("-", "").strip('"').isalnum()
        assert name == name.lower()


def test_a_batch_of_dataproc(order):
    extra = {"image": "registry/spark:1", "batch": {"environment_config": {"x": 1}, "labels": {"team": "a"}}}
    batch = submit.dataproc_batch(order, extra)
    assert batch["pyspark_batch"] == {
        "main_python_file_uri": f"file://{submit.IMAGE_JOB}",
        "args": [order.encode()],
    }
    assert batch["runtime_config"]["container_image"] == "registry/spark:1"
    assert batch["labels"] == {"app": "tideline", "team": "a"}
    assert batch["environment_config"] == {"x": 1}


def test_an_application_of_the_spark_operator(order):
    spec = {"executor": {"instances": 20}, "driver": {"serviceAccount": "spark"}}
    made = submit.spark_application(order, {"image": "i", "namespace": "n", "spec": spec}, "job-1")
    assert made["metadata"] == {"name": "job-1", "namespace": "n"}
    assert made["spec"]["arguments"] == [order.encode()]
    assert made["spec"]["executor"] == {"cores": 4, "instances": 20, "memory": "1g", "memoryOverhead": "2g"}
    assert made["spec"]["driver"]["serviceAccount"] == "spark"
    assert made["spec"]["restartPolicy"] == {"type": "Never"}


@pytest.mark.parametrize("make", [submit.dataproc_batch, lambda o, e: submit.spark_application(o, e, "n")])
def test_without_an_image_there_is_nothing_to_run(make, order):
    with pytest.raises(SettingsError, match="image"):
        make(order, {})


@pytest.mark.parametrize("extra", [{}, {"submit": "yarn"}])
def test_an_unknown_way_is_refused(extra):
    with pytest.raises(SettingsError, match="local, dataproc, kubernetes"):
        submit.mode_of(extra)
    assert submit.mode_of({"submit": "local"}) == "local"
