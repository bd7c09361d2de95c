"""What every supported combination of values must be: restricted, sized, pinned, probed, reachable, repeatable."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import CHART, KUBERNETES, ROOT, TASK_PODS, VALUES, combined, containers, pods

from tideline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charts import Renderer

sys.path.insert(0, str(ROOT / "helm"))
LONG_RUNNING = ("Deployment", "StatefulSet", "DaemonSet")
NOT_PROBED = ("log-groomer",)
"""Containers that do nothing anybody waits for."""
KIND, GKE = ("-f", str(ROOT / "helm/values-kind.yaml")), ("-f", str(ROOT / "helm/values-gke.yaml"))
FILLED = (*GKE, "-f", str(CHART / "ci" / "gke.yaml"))


VOLUMES = {
    "configMap", "emptyDir", "secret", "projected", "persistentVolumeClaim", "downwardAPI", "csi", "ephemeral",
}  # fmt: skip


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """What the restricted Pod Security standard forbids."""
    yield from (field for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    yield from (f"volume {volume}" for volume in pod.get("volumes", []) if not set(volume) & VOLUMES)
    for container in containers(pod):
        allowed_values = {**(pod.get("securityContext") or {}), **(container.get("securityContext") or {})}
        yield from (f"{container['name']} {wrong}" for wrong in excesses(allowed_values))


def excesses(context: dict[str, Any]) -> Iterator[str]:
    """What a container with this security context may do and should not."""
    judged = {
        "is privileged": context.get("privileged") is True,
        "may escalate": context.get("allowPrivilegeEscalation") is not False,
        "keeps capabilities": "ALL" not in (context.get("capabilities") or {}).get("drop", []),
        "may be root": context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0,
        "has no seccomp profile": (context.get("seccompProfile") or {}).get("type")
        not in ("RuntimeDefault", "Localhost"),
        "can write to its root": context.get("readOnlyRootFilesystem") is not True,
    }
    yield from (what for what, is_wrong in judged.items() if is_wrong)


def test_what_part_of_the_chart_was_rendered(renderer: Renderer, record_property: Any) -> None:
    record_property("official_airflow_chart", renderer.official)
    if not renderer.official:
        pytest.skip(
            "the official Airflow chart could not be had: ONLY Tideline's own templates were rendered"
        )


def test_no_pod_needs_more_than_the_restricted_standard(
    renderer: Renderer, combination: tuple[str, ...]
) -> None:
    found = [(name, v) for name, _, pod in pods(renderer.documents(*combination)) for v in violations(pod)]
    assert not found


def test_every_container_says_what_it_needs(renderer: Renderer, combination: tuple[str, ...]) -> None:
    for name, _, pod in pods(renderer.documents(*combination)):
        for container in containers(pod):
            resources = container.get("resources") or {}
            place = f"{name} {container['name']}"
            assert {"cpu", "memory"} <= set(resources.get("requests") or {}), place
            assert "memory" in (resources.get("limits") or {}), place


def test_every_image_is_pinned(renderer: Renderer, combination: tuple[str, ...]) -> None:
    for name, _, pod in pods(renderer.documents(*combination)):
        for container in containers(pod):
            image = container["image"]
            assert not image.endswith(":latest"), f"{name}: {image}"
            local = image.startswith("localhost/")  # built and loaded by `make kind-up`, never pulled
            assert local or "@sha256:" in image, f"{name}: {image}"


@pytest.mark.parametrize("name", ["kind-digests.yaml", "gke-pgbouncer.yaml", "aws.yaml"])
def test_every_image_can_be_given_by_digest(renderer: Renderer, name: str) -> None:
    documents = renderer.documents(*combined(CHART / "ci" / name))
    images = {container["image"] for _, _, pod in pods(documents) for container in containers(pod)}
    assert images
    assert not [image for image in images if not re.search(r"@sha256:[0-9a-f]{64}$", image)]


def test_every_image_that_is_used_is_given_by_digest_somewhere(renderer: Renderer) -> None:
    """All that any combination runs is in one that has digests only, so that none is without a way to pin it."""
    pinned, used = set(), set()
    for path in VALUES:
        for _, document, pod in pods(renderer.documents(*combined(path))):
            for container in containers(pod):
                what = (document["metadata"].get("name"), container["name"])
                used.add(what)
                if "@sha256:" in container["image"]:
                    pinned.add(what)
    assert used == pinned


def test_what_runs_long_is_probed(renderer: Renderer, combination: tuple[str, ...]) -> None:
    for name, document, pod in pods(renderer.documents(*combination)):
        if document["kind"] not in LONG_RUNNING:
            continue
        for container in pod["containers"]:
            if not container["name"].endswith(NOT_PROBED):
                assert "livenessProbe" in container, f"{name} {container['name']}"


def test_replicas_have_a_disruption_budget(renderer: Renderer, combination: tuple[str, ...]) -> None:
    documents = renderer.documents(*combination)
    selectors = [
        d["spec"]["selector"]["matchLabels"] for d in documents if d["kind"] == "PodDisruptionBudget"
    ]
    for name, document, _ in pods(documents):
        if document["kind"] in LONG_RUNNING and document["spec"].get("replicas", 1) > 1:
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert any(selector.items() <= labels.items() for selector in selectors), name


def test_each_revision_begins_what_reads_settings_anew(
    renderer: Renderer, combination: tuple[str, ...]
) -> None:
    """Variables from a ConfigMap are those of when a pod began: a lake that was moved would be read in the old place."""
    if not renderer.official:
        pytest.skip("Airflow's pods are made by the official chart, which could not be had")
    told = {
        name: document["spec"]["template"]["metadata"]
        for name, document, pod in pods(renderer.documents(*combination))
        if document["kind"] in LONG_RUNNING
        and "tideline-settings" in json.dumps([each.get("envFrom") for each in containers(pod)])
    }
    told = {name: about for name, about in told.items() if about["labels"].get("tier") == "airflow"}
    assert len(told) == 4
    for name, about in told.items():
        assert about["annotations"].get("tideline/revision") == "1", name


def test_a_token_of_the_cluster_only_where_a_role_is(
    renderer: Renderer, combination: tuple[str, ...]
) -> None:
    documents = renderer.documents(*combination)
    bound = {s["name"] for d in documents if d["kind"] == "RoleBinding" for s in d.get("subjects") or []}
    accounts = {d["metadata"]["name"]: d for d in documents if d["kind"] == "ServiceAccount"}
    assert "tideline-worker" not in bound
    assert "default" not in bound
    for name, _, pod in pods(documents):
        account = pod.get("serviceAccountName", "default")
        mounts = pod.get("automountServiceAccountToken")
        if mounts is None:
            mounts = accounts.get(account, {}).get("automountServiceAccountToken", account not in accounts)
        if mounts is True or any(opens_the_cluster(volume) for volume in pod.get("volumes") or []):
            assert account in bound, f"{name} gets a token of {account}, which may do nothing"


def opens_the_cluster(volume: dict[str, Any]) -> bool:
    """Whether a volume has a token for the Kubernetes API; one for another audience, as Vault, is none."""
    sources = (volume.get("projected") or {}).get("sources") or []
    tokens = [source["serviceAccountToken"] for source in sources if "serviceAccountToken" in source]
    return any("audience" not in token for token in tokens)


def test_every_secret_that_is_read_is_made_or_named(renderer: Renderer, combination: tuple[str, ...]) -> None:
    documents = renderer.documents(*combination)
    made = {d["metadata"]["name"]: d for d in documents if d["kind"] in ("Secret", "ExternalSecret")}
    told = {
        "tideline-connections",
        "tideline-airflow",
        "tideline-database",
        "tideline-admin",
        "tideline-pgbouncer",
    }
    for name, _, pod in pods(documents):
        for volume in pod.get("volumes") or []:
            mounted = (volume.get("secret") or {}).get("secretName")
            assert mounted is None or mounted in made or mounted in told, f"{name}: {volume}"
        for container in containers(pod):
            for entry in container.get("env") or []:
                reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
                if not reference:
                    continue
                assert reference["name"] in made or reference["name"] in told, f"{name}: {reference}"
                if (secret := made.get(reference["name"])) and secret["kind"] == "Secret":
                    keys = {*(secret.get("data") or {}), *(secret.get("stringData") or {})}
                    assert reference["key"] in keys, f"{name}: {reference}"
            for source in container.get("envFrom") or []:
                secret_name = (source.get("secretRef") or {}).get("name")
                assert secret_name is None or secret_name in made or secret_name in told, f"{name}: {source}"


def test_a_tasks_pod_knows_no_secret_of_airflow(renderer: Renderer) -> None:
    if not renderer.official:
        pytest.skip("the pod template is made by the official chart, which could not be had")
    tasks = {name: pod for name, _, pod in pods(renderer.documents(*FILLED)) if name.endswith("'s pod")}
    assert set(tasks) == set(TASK_PODS.values())
    text = json.dumps(tasks)
    for secret in (
        "SQL_ALCHEMY_CONN",
        "FERNET_KEY",
        "JWT_SECRET",
        "SECRET_KEY",
        "tideline-database",
        "tideline-airflow",
    ):
        assert secret not in text


def test_every_role_of_the_dag_has_a_pod_and_an_account_of_its_own(renderer: Renderer) -> None:
    if not renderer.official:
        pytest.skip("the scheduler is made by the official chart, which could not be had")
    named = set(re.findall(r'\*\*pod\("(\w+)"\)', (ROOT / "dags" / "tideline_hourly.py").read_text()))
    assert named == {"extract", "transform"}
    documents = renderer.documents(*FILLED)
    tasks = {name: pod for name, _, pod in pods(documents)}
    accounts = {d["metadata"]["name"] for d in documents if d["kind"] == "ServiceAccount"}
    mounts = tasks["Deployment airflow-scheduler"]["containers"][0]["volumeMounts"]
    assert "/opt/airflow/pods" in {mount["mountPath"] for mount in mounts}
    for role in named:
        account = tasks[f"{role}'s pod"]["serviceAccountName"]
        assert account == f"tideline-{role}"
        assert account in accounts


def test_the_scheduler_alone_has_a_token_and_only_where_it_starts_pods(renderer: Renderer) -> None:
    if not renderer.official:
        pytest.skip("the scheduler is made by the official chart, which could not be had")
    for arguments, wanted in ((FILLED, {"scheduler"}), (KIND, set())):
        holders = {
            container["name"]
            for _, _, pod in pods(renderer.documents(*arguments))
            for container in containers(pod)
            for mount in container.get("volumeMounts") or []
            if "serviceaccount" in mount["mountPath"]
        }
        assert holders == wanted


def test_the_same_values_render_the_same(renderer: Renderer) -> None:
    first = renderer.text(*FILLED)
    again = renderer.run(*FILLED, kubernetes="1.34.0").stdout
    assert again == first


def test_only_made_secrets_differ_between_first_installs(renderer: Renderer) -> None:
    again = [d for d in yaml.safe_load_all(renderer.run(*KIND, kubernetes="1.34.0").stdout) if d]
    different = [
        a["metadata"]["name"] for a, b in zip(again, renderer.documents(*KIND), strict=True) if a != b
    ]
    assert set(different) <= {"tideline-airflow", "tideline-admin", "tideline-postgres", "tideline-database"}


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_object_fits_the_schema_of_kubernetes(
    renderer: Renderer, combination: tuple[str, ...], version: str
) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in renderer.documents(*combination, kubernetes=version):
        if (
            document["apiVersion"].split("/")[0].endswith((".coreos.com", ".io"))
            and "k8s.io" not in document["apiVersion"]
        ):
            continue  # custom resources: their schemas are their operators'
        validate.validate(document, version.rpartition(".")[0], strict=True)


REFUSED = {
    "a typo": (["--set", "postgrez.enabled=true"], "postgrez"),
    "a typo of Airflow's": (["--set", "airflow.scheduler.replcas=2"], "replcas"),
    "no image": (["--set", "airflow.images.airflow.repository="], "airflow.images.airflow.repository"),
    "tag latest": (["--set", "airflow.images.airflow.tag=latest"], "digest"),
    "another Airflow": (["--set", "airflow.airflowVersion=3.2.2"], "airflowVersion"),
    "Celery": (["--set", "airflow.executor=CeleryExecutor"], "executor"),
    "pods without leave": (["--set", "airflow.executor=KubernetesExecutor"], "allowPodLaunching"),
    "no connections": (["--set", "demo.enabled=false"], "connections.existingSecret"),
    "two kinds of connections": (["--set", "connections.existingSecret=tideline-connections"], "more than one"),
    "another connections Secret": (["--set", "connections.existingSecret=mine", "--set", "demo.enabled=false"], "global.tideline.connectionsSecret"),
    "an empty external secret": (["--set", "demo.enabled=false", "--set", "connections.externalSecret.enabled=true"], "store.name"),
    "a secret among settings": (["--set", "settings.TIDELINE_API_TOKEN=x"], "secret"),
    "a secret in an address": (["--set", "settings.TIDELINE_PROJECT=https://me:x@example.com"], "secret"),
    "a setting that is none": (["--set", "settings.FOO=x"], "FOO"),
    "a setting that nobody reads": (["--set", "settings.TIDELINE_DATASET_PREFFIX=test_"], "settings.TIDELINE_DATASET_PREFFIX is no setting"),
    "a setting's wrong scheme": (["--set", "settings.TIDELINE_RAW_URI=gcs://raw"], "settings.TIDELINE_RAW_URI is"),
    "a setting's wrong number": (["--set-string", "settings.TIDELINE_LEASE_SECONDS=10m"], "settings.TIDELINE_LEASE_SECONDS is"),
    "an exporter's tag latest": (["--set", "airflow.statsd.enabled=true", "--set", "airflow.images.statsd.tag=latest"], "airflow.images.statsd.tag"),
    "a pool's tag latest": (["--set", "airflow.pgbouncer.enabled=true", "--set", "airflow.images.pgbouncer.tag=latest"], "airflow.images.pgbouncer.tag"),
    "a pool before the small Postgres": (["--set", "airflow.pgbouncer.enabled=true", "--set-string", "airflow.images.pgbouncer.tag=1,airflow.images.pgbouncerExporter.tag=1"], "database.secret"),
    "everybody an administrator": (["--set", "airflow.config.core.auth_manager=airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"], "auth_manager"),
    "two schedulers on the small Postgres": (["--set", "airflow.scheduler.replicas=2"], "database.secret"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_the_key(renderer: Renderer, case: str) -> None:
    if case == "a typo of Airflow's" and not renderer.official:
        pytest.skip("the official chart's schema could not be had")
    arguments, named = REFUSED[case]
    assert named in renderer.refusal(*KIND, *arguments)


def test_a_name_that_speaks_of_secrets_is_none(renderer: Renderer) -> None:
    assert renderer.documents(*KIND, "--set", "settings.TIDELINE_PROJECT=token-corp")


def test_the_chart_knows_every_setting() -> None:
    text = (CHART / "templates" / "checks.yaml").read_text(encoding="utf-8")
    known = set(re.findall(r'^  "(TIDELINE_[A-Z_]+)" "', text, re.MULTILINE))
    assert known == {f"TIDELINE_{field.name.upper()}" for field in dataclasses.fields(Settings)}


def test_a_number_among_settings_is_written_as_it_was(renderer: Renderer, tmp_path: Path) -> None:
    """Helm has it as a float: docs/scale.md's TIDELINE_PART_BYTES became 1.073741824e+09, which is no setting."""
    given = {
        "TIDELINE_PART_BYTES": 1073741824,
        "TIDELINE_MAXIMUM_BYTES_BILLED": 1 << 40,
        "TIDELINE_LEASE_SECONDS": 900,
    }
    path = tmp_path / "numbers.yaml"
    path.write_text(yaml.safe_dump({"settings": given}), encoding="utf-8")
    documents = renderer.documents(*KIND, "-f", str(path))
    data = next(d for d in documents if d["metadata"]["name"] == "tideline-settings")["data"]
    assert {name: data[name] for name in given} == {name: str(value) for name, value in given.items()}


