"""Every operation of every contract, asked by everybody: identities.md says what each is answered."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from harness.accounts import altered, bearer, claims, member, of_pod, present, token, waiting_pod
from harness.applications import Application, fibonacci
from harness.cluster import Cluster, Object
from harness.nemesis import BALANCER, COLLECTOR, CONTROLLER, Nemesis, unique
from harness.problems import problem
from harness.reach import SYSTEM
from harness.sidecars import with_sidecar
from harness.waiting import eventually

pytestmark = pytest.mark.disruptive  # settings are put, as they are, and pods of the services' accounts made

HERE = Path(__file__).resolve().parent
CONTRACTS = ("autoscaler", "loadbalancer", "peers", "sidecar")
PEERS_PORT = 8082
METHODS = {"get", "post", "put", "patch", "delete"}


def tables() -> dict[str, dict[str, dict[str, str]]]:
    """For each contract, for each of its operations: what each column says."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for part in re.split(r"^## ", (HERE / "identities.md").read_text(), flags=re.MULTILINE)[1:]:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
        head, _, *cells = rows
        found[part.split(".yaml", 1)[0]] = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in cells}
    return found


def operations(contract: str) -> set[str]:
    paths = yaml.safe_load((HERE.parent / "api" / f"{contract}.yaml").read_text())["paths"]
    return {operation["operationId"] for path in paths.values() for method, operation in path.items() if method in METHODS}


TABLES = tables()
ROWS = [(contract, operation) for contract in CONTRACTS[:3] for operation in TABLES.get(contract, {})]


@dataclass
class Stage:
    """An application that is awake, everybody who may ask about it, and what is asked."""

    nemesis: Nemesis
    app: Application
    pod: str
    balancer: str
    people: dict[str, str]  # the token of each; "" is none

    @property
    def here(self) -> dict[str, str]:
        return {"namespace": self.app.namespace}


Asked = tuple[str, str, dict[str, Any]]  # the method, the path with its query, the body


def identities(nemesis: Nemesis, cluster: Cluster, stack: ExitStack, app: Application, pod: Object, stranger: str) -> dict[str, str]:
    """Everybody that the table has a column for."""
    here = app.namespace
    other = stack.enter_context(waiting_pod(cluster, "other", namespace=here))
    balancer = stack.enter_context(waiting_pod(cluster, "asks", BALANCER))
    stack.enter_context(present(cluster, SYSTEM, COLLECTOR))
    collector = stack.enter_context(waiting_pod(cluster, "collects", COLLECTOR))
    admin = member(cluster, here, "admin")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "session", "namespace": here}}
    cluster.apply(secret)
    ended = token(cluster, here, "admin", bound=secret)
    cluster.delete("Secret", "session", here)
    of_other = of_pod(cluster, other)
    inside = claims(of_other)["kubernetes.io"]
    meta = pod["metadata"]
    return {
        "none": "",
        "garbage": "nonsense",
        "ended": ended,
        "forged": altered(of_other, **{"kubernetes.io": {**inside, "pod": {"name": meta["name"], "uid": meta["uid"]}}}),
        "wrong audience": token(cluster, here, "admin", audience="somebody-else"),
        "other namespace": member(cluster, stranger, "admin"),
        "viewer": member(cluster, here, "view"),
        "editor": member(cluster, here, "edit"),
        "admin": admin,
        "operator": nemesis.operator.token,
        "other pod": of_other,
        "sidecar": of_pod(cluster, pod),
        "balancer": of_pod(cluster, balancer),
        "collector": of_pod(cluster, collector),
        "controller": of_pod(cluster, nemesis.pods(CONTROLLER)[0]),
    }


@pytest.fixture(scope="module")
def stage(nemesis: Nemesis, cluster: Cluster) -> Iterator[Stage]:
    with ExitStack() as stack:
        names = [unique("who"), unique("stranger")]
        for name in names:
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            stack.callback(cluster.delete, "Namespace", name)
            cluster.wait("ServiceAccount", "default", name, lambda o: o is not None, "pods may be made in the namespace")
        app = fibonacci(names[0], spec={"minReplicas": 1, "maxReplicas": 1})
        nemesis.deploy(app)
        assert nemesis.ask(app).status_code == 200
        (pod,) = cluster.list("Pod", app.namespace, labels=f"app={app.name}")
        everybody = identities(nemesis, cluster, stack, app, pod, names[1])
        made = Stage(nemesis, app, pod["metadata"]["name"], claims(everybody["balancer"])["kubernetes.io"]["pod"]["name"], everybody)
        yield made


