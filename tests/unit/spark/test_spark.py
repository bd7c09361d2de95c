"""What a task does about Spark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tideline import pipeline, spark
from tideline.catalog.loader import fingerprint
from tideline.errors import SettingsError, SparkError
from tideline.lake import manifest as manifests
from tideline.refine.events import KIND
from tideline.settings import Settings
from tideline.spark import parts
from tideline.spark.parts import gather, parts_of, refine_part
from tideline.spark.submit import name_of
from tideline.summaries import landed_as

BIG = {"raw_bytes": 100, "parts": 3}


@pytest.mark.parametrize(
    ("landed", "wanted"),
    [
        (BIG, True),
        ({**BIG, "raw_bytes": 9}, False),
        ({**BIG, "parts": 1}, False),
        ({**BIG, "range": [0, 4]}, False),
        ({**BIG, "kind": "events"}, False),
        ({"raw_bytes": None, "parts": None}, False),
    ],
)
def test_big_landings_go_to_spark(landed, wanted, dataset):
    assert spark.wanted(dataset, landed) is wanted
    assert not spark.wanted(dataset.model_copy(update={"engine": "worker"}), landed)


def run_job(given, stages):
    """What a job does, without Spark."""
    found = manifests.read(stages.raw, given.raw_manifest_uri)
    each = parts_of(found, given.raw_manifest_uri, found.extracted_at)
    gather(given, [refine_part(given, part, stages) for part in each], stages)


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
        run_job(given, stages)

    refined = pipeline.refine_dataset(deployment(submit), landed, "run")
    assert (refined["refined"], refined["quarantined"], refined["landed"]) == (4, 2, 6)
    assert refined["processed_manifest_uri"] == parts.find(
        stages.processed, manifests.read(stages.raw, order.raw_manifest_uri), order
    )


def test_a_replay_by_another_catalog_is_not_what_was_refined_before(deployment, landed, stages, dataset):
    batches = set()

    def attach_or_run(given):  # as Dataproc does
        if (name := name_of(given, 1)) not in batches:
            batches.add(name)
            run_job(given, stages)

    before = pipeline.refine_dataset(deployment(attach_or_run), landed, "hourly")
    made = deployment(attach_or_run)
    narrow = dataset.model_copy(update={"columns": dataset.columns[:1]})
    after = pipeline.refine_dataset(
        replace(made, catalog=SimpleNamespace(dataset=lambda _: narrow)), landed, "replay"
    )
    read = [manifests.read(stages.processed, each["processed_manifest_uri"]) for each in (before, after)]
    assert [found.catalog_fingerprint for found in read] == [fingerprint(dataset), fingerprint(narrow)]
    assert [found.run_id for found in read] == ["hourly", "replay"]


def test_small_landings_stay_with_the_worker(deployment, landed):
    refined = pipeline.refine_dataset(deployment(None), {**landed, "raw_bytes": 1}, "run")
    assert refined["refined"] == 4


def test_a_million_deletes_stay_with_the_worker(stages, order, dataset):
    """Their parts would be refined as ranges, and events know none."""
    landed = manifests.read(stages.raw, order.raw_manifest_uri)
    events = replace(landed, details={**landed.details, "kind": KIND})
    assert spark.wanted(dataset, landed_as(landed, order.raw_manifest_uri))
    assert not spark.wanted(dataset, landed_as(events, order.raw_manifest_uri))


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
