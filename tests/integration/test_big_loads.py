"""A load that is cut into ranges ends as the same load in one piece does, whatever happens to its ranges."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from bson.codec_options import CodecOptions, DatetimeConversion
from typer.testing import CliRunner
from worlds import World, embedded, make_world

from devstack.airflow_home import BIN
from tideline import connections, pipeline
from tideline.catalog.loader import load_catalog
from tideline.cli import app
from tideline.errors import ContractError, IntegrityError, SourceUnavailableError
from tideline.lake import manifest as manifests
from tideline.replay.recover import recover
from tideline.replay.select import EVERYTHING
from tideline.warehouse.ledger import Ledger
from tideline.warehouse.names import LEDGER, ops_table, raw_table
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tideline.pipeline import Deployment, Summary
    from tideline.replay.work import Outcome

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CATALOG = Path(__file__).parents[2] / "include" / "catalog"
MONGO, CSV = "shop_mongodb.orders", "shop_s3.order_items"
CUSTOMERS = "shop_mongodb.customers"
ABOUT_READING = {"_extracted_at", "_raw_uri", "_raw_position", "_merged_at", "_window_id"}
NUMBERS = count(1)
EVERY_DATE: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
SPLIT = {MONGO: {"records": 120}, CSV: {"bytes": "9KB"}}
KILLED = Path(__file__).parents[1] / "support" / "killed.py"


def declared(directory: Path, **changes: dict[str, Any]) -> Path:
    """The shop's catalog with these keys changed, in a folder of its own."""
    directory.mkdir()
    for path in CATALOG.glob("*.yaml"):
        text = yaml.safe_load(path.read_text())
        for dataset_id, keys in changes.items():
            source, name = dataset_id.split(".")
            if text["source"] == source:
                text["datasets"][name] |= keys
        (directory / path.name).write_text(yaml.safe_dump(text, sort_keys=False))
    return directory


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    split = {dataset_id: {"split": split} for dataset_id, split in SPLIT.items()}
    directory = declared(tmp_path_factory.mktemp("big") / "catalog", **split)
    for world in make_world(tmp_path_factory.mktemp("world"), embedded()):
        os.environ["TIDELINE_CATALOG_DIR"] = str(directory)
        world.deployment = replace(world.deployment, catalog=load_catalog(directory))
        world.shop.advance(0, world.targets)
        yield world


@pytest.fixture
def fresh(world: World) -> Iterator[Deployment]:
    """Another warehouse on the same servers: nothing was ever loaded."""
    prefix = f"big{next(NUMBERS)}_"
    settings = replace(world.deployment.settings, dataset_prefix=prefix)
    with connections.open_deployment(settings) as deployment:
        os.environ["TIDELINE_DATASET_PREFIX"] = prefix
        yield replace(deployment, catalog=world.deployment.catalog)
        del os.environ["TIDELINE_DATASET_PREFIX"]


def ranges_of(deployment: Deployment, world: World, dataset_id: str, hour: int = 0) -> list[Summary]:
    return pipeline.plan_ranges(deployment, world.request(hour), dataset_id)


def refined(deployment: Deployment, planned: Summary) -> Summary:
    return pipeline.refine_dataset(deployment, pipeline.land_dataset(deployment, planned, "test"), "test")


def load(deployment: Deployment, parts: list[Summary]) -> Summary:
    return pipeline.merge_dataset(deployment, [refined(deployment, part) for part in parts], "test")


def table(deployment: Deployment, dataset_id: str) -> dict[Any, Any]:
    """Key → all that a row says but when, and from which part, it was read."""
    dataset = deployment.catalog.dataset(dataset_id)
    warehouse = deployment.open_warehouse()
    sql = f"SELECT * FROM {raw_table(dataset, warehouse.settings).sql}"
    rows = [dict(row.items()) for row in warehouse.rows(sql, kind="test")]
    found = {
        tuple(row[name] for name in dataset.key): {k: v for k, v in row.items() if k not in ABOUT_READING}
        for row in rows
    }
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def unsplit(world: World) -> dict[str, tuple[Summary, dict[Any, Any]]]:
    """What the same first loads in one piece say, and end as."""
    request = world.request(0, datasets=tuple(SPLIT))
    planned = pipeline.plan_run(world.deployment, request)
    done = {dataset_id: load(world.deployment, [one]) for dataset_id, one in planned.items()}
    return {
        dataset_id: (summary, table(world.deployment, dataset_id)) for dataset_id, summary in done.items()
    }


