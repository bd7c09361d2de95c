"""Connections that Airflow's own hooks understand, and a file that a shell can source."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from devstack import environment
from devstack.environment import API, CONNECTIONS, LAKE, MONGODB, S3_SOURCE, WAREHOUSE
from devstack.process import StackError

if TYPE_CHECKING:
    from pathlib import Path

NASTY = {"A": 'it\'s "quoted" $HOME `date` \\ #x', "B": "", "C": '{"a": "b c"}', "D": "é\ttab"}


def test_the_five_connections_are_those_that_the_catalog_and_the_pipeline_name() -> None:
    assert sorted(CONNECTIONS) == sorted([MONGODB, S3_SOURCE, LAKE, WAREHOUSE, API])
    assert {name.removeprefix("AIRFLOW_CONN_").lower() for name in CONNECTIONS} == {
        "tideline_mongodb", "tideline_s3_source", "tideline_lake", "tideline_warehouse",
        "tideline_jsonplaceholder",
    }  # fmt: skip


def test_mongodb() -> None:
    assert json.loads(environment.mongodb(27017)[MONGODB]) == {
        "conn_type": "mongo", "host": "127.0.0.1", "port": 27017,
    }  # fmt: skip


def test_s3() -> None:
    connection = json.loads(environment.s3_connection(LAKE, 9000)[LAKE])
    assert connection["conn_type"] == "aws"
    assert connection["extra"]["endpoint_url"] == "http://127.0.0.1:9000"
    assert connection["extra"]["config_kwargs"] == {"s3": {"addressing_style": "path"}}


def test_gcs() -> None:
    found = environment.gcs_lake(4443)
    assert found["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:4443"
    assert json.loads(found[LAKE]) == {
        "conn_type": "google_cloud_platform", "extra": {"project": "tideline", "is_anonymous": True},
    }  # fmt: skip


@pytest.mark.parametrize(("environ", "project"), [({}, "tideline"), ({"TIDELINE_PROJECT": "mine"}, "mine")])
def test_the_warehouse_is_in_the_project_that_was_chosen(environ: dict[str, str], project: str) -> None:
    found = environment.warehouse("http://127.0.0.1:9050", environ)
    assert found["BIGQUERY_EMULATOR_HOST"] == "http://127.0.0.1:9050"
    assert found["TIDELINE_PROJECT"] == json.loads(found[WAREHOUSE])["extra"]["project"] == project


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", {"schema": "http", "host": "127.0.0.1", "port": 8080}),
        ("https://api.example.com", {"schema": "https", "host": "api.example.com"}),
    ],
)
def test_an_api_by_its_url(url: str, expected: dict[str, object]) -> None:
    assert json.loads(environment.api(url)[API]) == {"conn_type": "http", **expected}


def test_stages_get_buckets_of_their_own_unless_a_person_chose_others() -> None:
    plan = environment.lake_plan("s3", {"TIDELINE_RAW_URI": "s3://mine/with/prefix"})
    assert plan.uris["TIDELINE_RAW_URI"] == "s3://mine/with/prefix"
    assert plan.buckets == ["mine", "tideline-processed", "tideline-quarantine"]


def test_a_stage_that_the_stand_in_cannot_hold_is_refused() -> None:
    with pytest.raises(
        StackError, match="TIDELINE_RAW_URI is 'gs://x', but no connection AIRFLOW_CONN_TIDELINE_LAKE"
    ):
        environment.lake_plan("s3", {"TIDELINE_RAW_URI": "gs://x"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, "127.0.0.1,localhost"),
        ({"http_proxy": "http://p:3128", "no_proxy": "intranet,localhost"}, "intranet,localhost,127.0.0.1"),
    ],
)
def test_loopback_is_never_asked_of_a_proxy(environ: dict[str, str], expected: str | None) -> None:
    assert environment.past_proxies(environ).get("NO_PROXY") == expected
    assert environment.past_proxies(environ).get("no_proxy") == expected


def test_the_file_can_be_sourced_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "tideline.env"
    environment.write_file(path, {})
    environment.write_file(path, NASTY)
    assert environment.read_file(path) == NASTY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = "set -a; . ./tideline.env; exec env -0"
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    seen = dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)
    assert {name: seen[name] for name in NASTY} == NASTY
    assert [entry.name for entry in tmp_path.iterdir()] == ["tideline.env"]


def test_another_shell_is_told_the_settings_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "TIDELINE_CATALOG_DIR": "catalog",
        "TIDELINE_DBT_DIR": "",
        "TIDELINE_DATASET_PREFIX": "dev_",
        "TIDELINE_UI_PORT": "1",
        "HOME": "/",
    }
    assert environment.settings_of(given) == {
        "TIDELINE_CATALOG_DIR": str(tmp_path / "catalog"),
        "TIDELINE_DBT_DIR": "",
        "TIDELINE_DATASET_PREFIX": "dev_",
    }
