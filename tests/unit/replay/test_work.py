"""What is raised and what is passed over, when landings go through again."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tideline import pipeline
from tideline.errors import ContractError, IntegrityError, OtherKeyError
from tideline.replay.landings import Landing
from tideline.replay.work import Item, Outcome, merge_all, merge_live, refine_items

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEPLOYMENT = SimpleNamespace(raw=None)


def item(name: str, *, recorded: bool) -> Item:
    return Item(Landing("test.things", name, "window", NOON, "scheduled"), recorded)


@pytest.fixture
def steps(monkeypatch):
    """Refine that fails as told, by raw manifest; what was asked of the pipeline."""
    made = SimpleNamespace(failures={}, merged=[])

    def refine(deployment, landed, run_id):
        uri = landed["raw_manifest_uri"]
        if uri in made.failures:
            raise made.failures[uri]
        return {
            **landed,
            "dataset_id": "test.things",
            "processed_manifest_uri": f"p/{uri}/m",
            "refine_seconds": 1.0,
        }

    def merge(deployment, summary, run_id):
        made.merged.append(summary)
        return {**summary, "inserted": 1}

    monkeypatch.setattr(pipeline, "landed_summary", lambda deployment, uri: {"raw_manifest_uri": uri})
    monkeypatch.setattr(pipeline, "refined_summary", lambda deployment, uri: {"landed": 3, "mode": "exact"})
    monkeypatch.setattr(pipeline, "refine_dataset", refine)
    monkeypatch.setattr(pipeline, "merge_dataset", merge)
    return made


def test_the_first_load_of_a_landing_keeps_its_mode_and_every_other_is_a_replay(steps):
    refined = refine_items(DEPLOYMENT, [item("a", recorded=False), item("b", recorded=True)], "run")
    assert [(one["raw_manifest_uri"], one["mode"]) for one in refined.done] == [
        ("a", "scheduled"),
        ("b", "replay"),
    ]
    merged = merge_all(refined, lambda summary: merge_live(DEPLOYMENT, summary, "run"))
    assert [one["mode"] for one in steps.merged] == ["scheduled", "replay"]
    assert [one["inserted"] for one in merged.done] == [1, 1]


def test_only_what_was_merged_before_may_let_any_share_of_rows_vanish(steps):
    refined = refine_items(DEPLOYMENT, [item("a", recorded=False), item("b", recorded=True)], "run")
    assert [one.get("max_delete_ratio") for one in refined.done] == [None, 1.0]


def test_what_never_was_merged_and_is_refused_again_is_passed_over(steps):
    steps.failures["a"] = ContractError("too many refused")
    refined = refine_items(DEPLOYMENT, [item("a", recorded=False), item("b", recorded=False)], "run")
    assert list(refined.skipped) == ["a"]
    assert "too many refused" in refined.skipped["a"]
    assert [one["raw_manifest_uri"] for one in refined.done] == ["b"]


def test_events_of_another_key_are_passed_over_though_they_were_merged_before(steps):
    steps.failures["a"] = OtherKeyError("about region, id")
    refined = refine_items(DEPLOYMENT, [item("a", recorded=True), item("b", recorded=True)], "run")
    joined = Outcome.joined([refined.to_json(), Outcome().to_json()])
    merged = merge_all(joined, lambda summary: merge_live(DEPLOYMENT, summary, "run"))
    assert [one["raw_manifest_uri"] for one in merged.done] == ["b"]
    assert (merged.skipped, merged.passed_over) == ({}, {"a": "about region, id"})


@pytest.mark.parametrize(
    ("failure", "recorded"),
    [(ContractError("x"), True), (IntegrityError("x"), True), (IntegrityError("x"), False)],
    ids=["refused now", "damaged", "damaged, never merged"],
)
def test_anything_else_stops_before_anything_is_merged(steps, failure, recorded):
    steps.failures["b"] = failure
    with pytest.raises(type(failure)):
        refine_items(DEPLOYMENT, [item("a", recorded=True), item("b", recorded=recorded)], "run")
    assert steps.merged == []


def test_a_merge_that_is_refused_is_passed_over_where_nothing_was_merged_before(steps):
    refined = refine_items(DEPLOYMENT, [item("a", recorded=False), item("b", recorded=True)], "run")

    def too_many_deletes(summary):
        raise ContractError(f"no: {summary['raw_manifest_uri']}")

    with pytest.raises(ContractError, match="no: b"):
        merge_all(refined, too_many_deletes)
    only_new = Outcome(refined.done[:1], {"z": "before"})
    assert merge_all(only_new, too_many_deletes).skipped == {"z": "before", "a": "no: a"}


def test_outcomes_of_batches_are_joined_in_their_order():
    parts = [Outcome([{"n": 1}], {"a": "x"}), Outcome([{"n": 2}], {"b": "y"})]
    joined = Outcome.joined(part.to_json() for part in parts)
    assert joined == Outcome([{"n": 1}, {"n": 2}], {"a": "x", "b": "y"})


def test_an_item_travels():
    given = item("a", recorded=True)
    assert Item.from_json(given.to_json()) == given