@pytest.mark.parametrize("dataset_id", SPLIT)
def test_a_load_in_ranges_ends_as_the_load_in_one_piece(
    world: World, unsplit: dict[str, Any], fresh: Deployment, dataset_id: str
) -> None:
    parts = ranges_of(fresh, world, dataset_id)
    assert len(parts) > 3

    merged = load(fresh, parts)

    whole, rows = unsplit[dataset_id]
    assert table(fresh, dataset_id) == rows
    same = ("landed", "refined", "quarantined", "inserted", "duplicates")
    assert [merged[name] for name in same] == [whole[name] for name in same]
    assert merged["quarantined"] > 0

    (row,) = Ledger(fresh.open_warehouse()).history(*dataset_id.split("."))
    assert (row.ranges, len(row.raw_manifest_uris)) == (len(parts), len(parts))
    assert row.raw_manifest_uri not in row.raw_manifest_uris
    assert row.landed == row.refined + row.quarantined == merged["landed"]
    assert row.mode == "scheduled"


@pytest.mark.parametrize("dataset_id", SPLIT)
def test_a_merge_of_ranges_repeated_is_one_load(world: World, fresh: Deployment, dataset_id: str) -> None:
    each = [refined(fresh, part) for part in ranges_of(fresh, world, dataset_id)]
    first = pipeline.merge_dataset(fresh, each, "first")
    again = pipeline.merge_dataset(fresh, each[::-1], "second")

    assert (again["repeated"], again["load_id"]) == (True, first["load_id"])
    assert len(list(Ledger(fresh.open_warehouse()).history(*dataset_id.split(".")))) == 1


def test_a_window_that_follows_is_in_one_piece(world: World, fresh: Deployment, tmp_path: Path) -> None:
    large = {MONGO: {"split": {"records": 450}}, CSV: {"split": SPLIT[CSV]}}
    following = replace(fresh, catalog=load_catalog(declared(tmp_path / "large", **large)))
    for dataset_id in SPLIT:
        load(fresh, ranges_of(fresh, world, dataset_id))
        (planned,) = ranges_of(following, world, dataset_id, hour=1)
        assert "part" not in planned
        assert planned["window"]["start"] is not None


def test_a_dataset_that_the_run_leaves_out_has_no_ranges(world: World, fresh: Deployment) -> None:
    request = world.request(0, datasets=("shop_mongodb.customers",))
    assert pipeline.plan_ranges(fresh, request, MONGO) == []


