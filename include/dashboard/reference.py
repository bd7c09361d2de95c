"""Reference pages made of the dbt manifest and `looker/pages.yml`. Text only; `cli` writes the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dashboard.pages import Chart, Page

MADE = "<!-- made by `make docs`; change looker/pages.yml or the models' YAML instead -->"


def pages_text(pages: Sequence[Page], manifest: dict[str, Any]) -> str:
    """looker/pages.md: per page its tables, filters and charts, and what each field means."""
    models = _models(manifest)
    lines = [MADE, "", "# Pages", ""]
    lines += ["A data source is one table; its alias is what `make looker-url` calls it.", ""]
    for page in pages:
        lines += _page(page, models)
    return _text(lines)


def fields_text(manifest: dict[str, Any]) -> str:
    """docs/fields.md: the metrics, and every column of every mart."""
    models = _models(manifest)
    lines = [MADE, "", "# Metrics and fields", "", "## Metrics", ""]
    lines += _table(("metric", "is", "definition"), _metrics(manifest))
    for name in sorted(models, key=lambda name: (not name.startswith("rpt_"), name)):
        lines += ["", f"## {name}", "", *_about(models[name]), ""]
        lines += _table(("field", "type", "meaning"), _columns(models[name]))
    return _text(lines)


def _models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = manifest["nodes"].values()
    return {n["name"]: n for n in nodes if n["resource_type"] == "model" and n["path"].startswith("marts/")}


def _page(page: Page, models: dict[str, dict[str, Any]]) -> Iterator[str]:
    yield from (f"## {page.title}", "", page.question, "")
    names = enumerate(page.tables)
    sources = [(f"`ds{number}`", f"`{table}`", _partition(models[table])) for number, table in names]
    yield from _table(("alias", "table", "days are in"), sources)
    filters = ", ".join(f"`{name}`" for name in page.filters)
    yield from ("", f"Filters: {filters}. Tile: *Data as of* = `MIN(data_as_of)` of `ds0`.", "")
    yield from _table(("chart", "title", "table", "dimensions", "measures"), map(_chart, page.charts))
    for table in page.tables:
        yield from ("", f"Fields of `{table}`:", "")
        used = {name for chart in page.charts if chart.table == table for name in chart.columns}
        used |= {*page.filters, "data_as_of"}
        found = [row for row in _columns(models[table]) if row[0].strip("`") in used]
        yield from _table(("field", "type", "meaning"), found)
    yield ""


def _chart(chart: Chart) -> tuple[str, ...]:
    measures = "; ".join(f"{label} = `{sql}`" for label, sql in chart.measures.items())
    return (
        chart.kind,
        chart.title,
        f"`{chart.table}`",
        ", ".join(f"`{name}`" for name in chart.dimensions),
        measures,
    )


def _partition(model: dict[str, Any]) -> str:
    partition = model["config"].get("partition_by")
    if not partition:
        return "no partitions"
    needed = ", needed in every query" if model["config"].get("require_partition_filter") else ""
    return f"`{partition['field']}`{needed}"


def _about(model: dict[str, Any]) -> Iterator[str]:
    yield model["description"].strip()
    if model["config"].get("partition_by"):
        yield from ("", f"Partitioned by {_partition(model)}.")


def _columns(model: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(f"`{c['name']}`", c["data_type"], c["description"]) for c in model["columns"].values()]


def _metrics(manifest: dict[str, Any]) -> list[tuple[str, str, str]]:
    metrics = sorted(manifest["metrics"].values(), key=lambda metric: str(metric["name"]))
    return [(f"`{metric['name']}`", metric["label"], metric["description"]) for metric in metrics]


def _table(heads: tuple[str, ...], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(' '.join(cell.split()).replace('|', '&#124;') for cell in row)} |"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