@pytest.mark.parametrize("version", ["1.29.0", "1.36.0"])
def test_a_kubernetes_that_is_not_supported_is_refused(renderer: Renderer, version: str) -> None:
    assert "kubeVersion" in renderer.refusal(*KIND, kubernetes=version)


def test_values_that_are_not_filled_in_are_refused(renderer: Renderer) -> None:
    assert "MY-" in renderer.refusal(*GKE)


def test_every_alert_has_its_runbook(renderer: Renderer) -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-")
        for h in re.findall(r"(?m)^#+ (.*)$", text)
    }
    rules = next(d for d in renderer.documents(*FILLED) if d["kind"] == "PrometheusRule")
    alerts = [alert for group in rules["spec"]["groups"] for alert in group["rules"]]
    assert len(alerts) >= 5
    for alert in alerts:
        page, _, anchor = alert["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors, f"{alert['alert']}: {anchor}"


def test_alerts_and_panels_ask_for_metrics_that_there_are(renderer: Renderer) -> None:
    """By the names that Airflow sends, and what the official chart's mappings make of them."""
    if not renderer.official:
        pytest.skip("the official chart is not there: its mappings were NOT looked at")
    documents = renderer.documents(*FILLED)
    config = next(d for d in documents if "mappings.yml" in (d.get("data") or {}))
    exported: dict[str, set[str]] = {}
    for name, labels in _exported(yaml.safe_load(config["data"]["mappings.yml"])["mappings"]):
        exported.setdefault(name, set()).update(labels)
    rules = next(d for d in documents if d["kind"] == "PrometheusRule")
    dashboard = json.loads((CHART / "dashboards" / "tideline.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for group in rules["spec"]["groups"] for rule in group["rules"]]
    own = 'namespace="tideline"'
    assert all(text.count(own) == text.count("airflow_") for text in asked), (
        "of another deployment on the cluster, too"
    )
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found = [m for text in asked for m in re.findall(r"\b(airflow_[a-z_]+)(?:\{([^}]*)\})?", text)]
    assert len(found) > 10
    for name, selector in found:
        assert any(
            metric.startswith(name) if name.endswith("_") else metric == name for metric in exported
        ), name
        labels = set(re.findall(r"(\w+)=", selector)) - {"namespace"}  # which the scrape adds
        assert labels <= exported.get(name, set()), f"{name} {selector}"


def _exported(mappings: list[dict[str, Any]]) -> Iterator[tuple[str, set[str]]]:
    """What StatsD's exporter shows: metric → labels. Airflow sends each metric as it is called, and as it was called once."""
    airflow = find_spec("airflow")
    assert airflow is not None
    assert airflow.origin is not None
    registry = Path(airflow.origin).parent / "_shared/observability/metrics/metrics_template.yaml"
    for metric in yaml.safe_load(registry.read_text(encoding="utf-8"))["metrics"]:
        for sent in (metric["name"], metric["legacy_name"]):
            name, labels = _mapped(f"airflow.{re.sub(r'{.+?}', 'x', sent)}", mappings)
            if metric["type"] == "timer":
                yield from ((f"{name}_{end}", labels) for end in ("sum", "count"))
                labels = {*labels, "quantile"}
            yield name, labels


def _mapped(sent: str, mappings: list[dict[str, Any]]) -> tuple[str, set[str]]:
    for mapping in mappings:
        is_regex = mapping.get("match_type") == "regex"
        pattern = (
            mapping["match"] if is_regex else re.escape(mapping["match"]).replace(re.escape("*"), "[^.]+")
        )
        if re.fullmatch(pattern, sent):
            return mapping["name"], set(mapping["labels"])
    return re.sub(r"\W", "_", sent), set()


def test_the_readme_is_made_from_values_and_schema() -> None:
    import docs

    assert (CHART / "README.md").read_text(encoding="utf-8") == docs.readme(), "run `make chart-docs`"


def test_every_value_is_in_the_schema_and_described() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert not list(_undescribed("", schema, values))


def _undescribed(prefix: str, schema: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        inner = schema.get("properties", {}).get(name)
        if inner is None or not inner.get("description", prefix):
            yield f"{prefix}{name}"
        elif isinstance(value, dict) and inner.get("properties"):
            yield from _undescribed(f"{prefix}{name}.", inner, value)


def test_the_lock_is_of_these_dependencies() -> None:
    import hashlib

    dependencies = yaml.safe_load((CHART / "Chart.yaml").read_text())["dependencies"]
    lock = yaml.safe_load((CHART / "Chart.lock").read_text())
    told = [{"name": d["name"], "version": d["version"], "repository": d["repository"]} for d in dependencies]
    assert lock["dependencies"] == [{k: d[k] for k in ("name", "repository", "version")} for d in told]
    text = json.dumps([[ordered(d) for d in dependencies]] * 2, separators=(",", ":"))
    assert lock["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def ordered(dependency: dict[str, Any]) -> dict[str, Any]:
    """The fields in the order in which Helm hashes them."""
    return {k: dependency[k] for k in ("name", "version", "repository") if k in dependency}


def test_dashboards_are_dashboards() -> None:
    for path in Path(CHART / "dashboards").glob("*.json"):
        board = json.loads(path.read_text(encoding="utf-8"))
        assert board["panels"]
        assert all(panel["targets"][0]["expr"] for panel in board["panels"])