@pytest.fixture(scope="module")
def killed(world: World) -> Iterator[Callable[..., int]]:
    """Do a task in a process that ends itself at a point of it; how it ended."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, KILLED], text=True, **pipes) as tasks:

        def end(*task: object) -> int:
            print(json.dumps([*task, dict(os.environ)]), file=tasks.stdin, flush=True)
            return int(tasks.stdout.readline())

        yield end


@pytest.mark.parametrize("point", ["after a part", "before the manifest", "after the manifest"])
@pytest.mark.parametrize(
    ("verb", "dataset_id"), [("land_dataset", MONGO), ("land_dataset", CSV), ("refine_dataset", MONGO)]
)
def test_a_range_that_is_killed_is_done_again(
    world: World,
    unsplit: dict[str, Any],
    fresh: Deployment,
    killed: Callable[..., int],
    verb: str,
    dataset_id: str,
    point: str,
) -> None:
    parts = ranges_of(fresh, world, dataset_id)
    given = parts[1] if verb == "land_dataset" else pipeline.land_dataset(fresh, parts[1], "test")
    assert killed(verb, given, point) == -signal.SIGKILL

    merged = load(fresh, parts)

    assert merged["inserted"] == len(table(fresh, dataset_id))
    assert table(fresh, dataset_id) == unsplit[dataset_id][1]


def test_ranges_that_are_missing_or_of_two_plans_are_not_merged(world: World, fresh: Deployment) -> None:
    each = [refined(fresh, part) for part in ranges_of(fresh, world, MONGO)]
    other = refined(fresh, ranges_of(fresh, world, MONGO)[0])
    for given, complaint in (
        (each[1:], "each of them once"),
        (each[:1], "each of them once"),
        ([*each, each[0]], "each of them once"),
        ([other, *each[1:]], "not cut together"),
        ([], "no range"),
    ):
        with pytest.raises(IntegrityError, match=complaint):
            pipeline.merge_dataset(fresh, given, "test")
    lone = pipeline.refined_summary(fresh, each[0]["processed_manifest_uri"])
    with pytest.raises(IntegrityError, match="each of them once"):
        pipeline.merge_dataset(fresh, lone, "test")
    assert list(Ledger(fresh.open_warehouse()).history("shop_mongodb", "orders")) == []


def test_documents_written_while_ranges_are_read_are_there_once(world: World, fresh: Deployment) -> None:
    orders = world.targets.mongo["shop"].get_collection("orders", EVERY_DATE)
    before = list(orders.find())
    parts = ranges_of(fresh, world, MONGO)
    stamp = world.end_of(0) + timedelta(minutes=5)
    known = world.shop.truth(0)[MONGO]
    good = [document for document in before if document["_id"] in known]
    first, last = good[0], max(good, key=lambda document: document["_id"])
    try:
        each = []
        for number, part in enumerate(parts):
            each.append(refined(fresh, part))
            orders.update_one(
                {"_id": first["_id"]}, {"$set": {"total_items": 1000 + number, "updated_at": stamp}}
            )
            orders.replace_one(
                {"_id": last["_id"] + 1 + number}, {**last, "_id": last["_id"] + 1 + number}, upsert=True
            )
        merged = pipeline.merge_dataset(fresh, each, "test")
        found = table(fresh, MONGO)
        assert len(found) == merged["inserted"]
        assert {(d["_id"],) for d in before if isinstance(d["_id"], int)} >= found.keys() - {
            (last["_id"] + 1 + number,) for number in range(len(parts))
        }
        later = pipeline.plan_run(fresh, replace(world.request(0), interval=None, catch_up=True))[MONGO]
        load(fresh, [later])
        assert table(fresh, MONGO)[(first["_id"],)]["total_items"] == 1000 + len(parts) - 1
    finally:
        orders.delete_many({})
        orders.insert_many(before)


def test_too_many_refused_rows_of_all_ranges_stop_the_merge(world: World, fresh: Deployment) -> None:
    catalog = load_catalog(
        declared(
            Path(os.environ["TIDELINE_CATALOG_DIR"]).parent / "strict",
            **{CSV: {"split": SPLIT[CSV], "quarantine_threshold": 0.0}},
        )
    )
    strict = replace(fresh, catalog=catalog)
    each = [refined(strict, part) for part in ranges_of(strict, world, CSV)]
    with pytest.raises(
        ContractError, match=r"in \d+ ranges were refused, more than quarantine_threshold 0.00%"
    ) as raised:
        pipeline.merge_dataset(strict, each, "test")
    evidence = manifests.read(strict.quarantine, raised.value.place)
    assert evidence.records == sum(summary["quarantined"] for summary in each)
    assert list(Ledger(fresh.open_warehouse()).history("shop_s3", "order_items")) == []


def test_the_whole_can_be_refined_and_merged_as_one_landing(world: World, fresh: Deployment) -> None:
    """What replay does: the same rows again, of which each is the very one that is there."""
    merged = load(fresh, ranges_of(fresh, world, CSV))
    before = table(fresh, CSV)
    landed = pipeline.landed_summary(fresh, merged["raw_manifest_uri"])
    again = pipeline.merge_dataset(fresh, pipeline.refine_dataset(fresh, landed, "again"), "again")

    assert (again["landed"], again["refined"]) == (merged["landed"], merged["refined"])
    assert (again["inserted"], again["updated"], again["revived"]) == (0, 0, 0)
    assert table(fresh, CSV) == before


def test_a_source_that_cannot_be_asked_is_planned_in_one_piece(
    world: World, fresh: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Any) -> Any:
        raise SourceUnavailableError("nobody answers")

    (planned,) = ranges_of(replace(fresh, open_source=refuse), world, MONGO)
    assert "part" not in planned
    assert "is not split, as its source cannot be asked: nobody answers" in caplog.text


def test_the_command_line_goes_through_ranges(
    world: World, unsplit: dict[str, Any], fresh: Deployment
) -> None:
    runner = CliRunner()
    first = runner.invoke(
        app, ["run", "--dataset", MONGO, "--catch-up", "--end", format_instant(world.end_of(0)), "--json"]
    )
    assert first.exit_code == 0, first.output
    assert table(fresh, MONGO) == unsplit[MONGO][1]

    window = [
        "--start",
        format_instant(world.end_of(0) - timedelta(days=3650)),
        "--end",
        format_instant(world.end_of(0)),
    ]
    for verb in ("land", "refine", "merge"):
        done = runner.invoke(app, [verb, "--dataset", MONGO, *window])
        assert done.exit_code == 0, done.output
        summaries = json.loads(done.stdout)
        assert summaries["ranges"] > 3 if verb == "merge" else len(summaries) > 3
    assert table(fresh, MONGO) == unsplit[MONGO][1]


def test_volume_warns_or_stops(world: World, fresh: Deployment, tmp_path: Path) -> None:
    """24 hours of which each had its median; then one that has a thousand times as much."""
    ledger = Ledger(fresh.open_warehouse())
    ledger.ensure()
    load(fresh, [pipeline.plan_run(fresh, world.request(0, datasets=(MONGO,)))[MONGO]])
    (row,) = ledger.history("shop_mongodb", "orders")
    hour = timedelta(hours=1)
    for number in range(24):
        end = world.end_of(0) - (24 - number) * hour
        ledger.record(
            replace(row, load_id=f"past {number}", window_start=end - hour, window_end=end, landed=number % 3)
        )
    volume = {"least": 10, "outside": "warn"}
    for outside in ("warn", "stop"):
        directory = declared(tmp_path / outside, **{MONGO: {"volume": {**volume, "outside": outside}}})
        judged = replace(fresh, catalog=load_catalog(directory))
        planned = pipeline.plan_run(judged, world.request(1, datasets=(MONGO,)))[MONGO]
        assert planned["expected"] == {"records": 2.0, "loads": 24, "of": "recent"}
        many = refined(judged, {**planned, "window": {**planned["window"], "start": None}})
        if outside == "warn":
            merged = pipeline.merge_dataset(judged, many, "test")
            assert "suspiciously many" in merged["notes"]
            found = ledger.find("shop_mongodb", "orders", merged["load_id"])
            assert found is not None
            assert found.notes == merged["notes"]
        else:
            with pytest.raises(ContractError, match="suspiciously many") as raised:
                pipeline.merge_dataset(judged, many, "test")
            by_name = pipeline.refined_summary(judged, str(raised.value.place))
            assert pipeline.merge_dataset(judged, by_name, "a person")["repeated"] is False


def test_what_the_source_counts_is_in_the_ledger(world: World, fresh: Deployment) -> None:
    done = {}
    for request in (world.request(0), world.request(0, kind="manual")):
        for dataset_id, planned in pipeline.plan_run(fresh, request).items():
            if dataset_id in (MONGO, CSV, "jsonplaceholder.users"):
                done[dataset_id, planned["mode"]] = load(fresh, [planned])
    counts = {}
    for dataset_id in (MONGO, CSV, "jsonplaceholder.users"):
        for row in Ledger(fresh.open_warehouse()).history(*dataset_id.split(".")):
            counts[dataset_id, row.mode] = (row.source_count, row.landed)
    assert counts[MONGO, "scheduled"][0] is None
    for key in ((MONGO, "exact"), (CSV, "scheduled")):
        assert counts[key][0] == counts[key][1] > 0


ABOUT_RUNNING = {"run_id", "committed_at", "land_seconds", "refine_seconds", "merge_seconds"}


@pytest.fixture
def alone(world: World) -> Iterator[Deployment]:
    """Another warehouse and another lake on the same servers."""
    prefix, old = f"alone{next(NUMBERS)}_", world.deployment.settings
    stages = {
        f"{stage}_uri": f"s3://tideline-{stage}/{prefix}" for stage in ("raw", "processed", "quarantine")
    }
    with connections.open_deployment(replace(old, dataset_prefix=prefix, **stages)) as deployment:
        yield replace(deployment, catalog=world.deployment.catalog)


def book(deployment: Deployment, dataset_id: str) -> dict[str, dict[str, Any]]:
    """The ledger's rows by their load, without what is about the run that wrote them."""
    ledger = Ledger(deployment.open_warehouse())
    ledger.ensure()
    rows = [asdict(row) for row in ledger.history(*dataset_id.split("."))]
    return {row["load_id"]: {k: v for k, v in row.items() if k not in ABOUT_RUNNING} for row in rows}