def idle_object(stage: Stage, name: str) -> Object:
    """A CustomAutoscaler that does nothing."""
    target = {"name": name, "apiPrefix": f"/{stage.app.namespace}/{name}", "port": "80"}
    return {
        "apiVersion": "autoscaler-group.autoscaler/v1alpha1",
        "kind": "CustomAutoscaler",
        "metadata": {"name": name, "namespace": stage.app.namespace},
        "spec": {"mode": "Paused", "targetDeployments": [target]},
    }


def objects(stage: Stage, name: str = "") -> str:
    return Cluster.path("CustomAutoscaler", name, stage.app.namespace)


def there(stage: Stage, who: str) -> str:
    """The name of an object of which it is known that it is there."""
    name = f"for-{who.replace(' ', '-')}"
    stage.nemesis.cluster.apply(idle_object(stage, name))
    return name


def replacement(stage: Stage, who: str) -> Asked:
    name = there(stage, who)
    return "PUT", objects(stage, name), stage.nemesis.cluster.get("CustomAutoscaler", name, stage.app.namespace)


def traffic(stage: Stage) -> Object:
    """The report of a load balancer that goes, and holds up nobody."""
    return {"balancer": stage.balancer, "startedAt": "2026-01-01T00:00:00Z", "sequence": 1, "leaving": True, "applications": []}


def measured(stage: Stage) -> Object:
    return {"podName": stage.pod, "namespace": stage.app.namespace, "metrics": {"cpuUsage": 1.5}}


def settings(stage: Stage) -> Object:
    """Those that are followed."""
    return stage.nemesis.read("/v1/loadbalancer/settings")


def to_app(method: str, **body: Any) -> Callable[[Stage, str], Asked]:
    def asked(stage: Stage, _: str) -> Asked:
        if method == "PATCH":  # of what is there
            made = stage.nemesis.http.put(
                stage.nemesis.admin_url + f"/target-app/api?target={stage.app.namespace}/{stage.app.name}",
                json={"resource_id": "mine", "updates": {"n": 7}},
            )
            assert made.is_success, made.text
        return method, f"/target-app/api?query=10&target={stage.app.namespace}/{stage.app.name}", body

    return asked


def get(path: str) -> Callable[[Stage, str], Asked]:
    return lambda stage, _: ("GET", path.format(ns=stage.app.namespace, app=stage.app.name), {})


def exchange(stage: Stage, _: str) -> Asked:
    """What a load balancer says to one that ended long ago."""
    long_ago = "2026-01-01T00:00:00Z"
    sender = {"name": stage.balancer, "startedAt": long_ago, "address": "127.0.0.1:8082"}
    return "POST", "/v1/slots", {"from": sender, "to": {"name": "one-that-was", "startedAt": long_ago}, "applications": []}


