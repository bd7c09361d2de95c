"""The dbt project on the embedded warehouse: what an hour of the shop brought, and `dbt build` after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT

DBT = ROOT / "dbt"


def fill(*, end: str) -> dict[str, Any]:
    """plan ▶ land ▶ refine ▶ merge of everything up to `end`, without a scheduler. Not measured."""
    from tideline import connections, pipeline
    from tideline.plan import RunRequest

    until = datetime.fromisoformat(end)
    request = RunRequest(
        run_id=f"bench-{until:%H}",
        kind="scheduled",
        interval=(until - timedelta(hours=1), until),
        datasets=None,
        window=None,
        catch_up=True,
        now=datetime.now(UTC),
    )
    rows = 0
    with connections.open_deployment() as deployment:
        for load in pipeline.plan_run(deployment, request).values():
            landed = pipeline.land_dataset(deployment, load, request.run_id)
            refined = pipeline.refine_dataset(deployment, landed, request.run_id)
            rows += pipeline.merge_dataset(deployment, refined, request.run_id)["refined"]
    return {"rows": rows}


def build(
    *,
    target: str,
    select: str | None = None,
    tests: bool = True,
    lookback_hours: int | None = None,
    statements: str | None = None,
    daily: bool = False,
) -> dict[str, Any]:
    """`dbt build` of the project, or of one model with its tests, in this process.

    Args:
        target: Where dbt writes.
        select: The model.
        tests: Whether the data are tested too.
        lookback_hours: Other than the project's: with 0 an hour is not the whole of a young warehouse again.
        statements: A file for what was asked of the warehouse: a JSON list of pairs, node and SQL.
        daily: Nothing is built, and the data are tested as the daily run does: whole tables, all tests.
    """
    from dbt.cli.main import dbtRunner

    said: list[tuple[str, str]] = []

    def listen(event: Any) -> None:
        if event.info.name == "SQLQuery":
            said.append((event.data.conn_name, event.data.sql))

    command = ["--quiet", "test" if daily else "build", "--project-dir", str(DBT), "--profiles-dir", str(DBT)]
    command += ["--target-path", target, "--log-path", f"{target}/logs"]
    if lookback_hours is not None:
        names = ("merge_lookback_hours", "build_lookback_hours")
        command += ["--vars", json.dumps(dict.fromkeys(names, lookback_hours))]
    command += ["--vars", '{"tested_days": 100000}'] if daily else []
    command += ["--select", select] if select else []
    command += ["--exclude", "resource_type:unit_test", *([] if daily else ["tag:nightly"])]
    command += [] if tests else ["resource_type:test"]
    done = dbtRunner(callbacks=[listen] if statements else []).invoke(command)
    if not done.success:
        raise ValueError(str(done.exception or done.result))
    if statements:
        Path(statements).write_text(json.dumps(said))
    return {"nodes": len(done.result.results)}
