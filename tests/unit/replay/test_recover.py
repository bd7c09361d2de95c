"""What is recovered, what is an error, and what is passed over because it was read again."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tideline.errors import ContractError, IntegrityError, OtherKeyError
from tideline.replay import recover as recovering
from tideline.replay.landings import Landing
from tideline.replay.select import EVERYTHING
from tideline.replay.work import Item

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEPLOYMENT = SimpleNamespace(open_warehouse=lambda: None)
DATASET = SimpleNamespace(dataset_id="test.things")


@pytest.fixture
def recovered(monkeypatch):
    """`recovered({landing: its error or None}, landings that were read again)`."""

    def run(given, again=()):
        items = tuple(
            Item(Landing("test.things", uri, "window", NOON, "scheduled"), recorded=False) for uri in given
        )
        merged = []

        def refine(deployment, item, run_id):
            if error := given[item.landing.raw_manifest_uri]:
                raise error
            return {"raw_manifest_uri": item.landing.raw_manifest_uri}

        def merge(deployment, summary, run_id):
            merged.append(summary["raw_manifest_uri"])
            return summary

        def book(deployment, dataset):
            assert merged == [uri for uri, error in given.items() if error is None], "read after the merges"
            return SimpleNamespace(has_read_again=lambda landing: landing.raw_manifest_uri in again)

        monkeypatch.setattr(recovering, "unrecorded", lambda *_: SimpleNamespace(items=items))
        monkeypatch.setattr(recovering, "_refined_before", lambda *_: {})
        monkeypatch.setattr(recovering, "_refine", refine)
        monkeypatch.setattr(recovering, "merge_live", merge)
        monkeypatch.setattr(recovering, "read_book", book)
        return recovering.recover(DEPLOYMENT, [DATASET], EVERYTHING, "run").to_json()

    return run


def test_events_of_another_key_are_passed_over(recovered):
    found = recovered({"events": OtherKeyError("about region, id"), "good": None})
    assert [one["raw_manifest_uri"] for one in found["done"]] == ["good"]
    assert (found["passed_over"], found["skipped"]) == ({"events": "about region, id"}, {})


def test_a_refused_landing_that_was_read_again_is_passed_over(recovered):
    given = {"bad": ContractError("refused"), "worse": ContractError("also"), "good": None}
    found = recovered(given, again=("bad", "good"))
    assert [one["raw_manifest_uri"] for one in found["done"]] == ["good"]
    assert (list(found["passed_over"]), list(found["skipped"])) == (["bad"], ["worse"])
    assert "refused" in found["passed_over"]["bad"]


def test_damage_in_the_lake_is_an_error_although_it_was_read_again(recovered):
    found = recovered({"bad": IntegrityError("damaged"), "good": None}, again=("bad",))
    assert (list(found["passed_over"]), list(found["skipped"])) == ([], ["bad"])
