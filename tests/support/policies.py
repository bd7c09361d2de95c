"""What NetworkPolicies let through, computed from their text. Ports are compared by number, addresses not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HERE = "tideline"
"""The namespace that the policies are in."""


@dataclass(frozen=True)
class Peer:
    """A pod by its labels; in a namespace without policies where it is another one."""

    labels: dict[str, str]
    namespace: str = HERE


def airflow(component: str) -> Peer:
    """A pod that the official chart or an executor makes."""
    return Peer({"release": "tideline", "tier": "airflow", "component": component})


def own(component: str) -> Peer:
    """A pod of Tideline's own templates."""
    name = {"app.kubernetes.io/name": "tideline", "app.kubernetes.io/instance": "tideline"}
    return Peer({**name, "app.kubernetes.io/component": component})


STRANGER = Peer({"app": "stranger"})
OUTSIDE = Peer({}, "outside")
"""Somewhere that is no pod of the namespace: a database, a store of secrets, Google."""


def allowed(policies: list[dict[str, Any]], source: Peer, target: Peer, port: int) -> bool:
    """Whether one reaches the other: out of the first, and into the second."""
    out = [p for p in policies if "Egress" in p["policyTypes"] and applies(p, source)]
    into = [p for p in policies if "Ingress" in p["policyTypes"] and applies(p, target)]
    leaves = not out or any(rule_allows(r, "to", target, port) for p in out for r in p.get("egress") or [])
    enters = not into or any(
        rule_allows(r, "from", source, port) for p in into for r in p.get("ingress") or []
    )
    return leaves and enters


def reached(policies: list[dict[str, Any]], who: dict[str, Peer], target: Peer, port: int) -> set[str]:
    """The names of those that reach the target."""
    return {name for name, peer in who.items() if peer != target and allowed(policies, peer, target, port)}


def applies(policy: dict[str, Any], peer: Peer) -> bool:
    return peer.namespace == HERE and selects(policy["podSelector"], peer.labels)


def rule_allows(rule: dict[str, Any], side: str, peer: Peer, port: int) -> bool:
    peers = rule.get(side)
    here = peers is None or any(matches(each, peer) for each in peers)
    return here and ("ports" not in rule or any(p.get("port") == port for p in rule["ports"]))


def matches(rule: dict[str, Any], peer: Peer) -> bool:
    if "namespaceSelector" in rule:
        in_namespace = selects(rule["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
    else:
        in_namespace = "podSelector" in rule and peer.namespace == HERE
    return in_namespace and selects(rule.get("podSelector") or {}, peer.labels)


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for expression in selector.get("matchExpressions") or []:
        inside = labels.get(expression["key"]) in expression["values"]
        if inside != (expression["operator"] == "In"):
            return False
    return (selector.get("matchLabels") or {}).items() <= labels.items()