def recovered(deployment: Deployment, dataset_id: str) -> Outcome:
    return recover(deployment, [deployment.catalog.dataset(dataset_id)], EVERYTHING, "recover")


@pytest.mark.parametrize("dataset_id", SPLIT)
def test_a_lost_ledger_of_loads_in_ranges_is_what_it_was(
    world: World, alone: Deployment, dataset_id: str
) -> None:
    parts = ranges_of(alone, world, dataset_id)
    assert len(parts) > 1
    done = [refined(alone, part) for part in parts]
    done[0] = refined(alone, parts[0])  # one mapped task was cleared: its range is there twice
    pipeline.merge_dataset(alone, done, "hourly")
    refined(alone, parts[1])  # and one was cleared after everything, and is in no load
    before, rows = book(alone, dataset_id), table(alone, dataset_id)
    ((load_id, row),) = before.items()
    assert (row["mode"], row["ranges"], len(row["raw_manifest_uris"])) == (
        "scheduled",
        len(parts),
        len(parts),
    )
    warehouse = alone.open_warehouse()
    state = Ledger(warehouse).state()[dataset_id]
    assert state.high_water_mark == world.request(0).interval[1]

    ledger = ops_table(LEDGER, warehouse.settings).sql
    warehouse.run(f"DELETE FROM {ledger} WHERE TRUE", kind="test", key=load_id)
    assert recovered(alone, dataset_id).skipped == {}
    assert book(alone, dataset_id) == before
    assert table(alone, dataset_id) == rows
    assert Ledger(warehouse).state()[dataset_id] == state
    assert recovered(alone, dataset_id).done == []


