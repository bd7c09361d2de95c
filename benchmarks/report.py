"""One screen for people, one JSON file for machines."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks import machine, peers
from benchmarks.goals import MB
from benchmarks.paths import RESULT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from benchmarks.goals import Findings, Goal
    from benchmarks.suite import Series

SECTIONS = {
    "million": "1 M MongoDB documents → Parquet (zstd)",
    "documents": "MongoDB documents → Parquet (zstd)",
    "csv": "CSV.gz → Parquet (zstd), local files",
    "csv_s3": "CSV.gz on S3 → Parquet on S3",
    "csv_shapes": "CSV.gz of other shapes → Parquet (zstd), local files",
    "csv_objects": "10,000 CSV objects of 10 kB on S3 → Parquet on S3",
}
HOURS = {
    "watcher": "models watched",
    "one": "one dbt task",
    "pandas": "pandas tasks and Cosmos local",
}
PACKAGES = ("apache-airflow", "astronomer-cosmos", "isal", "pandas", "pyarrow", "pymongo", "tideline")
QUIET_CORES = 0.2
VERDICTS = {True: "[green]reached[/]", False: "[bold red]not reached[/]", None: "[yellow]-[/]"}


def show(console: Console, findings: Findings, goals: Sequence[Goal], repeat: int) -> None:
    """The tables."""
    if findings.series:
        console.print(_runs(findings, repeat))
    console.print(_goals(goals))
    for line in _remarks(findings):
        console.print(line, highlight=False)


def _runs(findings: Findings, repeat: int) -> Table:
    title = f"median of {repeat}, least..most; every run a process from start to exit"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("", "rows", "wall s", "CPU s", "CPU ratio", "peak MB"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=bool(name))
    for section, heading in SECTIONS.items():
        members = [s for s in findings.series.values() if s.name.partition(".")[0] == section]
        if members:
            table.add_row(f"[bold]{heading}[/]")
        product = next((s for s in members if s.is_product and s.runs), None)
        for series in members:
            table.add_row(*_row(series, product))
    return table


def _row(series: Series, product: Series | None) -> tuple[str, ...]:
    rows = f"{series.rows / 1e6:g} M"
    if series.failure or not series.runs:
        return (f"  {series.label}", rows, "[yellow]not measured[/]")
    cpu = series.median("cpu_seconds")
    comparable = product is not None and product.rows == series.rows
    ratio = f"{cpu / product.median('cpu_seconds'):.2f}" if product and comparable else ""
    memory = f"{series.median('peak_bytes') / MB:.0f}"
    return (
        f"  {series.label}",
        rows,
        _spread(series, "wall_seconds"),
        _spread(series, "cpu_seconds"),
        ratio,
        memory,
    )


def _spread(series: Series, quantity: str) -> str:
    least, most = series.extremes(quantity)
    text = f"{series.median(quantity):.2f}"
    return f"{text} ({least:.2f}..{most:.2f})" if len(series.runs) > 1 else text


def _goals(goals: Sequence[Goal]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("goal")
    table.add_column("found", justify="right")
    table.add_column("")
    for goal in goals:
        table.add_row(goal.wanted, goal.found, VERDICTS[goal.reached])
    return table


def _models(costs: Mapping[str, Any]) -> str:
    if isinstance(costs["dbt_hour"], str):
        return f"not measured: the models: {costs['dbt_hour']}"
    texts = [
        f"{what} {costs[name]:.1f} s ({costs[f'{name}_cpu']:.1f} CPU s of dbt)"
        for name, what in (
            ("dbt_first", "first"),
            ("dbt_hour", "the next hour"),
            ("dbt_model", "one model alone"),
        )
    ]
    return f"dbt build on the emulator, {costs['dbt_nodes']} nodes: {', '.join(texts)}"


def _hour(costs: Mapping[str, Any], form: str, what: str) -> str:
    seconds = costs.get(f"hour_{form}")
    if not isinstance(seconds, float):
        return f"not measured: the whole hour, {what}: {seconds}"
    loaded, tasks = costs[f"hour_{form}_loaded"], costs[f"hour_{form}_tasks"]
    return (
        f"the whole hour, {what}: {seconds:.1f} s, all tables loaded after {loaded:.1f} s, "
        f"{costs['hour_models']} models, {tasks} tasks"
    )


def _pages(pages: Mapping[str, Any] | str) -> list[str]:
    if isinstance(pages, str):
        return [f"not measured: the pages: {pages}"]
    head = (
        f"{'page, SCALE=10, in Chromium: seconds until it stands':52} {'first':>7} {'again':>7} {'filter':>7}"
    )
    return [head] + [
        f"  {title:50} "
        + " ".join(f"{_page_seconds(page[kind]):>7}" for kind in ("first", "again", "filter"))
        for title, page in pages.items()
    ]


def _page_seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _remarks(findings: Findings) -> list[str]:
    costs = findings.costs
    lines = [f"not measured: {s.label}: {s.failure}" for s in findings.series.values() if s.failure]
    for name, what in (("api", "the API"), ("parse_cold", "parsing the DAG")):
        if isinstance(reason := costs.get(name), str):
            lines.append(f"not measured: {what}: {reason}")
    steps = {name.removeprefix("task_"): cost for name, cost in costs.items() if name.startswith("task_")}
    if steps:
        texts = [f"{step.replace('_', ' ')} {_text(cost)}" for step, cost in steps.items()]
        lines.append(f"a task before its first row (imports, connections): {', '.join(texts)}")
    lines += _whole(costs)
    if "chain_link" in costs:
        lines.append(f"a link of a chain of tasks, LocalExecutor: {_text(costs['chain_link'])}")
    loads = [run.foreign_cores for series in findings.series.values() for run in series.runs]
    if loads:
        mean, most = sum(loads) / len(loads), max(loads)
        lines.append(f"meanwhile others kept {mean:.1f} cores busy, at most {most:.1f}{_advice(mean)}")
    box = machine.describe()
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    lines.append(f"{box['cpu']}, {box['cores']} cores, {box['memory_gib']} GiB, {box['system']}; {versions}")
    return lines


def _whole(costs: Mapping[str, Any]) -> list[str]:
    """Of the sections whose costs are sentences of their own."""
    lines = [_models(costs)] if "dbt_hour" in costs else []
    lines += _pages(costs["pages"]) if "pages" in costs else []
    return lines + [_hour(costs, form, what) for form, what in HOURS.items() if "hour_models" in costs]


def _advice(foreign_cores: float) -> str:
    return ": too many to quote wall times" if foreign_cores > QUIET_CORES else ""


def _text(cost: object) -> str:
    return f"{cost:.2f} s" if isinstance(cost, float) else f"not measured ({cost})"


def write(findings: Findings, goals: Sequence[Goal], repeat: int) -> None:
    """`.tideline/bench/result.json`: machine, versions, date, every run, every goal."""
    body: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": _versions(),
        "repeat": repeat,
        "goals": [vars(goal) for goal in goals],
        "costs": dict(findings.costs),
        "series": [series.to_json() for series in findings.series.values()],
    }
    RESULT.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


def _versions() -> dict[str, str]:
    ours = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **ours, "dlt": peers.dlt_version()}
