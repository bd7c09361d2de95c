"""Whether a dbt project goes with the catalog."""

import json

import pytest

from tideline.catalog.loader import load_catalog
from tideline.catalog.models import has_models, manifest_path, profile_name
from tideline.errors import SettingsError
from tideline.settings import from_environment

CATALOG = load_catalog(from_environment({}).catalog_dir)


def project(folder, *tables):
    sources = {str(n): {"source_name": source, "name": name} for n, (source, name) in enumerate(tables)}
    manifest_path(folder).parent.mkdir()
    manifest_path(folder).write_text(json.dumps({"sources": sources}))
    return folder


def test_a_project_on_the_catalogs_tables_is_used(tmp_path):
    assert has_models(project(tmp_path, ("shop_mongodb", "orders"), ("shop_s3", "products")), CATALOG)


def test_a_project_about_other_tables_is_not(tmp_path):
    assert not has_models(project(tmp_path, ("elsewhere", "orders")), CATALOG)
    assert not has_models(None, CATALOG)


def test_the_ledger_is_in_no_catalog_and_always_there(tmp_path):
    assert has_models(project(tmp_path, ("shop_mongodb", "orders"), ("tideline", "load_ledger")), CATALOG)


def test_a_project_that_reads_a_table_nobody_fills_is_refused(tmp_path):
    folder = project(tmp_path, ("shop_mongodb", "orders"), ("shop_mongodb", "refunds"))
    with pytest.raises(SettingsError, match=r"shop_mongodb\.refunds"):
        has_models(folder, CATALOG)


@pytest.mark.parametrize("text", ["{", "[]", '{"sources": {"a": {}}}'])
def test_a_damaged_manifest_says_what_to_run(tmp_path, text):
    manifest_path(project(tmp_path)).write_text(text)
    with pytest.raises(SettingsError, match="make manifest"):
        has_models(tmp_path, CATALOG)


def test_a_missing_manifest_says_what_to_run(tmp_path):
    with pytest.raises(SettingsError, match="make manifest"):
        has_models(tmp_path, CATALOG)


@pytest.mark.parametrize(
    "refusal", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")]
)
def test_a_manifest_that_airflow_may_not_read_is_named(tmp_path, monkeypatch, refusal):
    """As root leaves one behind, or a volume that is lost."""

    def refuse(path):
        raise refusal

    monkeypatch.setattr(type(tmp_path), "read_bytes", refuse)
    with pytest.raises(
        SettingsError, match=rf"{refusal.strerror} \[at .*manifest\.json\] Remedy: let the user"
    ):
        has_models(tmp_path, CATALOG)


def test_a_project_names_its_profile(tmp_path):
    (tmp_path / "dbt_project.yml").write_text("name: ours\nprofile: acme\n")
    assert profile_name(tmp_path) == "acme"


@pytest.mark.parametrize("text", [None, "name: ours\n", "- a", "profile: {"])
def test_a_project_that_names_none_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "dbt_project.yml").write_text(text)
    with pytest.raises(SettingsError, match="names no profile"):
        profile_name(tmp_path)