@pytest.mark.parametrize("dataset_id", SPLIT)
def test_ranges_that_nobody_put_together_are_recovered_as_one_scheduled_load(
    world: World, alone: Deployment, dataset_id: str
) -> None:
    parts = ranges_of(alone, world, dataset_id)
    done = [refined(alone, part) for part in parts]
    Ledger(alone.open_warehouse()).ensure()
    assert recovered(alone, dataset_id).skipped == {}
    (row,) = book(alone, dataset_id).values()
    assert (row["mode"], row["ranges"]) == ("scheduled", len(parts))
    assert row["landed"] == sum(each["landed"] for each in done)
    assert Ledger(alone.open_warehouse()).state()[dataset_id].high_water_mark == world.request(0).interval[1]


@pytest.mark.airflow
def test_airflow_hands_over_many_ranges_and_one(world: World, fresh: Deployment, tmp_path: Path) -> None:
    split = {MONGO: {"split": {"records": 120}}, CUSTOMERS: {"split": {"records": 1_000_000}}}
    env = {
        **os.environ,
        "TIDELINE_CATALOG_DIR": str(declared(tmp_path / "catalog", **split)),
        "TIDELINE_DBT_DIR": "",
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CATALOG.parents[1] / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    interval = world.request(0).interval
    assert interval
    form = {"datasets": list(split), "catch_up": True}
    subprocess.run([BIN / "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    command = [BIN / "airflow", "dags", "test", "tideline_hourly", format_instant(interval[1])]
    done = subprocess.run(
        [*command, "--conf", json.dumps(form)], env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    for dataset_id in split:
        (row,) = Ledger(fresh.open_warehouse()).history(*dataset_id.split("."))
        assert row.refined == row.inserted > 120, dataset_id
    assert len(table(fresh, MONGO)) > 400
