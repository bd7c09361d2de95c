"""A secrets backend by values: Airflow makes it from the rendered variables, asks what the page says, in every pod."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import CHART, ROOT, combined

if TYPE_CHECKING:
    from pathlib import Path

    from charts import Renderer

FILES = {"gcp": "gke-secret-manager.yaml", "aws": "aws.yaml", "vault": "gke-vault.yaml"}
PAGE = ROOT / "docs" / "operations.md"
ASK = """
import json, sys
from airflow.sdk.configuration import get_custom_secret_backend  # what a task's process calls

connection, asked = json.dumps({"conn_type": "http", "host": "found"}), []
backend = get_custom_secret_backend(worker_mode=True)
name = type(backend).__name__
if name == "CloudSecretManagerBackend":
    from airflow.providers.google.cloud._internal_client.secret_manager_client import _SecretManagerClient

    def answer(self, *, secret_id, project_id, **_):
        asked.append(f"{project_id}: {secret_id}")
        return connection

    _SecretManagerClient.get_secret = answer
    found = backend.get_conn_value("tideline_lake")
elif name == "SecretsManagerBackend":
    from moto import mock_aws

    with mock_aws():
        asked.append(f"{backend.client.meta.region_name}: airflow/connections/tideline_lake")
        backend.client.create_secret(Name="airflow/connections/tideline_lake", SecretString=connection)
        found = backend.get_conn_value("tideline_lake")
else:
    from airflow.providers.hashicorp._internal_client.vault_client import _VaultClient

    def answer(self, secret_path, **_):
        asked.append(f"{self.url}, {self.kubernetes_role}, {self.mount_point}: {secret_path}")
        return json.loads(connection)

    _VaultClient.get_secret = answer
    found = backend.get_connection("tideline_lake").get_uri()
