"""Costs in seconds: the API in a warm process, what Airflow makes of us, dbt, the dashboard's pages."""

from __future__ import annotations

import json
import shutil
import statistics
from typing import TYPE_CHECKING, Any

from benchmarks import fixtures
from benchmarks.harness import Measured, RunError, Task, measure, perform
from benchmarks.living import living
from benchmarks.paths import CACHE, CATALOG, ROOT
from benchmarks.servers import mongodb
from devstack import airflow_home

if TYPE_CHECKING:
    from benchmarks.sections import Bench

API_ROWS = 810
API_ROUNDS = 5
ONE_MODEL = "fct_orders"
PAGES_SCALE = 10
DRIVER = ROOT / "tests" / "support"
"""Where the browser's driver is."""
DAG_FILE = ROOT / "dags" / "tideline_hourly.py"
STEPS = {
    "task_land_documents": ("land", "bench_mongodb.documents"),
    "task_land_csv": ("land", "bench_s3.orders"),
    "task_land_api": ("land", "bench_api.posts"),
    "task_refine": ("refine", "bench_s3.orders"),
    "task_merge": ("merge", "bench_s3.orders"),
}
Costs = dict[str, Any]


def api(bench: Bench) -> Costs:
    """Seconds to land and refine 810 rows in a warm process, or why there are none."""
    bench.say("the API in a warm process")
    endpoint = bench.servers.s3_endpoint
    arguments = {"api_url": bench.servers.api_url, "s3_endpoint": endpoint, "rounds": API_ROUNDS}
    try:
        output = measure(Task("api:tideline", arguments), bench.servers.pids).output
        perform(Task("check:count", {"parts": output["parts"], "rows": API_ROWS, "s3_endpoint": endpoint}))
    except RunError as error:
        return {"api": str(error)}
    return {"api": statistics.median(output["seconds"]), "api_rounds": output["seconds"]}


def airflow(bench: Bench) -> Costs:
    """Seconds to parse the DAG, to begin a task and to pass from one task to the next."""
    home = CACHE / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    return {**_parse(bench), **_steps(bench), **_chain(bench)}


def models(bench: Bench) -> Costs:
    """Seconds of `dbt build` on the emulator at SCALE=1: the first, the next hour's, one model by itself."""
    found: dict[str, Measured] = {}
    try:
        bench.say("the models: filling the warehouse")
        with living("models", scale=1, hours=2) as world:
            for hour, name in enumerate(("dbt_first", "dbt_hour")):
                world.fill(hour)
                bench.say(f"the models: {name}")
                found[name] = measure(world.build(), bench.servers.pids)
            found["dbt_model"] = measure(world.build(select=ONE_MODEL), bench.servers.pids)
    except RunError as error:
        return {"dbt_hour": str(error)}
    costs: Costs = {name: run.wall_seconds for name, run in found.items()}
    costs |= {f"{name}_cpu": run.cpu_seconds for name, run in found.items()}
    return costs | {"dbt_nodes": found["dbt_hour"].output["nodes"]}


def pages(bench: Bench) -> Costs:
    """Seconds of each page of the dashboard at SCALE=10, in a browser."""
    from dashboard.launch import install
    from devstack.process import StackError

    try:
        python = install()
        bench.say("the pages: filling the warehouse")
        with living("pages", scale=PAGES_SCALE, hours=2) as world:
            world.fill(0)
            bench.say("the pages: dbt build")
            perform(world.build(tests=False))
            bench.say("the pages: in a browser")
            arguments = {
                "warehouse": world.warehouse,
                "python": str(python),
                "folder": str(world.state / "site"),
            }
            return perform(Task("pages:show", arguments, environment={"PYTHONPATH": str(DRIVER)}))
    except (RunError, StackError) as error:
        return {"pages": str(error)}


def _parse(bench: Bench) -> Costs:
    bench.say("parsing the DAG")
    task = Task("airflow:parse", {"path": str(DAG_FILE)}, environment=_environment({}))
    try:
        perform(Task("airflow:manifest", {"log": str(CACHE / "dbt.log")}))
        perform(task)  # the first one fills caches
        found = [measure(task, bench.servers.pids).output for _ in range(bench.repeat)]
    except RunError as error:
        return {"parse_cold": str(error), "parse_warm": str(error)}
    return {
        "parse_cold": statistics.median(output["cold_seconds"] for output in found),
        "parse_warm": statistics.median(output["warm_seconds"] for output in found),
        "parse_tasks": found[0]["tasks"],
    }


def _steps(bench: Bench) -> Costs:
    costs: Costs = {}
    with mongodb(documents=fixtures.DOCUMENTS_SMALL) as (uri, pid):
        environment = _environment(connections(bench, uri))
        for name, (step, dataset_id) in STEPS.items():
            bench.say(f"a task's fixed cost: {name}")
            task = Task("airflow:task", {"step": step, "dataset_id": dataset_id}, environment=environment)
            try:
                perform(task)
                found = [measure(task, (*bench.servers.pids, pid)).output for _ in range(bench.repeat)]
                costs[name] = statistics.median(output["seconds"] for output in found)
            except RunError as error:
                costs[name] = str(error)
    return costs


def _chain(bench: Bench) -> Costs:
    bench.say("a chain of tasks under a scheduler")
    try:
        found = perform(Task("airflow:chain", {"home": str(CACHE / "airflow" / "chain")}))
    except RunError as error:
        return {"chain_link": str(error)}
    return {"chain_link": found["link_seconds"], "chain": found}


def _environment(connections: dict[str, str]) -> dict[str, str]:
    return airflow_home.environment(CACHE / "airflow", connections, "local")


def connections(bench: Bench, mongodb_uri: str) -> dict[str, str]:
    """Where the product finds the benchmarks' servers and catalog, as its environment; no warehouse."""
    host, _, port = mongodb_uri.removeprefix("mongodb://").partition(":")
    bucket = {
        "conn_type": "aws",
        "login": "bench",
        "password": "bench",
        "extra": {"endpoint_url": bench.servers.s3_endpoint, "region_name": "us-east-1"},
    }
    connections: dict[str, dict[str, Any]] = {
        "tideline_mongodb": {"conn_type": "mongo", "host": host, "port": int(port)},
        "tideline_s3_source": bucket,
        "tideline_lake": bucket,
        "tideline_jsonplaceholder": {"conn_type": "http", "host": bench.servers.api_url},
        "tideline_warehouse": {
            "conn_type": "google_cloud_platform",
            "extra": {"project": "bench", "is_anonymous": True},
        },
    }
    return {
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        "TIDELINE_CATALOG_DIR": str(CATALOG),
        **{
            f"TIDELINE_{stage.upper()}_URI": f"s3://bench-{stage}"
            for stage in ("raw", "processed", "quarantine")
        },
    }
