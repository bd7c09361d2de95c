"""Settings: every variable, every refusal, no secret default of the machine."""

from __future__ import annotations

import dataclasses
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from tideline.errors import SettingsError
from tideline.settings import Settings, from_environment


def test_nothing_set_gives_the_defaults() -> None:
    assert from_environment({}) == Settings()


def test_empty_variables_count_as_not_set() -> None:
    names = {variable_of(field.name) for field in dataclasses.fields(Settings)} - {"TIDELINE_DBT_DIR"}
    assert from_environment(dict.fromkeys(names, "")) == Settings()


def variable_of(name: str) -> str:
    return f"TIDELINE_{name.upper()}"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("environment", "prod", "prod"),
        ("catalog_dir", "/srv/catalog", Path("/srv/catalog")),
        ("raw_uri", "gs://lake/raw/", "gs://lake/raw"),
        ("processed_uri", "s3://a-b.c_d", "s3://a-b.c_d"),
        ("quarantine_uri", "gs://lake/q/deep", "gs://lake/q/deep"),
        ("project", "my-company.com:shop-123", "my-company.com:shop-123"),
        ("location", "europe-west3", "europe-west3"),
        ("dataset_prefix", "dev_", "dev_"),
        ("maximum_bytes_billed", "1000", 1000),
        ("load_table_hours", "1", 1),
        ("deadline_seconds", "30", 30),
        ("part_bytes", "1048576", 1 << 20),
        ("lease_seconds", "60", 60),
        ("body_bytes", "1000", 1000),
        ("object_bytes", "1000000", 1_000_000),
        ("decoder", "python", "python"),
        ("dbt_dir", "/srv/dbt", Path("/srv/dbt")),
        ("dbt_dir", "", None),
        ("dbt_target", "prod", "prod"),
        ("dbt_mode", "watcher", "watcher"),
    ],
)
def test_each_variable_sets_its_field(name: str, text: str, value: object) -> None:
    assert from_environment({variable_of(name): text}) == dataclasses.replace(Settings(), **{name: value})


def test_the_cases_above_cover_every_field() -> None:
    (mark,) = test_each_variable_sets_its_field.pytestmark  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("environment", "production", "set it to one of dev, ci, prod"),
        ("decoder", "rust", "set it to one of auto, native, python"),
        ("dbt_mode", "Local", "set it to one of local, watcher"),
        ("maximum_bytes_billed", "0", "set it to a whole number above 0"),
        ("maximum_bytes_billed", "-1", "set it to a whole number above 0"),
        ("load_table_hours", "1.5", "set it to a whole number above 0"),
        ("deadline_seconds", "10s", "set it to a whole number above 0"),
        ("part_bytes", "²", "set it to a whole number above 0"),
        ("part_bytes", "9" * 5000, "set it to a whole number above 0"),
        ("raw_uri", "lake", "set it to s3://bucket/optional-prefix or gs://bucket/optional-prefix"),
        ("raw_uri", "s3://", "set it to s3://bucket"),
        ("raw_uri", "s3:///prefix", "set it to s3://bucket"),
        ("raw_uri", "https://host/x", "set it to s3://bucket"),
        ("raw_uri", "s3://bucket//x", "set it to s3://bucket"),
        ("raw_uri", "s3://bucket/a b", "set it to s3://bucket"),
        ("raw_uri", "s3://bucket/x?versionId=1", "set it to s3://bucket"),
        ("project", "a`; DROP", "set it to a text that matches"),
        ("location", "US\n", "set it to a text that matches"),
        ("dataset_prefix", "dev-", "set it to a text that matches [A-Za-z0-9_]* as a whole"),
    ],
)
def test_what_is_refused_names_variable_value_and_remedy(name: str, text: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({variable_of(name): text})
    assert str(caught.value).startswith(f"{variable_of(name)} is {text.rstrip('/')!r}"[:60])
    assert remedy in str(caught.value)


def test_two_stages_cannot_share_a_place() -> None:
    with pytest.raises(SettingsError, match="give each stage a bucket or a prefix of its own"):
        from_environment({"TIDELINE_RAW_URI": "s3://lake/", "TIDELINE_QUARANTINE_URI": "s3://lake"})
    settings = from_environment(
        {"TIDELINE_RAW_URI": "s3://lake/raw", "TIDELINE_PROCESSED_URI": "s3://lake/processed"}
    )
    assert settings.raw_uri != settings.processed_uri


def test_folders_do_not_depend_on_where_a_task_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = from_environment({"TIDELINE_CATALOG_DIR": "mine", "TIDELINE_DBT_DIR": "~/dbt"})
    assert settings.catalog_dir == tmp_path / "mine"
    assert settings.dbt_dir == tmp_path / "home" / "dbt"


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_LOCATION", "EU")
    assert from_environment().location == "EU"


@pytest.mark.parametrize(
    ("environ", "warnings"),
    [
        (
            {"TIDELINE_RAW_URL": "x"},
            ["TIDELINE_RAW_URL is not a setting of Tideline; did you mean TIDELINE_RAW_URI?"],
        ),
        ({"TIDELINE_RAW_URL": "x", "TIDELINE_RAW_URI": "s3://b1"}, []),
        ({"TIDELINE_SERVICE_HOST": "x", "MY_TIDELINE_RAW_URI": "x", "TIDELINE_OFFLINE": "1"}, []),
    ],
    ids=["typo", "both", "others"],
)
def test_a_mistyped_variable_is_reported(
    environ: dict[str, str], warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        from_environment(environ)
    assert [record.getMessage() for record in caplog.records] == warnings


def test_every_field_says_its_variable() -> None:
    source = (Path(__file__).parents[2] / "include" / "tideline" / "settings.py").read_text()
    for field in dataclasses.fields(Settings):
        assert re.search(rf'^    {field.name}: .*\n    """{variable_of(field.name)}: ', source, re.MULTILINE)


def test_the_shipped_folders_are_there() -> None:
    assert (Settings().catalog_dir / "shop_mongodb.yaml").is_file()


def test_labels_go_with_every_job() -> None:
    label: dict[str, Any] = Settings(environment="ci").label
    assert label == {"app": "tideline", "environment": "ci"}


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().project = "x"  # type: ignore[misc]