print(json.dumps({"asked": asked, "found": "found" in str(found)}))
"""
WANTED = {
    "gcp": "acme-data: airflow-connections-tideline_lake",
    "aws": "eu-central-1: airflow/connections/tideline_lake",
    "vault": "https://vault.acme.example:8200, tideline, tideline: airflow/connections/tideline_lake",
}


def documents(renderer: Renderer, kind: str) -> list[dict[str, Any]]:
    return renderer.documents(*combined(CHART / "ci" / FILES[kind]))


def variables(renderer: Renderer, kind: str) -> dict[str, str]:
    """AIRFLOW__SECRETS__* of the ConfigMap that every pod of Airflow reads."""
    settings = next(d for d in documents(renderer, kind) if d["metadata"]["name"] == "tideline-settings")
    return {k: v for k, v in settings["data"].items() if k.startswith("AIRFLOW__SECRETS__")}


def test_every_kind_has_a_combination() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    kinds = schema["properties"]["secretsBackend"]["properties"]["kind"]["enum"]
    assert set(kinds) == {"", *FILES}


def test_without_one_nothing_is_set(renderer: Renderer) -> None:
    settings = next(
        d
        for d in renderer.documents(*combined(CHART / "ci" / "gke.yaml"))
        if d["metadata"]["name"] == "tideline-settings"
    )
    assert not [name for name in settings["data"] if "SECRETS" in name]


@pytest.mark.parametrize("kind", FILES)
def test_the_image_has_its_provider(renderer: Renderer, kind: str) -> None:
    vendor = variables(renderer, kind)["AIRFLOW__SECRETS__BACKEND"].split(".")[2]
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^apache-airflow-providers-{vendor}==", lock)


@pytest.mark.airflow
@pytest.mark.parametrize("kind", FILES)
def test_airflow_makes_it_and_asks_for_the_name_on_the_page(
    renderer: Renderer, kind: str, tmp_path: Path
) -> None:
    rendered = variables(renderer, kind)
    vendor = rendered["AIRFLOW__SECRETS__BACKEND"].split(".")[2]
    if importlib.util.find_spec(f"airflow.providers.{vendor}") is None:
        pytest.skip(f"apache-airflow-providers-{vendor} is in the image, but not in this environment")
    somebody = (
        tmp_path / "google.json"
    )  # Google's clients look for somebody to be, before they are asked anything
    account = {"type": "authorized_user", "client_id": "x", "client_secret": "x", "refresh_token": "x"}
    somebody.write_text(json.dumps(account))
    given = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(somebody),
        "AIRFLOW_HOME": str(tmp_path),
        "PYTHONWARNINGS": "ignore",
    }
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "AWS_"))}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**environment, **given, **keys, **rendered},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"asked": [WANTED[kind]], "found": True}
    assert WANTED[kind].rpartition(" ")[2] in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", FILES)
def test_every_pod_that_opens_connections_has_it(renderer: Renderer, kind: str) -> None:
    if not renderer.official:
        pytest.skip("Airflow's pods are made by the official chart, which could not be had")
    rendered = documents(renderer, kind)
    templates = {
        d["metadata"]["name"]: d["spec"]["template"]["spec"] for d in rendered if d["kind"] == "Deployment"
    }
    asking = [templates[f"airflow-{name}"] for name in ("scheduler", "api-server", "triggerer")]
    for document in rendered:
        if document["metadata"]["name"] in ("tideline-pods", "airflow-config"):
            texts = [v for k, v in document["data"].items() if k.endswith(".yaml")]
            asking += [yaml.safe_load(text)["spec"] for text in texts]
    assert len(asking) == (3 if kind == "aws" else 6)  # and three templates for tasks' pods
    for pod in asking:
        main = pod["containers"][0]
        assert {"name": "tideline-settings"} in [source.get("configMapRef") for source in main["envFrom"]]
        folders = {mount["mountPath"]: mount["name"] for mount in main["volumeMounts"]}
        assert ("/var/run/secrets/vault" in folders) == (kind == "vault")
        reads = [source for source in main["envFrom"] if "secretRef" in source]
        assert bool(reads) == (kind == "vault")  # which keeps the Secret of connections as the second place


DEMO_OFF = ("--set", "demo.enabled=false")
GCP = ("--set", "secretsBackend.kind=gcp")
VAULT = ("--set", "secretsBackend.kind=vault", "--set", "secretsBackend.arguments.url=https://vault:8200")
REFUSED = {
    "a kind that is none": (["--set", "secretsBackend.kind=azure"], "secretsBackend"),
    "arguments without a kind": (["--set", "secretsBackend.arguments.project_id=x"], "secretsBackend.kind"),
    "Google without a project": ([*GCP], "secretsBackend.arguments.project_id"),
    "AWS without a region": (["--set", "secretsBackend.kind=aws"], "secretsBackend.arguments.region_name"),
    "Vault without an address": (["--set", "secretsBackend.kind=vault"], "secretsBackend.arguments.url"),
    "Vault without a role": ([*VAULT], "secretsBackend.arguments.kubernetes_role"),
    "Vault without a token": ([*VAULT, "--set", "secretsBackend.arguments.kubernetes_role=x"], "extraVolumeMounts"),
    "a secret among the arguments": ([*VAULT, "--set", "secretsBackend.arguments.kubernetes_role=x", "--set", "secretsBackend.arguments.token=x"], "looks like a secret"),
    "two backends": ([*GCP, "--set", "secretsBackend.arguments.project_id=x", "--set", "airflow.config.secrets.backend=x"], "airflow.config.secrets.backend"),
    "a Secret that nobody makes": ([*DEMO_OFF, *GCP, "--set", "secretsBackend.arguments.project_id=x"], "global.tideline.connectionsSecret"),
    "a Secret that nobody reads": (["--set", "global.tideline.connectionsSecret="], "global.tideline.connectionsSecret"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_half_set_is_refused_with_the_key(renderer: Renderer, case: str) -> None:
    arguments, named = REFUSED[case]
    assert named in renderer.refusal(*combined(CHART / "ci" / "kind.yaml"), *arguments)


def test_what_the_page_shows_renders_beside_filled_in_values(renderer: Renderer, tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(secretsBackend:.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "more.yaml").write_text(example)
    arguments = (*combined(CHART / "ci" / "gke.yaml"), "-f", str(tmp_path / "more.yaml"))
    settings = next(d for d in renderer.documents(*arguments) if d["metadata"]["name"] == "tideline-settings")
    assert "AIRFLOW__SECRETS__BACKEND" in settings["data"]


def test_a_secret_that_nobody_reads_any_more_is_refused_with_both_ways_out(renderer: Renderer) -> None:
    empty = ("--set", "global.tideline.connectionsSecret=")
    said = renderer.refusal(*combined(CHART / "ci" / "gke.yaml"), *empty)
    assert "give it that Secret's name, or leave connections.existingSecret empty too" in said
