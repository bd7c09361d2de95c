"""`tideline status` and `tideline promote` on a living shop: what they say is what happened."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from tideline import cli, pipeline
from tideline.catalog.loader import load_catalog
from tideline.errors import CatalogError
from tideline.status.evidence import samples
from tideline.status.report import report

pytestmark = pytest.mark.integration


def invoke(*arguments):
    result = CliRunner().invoke(cli.app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture(scope="module")
def loaded(world):
    """Nothing, then the first run of all and the hours after it."""
    before = report(world.deployment, datetime.now(UTC))
    assert before.is_new
    assert {one.state for one in before.datasets} == {"new"}
    assert {one.next_reads.start for one in before.datasets} == {None}
    assert "nothing was loaded" in invoke("status")
    done = []
    for hour in range(3):
        world.shop.advance(hour, world.targets)
        done.append(world.run(world.request(hour)))
    return world, done


def test_the_report_says_what_the_loads_did(loaded):
    world, done = loaded
    found = {one["dataset_id"]: one for one in json.loads(invoke("status", "--json"))["datasets"]}
    assert set(found) == {one.dataset_id for one in world.deployment.catalog.datasets}
    for dataset_id, one in found.items():
        loads = [hour[dataset_id] for hour in done]
        assert one["high_water_mark"] == "2026-03-14T12:00:00Z"
        assert one["state"] == "late"  # the shop's clock is in the past
        assert one["loads"] == 3
        assert one["last"]["load_id"] == loads[-1]["load_id"]
        for count in ("landed", "refined", "quarantined", "inserted", "updated", "unchanged"):
            assert one["counts"][count] == sum(load[count] or 0 for load in loads), (dataset_id, count)
        assert one["quarantined_open"] == sum(load["quarantined"] for load in loads)
        assert one["next_reads"]["start"].startswith(("2026-03-14T11:00", "2026-03-14T12:00"))
    assert sum(one["quarantined_open"] for one in found.values()) > 0


def test_what_is_refused_is_open_with_its_reasons_and_bytes(loaded):
    world, _ = loaded
    found = report(world.deployment, datetime.now(UTC))
    open_rows = sum(one.quarantined_open for one in found.datasets)
    assert sum(one.quarantined for one in found.refused) == open_rows
    for one in found.refused:
        assert sum(one.reasons.values()) == one.quarantined
        some = samples(world.deployment.quarantine, one.quarantine_uri, limit=3)
        assert 0 < len(some) <= 3
        assert {sample.reason for sample in some} <= set(one.reasons)
        assert all(sample.raw for sample in some)
        reason = some[-1].reason
        assert {
            s.reason for s in samples(world.deployment.quarantine, one.quarantine_uri, reason=reason)
        } == {reason}


def test_the_tables_are_readable(loaded):
    printed = invoke("status")
    assert "shop_mongodb.orders" in printed
    assert "Refused and open" in printed
    only = invoke("status", "--dataset", "shop_mongodb.orders")
    assert "shop_s3.products" not in only.partition("Refused")[0]
    with pytest.raises(CatalogError, match="choose one of"):
        invoke("status", "--dataset", "shop_mongodb.nope")


def test_a_read_that_was_not_merged_waits_until_another_of_its_window_is(loaded):
    world, _ = loaded
    now = world.end_of(3)
    world.shop.advance(3, world.targets)
    request = world.request(3, datasets=("shop_mongodb.orders",))
    planned = pipeline.plan_run(world.deployment, request)["shop_mongodb.orders"]
    load = planned[0] if isinstance(planned, list) else planned
    landed = [pipeline.land_dataset(world.deployment, load, request.run_id) for _ in range(2)]

    def pending():
        (one,) = report(world.deployment, now, datasets=["shop_mongodb.orders"]).datasets
        return {read.raw_manifest_uri: read.is_superseded for read in one.pending}, len(one.waiting)

    uris = [summary["raw_manifest_uri"] for summary in landed]
    assert pending() == (dict.fromkeys(uris, False), 2)
    refined = pipeline.refine_dataset(world.deployment, landed[1], request.run_id)
    pipeline.merge_dataset(world.deployment, refined, request.run_id)
    # the shop lives in the past, the ledger's clock does not
    assert pending() == ({uris[0]: True}, 0)


def test_a_new_field_is_promoted_and_differs_no_more(loaded, tmp_path, monkeypatch):
    world, _ = loaded
    found = report(world.deployment, datetime.now(UTC))
    new = [
        (one.dataset_id, drift) for one in found.datasets for drift in one.drift if drift.kind == "new_field"
    ]
    assert new
    dataset_id, drift = new[0]
    for path in world.deployment.settings.catalog_dir.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    monkeypatch.setenv("TIDELINE_CATALOG_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    diff = invoke("promote", "--dataset", dataset_id, "--field", drift.path)
    assert diff.startswith("--- a/")
    assert [line for line in diff.splitlines()[2:] if line.startswith("-")] == []
    assert load_catalog(tmp_path) == world.deployment.catalog
    assert invoke("promote", "--dataset", dataset_id, "--field", drift.path, "--write") == ""
    assert load_catalog(tmp_path) != world.deployment.catalog
    (after,) = json.loads(invoke("status", "--dataset", dataset_id, "--json"))["datasets"]
    assert drift.path not in [one["path"] for one in after["drift"] if one["kind"] == "new_field"]
    with pytest.raises(CatalogError, match="declared already"):
        invoke("promote", "--dataset", dataset_id, "--field", drift.path)
    with pytest.raises(CatalogError, match="no load has seen"):
        invoke("promote", "--dataset", dataset_id, "--field", "nobodySentThis")
