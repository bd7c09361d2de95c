"""`make bench-scale`: what one more document, object and dataset costs, and what 10^9 documents would.

Measures each at several sizes and draws a line through them by least squares: the slope is the price of one
more, the intercept that of beginning. What lies beyond the sizes measured is arithmetic with these slopes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import fixtures, machine, scale_page
from benchmarks.harness import RunError, Task, alone, measure, perform
from benchmarks.paths import CACHE, ROOT
from benchmarks.sections import COLLECTIONS
from benchmarks.servers import mongodb, servers
from devstack import airflow_home

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.harness import Measured
    from benchmarks.servers import Servers

RESULT = CACHE / "scale.json"
OBJECTS = (50, 400, 1_000)
ROWS_EACH = 70
DATASETS = (11, 50, 200)
QUANTITIES = ("cpu_seconds", "wall_seconds", "peak_bytes")


@dataclass(frozen=True)
class Line:
    """A straight line through measured points."""

    intercept: float
    slope: float

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line:
        """By least squares."""
        slope, intercept = np.polyfit([x for x, _ in points], [y for _, y in points], 1)
        return cls(float(intercept), float(slope))


def lines(runs: Sequence[tuple[float, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """A line for each quantity over (size, quantities)."""
    return {key: vars(Line.through([(size, run[key]) for size, run in runs])) for key in runs[0][1]}


def documents(running: Servers, decoder: str, repeat: int) -> dict[str, Any]:
    """Land and refine 1 k, 200 k and 1 M documents to an S3 server."""
    runs = []
    with mongodb(**COLLECTIONS) as (uri, pid):
        for name, fixture in COLLECTIONS.items():
            arguments = {
                "uri": uri,
                "collection": name,
                "s3_endpoint": running.s3_endpoint,
                "decoder": decoder,
            }
            found = _median(Task("documents:tideline", arguments), running, repeat, pid)
            runs.append((fixture.rows, found))
    return {"decoder": decoder, "runs": runs, "lines": lines(runs), "bson_bytes": _bson_bytes()}


def _bson_bytes() -> float:
    fixture = fixtures.DOCUMENTS_LARGE
    return fixture.path.stat().st_size / fixture.rows


def objects(running: Servers, repeat: int) -> dict[str, Any]:
    """Land and refine so many CSV objects of 10 kB, S3 to S3."""
    runs = []
    for count in OBJECTS:
        source = {"s3_endpoint": running.s3_endpoint}
        drop = {**source, "path": str(fixtures.CSV.path), "objects": count, "rows_each": ROWS_EACH}
        perform(Task("small:drop", drop))
        runs.append((count, _median(Task("small:tideline", source), running, repeat)))
    return {"runs": runs, "lines": lines(runs)}


def datasets(running: Servers, repeat: int) -> dict[str, Any]:
    """Parse the hourly DAG with so many datasets in the catalog."""
    runs = []
    for count in DATASETS:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "many.yaml").write_text(_catalog(count))
            environment = airflow_home.environment(CACHE / "airflow", {}, "local")
            environment |= {"TIDELINE_CATALOG_DIR": folder, "TIDELINE_DBT_DIR": ""}
            path = str(ROOT / "dags" / "tideline_hourly.py")
            task = Task("airflow:parse", {"path": path}, environment=environment)
            outputs = [measure(task, running.pids).output for _ in range(repeat)]
        keys = ("cold_seconds", "warm_seconds", "tasks")
        runs.append((count, {key: statistics.median(out[key] for out in outputs) for key in keys}))
    return {"runs": runs, "lines": lines(runs)}


def _catalog(count: int) -> str:
    shop = (ROOT / "include" / "catalog" / "shop_mongodb.yaml").read_text()
    head, _, rest = shop.partition("datasets:\n")
    orders = rest[rest.index("  orders:") : rest.index("  charges:")]
    return (
        head + "datasets:\n" + "".join(orders.replace("  orders:", f"  orders_{n}:", 1) for n in range(count))
    )


def _median(task: Task, running: Servers, repeat: int, *others: int) -> dict[str, float]:
    """Medians of what was measured, and of what the run says of itself."""
    runs = []
    for _ in range(repeat):
        runs.append(_quantities(measure(task, (*running.pids, *others))))
        perform(Task("objects:clear", {"s3_endpoint": running.s3_endpoint}))
    return {key: float(statistics.median(run[key] for run in runs)) for key in runs[0]}


def _quantities(run: Measured) -> dict[str, float]:
    said = ("raw_bytes", "processed_bytes", "land_seconds", "refine_seconds")
    return {
        **{key: float(getattr(run, key)) for key in (*QUANTITIES, "foreign_cores")},
        **{key: float(run.output[key]) for key in said},
    }


def measure_all(repeat: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything; what could not be measured says why."""
    fixtures.make_all([fixture.name for fixture in (*COLLECTIONS.values(), fixtures.CSV)])
    shutil.rmtree(CACHE / "airflow", ignore_errors=True)
    found: dict[str, Any] = {"date": datetime.now(UTC).date().isoformat(), "machine": machine.describe()}
    with servers() as running:
        perform(Task("objects:create", {"s3_endpoint": running.s3_endpoint}))
        measured: dict[str, Callable[[], dict[str, Any]]] = {
            "native": partial(documents, running, "native", repeat),
            "python": partial(documents, running, "python", repeat),
            "objects": partial(objects, running, repeat),
            "datasets": partial(datasets, running, repeat),
        }
        for name, part in measured.items():
            say(name)
            try:
                found[name] = part()
            except RunError as error:
                found[name] = {"failure": str(error)}
    return found


def main() -> int:
    """Measure, keep it in `.tideline/bench/scale.json`, print the tables; --page writes them."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each size (default 3)")
    parser.add_argument("--again", action="store_true", help="print what was measured last")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/scale.md")
    options = parser.parse_args()
    if options.again:
        found = json.loads(RESULT.read_text())
    else:
        with alone():
            found = measure_all(options.repeat, lambda text: print(text, file=sys.stderr))
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(scale_page.tables(found))
    if options.page:
        scale_page.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
