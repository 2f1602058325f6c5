"""Who asks: Kubernetes accounts and their tokens.

People are accounts with Kubernetes' own roles; services are the accounts of Nemesis' own pods, whose tokens
name the pod and are for Nemesis alone.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from .cluster import Cluster, Object
from .reach import Reach
from .shared import OWN_BALANCER, SYSTEM

AUDIENCE = "nemesis"  # whom the services' own tokens are for
RBAC = "rbac.authorization.k8s.io"


def account(cluster: Cluster, namespace: str, name: str) -> Object:
    """A service account, without any right."""
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    cluster.apply(made)
    return made


def token(cluster: Cluster, namespace: str, name: str, *, audience: str = "", bound: Object | None = None, seconds: int = 3600) -> str:
    """A token of the account: for the API server, or for `audience` alone; it ends with the Pod or Secret that it is `bound` to."""
    spec: Object = {"expirationSeconds": seconds}
    if audience:
        spec["audiences"] = [audience]
    if bound is not None:
        spec["boundObjectRef"] = {"apiVersion": "v1", "kind": bound["kind"], "name": bound["metadata"]["name"]}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    return cluster.call("POST", cluster.path("ServiceAccount", name, namespace) + "/token", request)["status"]["token"]


def of_pod(cluster: Cluster, pod: Object, audience: str = AUDIENCE) -> str:
    """What the kubelet hands to the pod: a token of its account that names it."""
    meta = pod["metadata"]
    named = {"kind": "Pod", "metadata": meta}
    return token(cluster, meta["namespace"], pod["spec"].get("serviceAccountName") or "default", audience=audience, bound=named)


def bearer(token: str) -> dict[str, str]:
    """The header of somebody who has this token."""
    return {"Authorization": f"Bearer {token}"}


def binding(namespace: str, role: str, subject: str, of: str) -> Object:
    """A binding of a ClusterRole to the account `subject` of the namespace `of`: in one namespace, or, with "", in all."""
    meta = {"name": f"{subject}-{role}", "namespace": namespace} if namespace else {"name": f"{of}-{role}"}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": of}],
    }


def member(cluster: Cluster, namespace: str, role: str) -> str:
    """The token of somebody who has Kubernetes' role view, edit or admin in this namespace, and nothing else."""
    name = {"view": "viewer", "edit": "editor"}.get(role, role)
    account(cluster, namespace, name)
    cluster.apply(binding(namespace, role, name, namespace))
    return token(cluster, namespace, name)


def editor(cluster: Cluster, namespace: str) -> str:
    """The token of somebody who may edit this namespace, and nothing else."""
    return member(cluster, namespace, "edit")


class Operator(httpx.Auth):
    """Somebody who runs Nemesis and may edit every namespace: who asks where a test does not say who.

    Its token goes to the controllers' and the load balancers' own APIs alone (`Reach.guarded`), never along with a
    client's traffic; a request that brings one itself keeps it, and one with `auth=None` has none.
    """

    ROLES = ("nemesis-operator", "edit")
    LIFE = 3600

    def __init__(self, cluster: Cluster, reach: Reach, namespace: str) -> None:
        self._cluster, self._reach, self.namespace = cluster, reach, namespace
        self._token, self._until, self._silent = "", 0.0, False
        account(cluster, namespace, "operator")
        cluster.apply(*self._bindings())

    def _bindings(self) -> list[Object]:
        return [binding("", role, "operator", self.namespace) for role in self.ROLES]

    @property
    def token(self) -> str:
        """Made anew when half of its life is over."""
        if time.monotonic() > self._until:
            self._token = token(self._cluster, self.namespace, "operator", seconds=self.LIFE)
            self._until = time.monotonic() + self.LIFE / 2
        return self._token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        brought = "Authorization" in request.headers or "Nemesis-Authorization" in request.headers
        if not brought and not self._silent and self._reach.guarded(str(request.url)):
            request.headers["Authorization"] = f"Bearer {self.token}"
        yield request

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It does not say who it is."""
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def close(self) -> None:
        for o in self._bindings():
            self._cluster.delete(o["kind"], o["metadata"]["name"])


@contextmanager
def present(cluster: Cluster, namespace: str, name: str) -> Iterator[None]:
    """The account is there: one of a service that need not be deployed goes again."""
    there = cluster.list("ServiceAccount", namespace, fields=f"metadata.name={name}")
    account(cluster, namespace, name)
    try:
        yield
    finally:
        if not there:
            cluster.delete("ServiceAccount", name, namespace)


@contextmanager
def waiting_pod(cluster: Cluster, name: str, account: str = "default", namespace: str = SYSTEM) -> Iterator[Object]:
    """A pod of an account that never runs, by default of one of Nemesis' own: somebody to be in a token."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{OWN_BALANCER}-{name}", "namespace": namespace},
        "spec": {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "schedulingGates": [{"name": "nemesis-e2e/never"}],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "none",
                    "image": "none",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    cluster.apply(pod)
    try:
        yield cluster.get("Pod", pod["metadata"]["name"], namespace)
    finally:
        cluster.delete("Pod", pod["metadata"]["name"], namespace, grace=0)


def altered(good: str, **claims: object) -> str:
    """The token with other claims, under the signature of what it said before."""
    head, body, signature = good.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    changed = base64.urlsafe_b64encode(json.dumps({**said, **claims}).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def claims(good: str) -> Object:
    """What a token says of itself."""
    body = good.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
