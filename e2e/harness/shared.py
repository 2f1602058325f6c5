"""What all tests share, and who may touch it.

Most tests run side by side: each has a namespace of its own, and what it does there is its own affair. The
services of Nemesis, their settings, the resource and whatever else has no namespace are everybody's. Who
changes them needs the mark `disruptive`, by which a test runs alone; without it the harness refuses, so
that nobody forgets it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

SYSTEM = "nemesis-system"
OWN_BALANCER = "own-balancer"  # the label of one that is a test's own: silent, it keeps every application awake all the same
OWN = "autoscaler-group.autoscaler"  # the group of our resource

# Kinds without a namespace that a test may make: for itself, under a name or with a selector of its own.
HARMLESS = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
WITHOUT_NAMESPACE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass", "APIService", "Node"}
QUESTIONS = ("subjectaccessreviews", "selfsubjectaccessreviews", "tokenreviews", "token")  # POSTed, and change nothing
OWN_BINDING = "/clusterrolebindings/e2e-"  # of an account that a test has made for itself
WRITES = {"apply", "create", "delete", "patch", "edit", "replace", "scale", "rollout", "set", "label", "annotate"}


class Disturbs(Exception):
    """A test does to what all share what only a `disruptive` one may. No AssertionError: nobody waits for it to pass."""


class Permit:
    """What the test that runs now may do; outside of tests everything."""

    def __init__(self) -> None:
        self.test, self.marks = "", frozenset[str]()

    def give(self, test: str, marks: Iterable[str]) -> None:
        self.test, self.marks = test, frozenset(marks)

    def need(self, mark: str, what: str) -> None:
        if self.test and mark not in self.marks:
            raise Disturbs(f"{self.test} {what}, which others would notice: it needs the mark {mark!r}")


permit = Permit()


def disturbs(what: str) -> None:
    """Called before something is done that other tests would notice."""
    permit.need("disruptive", what)


def shared(o: dict[str, Any]) -> bool:
    """Whether an object is everybody's."""
    kind, meta = o.get("kind", ""), o.get("metadata", {})
    if kind == "CustomResourceDefinition":
        return str(o.get("spec", {}).get("group", "")) in ("", OWN)
    if kind == "Namespace":
        return meta.get("name") == SYSTEM
    return meta.get("namespace") == SYSTEM or kind in WITHOUT_NAMESPACE


def check_call(method: str, path: str, body: Any) -> None:
    """Looks at a call of the Kubernetes API."""
    if method == "GET" or path.rsplit("/", 1)[-1] in QUESTIONS:
        return
    parts = path.strip("/").split("/")
    inside = parts[parts.index("namespaces") + 1 :] if "namespaces" in parts else None
    if OWN_BINDING in path:
        return
    if inside is None:
        kind = body.get("kind", "") if isinstance(body, dict) else ""
        mine = kind in HARMLESS or (kind and not shared(body)) or "validatingadmission" in path or "/customresourcedefinitions/" in path
        if not mine or path.endswith(f".{OWN}"):
            disturbs(f"changes {path}")
    elif inside and inside[0] == SYSTEM and not inside[-1].startswith(f"{OWN_BALANCER}-"):
        disturbs(f"changes {path}")


def check_kubectl(args: tuple[str, ...], stdin: str | None) -> None:
    """Looks at a command of kubectl."""
    if args[0] not in WRITES or "--dry-run=server" in args or args[:2] == ("rollout", "status"):
        return
    said = " ".join(args)
    if "-k" in args or ("-n" in args and args[args.index("-n") + 1] == SYSTEM):
        disturbs(f"runs kubectl {said}")
    text = stdin
    if "-f" in args and args[args.index("-f") + 1] != "-":
        with open(args[args.index("-f") + 1]) as file:
            text = file.read()
    if text and any(shared(o) for o in yaml.safe_load_all(text) if o):
        disturbs(f"runs kubectl {said}")


def check_pod(pod: dict[str, Any]) -> None:
    """Looks at a pod whose processes are about to be ended or stopped: an application's may be."""
    meta = pod["metadata"]
    if meta["namespace"] == SYSTEM or meta.get("labels", {}).get("app") == OWN_BALANCER:
        disturbs(f"ends or stops the process of {meta['name']}")


def check_request(request: httpx.Request) -> None:
    """Looks at a request to Nemesis itself: settings, and reports of load balancers that there are not."""
    path = urlsplit(str(request.url)).path
    if request.method == "PUT" and path.endswith("/loadbalancer/settings"):
        disturbs("puts the load balancers' settings")
    if request.method == "POST" and path.endswith("/v1/traffic"):
        report = json.loads(request.content)
        if report.get("balancer") and not report.get("leaving"):
            disturbs("reports as a load balancer")
