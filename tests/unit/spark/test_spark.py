"""What a task does about Spark."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tideline import pipeline, spark
from tideline.errors import SettingsError, SparkError
from tideline.lake import manifest as manifests
from tideline.settings import Settings
from tideline.spark import parts
from tideline.spark.parts import gather, parts_of, refine_part
from tideline.summaries import landed_as

BIG = {"raw_bytes": 100, "parts": 3}


@pytest.mark.parametrize(
    ("landed", "wanted"),
    [
        (BIG, True),
        ({**BIG, "raw_bytes": 9}, False),
        ({**BIG, "parts": 1}, False),
        ({**BIG, "range": [0, 4]}, False),
        ({"raw_bytes": None, "parts": None}, False),
    ],
)
def test_big_landings_go_to_spark(landed, wanted, dataset):
    assert spark.wanted(dataset, landed) is wanted
    assert not spark.wanted(dataset.model_copy(update={"engine": "worker"}), landed)


@pytest.fixture
def deployment(stages, dataset):
    def make(submit_spark):
        settings = Settings(
            raw_uri="s3://raw", processed_uri="s3://processed", quarantine_uri="s3://quarantine"
        )
        return pipeline.Deployment(
            settings=settings, catalog=SimpleNamespace(dataset=lambda _: dataset), open_source=None,
            raw=stages.raw, processed=stages.processed, quarantine=stages.quarantine, open_warehouse=None,
            submit_spark=submit_spark,
        )  # fmt: skip

    return make


@pytest.fixture
def landed(order, stages):
    return landed_as(manifests.read(stages.raw, order.raw_manifest_uri), order.raw_manifest_uri)


def test_the_task_returns_what_the_job_committed(deployment, landed, stages, order):
    def submit(given):
        assert (given.raw_manifest_uri, given.run_id) == (order.raw_manifest_uri, "run")
        assert given.processed_uri == "s3://processed"
        found = manifests.read(stages.raw, given.raw_manifest_uri)
        each = parts_of(found, given.raw_manifest_uri, found.extracted_at)
        gather(given, [refine_part(given, part, stages) for part in each], stages)

    refined = pipeline.refine_dataset(deployment(submit), landed, "run")
    assert (refined["refined"], refined["quarantined"], refined["landed"]) == (4, 2, 6)
    assert refined["processed_manifest_uri"] == parts.find(
        stages.processed, manifests.read(stages.raw, order.raw_manifest_uri), order.raw_manifest_uri
    )


def test_small_landings_stay_with_the_worker(deployment, landed):
    refined = pipeline.refine_dataset(deployment(None), {**landed, "raw_bytes": 1}, "run")
    assert refined["refined"] == 4


def test_without_spark_it_says_what_to_define(deployment, landed):
    with pytest.raises(SettingsError, match="tideline_spark"):
        pipeline.refine_dataset(deployment(None), landed, "run")


def test_a_job_that_commits_nothing_is_not_taken_for_one_that_did(deployment, landed):
    with pytest.raises(SparkError, match="committed nothing"):
        pipeline.refine_dataset(deployment(lambda _: None), landed, "run")


def test_pyspark_is_imported_by_the_job_alone():
    folder = Path(spark.__file__).parents[1]
    importing = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.py") if "import pyspark" in path.read_text()
        or "from pyspark" in path.read_text()
    }  # fmt: skip
    assert importing == {"spark/job.py"}
