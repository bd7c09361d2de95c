"""Who reaches whom, computed from the rendered NetworkPolicies: what is needed, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from charts import CHART, combined, pods
from policies import OUTSIDE, STRANGER, Peer, airflow, allowed, applies, own, reached

if TYPE_CHECKING:
    from charts import Renderer

AIRFLOW = {
    name: airflow(name)
    for name in ("scheduler", "api-server", "dag-processor", "triggerer", "worker", "database-cleanup")
}
PROMETHEUS = Peer({"app": "prometheus"}, "monitoring")
EVERYBODY = {
    **AIRFLOW,
    **{name: own(name) for name in ("migrate", "smoke", "postgres", "demo")},
    "statsd": airflow("statsd"),
    "pgbouncer": airflow("pgbouncer"),
    "stranger": STRANGER,
    "prometheus": PROMETHEUS,
    "somebody elsewhere": Peer({"app": "prometheus"}, "default"),
}
DATABASE = {"scheduler", "api-server", "dag-processor", "triggerer", "database-cleanup"}
"""What of Airflow speaks to its database; tasks speak to the API server."""


def policies(renderer: Renderer, name: str) -> list[dict[str, Any]]:
    documents = renderer.documents(*combined(CHART / "ci" / name))
    found = [d["spec"] for d in documents if d["kind"] == "NetworkPolicy"]
    assert found
    return found


def test_these_are_airflows_pods(renderer: Renderer) -> None:
    if not renderer.official:
        pytest.skip("Airflow's pods are made by the official chart, which could not be had")
    documents = renderer.documents(*combined(CHART / "ci" / "gke-pgbouncer.yaml"))
    labels = [labels_of(document) for _, document, _ in pods(documents)]
    components = {each["component"] for each in labels if each.get("tier") == "airflow"}
    assert components == {*AIRFLOW, "statsd", "pgbouncer"}


def labels_of(document: dict[str, Any]) -> dict[str, str]:
    spec = document["spec"]
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template", document)
    return template["metadata"]["labels"]


def test_on_a_laptop_only_airflow_reaches_postgres_and_the_shop(renderer: Renderer) -> None:
    rules = policies(renderer, "kind.yaml")
    assert reached(rules, EVERYBODY, own("postgres"), 5432) == DATABASE | {"migrate"}
    assert reached(rules, EVERYBODY, own("demo"), 27017) == {*AIRFLOW, "statsd", "pgbouncer"}
    assert not reached(rules, EVERYBODY, airflow("scheduler"), 5432)


@pytest.mark.parametrize("name", ["kind.yaml", "gke.yaml", "aws.yaml"])
def test_tasks_reach_the_api_server_and_strangers_do_not(renderer: Renderer, name: str) -> None:
    found = reached(policies(renderer, name), EVERYBODY, airflow("api-server"), 8080)
    assert found == {*AIRFLOW, "statsd", "pgbouncer", "smoke"} - {"api-server"}


def test_metrics_come_in_and_only_monitoring_reads_them(renderer: Renderer) -> None:
    rules = policies(renderer, "gke-pgbouncer.yaml")
    assert reached(rules, EVERYBODY, airflow("statsd"), 9125) == {*AIRFLOW, "pgbouncer"}
    assert reached(rules, EVERYBODY, airflow("statsd"), 9102) == {"prometheus"}
    assert reached(rules, EVERYBODY, airflow("pgbouncer"), 9127) == {"prometheus"}


def test_the_pool_is_for_what_speaks_to_the_database(renderer: Renderer) -> None:
    rules = policies(renderer, "gke-pgbouncer.yaml")
    assert reached(rules, EVERYBODY, airflow("pgbouncer"), 6543) == DATABASE
    for name in ("pgbouncer", "migrate"):  # a migration goes past the pool
        assert allowed(rules, EVERYBODY[name], OUTSIDE, 5432)


@pytest.mark.parametrize(
    ("name", "port"), [("gke-secret-manager.yaml", 443), ("aws.yaml", 443), ("gke-vault.yaml", 8200)]
)
def test_the_store_of_secrets_is_reached_by_what_opens_connections(
    renderer: Renderer, name: str, port: int
) -> None:
    rules = policies(renderer, name)
    for component in ("scheduler", "api-server", "triggerer", "worker"):
        assert allowed(rules, airflow(component), OUTSIDE, port)


def test_a_store_on_a_port_of_its_own_is_reached_only_where_it_is_named(renderer: Renderer) -> None:
    assert not allowed(policies(renderer, "gke.yaml"), airflow("worker"), OUTSIDE, 8200)


@pytest.mark.parametrize("name", ["kind.yaml", "gke.yaml", "aws.yaml"])
@pytest.mark.parametrize("source", ["scheduler", "worker", "migrate"])
def test_names_are_asked_for_where_dns_is_no_pod(renderer: Renderer, name: str, source: str) -> None:
    """Link-local addresses of a node are selected by no labels: GKE's Autopilot asks nothing else."""
    rules = [
        rule
        for policy in policies(renderer, name)
        if "Egress" in policy["policyTypes"] and applies(policy, EVERYBODY[source])
        for rule in policy["egress"]
        if {"port": 53, "protocol": "UDP"} in rule.get("ports", [])
    ]
    asked = {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer}
    assert asked == {"169.254.20.10/32", "169.254.169.254/32"}
