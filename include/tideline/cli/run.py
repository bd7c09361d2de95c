"""`tideline run | land | refine | merge`: the hourly DAG's verbs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import progress as bars

from tideline import pipeline
from tideline.cli.console import (
    DatasetOption,
    EndOption,
    JsonOption,
    ManifestOption,
    OneDataset,
    StartOption,
    app,
    errors,
    named_window,
    open_deployment,
    raise_first,
    run_id_of,
    show,
    size,
)
from tideline.errors import SettingsError, TidelineError
from tideline.plan import RunRequest
from tideline.window import HOUR, Window, hour_of, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.lake.manifest import Stage
    from tideline.pipeline import Deployment, Summary


@app.command()
def run(
    dataset: DatasetOption = None,
    start: StartOption = None,
    end: EndOption = None,
    *,
    catch_up: Annotated[
        bool,
        typer.Option("--catch-up", help="Read from the high-water mark to --end (or to the last full hour)."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Land, refine and merge the datasets: exactly the window named, or the last full hour."""
    now = datetime.now(UTC)
    request = RunRequest(
        run_id=run_id_of(now),
        kind="manual",
        interval=_catch_up_interval(start, end, now) if catch_up else None,
        datasets=tuple(dataset) if dataset else None,
        window=None if catch_up else named_window(start, end),
        catch_up=catch_up,
        now=now,
    )
    with open_deployment() as deployment:
        loads = pipeline.plan_run(deployment, request)
        done, failed = _run_all(deployment, loads, request.run_id)
    if done:
        show(done, as_json=as_json)
    raise_first(failed)


@app.command()
def land(
    dataset: OneDataset, start: StartOption = None, end: EndOption = None, as_json: JsonOption = True
) -> None:
    """Source → raw: prints where the raw manifest is."""
    now = datetime.now(UTC)
    request = RunRequest(
        run_id_of(now), "manual", None, (dataset,), named_window(start, end), catch_up=False, now=now
    )
    with open_deployment() as deployment:
        load = pipeline.plan_run(deployment, request)[dataset]
        parts = pipeline.split_load(deployment, load)
        landed = [pipeline.land_dataset(deployment, part, request.run_id) for part in parts]
    show(landed, as_json=as_json)


@app.command()
def refine(
    dataset: OneDataset,
    start: StartOption = None,
    end: EndOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = True,
) -> None:
    """Raw → Parquet and quarantine, for the newest raw manifest of the window or the one given."""
    with open_deployment() as deployment:
        uris = _manifests(deployment, "raw", dataset, manifest, _named(start, end))
        run_id, each = (
            run_id_of(datetime.now(UTC)),
            (pipeline.landed_summary(deployment, uri) for uri in uris),
        )
        refined = [pipeline.refine_dataset(deployment, landed, run_id) for landed in each]
    show(refined, as_json=as_json)


@app.command()
def merge(
    dataset: OneDataset,
    start: StartOption = None,
    end: EndOption = None,
    manifest: ManifestOption = None,
    as_json: JsonOption = True,
) -> None:
    """Parquet → warehouse and ledger, for the newest processed manifest of the window or the one given."""
    with open_deployment() as deployment:
        uris = _manifests(deployment, "processed", dataset, manifest, _named(start, end))
        refined = [pipeline.refined_summary(deployment, uri) for uri in uris]
        merged = pipeline.merge_dataset(deployment, refined, run_id_of(datetime.now(UTC)))
    show([merged], as_json=as_json)


def _manifests(
    deployment: Deployment, stage: Stage, dataset: str, manifest: str | None, window: Window | None
) -> list[str]:
    """The manifest given, or the window's newest: one, or one for each range of a load that was split."""
    return [manifest] if manifest else pipeline.newest_manifests(deployment, stage, dataset, window)


def _each(loads: dict[str, Summary]) -> Iterator[tuple[Summary, Any]]:
    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(bar_width=18),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[note]}"),
        bars.TimeElapsedColumn(),
    )
    with bars.Progress(*columns, console=errors, transient=True) as progress:
        for dataset_id, load in loads.items():
            task = progress.add_task(dataset_id, total=3, note="")
            yield load, lambda note, task=task: progress.update(task, advance=1, note=note)


def _run_all(
    deployment: Deployment, loads: dict[str, Summary], run_id: str
) -> tuple[list[Summary], list[TidelineError]]:
    """What became of each dataset. One that fails does not stop the others, as in the DAG."""
    done: list[Summary] = []
    failed: list[TidelineError] = []
    for load, step in _each(loads):
        try:
            done.append(_run_one(deployment, load, run_id, step))
        except TidelineError as error:
            if error.dataset is None:  # the lake, the warehouse, the settings: it would be the same for all
                raise
            failed.append(error)
    return done, failed


def _run_one(deployment: Deployment, load: Summary, run_id: str, step: Any) -> Summary:  # noqa: ANN401  a callback
    parts = pipeline.split_load(deployment, load)
    landed = [pipeline.land_dataset(deployment, part, run_id) for part in parts]
    step(f"landed {size(sum(part['raw_bytes'] for part in landed))}")
    refined = [pipeline.refine_dataset(deployment, part, run_id) for part in landed]
    step(f"refined {sum(part['refined'] for part in refined):,} rows")
    merged = pipeline.merge_dataset(deployment, refined, run_id)
    step(f"merged {merged['refined']:,} rows")
    return merged


def _catch_up_interval(start: str | None, end: str | None, now: datetime) -> tuple[datetime, datetime]:
    if start:
        raise SettingsError(
            "--start is given, but --catch-up begins at the high-water mark of each dataset",
            remedy="leave one of them out; `tideline rewind` moves a mark back",
        )
    last = parse_instant(end) if end else hour_of(now)
    return last - HOUR, last


def _named(start: str | None, end: str | None) -> Window | None:
    window = named_window(start, end)
    return Window(*window) if window else None
