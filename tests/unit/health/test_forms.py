"""The forms' values are those that the DAGs take."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path

import pytest

from tideline.errors import SettingsError
from tideline.health.forms import Asked, form_of

DAGS = Path(__file__).parents[3] / "dags"
HOUR = {"start": "2026-03-14T09:00", "end": "2026-03-14T10:00:00+00:00"}


def params_of(dag_id):
    """The names in `PARAMS` of a DAG's file."""
    for node in ast.parse((DAGS / f"{dag_id}.py").read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "PARAMS":
            return {key.value for key in node.value.keys}
    raise AssertionError(f"{dag_id} has no PARAMS")


@pytest.mark.parametrize("verb", ["replay", "refused", "reconcile", "backfill"])
def test_the_configuration_fits_the_dags_form(verb):
    form = form_of(verb, Asked("shop_mongodb.orders", **HOUR, load="l", reason="too_deep"))
    assert set(form.conf) <= params_of(form.dag_id)
    assert form.conf["datasets"] == ["shop_mongodb.orders"]
    assert json.loads(form.conf_json) == form.conf
    for command in form.commands:
        words = shlex.split(command)
        assert words[0] in ("tideline", "airflow")
        if "--conf" in words:
            assert json.loads(words[words.index("--conf") + 1]) == form.conf


def test_an_interval_is_spelt_in_utc_or_left_out():
    form = form_of("replay", Asked("a.b", **HOUR))
    assert form.values == {"datasets": "a.b", "from": "2026-03-14T09:00:00Z", "to": "2026-03-14T10:00:00Z"}
    assert (
        form.commands[0]
        == "tideline replay --dataset a.b --from 2026-03-14T09:00:00Z --to 2026-03-14T10:00:00Z"
    )
    assert form_of("replay", Asked("a.b")).commands[0] == "tideline replay --dataset a.b"
    backfill = form_of("backfill", Asked("a.b", **HOUR))
    assert (backfill.values["From"], backfill.values["To"]) == (
        "2026-03-14T09:00:00Z",
        "2026-03-14T10:00:00Z",
    )


def test_a_backfill_runs_one_hour_after_another():
    """Hours at once would build the same models."""
    form = form_of("backfill", Asked("a.b", **HOUR))
    assert form.values["Max Active Runs"] == "1"
    assert "--max-active-runs 1" in form.commands[1]


def test_refused_rows_of_a_load_for_a_reason():
    form = form_of("refused", Asked("a.b", load="a.b:w:x", reason="bad_number"))
    assert form.conf == {"datasets": ["a.b"], "quarantined": True, "load": "a.b:w:x", "reason": "bad_number"}
    assert form.values["quarantined"] == "true"
    assert "--quarantined --dataset a.b --load a.b:w:x --reason bad_number" in form.commands[0]


def test_a_hostile_dataset_stays_one_word_of_a_command():
    form = form_of("replay", Asked("a; rm -rf /"))
    assert shlex.split(form.commands[0]) == ["tideline", "replay", "--dataset", "a; rm -rf /"]


@pytest.mark.parametrize(("verb", "asked"), [("drop", Asked("a.b")), ("replay", Asked("a.b", start="soon"))])
def test_what_is_no_form(verb, asked):
    with pytest.raises(SettingsError):
        form_of(verb, asked)
