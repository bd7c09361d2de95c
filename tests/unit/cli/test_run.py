"""`tideline run`: one dataset that fails does not stop the others, and is an error at the end."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tideline import cli, pipeline
from tideline.cli import run as command
from tideline.errors import ContractError, SourceUnavailableError, StoreUnavailableError
from tideline.window import Window, parse_instant

DATASETS = ("a.one", "a.two", "b.three")
WINDOW = Window(None, parse_instant("2026-01-31")).to_json()


@pytest.fixture
def failing(monkeypatch):
    """Dataset → what landing it raises."""
    failures = {}

    def land(deployment, load, run_id):
        if load["dataset_id"] in failures:
            raise failures[load["dataset_id"]]
        return {**load, "window": WINDOW, "raw_bytes": 1, "landed": 1}

    monkeypatch.setattr(command, "open_deployment", lambda: nullcontext(SimpleNamespace()))
    plan = {name: {"dataset_id": name} for name in DATASETS}
    monkeypatch.setattr(pipeline, "plan_run", lambda deployment, request: plan)
    monkeypatch.setattr(pipeline, "split_load", lambda deployment, load: [load])
    monkeypatch.setattr(pipeline, "land_dataset", land)
    monkeypatch.setattr(
        pipeline, "refine_dataset", lambda deployment, landed, run_id: {**landed, "refined": 1}
    )
    monkeypatch.setattr(pipeline, "merge_dataset", lambda deployment, refined, run_id: refined[0])
    return failures


def run():
    return CliRunner().invoke(cli.app, ["run"])


def unavailable(name):
    source, _, dataset = name.partition(".")
    return SourceUnavailableError("is down", source=source, dataset=dataset)


def test_the_others_are_run_and_what_a_person_must_do_comes_before_what_may_pass(failing):
    failing["a.one"] = unavailable("a.one")
    failing["a.two"] = ContractError("does not fit", source="a", dataset="two")

    done = run()

    assert "b.three" in done.stdout
    assert done.exception is failing["a.two"]
    assert "a.one: is down" in done.stderr


def test_where_all_fail_nothing_is_shown(failing):
    failing |= {name: unavailable(name) for name in DATASETS}

    done = run()

    assert (done.stdout, done.exception) == ("", failing["a.one"])


def test_what_is_the_same_for_all_stops_the_run(failing):
    failing["a.one"] = StoreUnavailableError("the lake is down")

    done = run()

    assert (done.stdout, done.exception) == ("", failing["a.one"])


def test_catching_up_from_a_start_is_refused(failing):
    done = CliRunner().invoke(cli.app, ["run", "--catch-up", "--start", "2026-01-31T10:00"])

    assert str(done.exception).startswith("--start is given, but --catch-up begins at the high-water mark")
