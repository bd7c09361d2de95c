"""What the peers' benchmark found as a page with plots. Knows the JSON that it wrote, not how it came."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.paths import ROOT
from benchmarks.plots import bars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DOCS = ROOT / "docs"
PAGE = DOCS / "bench-peers.md"
MARK = "<!-- from here on written by `make bench-peers` -->"
RACES = {
    "million": "1 M nested documents → Parquet",
    "documents": "200 k nested documents → Parquet",
    "csv": "1.5 M rows of CSV.gz → Parquet, local files",
    "csv_s3": "1.5 M rows of CSV.gz on S3 → Parquet",
}


def write(body: Mapping[str, Any]) -> None:
    """Put tables and plots at the end of the page, in the place of those that are there."""
    head, _, _ = PAGE.read_text().partition(MARK)
    sections = [text for race, title in RACES.items() for text in _race(body, race, title)]
    parts = [MARK, _when(body), _goals(body["goals"]), *sections, _versions(body)]
    PAGE.write_text(head + "\n\n".join(parts) + "\n")


def _when(body: Mapping[str, Any]) -> str:
    box = body["machine"]
    loads = [run["foreign_cores"] for entry in body["series"] for run in entry["runs"]]
    busy = f"{statistics.mean(loads):.2f}, at most {max(loads):.2f}" if loads else "no"
    return (
        f"Printed on {body['date'][:10]}, medians of {body['repeat']}: {box['cpu']}, {box['cores']} cores, "
        f"{box['memory_gib']} GiB, {box['system']}. Others kept {busy} cores busy meanwhile."
    )


def _goals(goals: Sequence[Mapping[str, Any]]) -> str:
    verdicts = {True: "reached", False: "not reached", None: "not measured"}
    rows = ["| goal, CPU seconds unless said | found | |", "|---|--:|---|"]
    rows += [f"| {goal['wanted']} | {goal['found']} | {verdicts[goal['reached']]} |" for goal in goals]
    return "\n".join(rows)


def _race(body: Mapping[str, Any], race: str, title: str) -> Iterator[str]:
    entries = [entry for entry in body["series"] if entry["name"].partition(".")[0] == race]
    if not entries:
        return
    measured = [entry for entry in entries if entry["runs"] and not entry["failure"]]
    rows = [f"## {title}", "", "| | wall s | CPU s | peak MB |", "|---|--:|--:|--:|"]
    rows += [
        f"| {entry['label']} | {_spread(entry, 'wall_seconds')} | {_spread(entry, 'cpu_seconds')} "
        f"| {_median(entry, 'peak_bytes') / 1e6:.0f} |"
        for entry in measured
    ]
    rows += [f"| {e['label']} | not measured: {e['failure']} | | |" for e in entries if e not in measured]
    yield "\n".join(rows)
    if measured:
        image = f"bench-peers-{race}.svg"
        drawn = [(e["label"], _median(e, "cpu_seconds"), bool(e["is_product"])) for e in measured]
        svg = bars(
            f"{title}: CPU seconds", sorted(drawn, key=lambda bar: bar[1]), lambda value: f"{value:.1f}"
        )
        (DOCS / "images" / image).write_text(svg)
        yield f"![{title}](images/{image})"


def _median(entry: Mapping[str, Any], quantity: str) -> float:
    return float(statistics.median(run[quantity] for run in entry["runs"]))


def _spread(entry: Mapping[str, Any], quantity: str) -> str:
    values = [run[quantity] for run in entry["runs"]]
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def _versions(body: Mapping[str, Any]) -> str:
    rows = ["## Versions, and what is not compared", ""]
    rows.append(", ".join(f"{name} {version}" for name, version in body["versions"].items()) + ".")
    rows.append("")
    rows += [f"- {name}: {why}." for name, why in body["not_compared"].items()]
    return "\n".join(rows)
