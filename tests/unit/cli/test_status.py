"""`tideline status`: the tables hold the report, and nothing in them is taken for markup or colour."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from tideline import cli
from tideline.status.model import DatasetStatus, Drift, Load, Pending, Refused, Report
from tideline.window import Window

NOW = datetime(2026, 3, 14, 12, 5, tzinfo=UTC)
NOON = NOW.replace(minute=0)
ATTACK = "[red]x[/] \x1b[31m\u202e"


def report(**more):
    load = Load("shop.things:w:a", "run", "scheduled", None, NOON, NOON, NOON, 10, 9, 1)
    drift = Drift("shop.things", "new_field", ATTACK, ATTACK, 12, 3, NOON - timedelta(days=1), NOON)
    pending = (
        Pending("shop.things", "w1", "a", "s3://raw/[b]"),
        Pending("shop.things", "w2", "a", "s3://raw/old", True),
    )
    refused = (
        Refused("shop.things", "l", "s3://raw/1", "s3://q/[1]", 10, 1, {"bad_number": 1}, NOON),
        Refused("shop.things", None, "s3://raw/2", None, 3, 3, {}, NOON),
    )
    one = DatasetStatus(
        "shop.things", NOON, NOW - NOON, load, 24, {"inserted": 1234, "updated": 5, "revived": 1}, 4, (drift,), pending,
        Window(NOON, NOON + timedelta(hours=1)), "updated_at",
    )  # fmt: skip
    return Report(NOW, 90, 3, (one, DatasetStatus("shop.new")), refused, **more)


@pytest.fixture
def invoke(monkeypatch):
    def run(found, *arguments):
        asked = []

        @contextmanager
        def opened():
            yield "deployment"

        def made(deployment, now, *, datasets=None):
            asked.append(datasets)
            return found

        monkeypatch.setattr("tideline.cli.status.open_deployment", opened)
        monkeypatch.setattr("tideline.status.report.report", made)
        result = CliRunner().invoke(cli.app, ["status", *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout, asked[0]

    return run


def test_the_tables_hold_the_report(invoke):
    printed, asked = invoke(report())
    assert asked is None
    line = next(line for line in printed.splitlines() if line.startswith(" shop.things"))
    for text in ("2026-03-14 12:00", "5 min", "5 min ago", "24", "1,234", " 6 ", " 4 ", "12:00 … 13:00"):
        assert text in line, text
    assert next(line for line in printed.splitlines() if line.startswith(" shop.new")).split()[1:3] == [
        "-",
        "-",
    ]
    for text in ("Refused and open", "bad_number 1", "no: too many", "s3://q/[1]", "Different from the catalog",
                 "new field", "Landed and not merged", "s3://raw/[b]", "last 90 days"):  # fmt: skip
        assert text in printed, text
    assert "s3://raw/old" not in printed


def test_an_address_is_folded_and_never_cut(invoke):
    uri = "s3://quarantine/" + "x" * 400
    found = report()
    found = replace(found, refused=(replace(found.refused[0], quarantine_uri=uri),))
    printed, _ = invoke(found)
    shown = printed.partition("Refused and open")[2].partition("Different")[0]
    assert shown.count("x") == 400


def test_what_a_source_sent_is_shown_as_text(invoke):
    printed, _ = invoke(report())
    assert "[red]x[/] \\x1b[31m\\u202e" in printed
    assert not set(printed) & {"\x1b", "\u202e"}


def test_nothing_is_said_of_what_is_not_there(invoke):
    found = Report(NOW, 90, 3, (DatasetStatus("shop.things", NOON, NOW - NOON),))
    printed, _ = invoke(found)
    assert not any(title in printed for title in ("Refused and open", "Different", "not merged\n"))
    assert "nothing was loaded" in invoke(Report(NOW, 90, 3, (), is_new=True))[0]


def test_json_is_the_whole_report_and_datasets_are_passed_on(invoke):
    printed, asked = invoke(report(), "--json", "-d", "shop.things", "--dataset", "shop.new")
    assert asked == ["shop.things", "shop.new"]
    found = json.loads(printed)
    first, second = found["datasets"]
    assert (found["now"], found["is_new"]) == ("2026-03-14T12:05:00Z", False)
    assert (first["state"], first["lag"], first["last"]["window_end"]) == (
        "current",
        300.0,
        "2026-03-14T12:00:00Z",
    )
    assert first["drift"][0]["path"] == ATTACK
    assert [read["is_superseded"] for read in first["pending"]] == [False, True]
    assert (second["state"], second["next_reads"]) == ("new", None)
