"""The task bodies as the DAG strings them together, for tests that run them one by one. Spelled once, here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tideline import pipeline

if TYPE_CHECKING:
    from tideline.pipeline import Deployment
    from tideline.plan import RunRequest

STAGES = ("plan", "land", "refine", "merge")


def plan(deployment: Deployment, request: RunRequest) -> dict[str, list[Any]]:
    """Dataset id → planned loads."""
    planned = pipeline.plan_run(deployment, request)
    return {name: loads if isinstance(loads, list) else [loads] for name, loads in planned.items()}


def land(deployment: Deployment, loads: list[Any], run_id: str) -> list[Any]:
    """The planned loads of one dataset → what was landed."""
    return [pipeline.land_dataset(deployment, load, run_id) for load in loads]


def refine(deployment: Deployment, landed: list[Any], run_id: str) -> list[Any]:
    """What was landed of one dataset → what was refined."""
    return [pipeline.refine_dataset(deployment, each, run_id) for each in landed]


def merge(deployment: Deployment, refined: list[Any], run_id: str) -> Any:
    """What was refined of one dataset → its load."""
    return pipeline.merge_dataset(deployment, refined, run_id)


def one(deployment: Deployment, stage: str, given: Any, run_id: str) -> Any:
    """One stage of one dataset."""
    if stage == "plan":
        return plan(deployment, given)
    return {"land": land, "refine": refine, "merge": merge}[stage](deployment, given, run_id)


def run(deployment: Deployment, request: RunRequest) -> dict[str, Any]:
    """plan ▶ land ▶ refine ▶ merge of what is asked for; dataset id → merge's summary."""
    done = {}
    for dataset_id, loads in plan(deployment, request).items():
        given: Any = loads
        for stage in ("land", "refine", "merge"):
            given = one(deployment, stage, given, request.run_id)
        done[dataset_id] = given
    return done
