"""What tests do to the services themselves, always undone at the end of the block."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .cluster import Object
from .nemesis import BALANCER, CONTROLLER, Nemesis
from .reach import SYSTEM
from .shared import OWN_BALANCER
from .waiting import eventually


def with_env(deployment: Object, env: dict[str, str]) -> list[Object]:
    """The variables of a Deployment's container, some of them replaced."""
    kept = [e for e in deployment["spec"]["template"]["spec"]["containers"][0].get("env", []) if e["name"] not in env]
    return kept + [{"name": k, "value": v} for k, v in env.items()]


def settled(nemesis: Nemesis, service: str) -> None:
    """Waits until a service is rolled out, ready, in touch with the other one, and alone: what it replaces has ended."""
    nemesis.wait_service(service)
    ending = [
        p for p in nemesis.cluster.list("Pod", SYSTEM, labels=f"app.kubernetes.io/name={service}") if "deletionTimestamp" in p["metadata"]
    ]
    nemesis.wait_pods_gone(ending)
    if service == CONTROLLER:
        eventually(lambda: nemesis.http.get(nemesis.controller_url + "/readyz").status_code == 200, "the controller is ready")
    eventually(lambda: nemesis.balancer_state()["controller"]["connected"], "the load balancer reaches the controller")
    # One that could not say goodbye, since no controller was there, is awaited for a minute: nothing falls asleep.
    eventually(lambda: silent(nemesis) == 0, "no load balancer is awaited that has ended")


def silent(nemesis: Nemesis) -> int:
    """The load balancers that the controller has not heard lately and has not forgotten."""
    page = nemesis.http.get(nemesis.controller_url + "/metrics").text
    (count,) = re.findall(r'^nemesis_balancers{report="stale"} (\d+)$', page, re.M)
    return int(count)


def holder(nemesis: Nemesis) -> str:
    """The process that holds the Lease, "" when none does."""
    return nemesis.cluster.get("Lease", CONTROLLER, SYSTEM)["spec"].get("holderIdentity", "")


def leader(nemesis: Nemesis) -> str:
    """Its pod."""
    return holder(nemesis).partition("_")[0]


HEARD = "autoscaler-group.autoscaler/load-balancers"  # on the Lease


def heard(nemesis: Nemesis) -> set[str]:
    """The load balancers that the leader hears, as it writes them down for the next one."""
    notes = nemesis.cluster.get("Lease", CONTROLLER, SYSTEM)["metadata"].get("annotations", {})
    return set(json.loads(notes.get(HEARD, "[]")))


def names(pods: list[Object]) -> set[str]:
    return {p["metadata"]["name"] for p in pods}


@contextmanager
def scaled(nemesis: Nemesis, service: str, replicas: int) -> Iterator[None]:
    """The service has so many replicas."""
    before = nemesis.cluster.get("Deployment", service, SYSTEM)["spec"]["replicas"]
    ended = nemesis.pods(service) if replicas == 0 else []
    nemesis.cluster.scale(SYSTEM, service, replicas)
    try:
        nemesis.wait_service(service)
        nemesis.wait_pods_gone(ended)
        yield
    finally:
        nemesis.cluster.scale(SYSTEM, service, before)
        settled(nemesis, service)


@contextmanager
def configured(nemesis: Nemesis, service: str, env: dict[str, str], grace: int = 0) -> Iterator[None]:
    """The service runs with these environment variables, and with a grace period of so many seconds (0: its own)."""
    before = nemesis.cluster.get("Deployment", service, SYSTEM)["spec"]["template"]["spec"]
    (container,), own = before["containers"], before["terminationGracePeriodSeconds"]
    stood = {e["name"]: e for e in container["env"]}

    def put(names: list[Object], seconds: int) -> None:
        pod = {"terminationGracePeriodSeconds": seconds, "containers": [{"name": container["name"], "env": names}]}
        nemesis.cluster.patch("Deployment", service, SYSTEM, {"spec": {"template": {"spec": pod}}})
        settled(nemesis, service)

    put([{"name": k, "value": v} for k, v in env.items()], grace or own)
    try:
        yield
    finally:
        put([stood.get(k, {"name": k, "$patch": "delete"}) for k in env], own)


def may_scale(nemesis: Nemesis) -> bool:
    """Whether the API server lets the controller scale; it hears of a change of roles a moment later."""
    attributes = {"namespace": "default", "verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": f"system:serviceaccount:{SYSTEM}:{CONTROLLER}", "resourceAttributes": attributes},
    }
    return bool(nemesis.cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"])


@contextmanager
def without_the_right_to_scale(nemesis: Nemesis) -> Iterator[None]:
    """The controller may not scale: Kubernetes refuses every attempt."""
    path = nemesis.cluster.path("ClusterRole", f"nemesis-{CONTROLLER}")
    rules = nemesis.cluster.call("GET", path)["rules"]

    def put(kept: list[Object]) -> None:
        nemesis.cluster.call("PATCH", path, {"rules": kept}, "application/merge-patch+json")

    put([r for r in rules if "deployments/scale" not in r["resources"]])
    try:
        eventually(lambda: not may_scale(nemesis), "the API server knows that it may not")
        yield
    finally:
        put(rules)


@dataclass(frozen=True)
class OwnBalancer:
    """The base addresses of a load balancer's two ports, and its pod."""

    data: str
    admin: str
    pod: Object


@contextmanager
def own_balancer(nemesis: Nemesis, namespace: str, env: dict[str, str]) -> Iterator[OwnBalancer]:
    """A second load balancer with settings of its own, for the test whose namespace this is.

    It stands where the deployed one does, since it is a load balancer to the controller by its account; it goes
    with the test's namespace at the latest.
    """
    source = nemesis.cluster.get("Deployment", BALANCER, SYSTEM)
    owner = nemesis.cluster.get("Namespace", namespace)["metadata"]
    name = f"{OWN_BALANCER}-{namespace}"
    labels = {"app": OWN_BALANCER, "nemesis-e2e/namespace": namespace}
    selector = ",".join(f"{k}={v}" for k, v in labels.items())
    template = copy.deepcopy(source["spec"]["template"])
    template["metadata"] = {"labels": labels}
    template["spec"]["containers"][0]["env"] = with_env(source, {"NEMESIS_LAME_DUCK": "0s", **env})
    nemesis.cluster.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": SYSTEM,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": owner["uid"]}],
            },
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        }
    )
    try:
        nemesis.wait_service(name)
        (pod,) = nemesis.cluster.list("Pod", SYSTEM, labels=selector)
        yield OwnBalancer(nemesis.reach.pod(pod, 8080), nemesis.reach.pod(pod, 8081), pod)
    finally:
        # It must say goodbye: a balancer that only falls silent keeps every application awake.
        pods = nemesis.cluster.list("Pod", SYSTEM, labels=selector)
        nemesis.cluster.delete("Deployment", name, SYSTEM)
        nemesis.wait_pods_gone(pods)
