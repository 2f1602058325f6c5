"""Who asks: Kubernetes accounts and their tokens."""

from __future__ import annotations

from .cluster import Cluster


def editor(cluster: Cluster, namespace: str) -> str:
    """The token of somebody who may edit this namespace, and nothing else."""
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "editor", "namespace": namespace}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "editor", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": namespace}],
        },
    )
    return cluster.kubectl("create", "token", "editor", "-n", namespace).strip()
