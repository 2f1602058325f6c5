"""The Kubernetes API, reached through `kubectl proxy`, so that every kind of kubeconfig works."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from . import shared
from .kubectl import Kubectl
from .waiting import PATIENCE

Object = dict[str, Any]

# Where the kinds live that the tests use; True means: in a namespace.
KINDS: dict[str, tuple[str, str, bool]] = {
    "Namespace": ("api/v1", "namespaces", False),
    "Node": ("api/v1", "nodes", False),
    "Pod": ("api/v1", "pods", True),
    "Service": ("api/v1", "services", True),
    "ServiceAccount": ("api/v1", "serviceaccounts", True),
    "Event": ("api/v1", "events", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "ResourceQuota": ("api/v1", "resourcequotas", True),
    "Deployment": ("apis/apps/v1", "deployments", True),
    "DaemonSet": ("apis/apps/v1", "daemonsets", True),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies", True),
    "Lease": ("apis/coordination.k8s.io/v1", "leases", True),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles", True),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Secret": ("api/v1", "secrets", True),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers", True),
    "ValidatingAdmissionPolicy": ("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", False),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects", True),
    "ClaimPolicy": ("apis/autoscaler-group.autoscaler/v1alpha1", "claimpolicies", False),
    "CustomAutoscaler": ("apis/autoscaler-group.autoscaler/v1alpha1", "customautoscalers", True),
}


class Refused(AssertionError):
    """The API server refused; `code` is its HTTP status."""

    def __init__(self, method: str, path: str, answer: httpx.Response) -> None:
        answer.read()
        self.code = answer.status_code
        super().__init__(f"{method} {path}: {answer.status_code} {answer.text[:600]}")


class Cluster:
    """Reads, writes and watches objects."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self._folder = tempfile.TemporaryDirectory(prefix="nemesis-e2e-")
        socket = Path(self._folder.name) / "api"
        self._proxy, first = kubectl.start("proxy", f"--unix-socket={socket}")
        if not first.startswith("Starting to serve"):
            raise ConnectionError(f"kubectl proxy: {first.strip()}")
        transport = httpx.HTTPTransport(uds=str(socket), limits=httpx.Limits(max_connections=50))
        self._http = httpx.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE, trust_env=False)

    def close(self) -> None:
        self._http.close()
        self._proxy.terminate()
        self._proxy.wait(10)
        self._folder.cleanup()

    @staticmethod
    def path(kind: str, name: str = "", namespace: str = "") -> str:
        prefix, plural, namespaced = KINDS[kind]
        inside = f"namespaces/{namespace}/" if namespaced and namespace else ""
        return f"/{prefix}/{inside}{plural}" + (f"/{name}" if name else "")

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str) -> Object:
        shared.check_call(method, path, body)
        answer = self._http.request(
            method, path, params=query, content=None if body is None else json.dumps(body), headers={"Content-Type": content_type}
        )
        if answer.is_error:
            raise Refused(method, path, answer)
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else {"text": answer.text}

    def raw(self, path: str, **headers: str) -> httpx.Response:
        """What the API server answers to a GET, as `kubectl get --raw` asks it."""
        return self._http.get(path, headers=headers)

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        return self.call("GET", self.path(kind, name, namespace))

    def list(self, kind: str, namespace: str = "", labels: str = "", fields: str = "") -> list[Object]:
        query = {k: v for k, v in {"labelSelector": labels, "fieldSelector": fields}.items() if v}
        return self.call("GET", self.path(kind, namespace=namespace), **query)["items"]

    def apply(self, *objects: Object) -> None:
        """Makes or changes objects, by server-side apply."""
        for o in objects:
            meta = o["metadata"]
            path = self.path(o["kind"], meta["name"], meta.get("namespace", ""))
            self.call("PATCH", path, o, "application/apply-patch+yaml", fieldManager="nemesis-e2e", force="true")

    def patch(self, kind: str, name: str, namespace: str, change: Object) -> Object:
        """Changes an object by a strategic merge patch, a custom resource by a JSON merge patch."""
        media = "merge-patch" if kind == "CustomAutoscaler" else "strategic-merge-patch"
        return self.call("PATCH", self.path(kind, name, namespace), change, f"application/{media}+json")

    def delete(self, kind: str, name: str, namespace: str = "", grace: int | None = None) -> None:
        """Deletes an object; that it is gone already is no fault. `grace` is in seconds."""
        body: Object = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        try:
            self.call("DELETE", self.path(kind, name, namespace), body)
        except Refused as refused:
            if refused.code != 404:
                raise

    def scale(self, namespace: str, deployment: str, replicas: int) -> None:
        """Sets the replica count as `kubectl scale` does."""
        path = self.path("Deployment", deployment, namespace) + "/scale"
        self.call("PATCH", path, {"spec": {"replicas": replicas}}, "application/merge-patch+json")

    def logs(self, namespace: str, pod: str, since_seconds: int = 300, previous: bool = False, container: str = "") -> str:
        query = {"sinceSeconds": str(since_seconds), "previous": str(previous).lower()}
        if container:
            query["container"] = container
        return self.call("GET", self.path("Pod", pod, namespace) + "/log", **query)["text"]

    def wait(self, kind: str, name: str, namespace: str, until: Callable[[Object | None], bool], what: str) -> Object | None:
        """Waits, by a watch, until the object (None: it is not there) is as `until` wants it."""
        deadline = time.monotonic() + PATIENCE
        last: Object | None = None
        while True:
            for last in self._changes(kind, name, namespace, deadline):
                if until(last):
                    return last
            if time.monotonic() > deadline:
                status = (last or {}).get("status")
                raise AssertionError(f"not within {PATIENCE:g} s: {what}; {kind} {namespace}/{name} is {json.dumps(status)[:800]}")

    def _changes(self, kind: str, name: str, namespace: str, deadline: float) -> Iterator[Object | None]:
        """The object as it is now, then as it becomes, until the watch ends or the time is over."""
        fields = f"metadata.name={name}"
        path = self.path(kind, namespace=namespace)
        now = self.call("GET", path, fieldSelector=fields)
        yield now["items"][0] if now["items"] else None
        left = max(1, int(deadline - time.monotonic()))
        query = {
            "watch": "true",
            "fieldSelector": fields,
            "timeoutSeconds": str(left),
            "resourceVersion": now["metadata"]["resourceVersion"],
        }
        with self._http.stream("GET", path, params=query, timeout=left + 5) as answer:
            if answer.is_error:
                raise Refused("GET", path, answer)
            for line in answer.iter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return  # too old a version: begin again
                yield None if event["type"] == "DELETED" else event["object"]