ASKED: dict[str, Callable[[Stage, str], Asked]] = {
    "autoscaler.listCustomAutoscalers": lambda s, _: ("GET", objects(s), {}),
    "autoscaler.createCustomAutoscaler": lambda s, who: ("POST", objects(s), idle_object(s, f"by-{who.replace(' ', '-')}")),
    "autoscaler.getCustomAutoscaler": lambda s, _: ("GET", objects(s, s.app.name), {}),
    "autoscaler.replaceCustomAutoscaler": replacement,
    "autoscaler.patchCustomAutoscaler": lambda s, who: ("PATCH", objects(s, there(s, who)), {"spec": {"idleTime": 77}}),
    "autoscaler.deleteCustomAutoscaler": lambda s, who: ("DELETE", objects(s, there(s, who)), {}),
    "autoscaler.watchRoutes": get("/v1/routes?wait=0s"),
    "autoscaler.startApplication": lambda s, _: (
        "POST",
        f"/v1/namespaces/{s.app.namespace}/deployments/{s.app.name}/start",
        {"balancer": s.balancer, "waiting": 1},
    ),
    "autoscaler.wakeApplication": lambda s, _: ("POST", f"/v1/namespaces/{s.app.namespace}/deployments/{s.app.name}/wake", {}),
    "autoscaler.sleepApplication": lambda s, _: ("POST", f"/v1/namespaces/{s.app.namespace}/deployments/{s.app.name}/sleep", {}),
    "autoscaler.previewDecision": lambda s, _: (
        "POST",
        f"/v1/namespaces/{s.app.namespace}/deployments/{s.app.name}/preview",
        {"spec": {"targetDeployments": [{"name": s.app.name, "apiPrefix": s.app.prefix, "port": "80"}]}},
    ),
    "autoscaler.reportTraffic": lambda s, _: ("POST", "/v1/traffic", traffic(s)),
    "autoscaler.submitPodMetrics": lambda s, _: ("POST", "/metrics", measured(s)),
    "autoscaler.submitPodMetricsBatch": lambda s, _: ("POST", "/v1/pod-metrics", {"collector": "e2e", "items": [measured(s)]}),
    "autoscaler.getBalancerSettings": get("/v1/loadbalancer/settings"),
    "autoscaler.putBalancerSettings": lambda s, _: ("PUT", "/v1/loadbalancer/settings", settings(s)),
    "autoscaler.reviewAccess": lambda s, _: (
        "POST",
        "/v1/access",
        {"token": s.people["viewer"], "verb": "list", "resource": "customautoscalers", "namespaces": [s.app.namespace]},
    ),
    "autoscaler.getIdentityKeys": get("/v1/identity/keys"),
    "autoscaler.issueCertificate": lambda s, _: ("POST", "/v1/certificates", {"request": "none"}),
    "autoscaler.listPods": get("/v1/pods?namespace={ns}"),
    "autoscaler.listMetrics": get("/v1/metrics?namespace={ns}"),
    "autoscaler.listApplications": get("/v1/applications?namespace={ns}"),
    "autoscaler.getApplication": get("/v1/applications/{ns}/{app}"),
    "autoscaler.getApplicationHistory": get("/v1/applications/{ns}/{app}/history?resolution=minutes"),
    "autoscaler.getReport": get("/v1/report?namespace={ns}&format=markdown"),
    "autoscaler.getRights": get("/v1/rights?namespace={ns}"),
    "autoscaler.watchEvents": get("/v1/events?wait=0s&namespace={ns}"),
    "autoscaler.listDecisions": get("/v1/decisions?namespace={ns}"),
    "autoscaler.listChanges": get("/v1/changes?namespace={ns}"),
    "autoscaler.reportChanges": lambda s, _: ("POST", "/v1/changes", {"items": []}),
    "autoscaler.getLiveness": get("/healthz"),
    "autoscaler.getReadiness": get("/readyz"),
    "autoscaler.getMetrics": get("/metrics"),
    "loadbalancer.getState": get("/loadbalancer/state?namespace={ns}"),
    "loadbalancer.listWaiting": get("/loadbalancer/waiting?namespace={ns}"),
    "loadbalancer.getSettings": get("/loadbalancer/settings"),
    "loadbalancer.putSettings": lambda s, _: ("PUT", "/loadbalancer/settings", settings(s)),
    "loadbalancer.proxyRequest": lambda s, _: ("POST", "/proxy/request", {"target_url": s.app.prefix + "/fib/5"}),
    "loadbalancer.listProxyLogs": get("/proxy/logs?namespace={ns}"),
    "loadbalancer.queryTargetApp": to_app("GET"),
    "loadbalancer.actOnTargetApp": to_app("POST", action="compute", parameters={"n": 12}),
    "loadbalancer.updateTargetApp": to_app("PUT", resource_id="mine", updates={"n": 7}),
    "loadbalancer.changeTargetApp": to_app("PATCH", resource_id="mine", changes={"n": 8}),
    "loadbalancer.getLiveness": get("/healthz"),
    "loadbalancer.getReadiness": get("/readyz"),
    "loadbalancer.getMetrics": get("/metrics"),
    "peers.exchangeSlots": exchange,
}


