"""Write down what the emulator was asked and did, for somebody who reads it as BigQuery would.

Runs in the emulator's own environment. Knows where the emulator keeps tables and jobs; judges nothing.
"""

from __future__ import annotations

# ruff: noqa: ANN401 - this replaces a function of a library that is not installed where types are checked
import json
import os
import re
from typing import TYPE_CHECKING, Any

from devstack.bigquery.corrections.registry import module

if TYPE_CHECKING:
    from pathlib import Path

NAME = re.compile(r"`?([\w-]+)`?\.`?(\w+)`?(?:\.`?(\w+)`?)?")
"""A table as statements spell it: quoted in parts, whole or not, without its project. Columns look alike."""


def install(folder: Path) -> None:
    """Append each query that succeeds to a file of this process: its text, its parameters, its tables before.

    One JSON object a line: `sql`, `parameters` as the API has them, and `tables`, full name → fields.
    """
    jobs = module("api.routes.jobs")
    execute = jobs.execute_query_job
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.jsonl"
    known: set[int] = set()

    async def recorded(project: str, job: str, sql: str, parameters: Any, ctx: Any, **rest: Any) -> Any:
        tables = {
            ".".join(name): [field.model_dump(mode="json") for field in found.schema_.fields]
            for name in _names(sql, project)
            if (found := ctx.catalog.get_table(*name)) is not None
        }
        done = await execute(project, job, sql, parameters, ctx, **rest)
        line = json.dumps({"sql": sql, "parameters": parameters or [], "tables": tables, "project": project})
        if hash(line) not in known:
            known.add(hash(line))
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return done

    jobs.execute_query_job = recorded


def _names(sql: str, project: str) -> set[tuple[str, str, str]]:
    return {(one, two, three) if three else (project, one, two) for one, two, three in NAME.findall(sql)}
