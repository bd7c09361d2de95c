"""The goals, and whether what was measured reaches them. Pure: from medians to verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from benchmarks.suite import Series

MB = 1_000_000
MEMORY_BYTES = 300 * MB
PAGE_SECONDS = 1.0
HOUR_RATIO = 6.0
GROWTH = 1.10
"""How much more memory a larger input may take."""


@dataclass(frozen=True)
class Goal:
    """One line: what is wanted, what was found, and the verdict (None: it was not measured)."""

    wanted: str
    found: str
    reached: bool | None


@dataclass(frozen=True)
class Findings:
    """What a run of the benchmarks gave, as far as it got."""

    series: Mapping[str, Series]
    costs: Mapping[str, Any]
    """Of the API and of Airflow: name → seconds or why there are none."""

    def value(self, name: str, quantity: str) -> float | None:
        """A median; None where the entrant was not measured."""
        found = self.series.get(name)
        return found.median(quantity) if found and found.runs and not found.failure else None


def judge(findings: Findings, sections: Collection[str]) -> list[Goal]:
    """The goals of these sections, in the order in which they are set."""
    wanted = {
        "documents": _documents,
        "csv": _csv,
        "csv_s3": _csv_s3,
        "csv_shapes": _csv_shapes,
        "csv_objects": _csv_objects,
        "api": _api,
        "airflow": _airflow,
        "models": _models,
        "pages": _pages,
        "hour": _hour,
    }
    return [goal for name, goals in wanted.items() if name in sections for goal in goals(findings)]


def _documents(f: Findings) -> Iterable[Goal]:
    yield _ratio(
        f, "200 k documents: ≥ 3x less CPU than dlt", "documents.dlt", "documents.tideline", at_least=3
    )
    yield _ratio(f, "…  not more CPU than pandas", "documents.tideline", "documents.pandas", at_most=1)
    yield from _memory(f, "… ", "documents.tideline", "documents.tideline_1m", "1 M documents")
    native = "documents.native"
    yield _ratio(f, "…  compiled decoder: less CPU than Python's", native, "documents.tideline", at_most=1)
    yield from _memory(f, "…  compiled:", native, f"{native}_1m", "1 M documents")


def _csv(f: Findings) -> Iterable[Goal]:
    bare = "csv.pyarrow"
    yield _ratio(f, "1.5 M CSV rows: CPU ≤ 1.0x bare pyarrow", "csv.tideline", bare, at_most=1)
    yield _ratio(f, "…  wall ≤ 1.0x bare pyarrow", "csv.tideline", bare, "wall_seconds", at_most=1)
    yield _ratio(
        f, "…  ≥ 2.5x faster than pandas", "csv.pandas", "csv.tideline", "wall_seconds", at_least=2.5
    )
    yield from _memory(f, "… ", "csv.tideline", "csv.tideline_6m", "6 M rows")


def _csv_s3(f: Findings) -> Iterable[Goal]:
    yield from _memory(f, "S3 to S3:", "csv_s3.tideline", "csv_s3.tideline_6m", "6 M rows")


def _csv_shapes(f: Findings) -> Iterable[Goal]:
    yield _ratio(
        f, "1 % bad rows: CPU ≤ 1.5x the clean file", "csv_shapes.bad", "csv_shapes.clean", at_most=1.5
    )
    for shape, what in (("wide", "500 columns"), ("long", "fields of 100 kB")):
        peak = f.value(f"csv_shapes.{shape}", "peak_bytes")
        text = "not measured" if peak is None else f"{peak / MB:.0f} MB"
        yield Goal(f"{what}: peak RSS ≤ 300 MB", text, None if peak is None else peak <= MEMORY_BYTES)


def _csv_objects(f: Findings) -> Iterable[Goal]:
    names = "csv_objects.pandas", "csv_objects.tideline"
    yield _ratio(f, "10,000 objects of 10 kB: ≥ 5x less CPU than pandas", *names, at_least=5)


def _api(f: Findings) -> Iterable[Goal]:
    yield _seconds(f, "API, 810 rows, warm: land + refine ≤ 1 s", "api", 1.0)


def _airflow(f: Findings) -> Iterable[Goal]:
    yield _seconds(f, "DAG parse beyond Airflow's imports ≤ 0.6 s", "parse_cold", 0.6)
    yield _seconds(f, "…  once more in the same process ≤ 0.1 s", "parse_warm", 0.1)


def _models(f: Findings) -> Iterable[Goal]:
    yield _seconds(f, "dbt build of the project after an hour ≤ 30 s", "dbt_hour", 30.0)


def _pages(f: Findings) -> Iterable[Goal]:
    pages = f.costs.get("pages")
    for kind, what in (
        ("first", "for the first time"),
        ("again", "again"),
        ("filter", "with another period"),
    ):
        wanted = f"SCALE=10: the slowest page, opened {what}, ≤ 1 s"
        seconds = [page[kind] for page in pages.values() if page[kind]] if isinstance(pages, dict) else []
        slowest = max(seconds, default=None)
        yield Goal(
            wanted,
            "not measured" if slowest is None else f"{slowest:.2f} s",
            None if slowest is None else slowest <= PAGE_SECONDS,
        )


def _hour(f: Findings) -> Iterable[Goal]:
    yield _seconds(f, "the whole hour, models watched, ≤ 35 s", "hour_watcher", 35.0)
    yield _seconds(f, "…  with one dbt task ≤ 15 s", "hour_one", 15.0)
    for form, what in (("watcher", "models watched"), ("one", "with one dbt task")):
        wanted = f"…  {what}: ≥ 6x faster than pandas tasks and Cosmos local"
        ours, theirs = f.costs.get(f"hour_{form}"), f.costs.get("hour_pandas")
        if isinstance(ours, float) and isinstance(theirs, float):
            yield Goal(wanted, f"{theirs / ours:.2f}x", theirs / ours >= HOUR_RATIO)
        else:
            yield Goal(wanted, "not measured", None)


def _ratio(
    f: Findings,
    wanted: str,
    over: str,
    under: str,
    quantity: str = "cpu_seconds",
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Goal:
    numerator, denominator = f.value(over, quantity), f.value(under, quantity)
    if numerator is None or denominator is None:
        return Goal(wanted, "not measured", None)
    ratio = numerator / denominator
    reached = ratio >= at_least if at_least is not None else ratio <= (at_most or 0.0)
    return Goal(wanted, f"{ratio:.2f}x", reached)


def _memory(f: Findings, what: str, name: str, larger: str, size: str) -> Iterable[Goal]:
    peak, at_size = f.value(name, "peak_bytes"), f.value(larger, "peak_bytes")
    if peak is None:
        yield Goal(f"{what} peak RSS ≤ 300 MB", "not measured", None)
    else:
        yield Goal(f"{what} peak RSS ≤ 300 MB", f"{peak / MB:.0f} MB", peak <= MEMORY_BYTES)
    if peak is None or at_size is None:
        yield Goal(f"{what} the same within 10 % at {size}", "not measured", None)
        return
    text = f"{at_size / MB:.0f} MB ({at_size / peak - 1:+.0%})"
    yield Goal(f"{what} the same within 10 % at {size}", text, at_size <= min(MEMORY_BYTES, peak * GROWTH))


def _seconds(f: Findings, wanted: str, name: str, limit: float) -> Goal:
    found = f.costs.get(name)
    if not isinstance(found, float):
        return Goal(wanted, "not measured", None)
    return Goal(wanted, f"{found:.2f} s", found <= limit)
