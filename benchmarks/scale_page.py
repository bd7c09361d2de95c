"""Slopes as tables, and what they mean at 10^9 and 10^10 documents. Arithmetic, but for writing the page.

The limits are BigQuery's and Airflow's published ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.paths import ROOT
from benchmarks.year_page import human

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = ROOT / "docs" / "scale.md"
MARK = "<!-- from here on written by `make bench-scale` -->"
SIZES = (10**9, 10**10)
PART_BYTES = 128 << 20
"""Of BSON in a raw part, TIDELINE_PART_BYTES."""
PARQUET_PART_BYTES = 256 << 20
CORES = 64
"""Of pods or executors together, in the example."""
SOURCE_BYTES = 200e6
"""A second, that the example's MongoDB gives to all readers together."""
PART_ENTRY_BYTES = 330
"""Of a part in a manifest."""
URIS = 10_000
"""That a load job of BigQuery takes."""
JOB_BYTES = 15e12
"""That a load job of BigQuery takes."""
RANGES = 500
"""`tideline.lake.ranges.MOST`."""
DAY_JOBS = 1_500
"""Jobs a day that may append to one table of BigQuery."""
HOUR = 3_600


def tables(found: Mapping[str, Any]) -> str:
    """All of it as Markdown."""
    rows = ["| one more | costs | and to begin |", "|---|--:|--:|", *_slopes(found)]
    engines = [key for key in ("native", "python") if "lines" in found.get(key, {})]
    return "\n\n".join(
        ["\n".join(rows), *("\n".join(_sizes(found[engine])) for engine in engines[:1]), _note(found)]
    )


def _slopes(found: Mapping[str, Any]) -> Iterator[str]:
    names = {"native": "document, compiled decoder", "python": "document, Python's decoder"}
    for key, name in names.items():
        if "lines" not in found.get(key, {}):
            yield f"| {name} | not measured: {found.get(key, {}).get('failure', 'not run')} | |"
            continue
        line = found[key]["lines"]
        yield f"| {name}: CPU | {_micro(line, 'cpu_seconds')} µs | {line['cpu_seconds']['intercept']:.2f} s |"
        yield (
            f"| …  wall, land and refine | {_micro(line, 'wall_seconds')} µs "
            f"| {line['wall_seconds']['intercept']:.2f} s |"
        )
        if key == "python":
            begin = line["cpu_seconds"]["intercept"], line["wall_seconds"]["intercept"]
            yield f"| window: land and refine, CPU and wall | {begin[0]:.2f}, {begin[1]:.2f} s | |"
        least, *_, some, most = (run["peak_bytes"] / 1e6 for _, run in found[key]["runs"])
        yield f"| …  peak memory | {some:.0f} MB at 200 k, {most:.0f} MB at 1 M | {least:.0f} MB |"
        yield (
            f"| …  BSON, raw (zstd), Parquet | {found[key]['bson_bytes']:.0f}, "
            f"{line['raw_bytes']['slope']:.0f}, {line['processed_bytes']['slope']:.0f} bytes | |"
        )
    yield from _others(found)


def _others(found: Mapping[str, Any]) -> Iterator[str]:
    if "lines" in (many := found.get("objects", {})):
        line = many["lines"]
        yield (
            f"| CSV object of 10 kB on S3: CPU, wall | {line['cpu_seconds']['slope'] * 1e3:.2f}, "
            f"{line['wall_seconds']['slope'] * 1e3:.2f} ms | {line['wall_seconds']['intercept']:.2f} s |"
        )
    if "lines" in (many := found.get("datasets", {})):
        line = many["lines"]
        yield (
            f"| dataset: DAG parse, cold and warm | {line['cold_seconds']['slope'] * 1e3:.1f}, "
            f"{line['warm_seconds']['slope'] * 1e3:.1f} ms | {line['cold_seconds']['intercept']:.2f}, "
            f"{line['warm_seconds']['intercept']:z.2f} s |"
        )
        yield f"| …  tasks | {line['tasks']['slope']:.0f} | {line['tasks']['intercept']:.0f} |"


