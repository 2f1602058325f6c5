"""What the harness lets a test do that runs beside others: everything in its own namespace, nothing to what all share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import yaml

from harness import shared
from harness.shared import OWN, OWN_BALANCER, SYSTEM, Disturbs, permit

Check = Callable[[], None]


def call(method: str, path: str, body: object = None) -> Check:
    return lambda: shared.check_call(method, path, body)


def kubectl(*args: str, stdin: str | None = None) -> Check:
    return lambda: shared.check_kubectl(args, stdin)


def request(method: str, path: str, **more: object) -> Check:
    return lambda: shared.check_request(httpx.Request(method, f"http://10.0.0.1:8080{path}", **more))


def manifest(kind: str, namespace: str = "", **spec: str) -> str:
    return yaml.safe_dump({"kind": kind, "metadata": {"name": "x", "namespace": namespace}, "spec": spec})


def pod(namespace: str, app: str) -> Check:
    return lambda: shared.check_pod({"metadata": {"name": "x", "namespace": namespace, "labels": {"app": app}}})


APPS, CORE = "/apis/apps/v1/namespaces", "/api/v1/namespaces"
DEFINITIONS, ROLES = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
REPORT = {"balancer": "by-hand", "leaving": False}

FREE: dict[str, Check] = {
    "reading the services": call("GET", f"{APPS}/{SYSTEM}/deployments/load-balancer"),
    "scaling its own Deployment": call("PATCH", f"{APPS}/e2e-1/deployments/a/scale", {"spec": {"replicas": 1}}),
    "making its namespace": call("PATCH", f"{CORE}/e2e-1", {"kind": "Namespace", "metadata": {"name": "e2e-1"}}),
    "removing its namespace": call("DELETE", f"{CORE}/e2e-1", {"propagationPolicy": "Background"}),
    "asking what an account may": call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {}}),
    "a token of a service": call("POST", f"{CORE}/{SYSTEM}/serviceaccounts/load-balancer/token", {"spec": {}}),
    "a load balancer of its own": call("PATCH", f"{APPS}/{SYSTEM}/deployments/{OWN_BALANCER}-e2e-1", {"kind": "Deployment"}),
    "rights for an account of its own": call("PATCH", f"{BINDINGS}/e2e-1-view", {"kind": "ClusterRoleBinding"}),
    "taking them back": call("DELETE", f"{BINDINGS}/e2e-1-view", {"propagationPolicy": "Background"}),
    "defining a kind of others": call(
        "PATCH", f"{DEFINITIONS}/scaledobjects.keda.sh", {"kind": "CustomResourceDefinition", "spec": {"group": "keda.sh"}}
    ),
    "a policy of its own": call("PATCH", f"{POLICIES}/no-scaling-e2e-1", {"kind": "ValidatingAdmissionPolicy"}),
    "removing that policy": call("DELETE", f"{POLICIES}/no-scaling-e2e-1"),
    "kubectl get": kubectl("get", "pods", "-n", SYSTEM),
    "kubectl apply in its namespace": kubectl("apply", "-f", "-", stdin=manifest("Deployment", "e2e-1")),
    "kubectl patch in its namespace": kubectl("patch", "ca", "x", "-n", "e2e-1", "-p", "{}"),
    "a dry run": kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest("Deployment", SYSTEM)),
    "reading settings": request("GET", "/loadbalancer/settings"),
    "a load balancer that leaves": request("POST", "/v1/traffic", json={**REPORT, "leaving": True}),
    "a report of nobody": request("POST", "/v1/traffic", json={**REPORT, "balancer": ""}),
    "ending its application": pod("e2e-1", "fibonacci"),
}

DISTURBING: dict[str, Check] = {
    "scaling a service": call("PATCH", f"{APPS}/{SYSTEM}/deployments/load-balancer/scale", {"spec": {"replicas": 0}}),
    "deleting a pod of it": call("DELETE", f"{CORE}/{SYSTEM}/pods/load-balancer-1"),
    "removing the system": call("DELETE", f"{CORE}/{SYSTEM}"),
    "taking rights": call("PATCH", f"{ROLES}/nemesis-autoscaler-controller", {"rules": []}),
    "rights for others": call("PATCH", f"{BINDINGS}/nemesis-autoscaler-controller", {"kind": "ClusterRoleBinding"}),
    "changing our resource": call(
        "PATCH", f"{DEFINITIONS}/customautoscalers.{OWN}", {"kind": "CustomResourceDefinition", "spec": {"group": OWN}}
    ),
    "removing our resource": call("DELETE", f"{DEFINITIONS}/customautoscalers.{OWN}"),
    "kubectl apply -k": kubectl("apply", "-k", "kustomize/overlays/local/load-balancer"),
    "kubectl rollout restart": kubectl("rollout", "restart", "deployment/load-balancer", "-n", SYSTEM),
    "kubectl apply of a shared object": kubectl("apply", "-f", "-", stdin=manifest("ConfigMap", SYSTEM)),
    "kubectl apply of a role": kubectl("apply", "-f", "-", stdin=manifest("ClusterRole")),
    "putting settings": request("PUT", "/loadbalancer/settings", json={"policy": "random"}),
    "putting settings at the controller": request("PUT", "/v1/loadbalancer/settings", json={}),
    "a load balancer that there is not": request("POST", "/v1/traffic", json=REPORT),
    "killing a service": pod(SYSTEM, ""),
    "killing a load balancer of its own": pod("e2e-1", OWN_BALANCER),
}


@pytest.mark.parametrize("check", FREE.values(), ids=FREE)
def test_what_is_a_tests_own_affair_needs_no_mark(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", DISTURBING.values(), ids=DISTURBING)
def test_what_others_would_notice_needs_the_mark(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Disturbs, match=r"test_shared.*disruptive"):
        check()
    monkeypatch.setattr(permit, "marks", frozenset({"disruptive"}))
    check()


def test_a_file_of_objects_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(manifest("CustomResourceDefinition", group="monitoring.coreos.com"))
    shared.check_kubectl(("create", "-f", str(file)), None)
    file.write_text(manifest("CustomResourceDefinition", group=OWN))
    with pytest.raises(Disturbs):
        shared.check_kubectl(("create", "-f", str(file)), None)


def test_outside_of_tests_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permit, "test", "")
    DISTURBING["scaling a service"]()
