"""The comparisons themselves: which entrants, on which input, against which servers.

Each begins with a run on a thousand rows, which fills caches and finds out early who cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks import fixtures, peers
from benchmarks.harness import Task, perform
from benchmarks.paths import OUTPUT
from benchmarks.servers import mongodb
from benchmarks.suite import Entrant, Series, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.fixtures import Fixture
    from benchmarks.servers import Servers

COLLECTIONS = {
    "documents_1k": fixtures.DOCUMENTS_SMALL,
    "documents_200k": fixtures.DOCUMENTS,
    "documents_1m": fixtures.DOCUMENTS_LARGE,
}


@dataclass(frozen=True)
class Bench:
    """How a section runs its entrants."""

    servers: Servers
    repeat: int
    say: Callable[[str], None]
    failed: dict[str, str] = field(default_factory=dict)
    """Entrant → why it could not do the warm-up."""

    def warm_up(self, entrants: list[Entrant], *others: int) -> None:
        """Run each once without counting it; `others` are the processes of more servers."""
        for series in compare(entrants, 1, (*self.servers.pids, *others), self.say):
            if series.failure:
                self.failed[series.name] = series.failure

    def compare(self, entrants: list[Entrant], *others: int) -> list[Series]:
        """Run those that could do the warm-up in turns."""
        able = [replace(entrant, missing=self.failed.get(entrant.name)) for entrant in entrants]
        return compare(able, self.repeat, (*self.servers.pids, *others), self.say)

    def once(self, entrant: Entrant, name: str, *others: int) -> list[Series]:
        """Run one entrant under another name: memory at another size does not vary from run to run."""
        alone = replace(entrant, name=name, missing=self.failed.get(entrant.name))
        return compare([alone], 1, (*self.servers.pids, *others), self.say)


def documents(bench: Bench) -> list[Series]:
    """A collection of nested documents → raw and Parquet."""
    why_not = peers.install()
    with mongodb(**COLLECTIONS) as (uri, pid):

        def entrants(collection: str) -> list[Entrant]:
            return _document_entrants(uri, collection, bench.servers.s3_endpoint, why_not)

        bench.warm_up(entrants("documents_1k"), pid)
        found = bench.compare(entrants("documents_200k"), pid)
        for entrant in entrants("documents_1m"):
            if entrant.is_product:
                found += bench.once(entrant, f"{entrant.name}_1m", pid)
        return found


def _document_entrants(uri: str, collection: str, s3_endpoint: str, why_not: str | None) -> list[Entrant]:
    fixture = COLLECTIONS[collection]
    source = {"uri": uri, "collection": collection}
    task = {**source, "s3_endpoint": s3_endpoint}
    return [
        Entrant(
            name,
            f"Tideline, {decoder} decoder: raw and Parquet",
            fixture,
            Task("documents:tideline", {**task, "decoder": decoder}),
            s3_endpoint=s3_endpoint,
            missing=None if decoder == "python" else _no_native(),
            is_product=True,
        )
        for name, decoder in (("documents.tideline", "python"), ("documents.native", "native"))
    ] + [
        Entrant("documents.pandas", "pandas list(find())", fixture, Task("documents:pandas", source)),
        Entrant(
            "documents.dlt",
            f"dlt {peers.dlt_version()}, its default loader",
            fixture,
            Task("documents:dlt", source, peers.PYTHON, DLT_ENVIRONMENT),
            missing=why_not,
        ),
    ]


def _no_native() -> str | None:
    """Why the compiled decoder is not measured; None where it is installed."""
    from tideline.refine.bson_engine import engine_of

    return None if engine_of("auto") == "native" else "it is not installed (make native)"


DLT_ENVIRONMENT = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": "{folder}"}


def csv_stage(bench: Bench) -> list[Series]:
    """A gzipped CSV on disk → Parquet on disk: decoding and writing alone."""
    endpoint = bench.servers.s3_endpoint
    bench.warm_up(_csv_entrants(fixtures.CSV_SMALL, endpoint))
    found = bench.compare(_csv_entrants(fixtures.CSV, endpoint))
    return found + bench.once(_csv_entrants(fixtures.CSV_LARGE, endpoint)[0], "csv.tideline_6m")


def _csv_entrants(fixture: Fixture, s3_endpoint: str) -> list[Entrant]:
    raw_folder = str(OUTPUT / f"raw-{fixture.name}")
    perform(Task("objects:drop", {"s3_endpoint": s3_endpoint, "path": str(fixture.path)}))
    landed = perform(Task("csv:stage", {"s3_endpoint": s3_endpoint, "folder": raw_folder}))
    path = {"path": str(fixture.path)}
    return [
        Entrant(
            "csv.tideline",
            "Tideline refine",
            fixture,
            Task("csv:tideline", {**landed, "raw_folder": raw_folder}),
            is_product=True,
        ),
        Entrant("csv.pyarrow", "bare pyarrow, streaming", fixture, Task("csv:pyarrow", path)),
        Entrant("csv.pandas", "pandas read_csv", fixture, Task("csv:pandas", path)),
    ]


def csv_s3(bench: Bench) -> list[Series]:
    """A gzipped CSV on S3 → Parquet on S3; Tideline also keeps the raw object."""
    endpoint = bench.servers.s3_endpoint
    bench.warm_up(_s3_entrants(fixtures.CSV_SMALL, endpoint))
    found = bench.compare(_s3_entrants(fixtures.CSV, endpoint))
    return found + bench.once(_s3_entrants(fixtures.CSV_LARGE, endpoint)[0], "csv_s3.tideline_6m")


def _s3_entrants(fixture: Fixture, s3_endpoint: str) -> list[Entrant]:
    source = {"s3_endpoint": s3_endpoint}
    drop = perform(Task("objects:drop", {**source, "path": str(fixture.path)}))
    return [
        Entrant(
            "csv_s3.tideline",
            "Tideline: raw copy and Parquet",
            fixture,
            Task("csv:tideline_s3", source),
            s3_endpoint=s3_endpoint,
            is_product=True,
        ),
        Entrant(
            "csv_s3.pandas",
            "pandas, no raw copy",
            fixture,
            Task("csv:pandas_s3", {**source, **drop}),
            s3_endpoint=s3_endpoint,
        ),
    ]


def csv_shapes(bench: Bench) -> list[Series]:
    """The CSV stage again: with bad rows beside the clean file, with 500 columns, with fields of 100 kB."""
    endpoint = bench.servers.s3_endpoint
    shapes = {
        "clean": fixtures.CSV,
        "bad": fixtures.CSV_BAD,
        "wide": fixtures.CSV_WIDE,
        "long": fixtures.CSV_LONG,
    }
    entrants: list[Entrant] = []
    for shape, fixture in shapes.items():
        tideline, _, pandas = _csv_entrants(fixture, endpoint)
        arguments = {**tideline.task.arguments, "wide": shape == "wide"}
        task = replace(tideline.task, arguments=arguments)
        label = f"Tideline refine, {SHAPES[shape]}"
        entrants.append(replace(tideline, name=f"csv_shapes.{shape}", label=label, task=task))
        if shape in ("wide", "long"):
            label = f"pandas, {SHAPES[shape]}"
            entrants.append(replace(pandas, name=f"csv_shapes.{shape}_pandas", label=label))
    return bench.compare(entrants)


SHAPES = {"clean": "clean", "bad": "1 % bad rows", "wide": "500 columns", "long": "fields of 100 kB"}
OBJECTS, ROWS_EACH = 10_000, 70


def csv_objects(bench: Bench) -> list[Series]:
    """Many small objects on S3 → raw and Parquet on S3; once each, it takes minutes."""
    source = {"s3_endpoint": bench.servers.s3_endpoint}
    bench.say(f"dropping {OBJECTS} objects")
    arguments = {**source, "path": str(fixtures.CSV.path), "objects": OBJECTS, "rows_each": ROWS_EACH}
    truth = perform(Task("small:drop", arguments))
    dropped = _Dropped("", OBJECTS * ROWS_EACH, fixtures.Truth(**truth))
    entrants = [
        Entrant(
            f"csv_objects.{name}",
            label,
            dropped,
            Task(f"small:{name}", source),
            s3_endpoint=bench.servers.s3_endpoint,
            is_product=name == "tideline",
        )
        for name, label in (
            ("tideline", "Tideline: raw copies and Parquet"),
            ("pandas", "pandas, no raw copies"),
        )
    ]
    return compare(entrants, 1, bench.servers.pids, bench.say)


@dataclass(frozen=True)
class _Dropped(fixtures.Fixture):
    """Objects on the server that were cut out of a fixture."""

    known: fixtures.Truth

    @property
    def truth(self) -> fixtures.Truth:
        """What was counted while they were cut."""
        return self.known