def _micro(line: Mapping[str, Any], key: str) -> str:
    return f"{line[key]['slope'] * 1e6:.1f}"


def at(engine: Mapping[str, Any], documents: int) -> dict[str, float]:
    """What a first load of so many documents is, by the slopes of an engine."""
    line = engine["lines"]
    bson, raw, parquet = (
        documents * each
        for each in (engine["bson_bytes"], line["raw_bytes"]["slope"], line["processed_bytes"]["slope"])
    )
    parts = bson / PART_BYTES
    return {
        "bson": bson,
        "raw": raw,
        "parquet": parquet,
        "raw_parts": parts,
        "spark_parts": parts,
        "range_parts": max(RANGES, parquet / PARQUET_PART_BYTES),
        "core_hours": documents * line["cpu_seconds"]["slope"] / HOUR,
        "refine_hours": documents * line["cpu_seconds"]["slope"] / HOUR / CORES,
        "source_hours": bson / SOURCE_BYTES / HOUR,
        "range_hours": documents / RANGES * line["wall_seconds"]["slope"] / HOUR,
        "manifest": parts * PART_ENTRY_BYTES,
    }


def _sizes(engine: Mapping[str, Any]) -> Iterator[str]:
    found = [at(engine, size) for size in SIZES]
    yield f"| a first load of | {' | '.join(f'10^{len(str(size)) - 1} documents' for size in SIZES)} |"
    yield f"|---|{'--:|' * len(SIZES)}"
    sizes = (
        ("BSON read from the source", "bson"),
        ("raw, stored", "raw"),
        ("Parquet, stored and loaded", "parquet"),
    )
    for name, key in sizes:
        yield _row(name, [human(each[key]) for each in found])
    yield _row(
        f"raw parts of {PART_BYTES >> 20} MiB of BSON", [f"{each['raw_parts']:,.0f}" for each in found]
    )
    yield _row("core hours, land and refine", [f"{each['core_hours']:,.1f}" for each in found])
    yield _row(f"hours on {CORES} cores", [f"{each['refine_hours']:,.2f}" for each in found])
    yield _row(
        f"hours of a source that gives {SOURCE_BYTES / 1e6:.0f} MB/s",
        [f"{each['source_hours']:,.1f}" for each in found],
    )
    yield _row(
        f"hours of one of {RANGES} ranges (`split`)", [f"{each['range_hours']:,.2f}" for each in found]
    )
    yield _row("the raw manifest", [human(each["manifest"]) for each in found])
    yield _row(
        f"Parquet parts by Spark (a load job takes {URIS:,})",
        [_against(each["spark_parts"], URIS) for each in found],
    )
    yield _row(
        f"Parquet parts by ranges (a load job takes {URIS:,})",
        [_against(each["range_parts"], URIS) for each in found],
    )
    yield _row(
        f"bytes of one load job (at most {human(JOB_BYTES)})", [human(each["parquet"]) for each in found]
    )
    yield _row(
        f"load jobs from an S3 lake, one a part ({DAY_JOBS:,} a day and table)",
        [_against(each["range_parts"], DAY_JOBS) for each in found],
    )


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def _against(value: float, limit: float) -> str:
    return f"{value:,.0f}" + ("" if value <= limit else ": **too many**")


def _note(found: Mapping[str, Any]) -> str:
    box = found["machine"]
    foreign = [
        run["foreign_cores"] for key in ("native", "python") for _, run in found.get(key, {}).get("runs", ())
    ]
    busy = f"; others kept {sum(foreign) / len(foreign):.1f} cores busy meanwhile" if foreign else ""
    return f"Measured on {found['date']}: {box['cpu']}, {box['cores']} cores, {box['memory_gib']} GiB{busy}."


def write(found: Mapping[str, Any]) -> None:
    """Put the tables at the end of the page, in the place of those that are there."""
    head, _, _ = PAGE.read_text().partition(MARK)
    PAGE.write_text(f"{head}{MARK}\n\n{tables(found)}\n")
