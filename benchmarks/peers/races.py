"""Who runs against whom, on which input. Recipes: `peers` and `programs` of `benchmarks.contestants`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks import fixtures, peers, sections
from benchmarks.harness import Task, perform
from benchmarks.servers import mongodb
from benchmarks.suite import Entrant

if TYPE_CHECKING:
    from collections.abc import Collection

    from benchmarks.fixtures import Fixture
    from benchmarks.sections import Bench
    from benchmarks.suite import Series

NOT_COMPARED = {
    "ingestr 1, sling 1.6": "their wheels fetch a program; those compared are the last that do not",
    "Airbyte's MongoDB connector": "it is Java in a container",
    "a Singer target": "none that writes Parquet installs today; the tap runs alone",
    "duckdb from S3 and MongoDB": "its httpfs and mongo extensions are downloads",
}


def documents(bench: Bench, wanted: Collection[str]) -> list[Series]:
    """200 k and 1 M nested documents of a replay server → Parquet; ours keep the raw bytes too."""
    collections = sections.COLLECTIONS
    with mongodb(**collections) as (uri, pid):

        def entrants(collection: str, prefix: str) -> list[Entrant]:
            found = _documents(uri, collection, bench.servers.s3_endpoint, prefix)
            return [entrant for entrant in found if _is_wanted(entrant, wanted)]

        bench.warm_up(entrants("documents_1k", "documents"), pid)
        small = bench.compare(entrants("documents_200k", "documents"), pid)
        for name, why in list(bench.failed.items()):
            bench.failed[name.replace("documents.", "million.")] = why
        large = [e for e in entrants("documents_1m", "million") if e.name.partition(".")[2] in MILLION]
        return small + bench.compare(large, pid)


MILLION = ("native", "python", "read_alone", "landing", "pymongoarrow", "dlt_arrow", "pandas", "dlt")


def _documents(uri: str, collection: str, s3_endpoint: str, prefix: str) -> list[Entrant]:
    fixture = sections.COLLECTIONS[collection]
    source = {"uri": uri, "collection": collection}
    ours = [
        Entrant(
            f"{prefix}.{decoder}",
            f"Tideline, {decoder} decoder: raw and Parquet to S3",
            fixture,
            Task("documents:tideline", {**source, "s3_endpoint": s3_endpoint, "decoder": decoder}),
            s3_endpoint=s3_endpoint,
            missing=None if decoder == "python" else sections._no_native(),
            is_product=True,
        )
        for decoder in ("native", "python")
    ]

    def peer(
        name: str, label: str, environment: str | None = None, program: str | None = None, **more: Any
    ) -> Entrant:
        return _peer(prefix, name, label, fixture, source, environment, program, **more)

    return [
        *ours,
        peer("read_alone", "the read alone"),
        replace(peer("landing", "Tideline: landing alone"), is_product=True),
        peer("pymongoarrow", f"pymongoarrow {peers.version_of('dlt-arrow', 'pymongoarrow')}", "dlt-arrow"),
        peer("dlt_arrow", f"dlt {peers.version_of('dlt-arrow', 'dlt')}, Arrow", "dlt-arrow"),
        peer("pandas", "pandas list(find())", function="documents:pandas"),
        peer("dlt", f"dlt {peers.dlt_version()}, its default", peers.DLT, function="documents:dlt"),
        peer("sling", "sling 1.4.11, flattened", "sling", "sling", function="programs:sling_documents"),
        peer(
            "ingestr",
            "ingestr 0.14.155 → duckdb",
            "ingestr",
            "ingestr",
            function="programs:ingestr_documents",
        ),
        peer(
            "tap",
            f"tap-mongodb {peers.version_of('tap-mongodb', 'tap-mongodb')}, lines to nowhere",
            "tap-mongodb",
            "tap-mongodb",
            function="programs:tap_documents",
        ),
    ]


def csv(bench: Bench, wanted: Collection[str]) -> list[Series]:
    """1.5 M rows of gzipped CSV on disk → Parquet on disk."""
    endpoint = bench.servers.s3_endpoint

    def entrants(fixture: Fixture) -> list[Entrant]:
        path = {"path": str(fixture.path)}

        def peer(name: str, label: str, environment: str, program: str | None = None, **more: Any) -> Entrant:
            return _peer("csv", name, label, fixture, path, environment, program, **more)

        found = [
            *sections._csv_entrants(fixture, endpoint),
            peer(
                "polars",
                f"polars {peers.version_of('polars', 'polars')}, streaming",
                "polars",
                function="peers:polars_csv",
            ),
            peer("dlt_arrow", "dlt, Arrow batches", "dlt-arrow", function="peers:dlt_arrow_csv"),
            peer("sling", "sling 1.4.11", "sling", "sling", function="programs:sling_csv"),
            peer(
                "ingestr", "ingestr 0.14.155 → duckdb", "ingestr", "ingestr", function="programs:ingestr_csv"
            ),
        ]
        return [entrant for entrant in found if _is_wanted(entrant, wanted)]

    bench.warm_up(entrants(fixtures.CSV_SMALL))
    return bench.compare(entrants(fixtures.CSV))


def s3(bench: Bench, wanted: Collection[str]) -> list[Series]:
    """1.5 M rows of gzipped CSV on S3 → Parquet; ours to S3 with a raw copy, peers without."""
    endpoint = bench.servers.s3_endpoint

    def entrants(fixture: Fixture) -> list[Entrant]:
        ours, pandas = sections._s3_entrants(fixture, endpoint)
        source = pandas.task.arguments

        def peer(name: str, label: str, environment: str, **more: Any) -> Entrant:
            return _peer("csv_s3", name, label, fixture, source, environment, None, **more)

        found = [
            ours,
            pandas,
            peer("polars", "polars, no raw copy", "polars", function="peers:polars_s3"),
            peer("dlt_arrow", "dlt, Arrow batches, no raw copy", "dlt-arrow", function="peers:dlt_arrow_s3"),
        ]
        return [entrant for entrant in found if _is_wanted(entrant, wanted)]

    bench.warm_up(entrants(fixtures.CSV_SMALL))
    found = bench.compare(entrants(fixtures.CSV))
    airbyte = _airbyte(endpoint)
    return found + (bench.once(airbyte, airbyte.name) if _is_wanted(airbyte, wanted) else [])


def _airbyte(s3_endpoint: str) -> Entrant:
    """Minutes a run, and hardly a second apart: run once."""
    drop = perform(Task("objects:drop", {"s3_endpoint": s3_endpoint, "path": str(fixtures.CSV.path)}))
    versions = (peers.version_of("pyairbyte", "airbyte"), peers.version_of("source-s3", "airbyte-source-s3"))
    label = "PyAirbyte {} with source-s3 {} → duckdb, once".format(*versions)
    source = {"s3_endpoint": s3_endpoint, **drop, "program": peers.program_of("source-s3")}
    found = _peer(
        "csv_s3", "pyairbyte", label, fixtures.CSV, source, "pyairbyte", None, function="peers:pyairbyte_s3"
    )
    quiet = {
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "HOME": "{folder}",
        "AIRBYTE_LOGGING_ROOT": "{folder}",
        "AIRBYTE_CACHE_ROOT": "{folder}",
    }
    missing = found.missing or peers.install("source-s3")
    return replace(found, missing=missing, task=replace(found.task, environment=quiet))


def _peer(
    prefix: str,
    name: str,
    label: str,
    fixture: Fixture,
    arguments: dict[str, Any],
    environment: str | None,
    program: str | None,
    *,
    function: str | None = None,
) -> Entrant:
    """An entrant in an environment of its own; a program is started by a process of this project's."""
    missing = peers.install(environment) if environment else None
    given = {**arguments, **({"program": peers.program_of(program)} if program else {})}
    task = Task(function or f"peers:{name}", given)
    if environment and not program:
        task = replace(task, python=peers.python_of(environment), environment=sections.DLT_ENVIRONMENT)
    return Entrant(f"{prefix}.{name}", label, fixture, task, missing=missing)


