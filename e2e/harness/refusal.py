"""The API server refuses to scale in one namespace, by an admission policy: all others are scaled as ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .cluster import Cluster, Object, Refused
from .nemesis import Nemesis
from .waiting import eventually

PROBE = "scaling-probe"


def policy(namespace: str) -> list[Object]:
    """Nobody may change a scale there; `Forbidden` is what a missing right is answered with too."""
    api, name = "admissionregistration.k8s.io/v1", {"name": f"no-scaling-{namespace}"}
    scales = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments/scale"]}
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [scales]},
        "validations": [{"expression": "false", "message": "nothing is scaled here", "reason": "Forbidden"}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": name["name"], "validationActions": ["Deny"], "matchResources": here}
    return [
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": name, "spec": spec},
        {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": name, "spec": binding},
    ]


def probe(namespace: str) -> Object:
    """A Deployment without pods, at which it is seen whether scaling is refused."""
    meta = {"name": PROBE, "namespace": namespace, "labels": {"app": PROBE}}
    pod = {"metadata": {"labels": meta["labels"]}, "spec": {"containers": [{"name": "none", "image": "none"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {"replicas": 0, "selector": {"matchLabels": meta["labels"]}, "template": pod},
    }


def refused(cluster: Cluster, namespace: str) -> bool:
    path = cluster.path("Deployment", PROBE, namespace) + "/scale"
    try:
        cluster.call("PATCH", path, {"spec": {"replicas": 1}}, "application/merge-patch+json", dryRun="All")
    except Refused as answer:
        if answer.code != 403:
            raise
        return True
    return False


@contextmanager
def scaling_refused(nemesis: Nemesis, namespace: str) -> Iterator[None]:
    """Kubernetes refuses every attempt to scale in the namespace."""
    cluster, made = nemesis.cluster, policy(namespace)
    cluster.apply(probe(namespace), *made)
    try:
        eventually(lambda: refused(cluster, namespace), "the policy holds")
        yield
    finally:
        for o in reversed(made):
            cluster.delete(o["kind"], o["metadata"]["name"])
    eventually(lambda: not refused(cluster, namespace), "the policy is gone")
    cluster.delete("Deployment", PROBE, namespace)