def base(nemesis: Nemesis, contract: str) -> str:
    if contract == "peers":
        return nemesis.reach.pod(nemesis.pods(BALANCER)[0], PEERS_PORT)
    return nemesis.controller_url if contract == "autoscaler" else nemesis.admin_url


def ask(stage: Stage, contract: str, operation: str, who: str) -> httpx.Response:
    """The answer, as nobody else than `who`. An object that somebody changed meanwhile is read again, as clients do."""
    for _ in range(10):
        method, path, body = ASKED[f"{contract}.{operation}"](stage, who)
        media = "application/merge-patch+json" if path.startswith("/apis") and method == "PATCH" else "application/json"
        headers = {"Content-Type": media, **(bearer(stage.people[who]) if stage.people[who] else {})}
        answer = stage.nemesis.http.request(method, base(stage.nemesis, contract) + path, json=body or None, headers=headers, auth=None)
        if answer.status_code != 409 or contract != "autoscaler":
            break
    return answer


def wrong(answer: httpx.Response, path_of_kubernetes: bool, want: str) -> str:
    """What is not as the table has it; "" is nothing."""
    status = answer.status_code
    if (want == "ok" and status >= 300) or (want != "ok" and status != int(want)):
        return f"{status} instead of {want}: {answer.text[:300]}"
    if status not in (401, 403) or path_of_kubernetes:
        return ""
    try:
        document = problem(answer, status, "unauthenticated" if status == 401 else "forbidden")
    except AssertionError as err:
        return str(err)
    if status == 401 and answer.headers.get("WWW-Authenticate", "").split(" ")[0].rstrip(",") != "Bearer":
        return f"401 without WWW-Authenticate: Bearer, but {answer.headers}"
    return "" if document["detail"] else "it does not say why"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_operation_has_a_row_and_every_row_an_operation(contract: str) -> None:
    assert set(TABLES[contract]) == operations(contract)


@pytest.mark.parametrize(("contract", "operation"), ROWS)
def test_each_is_answered_as_the_table_says(stage: Stage, contract: str, operation: str) -> None:
    row = TABLES[contract][operation]
    assert list(row) == list(stage.people), "somebody has no column, or a column is of nobody"
    assert all(re.fullmatch(r"ok|[45]\d\d", cell) for cell in row.values()), row
    faults = []
    for who, want in row.items():
        answer = ask(stage, contract, operation, who)
        if fault := wrong(answer, "CustomAutoscaler" in operation, want):
            faults.append(f"{who}: {fault}")
    assert not faults, "\n".join([f"{contract} {operation}", *faults])


def test_a_sidecar_takes_connections_from_its_pod_alone(nemesis: Nemesis, namespace: str) -> None:
    assert {cell for row in TABLES["sidecar"].values() for cell in row.values()} == {"ok", "no connection"}
    if not nemesis.reach.direct:
        pytest.skip("a forwarded port comes from inside the pod")
    app = fibonacci(namespace, spec={"minReplicas": 1})
    nemesis.cluster.apply(*with_sidecar(nemesis.cluster.kubectl, app, listen=""))
    nemesis.known(app)
    assert nemesis.ask(app).status_code == 200
    (pod,) = nemesis.cluster.list("Pod", namespace, labels=f"app={app.name}")

    def measures() -> bool:
        listed = nemesis.read("/v1/metrics", namespace=namespace)["items"]
        return any(p.get("metrics", {}).get("source") == "Sidecar" for found in listed for p in found["pods"])

    eventually(measures, "it is there, and measures")
    said = nemesis.cluster.logs(namespace, pod["metadata"]["name"], container="nemesis-sidecar")
    (address,) = [e["address"] for line in said.splitlines() if (e := json.loads(line))["msg"] == "serving"]
    host, _, port = address.rpartition(":")
    assert host == "127.0.0.1", address
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((pod["status"]["podIP"], int(port)), timeout=5)