def _is_wanted(entrant: Entrant, wanted: Collection[str]) -> bool:
    """Ours always; a peer where it is asked for."""
    name = entrant.name.partition(".")[2]
    return entrant.is_product or not wanted or name in wanted


def versions() -> dict[str, str]:
    """Of what runs in the peers' environments; a package that runs in ours too is called after both."""
    packages = {
        "dlt-arrow": ("dlt", "pymongoarrow"),
        "polars": ("polars",),
        "sling": ("sling-linux-amd64",),
        "ingestr": ("ingestr",),
        "tap-mongodb": ("tap-mongodb",),
        "pyairbyte": ("airbyte",),
        "source-s3": ("airbyte-source-s3",),
    }
    found = {name: peers.version_of(where, name) for where, names in packages.items() for name in names}
    return found | {"pyarrow beside dlt-arrow": peers.version_of("dlt-arrow", "pyarrow")}


def prepare() -> None:
    """Buckets on the S3 server are made by the caller; fixtures here."""
    fixtures.make_all([f.name for f in (*sections.COLLECTIONS.values(), fixtures.CSV, fixtures.CSV_SMALL)])


def api(bench: Bench, wanted: Collection[str]) -> float | str:
    """Seconds for 810 rows of an API in a warm process."""
    from benchmarks import costs

    del wanted
    found: float | str = costs.api(bench)["api"]
    return found


def create_buckets(bench: Bench) -> None:
    """Once, before anything."""
    perform(Task("objects:create", {"s3_endpoint": bench.servers.s3_endpoint}))
