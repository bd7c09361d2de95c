"""Values → HTML. Everything that comes from outside is escaped by the templates, without exception."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import jinja2

from tideline import __version__
from tideline.status import wording
from tideline.status.sql import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tideline.status.model import Refused, Report
    from tideline.warehouse.ledger_table import LedgerRow

MOUNT = "/tideline"
"""Where Airflow mounts the page."""
HOURLY = "tideline_hourly"
_DAGS = {"replay": "tideline_replay", "reconcile": "tideline_reconcile"}
"""Which DAG's runs make loads of a mode; all others are the hourly one's."""
_BAR_HEIGHT = 36


def asset(name: str) -> bytes:
    """A file that pages refer to."""
    return (resources.files(__package__) / "templates" / name).read_bytes()


def render(template: str, context: dict[str, Any], root: str) -> str:
    """A page.

    Args:
        template: Its file.
        context: What it shows.
        root: The path under which the application is mounted, without a trailing slash.
    """
    airflow = root.removesuffix(MOUNT)

    def link(page: str, **query: str) -> str:
        asked = {name: value for name, value in query.items() if value}
        return f"{root}/{page}" + (f"?{urlencode(asked)}" if asked else "")

    def run_link(run_id: str, mode: str) -> str | None:
        if run_id.startswith("cli__"):
            return None
        return f"{airflow}/dags/{_DAGS.get(mode, HOURLY)}/runs/{quote(run_id, safe='')}"

    return (
        _environment()
        .get_template(template)
        .render(**context, link=link, run_link=run_link, root=root, airflow=airflow, version=__version__)
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: asset(name).decode()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "instant": wording.instant,
        "span": wording.span,
        "size": wording.size,
        "window": wording.window,
        "safe_text": wording.safe,
        "printable": wording.printable,
        "number": _number,
        "seconds": _seconds,
    }
    environment.globals |= {
        "ago": wording.ago,
        "KINDS": wording.KINDS,
        "COUNTS": COUNTS,
        "SHOWN": wording.SHOWN,
        "bars": bars,
        "by_reason": by_reason,
        "totals": totals,
    }
    return environment


def _number(count: int | None) -> str:
    return wording.NOTHING if count is None else f"{count:,}"


def _seconds(seconds: float | None) -> str:
    return wording.NOTHING if seconds is None else f"{seconds:.1f} s"


def totals(report: Report) -> dict[str, int]:
    """The numbers at the head of the overview."""
    return {
        "datasets": len(report.datasets),
        "late": sum(one.state == "late" for one in report.datasets),
        "refused": sum(one.quarantined_open for one in report.datasets),
        "drift": sum(len(one.drift) for one in report.datasets),
        "waiting": sum(len(one.waiting) for one in report.datasets),
    }


def by_reason(refused: Iterable[Refused]) -> list[tuple[str, int, list[Refused]]]:
    """Reason, how many rows, and the reads that have some; the most frequent first."""
    counts: dict[str, int] = {}
    reads: dict[str, list[Refused]] = {}
    for one in refused:
        for reason, count in (one.reasons or {"": one.quarantined}).items():
            counts[reason] = counts.get(reason, 0) + count
            reads.setdefault(reason, []).append(one)
    return [
        (reason, counts[reason], reads[reason]) for reason in sorted(counts, key=lambda r: (-counts[r], r))
    ]


def bars(loads: Iterable[LedgerRow]) -> list[tuple[int, int, LedgerRow]]:
    """For the chart of a dataset's loads, oldest first: x, height in pixels, and the load."""
    rows = [row for row in reversed(list(loads)) if row.mode != "rewind"]
    most = max((row.landed for row in rows), default=0) or 1
    return [(number, max(2, round(_BAR_HEIGHT * row.landed / most)), row) for number, row in enumerate(rows)]
