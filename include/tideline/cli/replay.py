"""`tideline replay | recover | rewind`: from raw again, without a source; and the mark moved back."""

from __future__ import annotations

import getpass
import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tideline.cli.console import (
    DatasetOption,
    JsonOption,
    OneDataset,
    app,
    console,
    errors,
    open_deployment,
    run_id_of,
    show,
)
from tideline.errors import ContractError
from tideline.replay.request import KEEP_DAYS, LIVE, ReplayRequest
from tideline.replay.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tideline.pipeline import Deployment, Summary

AfterOption = Annotated[
    str | None, typer.Option("--from", help="Windows that end after it, ISO 8601, UTC. From the first on.")
]
UntilOption = Annotated[
    str | None, typer.Option("--to", help="Windows that end then or before. Up to now if left out.")
]


@app.command()
def replay(
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            "--dataset", "-d", help="source.dataset; may be given again. All if left out with --quarantined."
        ),
    ] = None,
    after: AfterOption = None,
    until: UntilOption = None,
    into: Annotated[
        str, typer.Option(help="`live`: merge into the table; `shadow`: build one beside it, and compare.")
    ] = LIVE,
    *,
    swap: Annotated[bool, typer.Option("--swap", help="Put the shadow in the live table's place.")] = False,
    keep_days: Annotated[
        int, typer.Option(help="After how many days the old table, or the shadow, expires.")
    ] = KEEP_DAYS,
    force: Annotated[
        bool, typer.Option("--force", help="Swap although live has keys that the shadow has not.")
    ] = False,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Only landings with refused rows that are still open.")
    ] = False,
    load: Annotated[str | None, typer.Option(help="Only what this load refused.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only landings with a row refused for it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild datasets from raw, without touching a source: refined anew, and merged again."""
    now = datetime.now(UTC)
    asked = {
        "datasets": dataset, "from": after, "to": until, "into": into, "swap": swap, "keep_days": keep_days,
        "force": force, "quarantined": quarantined, "load": load, "reason": reason,
    }  # fmt: skip
    request = ReplayRequest.from_params(asked, now)
    with open_deployment() as deployment, _steps() as step:
        report = _replay(deployment, request, now, step)
    _show_replay(report, as_json=as_json)
    if quarantined:
        _fail_if_skipped(report["merged"]["skipped"])


@app.command()
def recover(
    dataset: DatasetOption = None,
    after: AfterOption = None,
    until: UntilOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be merged.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Merge what was landed and is in no load of the ledger: after it was lost, or restored from a copy."""
    from tideline.replay import recover as recovering
    from tideline.replay.steps import datasets_of

    now = datetime.now(UTC)
    span = Span.parse(after, until, now)
    with open_deployment() as deployment, _steps() as step:
        datasets = datasets_of(deployment, dataset or ())
        found = recovering.recover(deployment, datasets, span, run_id_of(now), dry_run=dry_run, step=step)
    if as_json:
        _print_json(found.to_json())
    elif dry_run:
        _show_landings(found.done)
    else:
        show(found.done, as_json=False)
    _show_passed_over(found.passed_over)
    _fail_if_skipped(found.skipped)


@app.command()
def rewind(
    dataset: OneDataset,
    to: Annotated[str, typer.Option(help="Up to when it counts as read, ISO 8601, UTC; or `origin`.")],
    reason: Annotated[str, typer.Option(help="Why. It stays in the ledger.")],
    actor: Annotated[str | None, typer.Option(help="Who; the user of this shell if left out.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let the next scheduled run of a dataset read from an earlier instant on again."""
    from tideline.replay import rewind as rewinding

    now, who = datetime.now(UTC), actor or _user()
    with open_deployment() as deployment:
        moved = rewinding.rewind(
            deployment, dataset, to, reason=reason, actor=who, run_id=run_id_of(now), now=now
        )
    if as_json:
        _print_json(moved)
        return
    after = moved["after"] or "the origin"
    console.print(
        f"{dataset}: from {moved['before']} back to {after}. The next scheduled run reads from there."
    )


def _replay(
    deployment: Deployment, request: ReplayRequest, now: datetime, step: Callable[[str], None]
) -> Summary:
    from tideline.replay import steps

    run_id = run_id_of(now)
    plan = steps.plan_replay(deployment, request, now)
    refined = [steps.refine_batch(deployment, batch, run_id, step) for batch in plan["batches"]]
    merged = steps.merge_refined(deployment, plan, refined, run_id, step)
    report: Summary = {"merged": merged}
    if plan["shadow"]:
        compared = steps.compare_shadow(deployment, plan, merged, run_id, step)
        report |= {"shadow": plan["shadow"]["table"], "comparison": compared["comparison"]}
        if request.swap:
            report["swapped"] = steps.swap_shadow(deployment, plan, compared, run_id, step)
    return report


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """One line on the terminal that says what is being done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("reading the ledger and the lake", total=None)
        yield lambda text: progress.update(task, description=text)


def _show_replay(report: Summary, *, as_json: bool) -> None:
    if as_json:
        _print_json(report)
        return
    if "comparison" in report:
        _show_comparison(report["comparison"], report["shadow"]["table"])
    else:
        show(report["merged"]["done"], as_json=False)
    for uri, why in report["merged"]["skipped"].items():
        errors.print(f"passed over, as before: {uri}: {why}", markup=False, highlight=False, soft_wrap=True)
    _show_passed_over(report["merged"]["passed_over"])
    if "swapped" in report:
        console.print(f"The shadow is live; what was there is kept as {report['swapped']['before']}.")


def _show_passed_over(passed_over: Mapping[str, str]) -> None:
    for uri, why in passed_over.items():
        errors.print(f"passed over: {uri}: {why}", markup=False, highlight=False, soft_wrap=True)


def _show_comparison(found: Mapping[str, Any], shadow: str) -> None:
    table = Table("", "live", shadow, "differ", box=None, header_style="bold")
    table.add_row("rows", *(f"{found[name]:,}" for name in ("live_rows", "shadow_rows")), "")
    table.add_row(
        "tombstones", *(f"{found[name]:,}" for name in ("live_tombstones", "shadow_tombstones")), ""
    )
    table.add_row("keys only there", *(f"{found[name]:,}" for name in ("only_live", "only_shadow")), "")
    for column in found["columns"]:
        sums = (_checksum(column[name]) for name in ("live_checksum", "shadow_checksum"))
        table.add_row(column["name"], *sums, f"{column['differing']:,}")
    console.print(table)
    for line in found["reshaped"]:
        console.print(line, markup=False)


def _checksum(value: int | None) -> str:
    return "-" if value is None else f"{value & (1 << 64) - 1:016x}"


def _show_landings(landed: list[Summary]) -> None:
    table = Table("dataset", "window", "mode", "read at", "refine", box=None, header_style="bold")
    for one in landed:
        again = "yes" if one["refine"] else "done before"
        table.add_row(one["dataset_id"], one["window_id"], one["mode"], one["extracted_at"], again)
    console.print(table)


def _fail_if_skipped(skipped: Mapping[str, str]) -> None:
    if skipped:
        first = next(iter(skipped))
        raise ContractError(
            f"{len(skipped)} landings did not go through, the first because: {skipped[first]}",
            place=first,
            remedy="mend the catalog or the source, then run this again",
        )


def _print_json(data: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(data, indent=1) + "\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"
