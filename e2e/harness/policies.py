"""What NetworkPolicies mean, after the Kubernetes API's own words, for clusters whose network does not
enforce them and for asking about pods that are not there.

Known are selectors, port numbers and addresses outside; of address blocks none is used here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .cluster import Object


@dataclass(frozen=True)
class Peer:
    """A pod with the labels of itself and of its namespace; without a namespace it is outside the cluster."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    of_namespace: dict[str, str] = field(default_factory=dict)

    @property
    def namespace_labels(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace, **self.of_namespace}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, f"a selector that is not understood here: {selector}"
    return all(labels.get(k) == v for k, v in selector.get("matchLabels", {}).items())


def names(rule: Object, own: str, peer: Peer) -> bool:
    """Whether one entry of `from` or `to` means the peer; `own` is the policy's namespace."""
    assert set(rule) <= {"podSelector", "namespaceSelector"}, f"a peer that is not understood here: {rule}"
    if not peer.namespace:
        return False
    there = selects(rule["namespaceSelector"], peer.namespace_labels) if "namespaceSelector" in rule else peer.namespace == own
    return there and selects(rule.get("podSelector", {}), peer.labels)


def allows(policies: list[Object], direction: str, pod: Peer, other: Peer, port: int, protocol: str) -> bool:
    """Whether the policies of a pod let it talk with another in one direction, "ingress" or "egress"."""
    own = [
        p["spec"]
        for p in policies
        if p["metadata"]["namespace"] == pod.namespace
        and direction.capitalize() in p["spec"]["policyTypes"]
        and selects(p["spec"]["podSelector"], pod.labels)
    ]
    if not own:
        return True
    rules: list[dict[str, Any]] = [rule for spec in own for rule in spec.get(direction, [])]
    peers = "from" if direction == "ingress" else "to"
    return any(
        (peers not in rule or any(names(entry, pod.namespace, other) for entry in rule[peers]))
        and ("ports" not in rule or any(p["port"] == port and p["protocol"] == protocol for p in rule["ports"]))
        for rule in rules
    )


def may_reach(policies: list[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is let out by the one end and let in by the other."""
    out = not source.namespace or allows(policies, "egress", source, target, port, protocol)
    return out and (not target.namespace or allows(policies, "ingress", target, source, port, protocol))
