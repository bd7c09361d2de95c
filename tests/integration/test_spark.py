"""The same landing refined here and by Spark: same rows, same refusals, whatever workers die meanwhile.

TIDELINE_SPARK_DOCUMENTS says how many documents; CI takes three million, a laptop's `make test` fewer.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import spark_lake

from devstack import spark as laptop
from devstack.s3_server import S3Server
from tideline.errors import ContractError
from tideline.lake import keys, manifest
from tideline.spark import submit

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

DOCUMENTS = int(os.environ.get("TIDELINE_SPARK_DOCUMENTS", "40000"))
KILLED = Path(__file__).parents[1] / "support" / "spark_killed.py"

if why := laptop.missing():
    pytest.skip(f"not measured on Spark: {why}", allow_module_level=True)


@pytest.fixture(scope="module")
def lake():
    with S3Server() as server:
        yield spark_lake.Lake(server.url)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return spark_lake.dataset_in(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def order(lake, dataset):
    return lake.order(dataset, DOCUMENTS)


@pytest.fixture(scope="module")
def alone(lake, order):
    return lake.alone(order)


def extra(lake, **fields):
    program = str(laptop.VENV / "bin" / "spark-submit")
    conf = {"spark.ui.enabled": "false"}
    env = {**laptop.environment(), **lake.environment}
    return {"submit": "local", "spark_submit": program, "env": env, "conf": conf, **fields}


def test_spark_gives_the_rows_of_one_process(lake, order, alone):
    assert lake.spread(order) is None
    submit.run_locally(order, extra(lake))
    lake.assert_same(alone, lake.spread(order), DOCUMENTS)


def test_a_killed_worker_leaves_nothing_that_counts(lake, order, alone, tmp_path):
    before = set(lake.stages.processed.list(""))
    program = [
        str(laptop.VENV / "bin" / "spark-submit"),
        "--master",
        "local[4,4]",
        "--conf",
        "spark.ui.enabled=false",
    ]
    done = subprocess.run(
        [*program, str(KILLED), order.encode(), str(tmp_path)],
        env={**os.environ, **laptop.environment(), **lake.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after", "before"]
    spread = lake.spread(order)
    lake.assert_same(alone, spread, DOCUMENTS)
    added = set(lake.stages.processed.list("")) - before
    ranges = [key for key in added if keys.attempt_of(key) and "-whole-" not in key]
    landed = manifest.read(lake.stages.raw, order.raw_manifest_uri)
    assert len(ranges) == len(landed.parts) + 1, (
        "the range that was committed and lost is there, and not named"
    )
    named = {lake.stages.processed.key_of(uri) for uri in spread.details["ranges"]}
    assert len(named) == len(landed.parts)
    assert named < set(ranges)


def test_too_many_refusals_stop_it_after_the_evidence(lake, order, dataset):
    strict = replace(order, dataset=dataset.model_copy(update={"quarantine_threshold": 0.0}), run_id="strict")
    named = lake.spread(order)
    with pytest.raises(ContractError, match="quarantine_threshold") as refused:
        submit.run_locally(strict, extra(lake))
    assert "spark-quarantine" in str(refused.value)
    assert lake.spread(order) == named
